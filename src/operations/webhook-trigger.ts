import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { InvalidOptionsError } from '../errors.ts'
import { pathOfTarget } from '../protocol/location.ts'
import { trackingOf } from '../protocol/tracking-headers.ts'
import { sealCallbackUrl } from '../work/subscriptions.ts'
import { createCallbackReader } from './callback-source.ts'
import { compilerWithoutAnnotations } from './callback-annotations.ts'
import { assertCallbackSchema } from './callback-schema.ts'
import { generatedRoute, monitorHooksFault } from './generated-route.ts'
import { answerSubscribed, subscribedSchema } from './job-answer.ts'
import type { OperationParts } from './job-operation.ts'
import { createRequestRecorder } from './request-recorder.ts'
import type { OperationSchema, WebhookTriggerOptions } from './types.ts'
import { addUnsubscribe } from './unsubscribe.ts'

type Options = WebhookTriggerOptions<OperationSchema, unknown, unknown>

/** `app.webhookTrigger`: a workflow subscribes, and each event of the topic is then POSTed to it. */
export function addWebhookTrigger (instance: FastifyInstance, path: string, options: Options, parts: OperationParts): void {
  const { topic, matches, callbackUrl, monitorHooks = parts.monitorHooks ?? {}, ...route } = options
  const operationId = options.schema?.operationId
  if (typeof operationId !== 'string' || operationId === '') {
    throw new InvalidOptionsError(`${path}: schema.operationId is missing: subscriptions are kept under it, and the designer knows the operation by it`)
  }
  if (typeof topic?.publish !== 'function') throw new InvalidOptionsError(`${operationId} (${path}): topic is missing: make one with app.logicApps.topic(name)`)
  if (matches !== undefined && typeof matches !== 'function') throw new InvalidOptionsError(`${operationId} (${path}): matches must be a function of an event and a subscription's input`)
  const hooksFault = monitorHooksFault(monitorHooks)
  if (hooksFault !== undefined) throw new InvalidOptionsError(`${operationId} (${path}): ${hooksFault}`)
  parts.registry.declare(operationId, `POST ${instance.prefix}${path}`)
  assertCallbackSchema(topic.eventSchema, `the events of topic "${topic.name}" (${operationId})`)

  const recorder = createRequestRecorder({ operationId, owner: parts.owner, context: undefined, contextCodec: () => undefined })
  const reader = createCallbackReader(options.schema, callbackUrl)
  parts.registry.addSubscriber({
    operationId,
    topic: topic.name,
    matches: matches === undefined
      ? () => true
      : (event, { input }) => matches(event, (JSON.parse(input) as { input: unknown }).input)
  })

  async function subscribe (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const base = parts.baseUrl(request, 'unsubscribe')
    const owner = await recorder.ownerOf(request)
    const { url, input, query } = reader.read(request)
    const callback = sealCallbackUrl(url, parts.callbackPolicy, parts.sealer)
    const { text } = await recorder.record(request, { input, query })
    const { outcome, subscription } = await parts.store.subscribe({
      ...callback,
      operation: operationId,
      owner,
      topic: topic.name,
      input: text,
      tracking: trackingOf(request.headers),
      createdAt: parts.clock.now()
    })
    const id = parts.subscriptionIds.encode(subscription)
    request.log.debug({ subscriptionId: id, operationId, outcome, url: callback.urlHint }, 'subscribed')
    return answerSubscribed(reply, id, `${base}${pathOfTarget(request.originalUrl)}/${parts.tokens.sign(id)}`)
  }

  addUnsubscribe(instance, path, {
    operationId,
    source: callbackUrl,
    monitorHooks,
    ownerOf: recorder.ownerOf,
    async forget (id) {
      const name = parts.subscriptionIds.decode(id)
      const subscription = name === undefined ? undefined : await parts.subscriptions.find(name.number, name.createdAt)
      if (subscription?.operation === operationId) await parts.subscriptions.forget(subscription)
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
