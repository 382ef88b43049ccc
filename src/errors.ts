import createError from '@fastify/error'
import { assertFailureStatusCode } from './protocol/failure-status.ts'

/*
 * Every error this package throws or answers with. `code` is what JavaScript code matches (all of them share
 * `name: 'FastifyError'`); the table at the end gives the `error.code` that a caller on the wire sees instead.
 */

// Misuse: thrown while the app registers or starts.
export const InvalidOptionsError = createError('FST_LOGIC_APPS_INVALID_OPTIONS', '%s', 500, TypeError)
export const AlreadyRegisteredError = createError('FST_LOGIC_APPS_ALREADY_REGISTERED',
  'fastify-logic-apps is already registered in this scope: register it once, in the outermost scope that needs it', 500)
export const DuplicateOperationError = createError('FST_LOGIC_APPS_DUPLICATE_OPERATION',
  'operationId "%s" is used by %s and by %s: give each operation its own', 500)

export const MissingDependencyError = createError('FST_LOGIC_APPS_MISSING_DEPENDENCY',
  'a package is missing: run "npm install %s"', 500)

// The connector document.
export const InvalidConnectorError = createError('FST_LOGIC_APPS_INVALID_CONNECTOR', '%s', 500)
export const ConnectorUnavailableError = createError('FST_LOGIC_APPS_CONNECTOR_UNAVAILABLE', '%s', 500)

// The store.
export const StoreUnavailableError = createError('FST_LOGIC_APPS_STORE_UNAVAILABLE', '%s', 503)
export const InvalidDatabaseError = createError('FST_LOGIC_APPS_INVALID_DATABASE', '%s', 503)
export const SchemaVersionError = createError('FST_LOGIC_APPS_SCHEMA_VERSION', '%s', 500)
export const LeaseLostError = createError('FST_LOGIC_APPS_LEASE_LOST',
  'job %s no longer belongs to this attempt: it ended, was canceled, or another worker took it over', 500)

// Jobs, as the programmatic face and the generated routes meet them.
export const JobNotFoundError = createError('FST_LOGIC_APPS_JOB_NOT_FOUND', 'no such job', 404)
export const JobExpiredError = createError('FST_LOGIC_APPS_JOB_EXPIRED',
  'the job ended and its result is past retention', 410)
export const JobAlreadyEndedError = createError('FST_LOGIC_APPS_JOB_ALREADY_ENDED', 'job %s has already ended as %s', 409)
export const OperationNotFoundError = createError('FST_LOGIC_APPS_OPERATION_NOT_FOUND',
  'operation "%s" is not declared in this process', 500)
export const InvalidResultError = createError('FST_LOGIC_APPS_INVALID_RESULT',
  'the result of %s does not fit its schema: %s', 500)
export const InvalidContextError = createError('FST_LOGIC_APPS_INVALID_CONTEXT', 'the context of %s %s', 500)

// Callbacks, subscriptions and events.
export const InvalidCallbackUrlError = createError('FST_LOGIC_APPS_INVALID_CALLBACK_URL', 'the callback URL %s', 400)
export const CallbackUrlNotAllowedError = createError('FST_LOGIC_APPS_CALLBACK_URL_NOT_ALLOWED',
  'callbacks may not go to %s: its host is not on the list of allowed hosts', 400)
export const SubscriptionNotFoundError = createError('FST_LOGIC_APPS_SUBSCRIPTION_NOT_FOUND', 'no such subscription', 404)
export const DeliveryNotFoundError = createError('FST_LOGIC_APPS_DELIVERY_NOT_FOUND', 'no such delivery', 404)
export const InvalidEventError = createError('FST_LOGIC_APPS_INVALID_EVENT', 'the event for topic "%s" %s', 500, TypeError)

// Polling triggers.
export const InvalidTriggerStateError = createError('FST_LOGIC_APPS_INVALID_TRIGGER_STATE',
  'this triggerState was not handed out by this trigger, or not by a secret that is still in use: poll the URL without it to begin anew, from now on', 400)
export const TriggerStateTooLargeError = createError('FST_LOGIC_APPS_TRIGGER_STATE_TOO_LARGE', '%s', 500)
export const PollFailedError = createError('FST_LOGIC_APPS_POLL_FAILED', 'the poll of %s failed, and the state stays as it was: %s', 500)

// Starting a job.
export const InvalidRequestError = createError('FST_LOGIC_APPS_INVALID_REQUEST', '%s', 400)
export const UnsupportedBodyError = createError('FST_LOGIC_APPS_UNSUPPORTED_BODY', 'the request body must be JSON or text: the work is kept as JSON until it is done', 415)
export const IdempotencyKeyReusedError = createError('FST_LOGIC_APPS_IDEMPOTENCY_KEY_REUSED',
  'this idempotency key was used before with another request: send a new key for new work', 422)
export const QueueFullError = createError('FST_LOGIC_APPS_QUEUE_FULL', 'too many jobs are waiting: try again later', 503)
export const TooManyVersionsError = createError('FST_LOGIC_APPS_TOO_MANY_VERSIONS',
  'too many versions of this callback URL wait for their first callback, or they come too fast: try again later', 429)
export const LoopbackBaseUrlError = createError('FST_LOGIC_APPS_LOOPBACK_BASE_URL',
  'the address of this API cannot be told to callers: %s is a loopback address. Set the baseUrl option, or let Fastify trust the proxy in front (trustProxy)', 500)

/** What a caller reads in `error.code`, by the `code` of the error. Ours first, then those of Fastify that are answered in our form. */
export const wireCodes = {
  FST_LOGIC_APPS_STORE_UNAVAILABLE: 'StoreUnavailable',
  FST_LOGIC_APPS_INVALID_DATABASE: 'StoreUnavailable',
  FST_LOGIC_APPS_JOB_NOT_FOUND: 'JobNotFound',
  FST_LOGIC_APPS_JOB_EXPIRED: 'JobExpired',
  FST_LOGIC_APPS_JOB_ALREADY_ENDED: 'JobAlreadyEnded',
  FST_LOGIC_APPS_INVALID_REQUEST: 'InvalidRequest',
  FST_LOGIC_APPS_INVALID_CALLBACK_URL: 'InvalidCallbackUrl',
  FST_LOGIC_APPS_CALLBACK_URL_NOT_ALLOWED: 'CallbackUrlNotAllowed',
  FST_LOGIC_APPS_INVALID_TRIGGER_STATE: 'InvalidTriggerState',
  FST_LOGIC_APPS_TRIGGER_STATE_TOO_LARGE: 'TriggerStateTooLarge',
  FST_LOGIC_APPS_POLL_FAILED: 'PollFailed',
  FST_LOGIC_APPS_UNSUPPORTED_BODY: 'UnsupportedMediaType',
  FST_LOGIC_APPS_IDEMPOTENCY_KEY_REUSED: 'IdempotencyKeyReused',
  FST_LOGIC_APPS_QUEUE_FULL: 'QueueFull',
  FST_LOGIC_APPS_TOO_MANY_VERSIONS: 'TooManyVersions',
  FST_LOGIC_APPS_LOOPBACK_BASE_URL: 'LoopbackBaseUrl',
  FST_LOGIC_APPS_INVALID_CONTEXT: 'InvalidContext',
  FST_ERR_VALIDATION: 'InvalidRequest',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'InvalidJson',
  FST_ERR_CTP_INVALID_JSON_BODY: 'InvalidJson',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'InvalidRequest',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'UnsupportedMediaType',
  FST_ERR_CTP_BODY_TOO_LARGE: 'BodyTooLarge'
} as const

/** Every `code` of this package's own errors. */
export type FastifyLogicAppsErrorCode =
  | 'FST_LOGIC_APPS_INVALID_OPTIONS'
  | 'FST_LOGIC_APPS_ALREADY_REGISTERED'
  | 'FST_LOGIC_APPS_DUPLICATE_OPERATION'
  | 'FST_LOGIC_APPS_MISSING_DEPENDENCY'
  | 'FST_LOGIC_APPS_INVALID_CONNECTOR'
  | 'FST_LOGIC_APPS_CONNECTOR_UNAVAILABLE'
  | 'FST_LOGIC_APPS_STORE_UNAVAILABLE'
  | 'FST_LOGIC_APPS_INVALID_DATABASE'
  | 'FST_LOGIC_APPS_SCHEMA_VERSION'
  | 'FST_LOGIC_APPS_LEASE_LOST'
  | 'FST_LOGIC_APPS_JOB_NOT_FOUND'
  | 'FST_LOGIC_APPS_JOB_EXPIRED'
  | 'FST_LOGIC_APPS_JOB_ALREADY_ENDED'
  | 'FST_LOGIC_APPS_OPERATION_NOT_FOUND'
  | 'FST_LOGIC_APPS_INVALID_RESULT'
  | 'FST_LOGIC_APPS_INVALID_CONTEXT'
  | 'FST_LOGIC_APPS_INVALID_CALLBACK_URL'
  | 'FST_LOGIC_APPS_CALLBACK_URL_NOT_ALLOWED'
  | 'FST_LOGIC_APPS_SUBSCRIPTION_NOT_FOUND'
  | 'FST_LOGIC_APPS_TOO_MANY_VERSIONS'
  | 'FST_LOGIC_APPS_DELIVERY_NOT_FOUND'
  | 'FST_LOGIC_APPS_INVALID_EVENT'
  | 'FST_LOGIC_APPS_INVALID_TRIGGER_STATE'
  | 'FST_LOGIC_APPS_TRIGGER_STATE_TOO_LARGE'
  | 'FST_LOGIC_APPS_POLL_FAILED'
  | 'FST_LOGIC_APPS_INVALID_REQUEST'
  | 'FST_LOGIC_APPS_UNSUPPORTED_BODY'
  | 'FST_LOGIC_APPS_IDEMPOTENCY_KEY_REUSED'
  | 'FST_LOGIC_APPS_QUEUE_FULL'
  | 'FST_LOGIC_APPS_LOOPBACK_BASE_URL'

export interface JobErrorOptions {
  /** Answered by polls of the failed job: a 4xx other than 401, 403, 404, 405, 408, 410 and 429. @default the operation's `failureStatusCode` */
  statusCode?: number
  /** Shown to the caller as `error.details`: any JSON value. */
  details?: unknown
  cause?: unknown
}

/**
 * Thrown by a handler, it fails the job and is shown to the caller as given: `code` in PascalCase, `message` for people.
 * Any other error a handler throws reaches the log alone, and the caller sees `JobFailed`.
 *
 * @throws {TypeError} when `statusCode` is one that would make the engine do something else than fail the action.
 * @example throw new JobError('CakeBurnt', 'The cake burnt.', { statusCode: 409 })
 */
export class JobError extends Error {
  override readonly name = 'JobError'
  readonly code: string
  readonly statusCode: number | undefined
  readonly details: unknown

  constructor (code: string, message: string, options: JobErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    if (typeof code !== 'string' || code === '') throw new TypeError('"code" of a JobError must be a non-empty string, such as "CakeBurnt"')
    if (options.statusCode !== undefined) assertFailureStatusCode(options.statusCode, '"statusCode" of a JobError')
    this.code = code
    this.statusCode = options.statusCode
    this.details = options.details
  }
}

/**
 * Thrown by a handler, it asks for another attempt after a delay of its own instead of the backoff. It obeys the
 * operation's `retries`; where that is not set, up to 10 attempts may be asked for so.
 *
 * @example throw new RetryableError('The oven is still hot', { delaySeconds: 30 })
 */
export class RetryableError extends Error {
  override readonly name = 'RetryableError'
  /** Wait before the next attempt, in seconds. @default the operation's backoff */
  readonly delaySeconds: number | undefined

  constructor (message: string, options: { delaySeconds?: number, cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    const { delaySeconds } = options
    if (delaySeconds !== undefined && !(Number.isFinite(delaySeconds) && delaySeconds >= 0)) {
      throw new TypeError('"delaySeconds" of a RetryableError must be a number of seconds, 0 or more')
    }
    this.delaySeconds = delaySeconds
  }
}
