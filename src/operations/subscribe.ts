import type { FastifyInstance, FastifyReply, FastifyRequest, RouteShorthandOptions } from 'fastify'
import { pathOfTarget } from '../protocol/location.ts'
import { trackingOf } from '../protocol/tracking-headers.ts'
import type { NewSubscription } from '../work/store.ts'
import { sealCallbackUrl } from '../work/subscriptions.ts'
import { compilerWithoutAnnotations } from './callback-annotations.ts'
import { createCallbackReader, type CallbackSource } from './callback-source.ts'
import { generatedRoute, type MonitorHooks } from './generated-route.ts'
import { answerSubscribed, subscribedSchema } from './job-answer.ts'
import type { OperationParts } from './job-operation.ts'
import type { RequestRecorder } from './request-recorder.ts'
import type { OperationSchema } from './types.ts'
import { addUnsubscribe } from './unsubscribe.ts'

interface SubscribedOperation {
  operationId: string
  schema: OperationSchema
  source: CallbackSource | undefined
  monitorHooks: MonitorHooks
  recorder: RequestRecorder
  /** What is left of the options: the host's, for the subscribe route. */
  route: RouteShorthandOptions
  /**
   * Keeps the call, of which `input` is the record as JSON text. Resolves to the id that the `Location` is made of, and
   * to what the log says.
   */
  accept: (subscription: Omit<NewSubscription, 'topic'>) => Promise<{ id: string, news: object & { msg: string } }>
  /** Ends what the token of a `Location` stands for; does nothing for what is not there. */
  forget: (id: string) => Promise<void>
}

/** The subscribe call of a webhook, and those that end it: 201 with an unsubscribe URL in `Location`, once all is on disk. */
export function addSubscribe (instance: FastifyInstance, path: string, operation: SubscribedOperation, parts: OperationParts): void {
  const { operationId, schema, source, monitorHooks, recorder, route, accept, forget } = operation
  const reader = createCallbackReader(schema, source)

  async function subscribe (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const base = parts.baseUrls(request)('unsubscribe')
    const owner = await recorder.ownerOf(request)
    const { url, input, query } = reader.read(request)
    const callback = sealCallbackUrl(url, parts.callbackPolicy, parts.sealer)
    const { text } = await recorder.record(request, { input, query })
    const { id, news: { msg, ...fields } } = await accept({
      ...callback, operation: operationId, owner, input: text, tracking: trackingOf(request.headers), createdAt: parts.clock.now()
    })
    request.log.debug({ ...fields, operationId, url: callback.urlHint }, msg)
    return answerSubscribed(reply, id, `${base}${pathOfTarget(request.originalUrl)}/${parts.tokens.sign(id)}`)
  }

  addUnsubscribe(instance, path, { operationId, source, monitorHooks, ownerOf: recorder.ownerOf, forget }, parts)
  // After the unsubscribe routes: see compilerWithoutAnnotations.
  instance.route({
    ...generatedRoute({ operationId, role: 'subscribe' }, route),
    ...compilerWithoutAnnotations(instance, route, reader.schema, reader.annotated),
    method: 'POST',
    url: path,
    schema: { ...reader.schema, response: { 201: subscribedSchema, ...schema.response as object | undefined } },
    handler: subscribe
  })
}
