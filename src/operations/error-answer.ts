import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, RouteShorthandOptions } from 'fastify'
import { InvalidRequestError, wireCodes } from '../errors.ts'

type ErrorHandler = NonNullable<RouteShorthandOptions['errorHandler']>

/** The one form of error a caller of ours reads: the connector convention (engine 6.9). */
export interface ErrorDocument {
  error: { code: string, message: string, details?: unknown }
}

/** A store that is away, a full queue, too many versions pass: the engine retries 503 and 429, and waits as told (engine 6.2, 6.6). */
const retryAfterSeconds = 10

/** A store's own words name files and hosts. */
const storeAway = 'The service cannot store work at the moment. Try again later.'
const pollFailed = 'The poll failed, and the state stays as it was. Poll again.'
const publicMessages: Record<string, string> = {
  FST_LOGIC_APPS_STORE_UNAVAILABLE: storeAway,
  FST_LOGIC_APPS_INVALID_DATABASE: storeAway,
  // What a host's function threw, and how large its state is, is nobody else's business.
  FST_LOGIC_APPS_POLL_FAILED: pollFailed,
  FST_LOGIC_APPS_TRIGGER_STATE_TOO_LARGE: pollFailed
}

const isOurs = (error: FastifyError): boolean => Object.hasOwn(wireCodes, error.code ?? '')

/** The request's fault, though it shows as a server's: a body nested deeper than validation or JSON can follow. */
function refusalOf (error: FastifyError): FastifyError {
  return error instanceof RangeError && error.code === 'FST_ERR_VALIDATION'
    ? new InvalidRequestError('the request body is nested too deeply', { cause: error })
    : error
}

function errorDocument (error: FastifyError): ErrorDocument {
  const code = wireCodes[error.code as keyof typeof wireCodes]
  const message = publicMessages[error.code] ?? error.message
  if (error.validation === undefined) return { error: { code, message } }
  const details = error.validation.map(({ instancePath, message }) => ({ path: `${error.validationContext ?? ''}${instancePath}`, message }))
  return { error: { code, message, details } }
}

/**
 * Answers what is ours, and Fastify's own refusals of a request, in the one form; leaves all else (a hook's 401, a bug)
 * to the host's error handler.
 */
export function answerError (hostHandler?: ErrorHandler): ErrorHandler {
  return function (this: FastifyInstance, thrown: FastifyError, request: FastifyRequest, reply: FastifyReply) {
    const error = refusalOf(thrown)
    if (!isOurs(error)) {
      if (hostHandler !== undefined) return hostHandler.call(this, error, request, reply)
      // Thrown on, it reaches the error handler of the scope. What is no Error would be sent from there as a 200.
      if (error instanceof Error) throw error
      return request.server.errorHandler(error, request, reply)
    }
    // An Ajv with `verbose` puts in the input too, with all that is secret in it.
    if (error.validation !== undefined) error.validation = error.validation.map(({ keyword, instancePath, schemaPath, params, message }) => ({ keyword, instancePath, schemaPath, params, message: message! }))
    const statusCode = error.statusCode ?? 500
    if (statusCode >= 500) request.log.error({ err: error }, error.message)
    else request.log.info({ err: error }, error.message)
    if (statusCode === 503 || statusCode === 429) reply.header('retry-after', retryAfterSeconds)
    return reply.code(statusCode)
      .type('application/json; charset=utf-8')
      .serializer(JSON.stringify)
      .send(errorDocument(error))
  }
}
