import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { pathOfTarget } from '../protocol/location.ts'
import { trackingOf } from '../protocol/tracking-headers.ts'
import type { RunnableOperation } from '../work/attempt.ts'
import { digestOf, sealCallbackUrl } from '../work/subscriptions.ts'
import { compilerWithoutAnnotations } from './callback-annotations.ts'
import { assertCallbackSchema } from './callback-schema.ts'
import { createCallbackReader } from './callback-source.ts'
import { generatedRoute } from './generated-route.ts'
import { answerSubscribed, subscribedSchema } from './job-answer.ts'
import { declareJobOperation, type OperationParts } from './job-operation.ts'
import type { OperationSchema, WebhookActionOptions } from './types.ts'
import { addUnsubscribe } from './unsubscribe.ts'

type Options = WebhookActionOptions<OperationSchema, unknown, unknown>

/** `app.webhookAction`: a subscribe call that is accepted as a job, whose end is POSTed to the callback URL. */
export function addWebhookAction (instance: FastifyInstance, path: string, options: Options, handler: RunnableOperation['handler'], parts: OperationParts): void {
  const { ids, tokens, jobs, clock, subscriptions } = parts
  const { callbackUrl, ...jobOptions } = options
  const { operationId, monitorHooks, recorder, route } = declareJobOperation(instance, path, jobOptions, handler, parts, parts.callbackDelayMs)
  assertCallbackSchema(options.result, `results of ${operationId}`)
  const reader = createCallbackReader(options.schema, callbackUrl)

  async function subscribe (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const base = parts.baseUrl(request, 'unsubscribe')
    const owner = await recorder.ownerOf(request)
    const { url, input, query } = reader.read(request)
    const callback = sealCallbackUrl(url, parts.callbackPolicy, parts.sealer)
    const { text } = await recorder.record(request, { input, query })
    const createdAt = clock.now()
    const { job, repeated } = await jobs.accept({
      operation: operationId,
      owner,
      input: text,
      createdAt,
      // A callback URL is of one run of one action: who subscribes it again repeats itself, whatever else the call says.
      idempotency: { key: digestOf(JSON.stringify([operationId, owner, callback.urlDigest])), fingerprint: '' },
      subscription: { ...callback, operation: operationId, owner, topic: null, input: '{}', tracking: trackingOf(request.headers), createdAt }
    })
    const id = ids.encode(job)
    request.log.debug({ jobId: id, operationId, repeated, url: callback.urlHint }, 'job accepted, its end will be called back')
    return answerSubscribed(reply, id, `${base}${pathOfTarget(request.originalUrl)}/${tokens.sign(id)}`)
  }

  addUnsubscribe(instance, path, {
    operationId,
    source: callbackUrl,
    monitorHooks,
    ownerOf: recorder.ownerOf,
    async forget (id) {
      const name = ids.decode(id)
      const job = name === undefined ? undefined : await jobs.find(name.number)
      if (job === undefined || job.createdAt !== name!.createdAt || job.operation !== operationId) return
      const subscription = await subscriptions.findByJob(job.number)
      if (subscription !== undefined) await subscriptions.forget(subscription)
      // Called back already, or its caller gave up: nobody waits for it any more.
      else if (job.endedAt === null) await jobs.cancelJob(job)
    }
  }, parts)
  // After the unsubscribe routes: see compilerWithoutAnnotations.
  instance.route({
    ...generatedRoute({ operationId, role: 'subscribe' }, route),
    ...compilerWithoutAnnotations(instance, route, reader.schema, reader.annotated),
    method: 'POST',
    url: path,
    schema: { ...reader.schema, response: { 201: subscribedSchema, ...options.schema.response as object | undefined } },
    handler: subscribe
  })
}
