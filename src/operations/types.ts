import type { FastifyBaseLogger, FastifyRequest, FastifySchema, FastifyTypeProvider, RouteShorthandOptions } from 'fastify'
import type { Deferred, Job } from '../work/job.ts'
import type { Topic } from '../work/topics.ts'
import type { CallbackSource } from './callback-source.ts'
import type { MonitorHooks } from './generated-route.ts'

/** A Fastify schema that names its operation: the designer and the connector document know it by these. */
export interface OperationSchema extends FastifySchema {
  /** Unique in the app, PascalCase by custom: `BakeCake`. Jobs are kept under it, so it must outlive deploys. */
  operationId: string
  summary?: string
  description?: string
  tags?: readonly string[]
}

/** What a request part holds after validation, as the instance's type provider reads the schema. */
export type Validated<TypeProvider extends FastifyTypeProvider, Schema> = (TypeProvider & { schema: Schema })['validator']
/** What may be given to be serialised by the schema. */
export type Serializable<TypeProvider extends FastifyTypeProvider, Schema> = (TypeProvider & { schema: Schema })['serializer']

export type PartOf<S, Part extends keyof FastifySchema> = S extends Record<Part, infer Schema> ? Schema : unknown

export interface JobOptions<Context = unknown> {
  /** How long the engine is asked to wait between polls, in seconds. @default the plugin's: 5 */
  retryAfterSeconds?: number
  /** How long a start waits for the job to end before it answers 202, in seconds, at most 100. @default the plugin's: 0 */
  waitSeconds?: number
  /** How long one attempt may take, in seconds. @default the plugin's: 3600 */
  timeoutSeconds?: number
  /** How long a deferred job waits to be completed, in seconds. @default the plugin's: 30 days */
  deferTimeoutSeconds?: number
  /** What polls of a failed job answer. @default the plugin's: 422 */
  failureStatusCode?: number
  /** How many jobs of this operation this process runs at once. @default no limit but the plugin's `concurrency` */
  concurrency?: number
  /** How often a job is run again when its handler throws anything but a JobError. @default 0; 10 for a RetryableError */
  retries?: number
  /** Wait before the first retry, in seconds; doubled for each further one, up to 300, less up to half of it as jitter. @default 2 */
  retryBackoffSeconds?: number
  /** Read at the start and kept with the job as `job.context`: any JSON value. The request itself is gone when the job runs. */
  context?: (request: FastifyRequest) => Context | Promise<Context>
  /** JSON Schema that the context must fit. */
  contextSchema?: unknown
  /** Hooks added to the routes of follow-up calls: status, cancel, operation, unsubscribe. @default the plugin's */
  monitorHooks?: MonitorHooks
}

/** Route options of Fastify, which apply to the start route alone, and the operation's own. */
export interface AsyncActionOptions<S extends OperationSchema, Result, Context> extends
  Omit<RouteShorthandOptions, 'schema' | 'handler'>, JobOptions<Context> {
  schema: S
  /** JSON Schema of what the handler returns. Without one any JSON value goes; `undefined` answers 204. */
  result?: Result
}

/** Route options of Fastify, which apply to the subscribe route alone, and the operation's own. */
export interface WebhookActionOptions<S extends OperationSchema, Result, Context> extends
  Omit<AsyncActionOptions<S, Result, Context>, 'retryAfterSeconds' | 'waitSeconds' | 'failureStatusCode'> {
  /** Where the subscribe call holds the callback URL. @default the body's property `callbackUrl`, added to the schema */
  callbackUrl?: CallbackSource
}

/** Route options of Fastify, which apply to the subscribe route alone, and the operation's own. */
export interface WebhookTriggerOptions<S extends OperationSchema, Event, Input> extends Omit<RouteShorthandOptions, 'schema' | 'handler'> {
  schema: S
  /** Whose events it fires on: made by `app.logicApps.topic()`. */
  topic: Topic<Event>
  /** Whether a subscription wants an event. One that throws makes a dead letter of that callback. @default all of them */
  matches?: (event: Event, input: Input) => boolean
  /** Where the subscribe call holds the callback URL. @default the body's property `callbackUrl`, added to the schema */
  callbackUrl?: CallbackSource
  /** Hooks added to the unsubscribe routes. @default the plugin's */
  monitorHooks?: MonitorHooks
}

/** With the logger that it is at run time: a child of Fastify's. */
export type AsyncActionJob<S, Context, TypeProvider extends FastifyTypeProvider> = { readonly log: FastifyBaseLogger } & Job<
  Validated<TypeProvider, PartOf<S, 'body'>>,
  Validated<TypeProvider, PartOf<S, 'params'>>,
  Validated<TypeProvider, PartOf<S, 'querystring'>>,
  Context>

export type AsyncActionHandler<S, Result, Context, TypeProvider extends FastifyTypeProvider> =
  (job: AsyncActionJob<S, Context, TypeProvider>) => Answer<TypeProvider, Result> | Promise<Answer<TypeProvider, Result>>

type Answer<TypeProvider extends FastifyTypeProvider, Result> =
  (unknown extends Result ? unknown : Serializable<TypeProvider, Result>) | Deferred
