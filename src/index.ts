import { fastifyLogicApps } from './plugin.ts'

export { fastifyLogicApps }
export default fastifyLogicApps

// Options and what the decorators take and give.
export type { LogicApps } from './augment.ts'
export type { CallbackOptions, FastifyLogicAppsOptions } from './options.ts'
export type { ConnectorDocuments, SwaggerOptions } from './connector/connector.ts'
export type { ConnectorOptions } from './connector/connector-options.ts'
export type { MonitorHooks, OperationConfig, Role } from './operations/generated-route.ts'
export type { CallbackSource } from './operations/callback-source.ts'
export type {
  AsyncActionHandler, AsyncActionJob, AsyncActionOptions, Gap, JobOptions, OperationSchema, PollContext, PollResult, PollTriggerOptions,
  StartContext, TopicTriggerOptions, TriggerOptions, WebhookActionOptions, WebhookTriggerOptions
} from './operations/types.ts'
export type { ErrorDocument } from './operations/error-answer.ts'
export type { DeliveryNews } from './work/delivery-runner.ts'
export type { Deferred, Job } from './work/job.ts'
export { JobEndedReason, JobTimedOutReason, ShutdownReason } from './work/attempt.ts'
export type { JobListFilter, Jobs, JobView } from './work/jobs.ts'
export type { Deliveries, DeliveryListFilter, DeliveryView, Subscriptions, SubscriptionListFilter, SubscriptionView } from './work/subscriptions.ts'
export type { Topic, TopicOptions } from './work/topics.ts'
export type { GapReason, StartFrom } from './work/topic-log.ts'

// Writing a store, or replacing the clock. Until 1.0 the store port grows with each pattern of the engine.
export type { Clock } from './work/clock.ts'
export type { Logger } from './work/log.ts'
export type * from './work/store.ts'

// To add hosts to: `callbacks.allowedHosts` replaces the list.
export { defaultAllowedHosts } from './protocol/callback-url.ts'

// Errors: match their `code`.
export {
  AlreadyRegisteredError, CallbackUrlNotAllowedError, ConnectorUnavailableError, DeliveryNotFoundError, DuplicateOperationError,
  IdempotencyKeyReusedError, InvalidCallbackUrlError, InvalidConnectorError, InvalidContextError, InvalidDatabaseError, InvalidEventError,
  InvalidOptionsError, InvalidRequestError, InvalidResultError, InvalidTriggerStateError, JobAlreadyEndedError, JobError, JobExpiredError,
  JobNotFoundError, LeaseLostError, LoopbackBaseUrlError, MissingDependencyError, OperationNotFoundError, PollFailedError, QueueFullError,
  RetryableError, SchemaVersionError, StoreUnavailableError, SubscriptionNotFoundError, TooManyVersionsError, TriggerStateTooLargeError,
  UnsupportedBodyError
} from './errors.ts'
export type { FastifyLogicAppsErrorCode, JobErrorOptions } from './errors.ts'
