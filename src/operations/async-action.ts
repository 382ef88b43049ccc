import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { idempotencyOf } from '../protocol/idempotency.ts'
import { pathOfTarget } from '../protocol/location.ts'
import { preferredWaitSeconds } from '../protocol/prefer.ts'
import type { RunnableOperation } from '../work/attempt.ts'
import { generatedRoute } from './generated-route.ts'
import { answerAccepted, answerOutcome, statusSchema, type JobUrls } from './job-answer.ts'
import { declareJobOperation, type JobOperationOptions, type OperationParts } from './job-operation.ts'
import { addStatusMonitor } from './status-monitor.ts'

/**
 * `app.asyncAction`: a POST that is accepted as a job (202), and the routes that its caller polls. On `instance`, so
 * that its prefix, hooks and error handler apply.
 */
export function addAsyncAction (instance: FastifyInstance, path: string, options: JobOperationOptions, handler: RunnableOperation['handler'], parts: OperationParts): void {
  const { tokens, jobs, clock, baseUrls } = parts
  const { operationId, settings, monitorHooks, recorder, route } = declareJobOperation(instance, path, options, handler, parts)
  const { schema, result } = options
  parts.describe(operationId, { kind: 'asyncAction', result })

  /** The URLs of a job, but for its token. */
  const prepareUrls = (request: FastifyRequest, actionPath: string): ((token: string) => JobUrls) => {
    const baseUrlOf = baseUrls(request)
    const jobs = `${baseUrlOf('status')}${actionPath}/jobs/`
    const operations = `${baseUrlOf('operation')}${actionPath}/operations/`
    return (token) => ({ location: jobs + token, operationLocation: operations + token })
  }

  async function start (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    // Asked first: an address nobody can poll must not leave a job behind.
    const urlsOf = prepareUrls(request, pathOfTarget(request.originalUrl))
    // Where the host asked for `attachValidation`: a job must not start from what its schema refuses.
    if (request.validationError !== undefined) throw request.validationError
    const owner = await recorder.ownerOf(request)
    const { text, fingerprinted } = await recorder.record(request)
    const { job, id, repeated } = await jobs.accept({
      operation: operationId,
      owner,
      input: text,
      createdAt: clock.now(),
      idempotency: idempotencyOf(request.headers, operationId, owner, fingerprinted)
    })
    request.log.debug({ jobId: id, operationId, repeated }, 'job accepted')
    const waitSeconds = repeated ? 0 : preferredWaitSeconds(request.headers.prefer, settings.waitSeconds)
    if (waitSeconds > 0) {
      const latest = await jobs.waitForEnd(job, waitSeconds * 1000)
      if (latest.endedAt !== null) return answerOutcome(reply, latest)
    }
    return answerAccepted(reply, id, job, urlsOf(tokens.sign(id)), settings.retryAfterSeconds)
  }

  instance.route({
    ...generatedRoute({ operationId, role: 'start' }, route),
    method: 'POST',
    url: path,
    schema: {
      ...schema,
      response: { ...(instance.serializerCompiler === undefined ? { 202: statusSchema } : {}), ...(result === undefined ? {} : { 200: result }), ...schema.response as object | undefined }
    },
    handler: start
  })
  addStatusMonitor(instance, path, {
    operationId,
    settings,
    monitorHooks,
    urlsOf: (request, token, actionPath) => prepareUrls(request, actionPath)(token),
    result
  }, parts)
}
