import type { FastifyInstance, FastifyRequest, RouteShorthandOptions } from 'fastify'
import { InvalidOptionsError, InvalidResultError } from '../errors.ts'
import type { OperationDescription } from '../connector/operation.ts'
import type { Sealer } from '../protocol/seal.ts'
import type { IdCodec, TokenName, TokenSigner } from '../protocol/token.ts'
import type { TriggerStates } from '../protocol/trigger-state.ts'
import type { RunnableOperation } from '../work/attempt.ts'
import type { BoundedCalls } from '../work/bounded-calls.ts'
import type { CallbackPolicy } from '../work/callback-policy.ts'
import type { Clock } from '../work/clock.ts'
import type { JobService } from '../work/jobs.ts'
import type { SubscriptionService } from '../work/subscriptions.ts'
import type { TopicLog } from '../work/topic-log.ts'
import type { BaseUrls } from './base-url.ts'
import type { MonitorHooks } from './generated-route.ts'
import { jobSettings, routeOptionsOf, type JobDefaults, type JobSettings } from './job-options.ts'
import type { Registry } from './registry.ts'
import { createRequestRecorder, type RequestRecorder } from './request-recorder.ts'
import { createSchemaCodec, type SchemaCodec } from './schema-codec.ts'
import type { AsyncActionOptions, OperationSchema } from './types.ts'

/** What the decorators work with: made once by the plugin. */
export interface OperationParts {
  defaults: JobDefaults
  owner: ((request: FastifyRequest) => string | Promise<string>) | undefined
  monitorHooks: MonitorHooks | undefined
  clock: Clock
  ids: IdCodec
  tokens: TokenSigner
  /** `undefined` for what is no token of a job. */
  jobOfToken: (token: string) => Readonly<TokenName> | undefined
  subscriptionIds: IdCodec
  jobs: JobService
  subscriptions: SubscriptionService
  sealer: Sealer
  callbackPolicy: CallbackPolicy
  callbackDelayMs: number
  registry: Registry
  baseUrls: BaseUrls
  triggerStates: TriggerStates
  topicLog: TopicLog
  polls: BoundedCalls
  /** Tells the connector document what the schemas of the routes do not say. */
  describe: (operationId: string, description: OperationDescription) => void
}

export type JobOperationOptions = AsyncActionOptions<OperationSchema, unknown, unknown>

/** An operation whose work is done by jobs, as its routes need it. */
export interface JobOperation {
  operationId: string
  settings: JobSettings
  monitorHooks: MonitorHooks
  recorder: RequestRecorder
  /** What is left of the options: the host's, for the start route. */
  route: RouteShorthandOptions
}

/**
 * Makes an operation known to the registry, and so to the job runner.
 *
 * @throws {InvalidOptionsError} @throws {DuplicateOperationError}
 */
export function declareJobOperation (instance: FastifyInstance, path: string, options: JobOperationOptions, handler: RunnableOperation['handler'], parts: OperationParts, callbackDelayMs?: number): JobOperation {
  const settings = jobSettings(options, parts.defaults, path)
  const { result, context, contextSchema, monitorHooks = parts.monitorHooks ?? {} } = options
  const route = routeOptionsOf(options)
  const { operationId } = options.schema
  const { registry, owner } = parts
  if (typeof handler !== 'function') throw new InvalidOptionsError(`${operationId} (${path}): the handler is missing: it is the last argument, after path and options`)
  registry.declare(operationId, `POST ${instance.prefix}${path}`)

  let resultCodec: SchemaCodec | undefined
  let contextCodec: SchemaCodec | undefined
  registry.whenComplete(() => {
    const { validatorCompiler, serializerCompiler } = route
    const compile = (schema: unknown, what: string): SchemaCodec | undefined => schema === undefined
      ? undefined
      : createSchemaCodec(instance, { schema, url: path, what: `${what} of ${operationId}`, validatorCompiler, serializerCompiler })
    resultCodec = compile(result, 'result')
    contextCodec = compile(contextSchema, 'contextSchema')
  })
  registry.addRunnable({
    ...settings,
    operationId,
    handler,
    callbackDelayMs,
    encodeResult (value) {
      const text = encodeResult(value, resultCodec, operationId)
      if (callbackDelayMs !== undefined && text !== null) assertCallbackBody(text, operationId)
      return text
    }
  })
  const recorder = createRequestRecorder({ operationId, context, contextCodec: () => contextCodec, owner })
  return { operationId, settings, monitorHooks, recorder, route }
}

/** JSON text of a result, as its schema has it. */
function encodeResult (value: unknown, codec: SchemaCodec | undefined, operationId: string): string | null {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (error) {
    throw new InvalidResultError(operationId, (error as Error).message, { cause: error })
  }
  if (codec === undefined) return text ?? null
  // Through JSON first: what is checked is what will be read, dates as text and so on, and the handler's object stays as it is.
  const checked = codec.validate(text === undefined ? undefined : JSON.parse(text))
  if ('fault' in checked) throw new InvalidResultError(operationId, checked.fault)
  // A schema that lets it be nothing: 204, since a serializer would make no JSON of it.
  if (text === undefined) return null
  const serialized: unknown = codec.serialize(checked.value)
  if (typeof serialized !== 'string') throw new InvalidResultError(operationId, 'the serializer of the scope gave no text')
  return serialized
}

/** As the schema must be, where there is one: see callback-schema. */
function assertCallbackBody (text: string, operationId: string): void {
  if (!text.startsWith('{')) throw new InvalidResultError(operationId, 'the body of a callback must be a JSON object')
  if (Object.hasOwn(JSON.parse(text) as object, 'error')) throw new InvalidResultError(operationId, 'a callback with a property "error" says that the job failed')
}
