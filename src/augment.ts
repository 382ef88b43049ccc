import type {
  FastifyBaseLogger, FastifyRequest, FastifyTypeProvider, FastifyTypeProviderDefault, RawReplyDefaultExpression,
  RawRequestDefaultExpression, RawServerBase, RawServerDefault
} from 'fastify'
import type { Static, TSchema } from 'typebox'
import type { ConnectorDocuments } from './connector/connector.ts'
import type { OperationConfig } from './operations/generated-route.ts'
import type {
  AsyncActionHandler, AsyncActionOptions, OperationSchema, PartOf, PollTriggerOptions, TopicTriggerOptions, Validated, WebhookActionOptions,
  WebhookTriggerOptions
} from './operations/types.ts'
import type { Jobs } from './work/jobs.ts'
import type { Deliveries, Subscriptions } from './work/subscriptions.ts'
import type { Topic, TopicOptions } from './work/topics.ts'

/** `app.logicApps`: what the host does with the work it accepted. */
export interface LogicApps {
  readonly jobs: Jobs
  readonly subscriptions: Subscriptions
  /** Callbacks: those to come, those that were taken, and dead letters. */
  readonly deliveries: Deliveries
  /** What designers read of the API. */
  readonly connector: ConnectorDocuments
  /**
   * A stream of events; the same one each time for a name.
   *
   * @throws {InvalidOptionsError} when it was made before with another schema.
   * @example const orders = app.logicApps.topic('orders', { event: Type.Object({ orderId: Type.String() }) })
   */
  topic<const Schema = unknown> (name: string, options?: TopicOptions<Schema>): Topic<Schema extends TSchema ? Static<Schema> : unknown>
  /**
   * Whether the request goes to a generated route with a token of ours in its URL: it may pass without the caller's
   * auth, since Power Automate polls without (engine 1.22). For an auth hook of the scope.
   */
  isCapability (request: FastifyRequest): boolean
}

declare module 'fastify' {
  interface FastifyInstance<
    RawServer extends RawServerBase = RawServerDefault,
    RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
    RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
    Logger extends FastifyBaseLogger = FastifyBaseLogger,
    TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault
  > {
    logicApps: LogicApps
    /**
     * An action that takes its time: `POST path` answers 202 and the caller polls until the job has ended.
     *
     * @throws {InvalidOptionsError} @throws {DuplicateOperationError}
     * @example
     * app.asyncAction('/cakes', {
     *   schema: { operationId: 'BakeCake', body: Order },
     *   result: Cake
     * }, async (job) => bake(job.input, { signal: job.signal }))
     */
    asyncAction<const S extends OperationSchema, const Result = unknown, Context = undefined> (
      path: string,
      options: AsyncActionOptions<S, Result, Context>,
      handler: AsyncActionHandler<S, Result, Context, TypeProvider>
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
    /**
     * An action whose caller is called back: `POST path` subscribes with a callback URL and answers 201, and the job's
     * end is POSTed there.
     *
     * @throws {InvalidOptionsError} @throws {DuplicateOperationError}
     */
    webhookAction<const S extends OperationSchema, const Result = unknown, Context = undefined> (
      path: string,
      options: WebhookActionOptions<S, Result, Context>,
      handler: AsyncActionHandler<S, Result, Context, TypeProvider>
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
    /**
     * A trigger that is fired: workflows subscribe by `POST path`, and each event of the topic is POSTed to them.
     *
     * @throws {InvalidOptionsError} @throws {DuplicateOperationError}
     * @example
     * app.webhookTrigger('/hooks/orders', { schema: { operationId: 'OnOrder' }, topic: orders })
     */
    webhookTrigger<const S extends OperationSchema, Event> (
      path: string,
      options: WebhookTriggerOptions<S, Event, Validated<TypeProvider, PartOf<S, 'body'>>>
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
    /**
     * A trigger that workflows poll: `GET path` answers 202 while there is nothing new, and 200 with what is, in order and
     * each once. Over the events of a topic, or over data of the host.
     *
     * @throws {InvalidOptionsError} @throws {DuplicateOperationError}
     * @example
     * app.pollingTrigger('/triggers/orders', {
     *   schema: { operationId: 'PollOrders', summary: 'When an order is placed' },
     *   topic: orders
     * })
     */
    pollingTrigger<const S extends OperationSchema, Event> (
      path: string,
      options: TopicTriggerOptions<S, Event, Validated<TypeProvider, PartOf<S, 'querystring'>>>
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
    pollingTrigger<const S extends OperationSchema, const State, const Item> (
      path: string,
      options: PollTriggerOptions<S, State, Item, TypeProvider>
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
  }

  /** What an ordinary route with `config.logicApps` says of itself: as @fastify/swagger declares it. */
  interface FastifySchema {
    operationId?: string
    summary?: string
    description?: string
    tags?: readonly string[]
  }

  interface FastifyContextConfig {
    /** `true` marks an ordinary route as an action of the connector; generated routes carry what they are for. */
    logicApps?: true | OperationConfig
  }
}
