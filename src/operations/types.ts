import type { FastifyBaseLogger, FastifyRequest, FastifySchema, FastifyTypeProvider, RouteShorthandOptions } from 'fastify'
import type { Deferred, Job } from '../work/job.ts'
import type { Topic } from '../work/topics.ts'
import type { GapReason, StartFrom } from '../work/topic-log.ts'
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

/** What all polling triggers can be told. */
export interface TriggerOptions<S extends OperationSchema, Item> extends Omit<RouteShorthandOptions, 'schema' | 'handler'> {
  schema: S
  /** What a 200 holds: `{ "value": [item] }`, or one item. @default 'batch' */
  mode?: 'batch' | 'single'
  /** The most items of one answer in batch mode. @default 100 */
  maxItems?: number
  /** How long the engine is asked to wait after an answer without items, in seconds. Where it is set, also after the last of the items: it then overrules the recurrence of the workflow. @default 15 */
  retryAfterSeconds?: number
  /** In single mode: names the workflow run that an item starts. @default the engine makes one */
  clientTrackingId?: (item: Item) => string | undefined
}

/** Where readers of a topic went on after they missed entries. */
export interface Gap {
  operationId: string
  topic: string
  /** Of the poll, as validated. */
  query: unknown
  reason: GapReason
}

/** Route options of Fastify, and the operation's own: a trigger that is polled for the events of a topic. */
export interface TopicTriggerOptions<S extends OperationSchema, Event, Query> extends TriggerOptions<S, Event> {
  /** Whose events it gives: made by `app.logicApps.topic()`. */
  topic: Topic<Event>
  /** Whether a poll wants an event. One that throws fails the poll. @default all of them */
  matches?: (event: Event, query: Query) => boolean
  /** Where somebody begins who polls without a state. @default 'now' */
  startFrom?: StartFrom
  /** Older events are passed over, in seconds: what a trigger that was disabled for long shall not make up for. @default none are */
  maxAgeSeconds?: number
  /** How many events one poll looks at. @default 10,000 */
  scanLimit?: number
  /** A poll came too late for events that have left the log; it goes on with the oldest that are there. */
  onGap?: (gap: Gap) => void
}

/** What `start` is given. */
export interface StartContext<Query, Params> {
  /** As validated, without the state. */
  query: Query
  params: Params
  log: FastifyBaseLogger
  /** Aborts when the answer would come too late, the caller has left, or the server shuts down. */
  signal: AbortSignal
}

/** What `poll` is given. */
export interface PollContext<State, Query, Params> extends StartContext<Query, Params> {
  /** What the last poll gave, or `start`. */
  state: State
  /** The most items that it may give. */
  limit: number
}

export interface PollResult<State, Item> {
  /** What is new since `state`, oldest first. */
  items: Item[]
  /** Where the next poll goes on: behind the last of the items. */
  state: State
  /** Whether more are waiting. @default false */
  more?: boolean
}

/** Route options of Fastify, and the operation's own: a trigger that is polled for data of the host. */
export interface PollTriggerOptions<S extends OperationSchema, State, Item, TypeProvider extends FastifyTypeProvider> extends
  TriggerOptions<S, Serializable<TypeProvider, Item>> {
  /** JSON Schema of the state. It travels in a URL: keep it small. */
  state: State
  /** JSON Schema of an item. */
  item: Item
  /** The state of somebody who polls for the first time: what is there already is not new to them. */
  start: (context: StartContext<QueryOf<S, TypeProvider>, ParamsOf<S, TypeProvider>>) =>
    Serializable<TypeProvider, State> | Promise<Serializable<TypeProvider, State>>
  /** What is new. It must not change anything: the same state may come again, and gives the same items again. */
  poll: (context: PollContext<Validated<TypeProvider, State>, QueryOf<S, TypeProvider>, ParamsOf<S, TypeProvider>>) =>
    PollResult<Serializable<TypeProvider, State>, Serializable<TypeProvider, Item>> |
    Promise<PollResult<Serializable<TypeProvider, State>, Serializable<TypeProvider, Item>>>
  /** A state that was handed out by an earlier version of the app, and does not fit the schema any more. @default it is refused */
  upgradeState?: (old: unknown) => Serializable<TypeProvider, State> | Promise<Serializable<TypeProvider, State>>
  /** How long `start` and `poll` may take, in seconds. The engine itself waits 120. @default 100 */
  timeoutSeconds?: number
}

type QueryOf<S, TypeProvider extends FastifyTypeProvider> = Validated<TypeProvider, PartOf<S, 'querystring'>>
type ParamsOf<S, TypeProvider extends FastifyTypeProvider> = Validated<TypeProvider, PartOf<S, 'params'>>

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
