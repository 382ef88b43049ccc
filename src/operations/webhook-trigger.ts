import type { FastifyInstance } from 'fastify'
import { InvalidOptionsError } from '../errors.ts'
import { assertCallbackSchema } from './callback-schema.ts'
import { callbackPlace } from './callback-source.ts'
import { monitorHooksFault } from './generated-route.ts'
import type { OperationParts } from './job-operation.ts'
import { operationIdOf } from './registry.ts'
import { createRequestRecorder } from './request-recorder.ts'
import { addSubscribe } from './subscribe.ts'
import type { OperationSchema, WebhookTriggerOptions } from './types.ts'

type Options = WebhookTriggerOptions<OperationSchema, unknown, unknown>

/** `app.webhookTrigger`: a workflow subscribes, and each event of the topic is then POSTed to it. */
export function addWebhookTrigger (instance: FastifyInstance, path: string, options: Options, parts: OperationParts): void {
  const { topic, matches, callbackUrl, monitorHooks = parts.monitorHooks ?? {}, ...route } = options
  const operationId = operationIdOf(options, path, 'subscriptions are kept under it')
  if (typeof topic?.publish !== 'function') throw new InvalidOptionsError(`${operationId} (${path}): topic is missing: make one with app.logicApps.topic(name)`)
  if (matches !== undefined && typeof matches !== 'function') throw new InvalidOptionsError(`${operationId} (${path}): matches must be a function of an event and a subscription's input`)
  const hooksFault = monitorHooksFault(monitorHooks)
  if (hooksFault !== undefined) throw new InvalidOptionsError(`${operationId} (${path}): ${hooksFault}`)
  parts.registry.declare(operationId, `POST ${instance.prefix}${path}`)
  assertCallbackSchema(topic.eventSchema, `the events of topic "${topic.name}" (${operationId})`)

  const recorder = createRequestRecorder({ operationId, owner: parts.owner, context: undefined, contextCodec: () => undefined })
  parts.describe(operationId, { kind: 'webhookTrigger', payload: topic.eventSchema, callbackUrl: callbackPlace(callbackUrl) })
  parts.registry.addSubscriber({
    operationId,
    topic: topic.name,
    matches: matches === undefined
      ? () => true
      : (event, { input }) => matches(event, (JSON.parse(input) as { input: unknown }).input)
  })

  addSubscribe(instance, path, {
    operationId,
    schema: options.schema,
    source: callbackUrl,
    monitorHooks,
    recorder,
    route,

    async accept (call) {
      const { outcome, subscription } = await parts.subscriptions.subscribe({ ...call, topic: topic.name })
      const id = parts.subscriptionIds.encode(subscription)
      return { id, news: { subscriptionId: id, outcome, msg: 'subscribed' } }
    },

    async forget (id) {
      const name = parts.subscriptionIds.decode(id)
      const subscription = name === undefined ? undefined : await parts.subscriptions.find(name.number, name.createdAt)
      if (subscription?.operation === operationId) await parts.subscriptions.forget(subscription)
    }
  }, parts)
}
