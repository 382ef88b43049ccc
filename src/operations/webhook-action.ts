import type { FastifyInstance } from 'fastify'
import type { RunnableOperation } from '../work/attempt.ts'
import { digestOf } from '../work/subscriptions.ts'
import { assertCallbackSchema } from './callback-schema.ts'
import { callbackPlace } from './callback-source.ts'
import { declareJobOperation, type OperationParts } from './job-operation.ts'
import { addSubscribe } from './subscribe.ts'
import type { OperationSchema, WebhookActionOptions } from './types.ts'

type Options = WebhookActionOptions<OperationSchema, unknown, unknown>

/** `app.webhookAction`: a subscribe call that is accepted as a job, whose end is POSTed to the callback URL. */
export function addWebhookAction (instance: FastifyInstance, path: string, options: Options, handler: RunnableOperation['handler'], parts: OperationParts): void {
  const { ids, jobs, subscriptions } = parts
  const { callbackUrl, ...jobOptions } = options
  const operation = declareJobOperation(instance, path, jobOptions, handler, parts, parts.callbackDelayMs)
  const { operationId } = operation
  assertCallbackSchema(options.result, `results of ${operationId}`)
  const { timeoutMs, retries = 0 } = operation.settings
  parts.describe(operationId, {
    kind: 'webhookAction',
    payload: options.result,
    callbackUrl: callbackPlace(callbackUrl),
    // The plugin's limit for deferred jobs, a month, says nothing of this one.
    jobSeconds: timeoutMs / 1000 * (1 + retries) + (options.deferTimeoutSeconds ?? 0)
  })

  addSubscribe(instance, path, {
    ...operation,
    schema: options.schema,
    source: callbackUrl,

    async accept ({ input, ...call }) {
      const { owner, createdAt, urlDigest } = call
      const { id, repeated } = await jobs.accept({
        operation: operationId,
        owner,
        input,
        createdAt,
        // A callback URL is of one run of one action: who subscribes it again repeats itself, whatever else the call says.
        idempotency: { key: digestOf(JSON.stringify([operationId, owner, urlDigest])), fingerprint: '' },
        subscription: { ...call, topic: null, input: '{}' }
      })
      return { id, news: { jobId: id, repeated, msg: 'job accepted, its end will be called back' } }
    },

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
}
