import type {
  FastifyBaseLogger, FastifyRequest, FastifyTypeProvider, FastifyTypeProviderDefault, RawReplyDefaultExpression,
  RawRequestDefaultExpression, RawServerBase, RawServerDefault
} from 'fastify'
import type { OperationConfig } from './operations/generated-route.ts'
import type { AsyncActionHandler, AsyncActionOptions, OperationSchema } from './operations/types.ts'
import type { Jobs } from './work/jobs.ts'

/** `app.logicApps`: what the host does with the work it accepted. */
export interface LogicApps {
  readonly jobs: Jobs
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
