import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { InvalidContextError, InvalidOptionsError, InvalidResultError } from '../errors.ts'
import { idempotencyOf } from '../protocol/idempotency.ts'
import { preferredWaitSeconds } from '../protocol/prefer.ts'
import type { IdCodec, TokenSigner } from '../protocol/token.ts'
import { trackingOf } from '../protocol/tracking-headers.ts'
import type { RunnableOperation } from '../work/attempt.ts'
import type { Clock } from '../work/clock.ts'
import type { JobService } from '../work/jobs.ts'
import type { JobRecord } from '../work/store.ts'
import type { BaseUrl } from './base-url.ts'
import { generatedRoute, type MonitorHooks } from './generated-route.ts'
import { answerAccepted, answerOutcome, statusSchema, type JobUrls } from './job-answer.ts'
import { jobSettings, type JobDefaults } from './job-options.ts'
import type { Registry } from './registry.ts'
import { createSchemaCodec, type SchemaCodec } from './schema-codec.ts'
import { addStatusMonitor } from './status-monitor.ts'
import type { AsyncActionOptions, OperationSchema } from './types.ts'

/** What the decorators work with: made once by the plugin. */
export interface OperationParts {
  defaults: JobDefaults
  owner: ((request: FastifyRequest) => string | Promise<string>) | undefined
  monitorHooks: MonitorHooks | undefined
  clock: Clock
  ids: IdCodec
  tokens: TokenSigner
  jobs: JobService
  registry: Registry
  baseUrl: BaseUrl
}

type Options = AsyncActionOptions<OperationSchema, unknown, unknown>

/** The owner of everything where the host names none. */
const soleOwner = 'default'

/**
 * `app.asyncAction`: a POST that is accepted as a job (202), and the routes that its caller polls. On `instance`, so
 * that its prefix, hooks and error handler apply.
 */
export function addAsyncAction (instance: FastifyInstance, path: string, options: Options, handler: RunnableOperation['handler'], parts: OperationParts): void {
  const { ids, jobs, registry, clock } = parts
  const {
    result, retryAfterSeconds: _1, waitSeconds: _2, timeoutSeconds: _3, deferTimeoutSeconds: _4, failureStatusCode: _5, concurrency: _6,
    retries: _7, retryBackoffSeconds: _8, context, contextSchema, monitorHooks = parts.monitorHooks ?? {}, ...route
  } = options
  const settings = jobSettings(options, parts.defaults, path)
  const { operationId } = options.schema
  if (typeof handler !== 'function') throw new InvalidOptionsError(`${operationId} (${path}): the handler is missing: app.asyncAction(path, options, handler)`)
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
  registry.addRunnable({ ...settings, operationId, handler, encodeResult: (value) => encodeResult(value, resultCodec, operationId) })

  const urlsOf = (request: FastifyRequest, id: string, actionPath: string): JobUrls => {
    const base = parts.baseUrl(request, 'start') + actionPath
    const token = parts.tokens.sign(id)
    return { location: `${base}/jobs/${token}`, operationLocation: `${base}/operations/${token}` }
  }

  async function start (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    // Asked first: an address nobody can poll must not leave a job behind.
    parts.baseUrl(request, 'start')
    const owner = await ownerOf(request)
    const { text, fingerprinted } = await describeRequest(request)
    const { job, repeated } = await jobs.accept({
      operation: operationId,
      owner,
      input: text,
      createdAt: clock.now(),
      idempotency: idempotencyOf(request.headers, operationId, owner, fingerprinted)
    })
    const id = ids.encode(job)
    request.log.debug({ jobId: id, operationId, repeated }, 'job accepted')
    const ended = repeated ? undefined : await waitForEnd(request, job)
    if (ended !== undefined) return answerOutcome(reply, ended)
    return answerAccepted(reply, id, job, urlsOf(request, id, pathOf(request)), settings.retryAfterSeconds)
  }

  async function ownerOf (request: FastifyRequest): Promise<string> {
    if (parts.owner === undefined) return soleOwner
    const owner: unknown = await parts.owner(request)
    // Never a default: it would mix up owners.
    if (typeof owner !== 'string' || owner === '') throw new InvalidOptionsError('the owner option must give a non-empty string for every request')
    return owner
  }

  /** The job, if it ended while the caller was willing to wait. */
  async function waitForEnd (request: FastifyRequest, job: JobRecord): Promise<JobRecord | undefined> {
    const seconds = preferredWaitSeconds(request.headers.prefer, settings.waitSeconds)
    if (seconds === 0) return undefined
    const latest = await jobs.waitForEnd(job, seconds * 1000)
    return latest.endedAt === null ? undefined : latest
  }

  /** The request as it is kept, and the part of it that decides what work is done. */
  async function describeRequest (request: FastifyRequest): Promise<{ text: string, fingerprinted: string }> {
    const { body, params, query } = request
    const tracking = trackingOf(request.headers)
    const kept = context === undefined ? undefined : checkContext(await context(request))
    const fingerprinted = JSON.stringify({ input: body, params, query })
    return { text: `${fingerprinted.slice(0, -1)},${JSON.stringify({ context: kept, tracking }).slice(1)}`, fingerprinted }
  }

  function checkContext (value: unknown): unknown {
    let plain: unknown
    try {
      plain = value === undefined ? undefined : JSON.parse(JSON.stringify(value))
    } catch (error) {
      throw new InvalidContextError(operationId, 'is no JSON value', { cause: error })
    }
    const checked = contextCodec?.validate(plain) ?? { value: plain }
    if ('fault' in checked) throw new InvalidContextError(operationId, `does not fit contextSchema: ${checked.fault}`)
    return checked.value
  }

  instance.route({
    ...generatedRoute({ operationId, role: 'start' }, route),
    method: 'POST',
    url: path,
    schema: {
      ...options.schema,
      response: { 202: statusSchema, ...(result === undefined ? {} : { 200: result }), ...options.schema.response as object | undefined }
    },
    handler: start
  })
  addStatusMonitor(instance, path, { operationId, settings, monitorHooks, urlsOf, result }, parts)
}

/** The path the caller used, without query and slash at its end: what the URLs of the job are made from. */
function pathOf (request: FastifyRequest): string {
  return request.originalUrl.split('?', 1)[0]!.replace(/\/+$/, '')
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
  return codec.serialize(checked.value)
}
