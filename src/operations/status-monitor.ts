import type { FastifyInstance, FastifyRequest } from 'fastify'
import { InvalidDatabaseError, JobAlreadyEndedError, JobExpiredError, JobNotFoundError, StoreUnavailableError } from '../errors.ts'
import { pathOfTarget } from '../protocol/location.ts'
import type { TokenName } from '../protocol/token.ts'
import type { JobRecord } from '../work/store.ts'
import type { OperationParts } from './job-operation.ts'
import { generatedRoute, withIgnoredBody, type MonitorHooks } from './generated-route.ts'
import { answerOperation, answerPoll, answerUnknownYet, statusSchema, type JobUrls } from './job-answer.ts'
import type { JobSettings } from './job-options.ts'
import { compilersForOwnSchemas } from './schema-codec.ts'

interface MonitoredOperation {
  operationId: string
  settings: JobSettings
  monitorHooks: MonitorHooks
  urlsOf: (request: FastifyRequest, token: string, actionPath: string) => JobUrls
  result: unknown
}

interface TokenRoute { Params: { token: string } }

const paramsSchema = {
  type: 'object',
  properties: { token: { type: 'string', description: 'From the Location header of the 202: a key to this job.' } },
  required: ['token']
}

/** The routes that the caller of a job polls, and cancels it by. */
export function addStatusMonitor (instance: FastifyInstance, path: string, operation: MonitoredOperation, { jobOfToken, jobs }: OperationParts): void {
  const { operationId, settings: { retryAfterSeconds }, monitorHooks, urlsOf, result } = operation
  const base = path === '/' ? '' : path.replace(/\/+$/, '')
  const compilers = compilersForOwnSchemas(instance)

  /** A genuine token is known without a read, so that a store that is away can be told from a job that never was. */
  function genuineName ({ params }: FastifyRequest<TokenRoute>): TokenName {
    const name = jobOfToken(params.token)
    if (name === undefined) throw new JobNotFoundError()
    return name
  }

  /** @throws {JobExpiredError} for what was issued but is not there any more. */
  async function read ({ number, createdAt }: TokenName): Promise<JobRecord> {
    const job = await jobs.find(number)
    if (job === undefined) throw new JobExpiredError()
    // Another operation's job, or one that took the number after an older backup was restored.
    if (job.operation !== operationId || job.createdAt !== createdAt) throw new JobNotFoundError()
    return job
  }

  /** The job, or `undefined` while the store is away: the caller is then asked to wait. */
  async function readIfReachable (name: TokenName, request: FastifyRequest): Promise<JobRecord | undefined> {
    try {
      return await read(name)
    } catch (error) {
      if (!(error instanceof StoreUnavailableError || error instanceof InvalidDatabaseError)) throw error
      request.log.warn({ err: error, jobId: name.id }, 'the store is away; a poll is asked to wait')
      return undefined
    }
  }

  instance.route<TokenRoute>({
    ...generatedRoute({ operationId, role: 'status' }, { ...compilers, ...monitorHooks }),
    method: 'GET',
    url: `${base}/jobs/:token`,
    schema: {
      operationId: `${operationId}Status`,
      summary: `Status of ${operationId}`,
      description: `Says how far ${operationId} is, and then what became of it.`,
      params: paramsSchema,
      response: { 202: statusSchema, ...(result === undefined ? {} : { 200: result }) }
    } as object,
    async handler (request, reply) {
      const name = genuineName(request)
      const { id, current } = name
      const urls = (): JobUrls => urlsOf(request, current, actionPathOf(request))
      const job = await readIfReachable(name, request)
      if (job === undefined) return answerUnknownYet(reply, id, urls(), retryAfterSeconds)
      return answerPoll(reply, id, job, urls, retryAfterSeconds)
    }
  })

  instance.route<TokenRoute>({
    ...generatedRoute({ operationId, role: 'operation' }, { ...compilers, ...monitorHooks }),
    method: 'GET',
    url: `${base}/operations/:token`,
    schema: {
      operationId: `${operationId}Operation`,
      summary: `Status document of ${operationId}`,
      description: `Says how far ${operationId} is, for clients of the Azure SDKs.`,
      params: paramsSchema
    } as object,
    async handler (request, reply) {
      const name = genuineName(request)
      return answerOperation(reply, name.id, await readIfReachable(name, request), retryAfterSeconds)
    }
  })

  instance.route<TokenRoute>({
    ...generatedRoute({ operationId, role: 'cancel' }, { ...compilers, ...withIgnoredBody(monitorHooks) }),
    method: 'DELETE',
    url: `${base}/jobs/:token`,
    schema: {
      operationId: `${operationId}Cancel`,
      summary: `Cancel ${operationId}`,
      description: `Ends ${operationId} before it is done.`,
      params: paramsSchema
    } as object,
    async handler (request, reply) {
      const name = genuineName(request)
      const answer = await jobs.cancelJob(await read(name))
      if (answer === undefined) throw new JobExpiredError()
      if (!answer.canceled) throw new JobAlreadyEndedError(name.id, answer.job.status)
      return reply.code(204).send()
    }
  })
}

/** The action's own path, as the caller of one of its jobs used it: without `/jobs/<token>`. */
function actionPathOf (request: FastifyRequest): string {
  const path = pathOfTarget(request.originalUrl)
  return path.slice(0, path.lastIndexOf('/', path.lastIndexOf('/') - 1))
}
