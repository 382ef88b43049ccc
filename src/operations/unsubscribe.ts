import type { FastifyInstance, FastifyRequest } from 'fastify'
import { parseCallbackUrl } from '../protocol/callback-url.ts'
import { trackingOf } from '../protocol/tracking-headers.ts'
import type { SubscriptionRecord } from '../work/store.ts'
import type { CallbackSource } from './callback-source.ts'
import { generatedRoute, withIgnoredBody, type MonitorHooks } from './generated-route.ts'
import type { OperationParts } from './job-operation.ts'

interface UnsubscribedOperation {
  operationId: string
  /** Where the author's calls hold the callback URL. */
  source: CallbackSource | undefined
  monitorHooks: MonitorHooks
  ownerOf: (request: FastifyRequest) => string | Promise<string>
  /** What the token of a `Location` stands for; does nothing for what is not there. */
  forget: (id: string) => Promise<void>
}

interface TokenRoute { Params: { token: string } }

/**
 * The routes that end a subscription. Both may come late, twice, after success or for what never was, and are then
 * answered 200 all the same (engine 2.3, rule 14). Only the exact URL or token names a subscription: a workflow's late
 * unsubscribe of an older version must not end the newer one.
 */
export function addUnsubscribe (instance: FastifyInstance, path: string, { operationId, source: { in: place, name = 'callbackUrl' } = {}, monitorHooks, ownerOf, forget }: UnsubscribedOperation, { tokens, subscriptions }: OperationParts): void {
  const base = path === '/' ? '' : path.replace(/\/+$/, '')

  // A connector's way: a plain DELETE of the Location it was given (engine 4.3, 4.4).
  instance.route<TokenRoute>({
    ...generatedRoute({ operationId, role: 'unsubscribe' }, withIgnoredBody(monitorHooks)),
    method: 'DELETE',
    url: `${base}/:token`,
    schema: {
      operationId: `${operationId}Unsubscribe`,
      summary: `Unsubscribe from ${operationId}`,
      description: `Ends a subscription of ${operationId}.`,
      params: {
        type: 'object',
        properties: { token: { type: 'string', description: 'From the Location header of the 201: a key to this subscription.' } },
        required: ['token']
      }
    } as object,
    async handler (request) {
      const genuine = tokens.verify(request.params.token)
      if (genuine !== undefined) await forget(genuine.id)
      return {}
    }
  })

  // A workflow's way: a call that its author wrote, with whatever they could put in (engine 2.5). Any content type, or
  // none, and no body at all must do: the body is read as text, by a parser of its own scope whatever the host has, and
  // looked into by ourselves.
  instance.register(async function unsubscribeByUrl (scope) {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('text/plain', { parseAs: 'string' }, (_request, body, done) => { done(null, body) })
    scope.route({
      ...generatedRoute({ operationId, role: 'unsubscribe' }, { ...monitorHooks, onRequest: [calledText, ...[monitorHooks.onRequest ?? []].flat()] }),
      method: 'POST',
      url: `${base}/unsubscribe`,
      schema: {
        operationId: `${operationId}UnsubscribeByUrl`,
        summary: `Unsubscribe from ${operationId} by callback URL`,
        description: `Ends a subscription of ${operationId}, named by its callback URL.`
      } as object,
      async handler (request) {
        for (const subscription of await named(request)) await subscriptions.forget(subscription)
        return {}
      }
    })
  })

  /** Whoever knows the whole URL may; else the engine's own headers must name exactly one subscription of this owner. */
  async function named (request: FastifyRequest): Promise<SubscriptionRecord[]> {
    const url = usable(place === 'header' ? request.headers[name.toLowerCase()] : undefined) ??
      usable(place === 'query' ? (request.query as Record<string, unknown>)[name] : undefined) ??
      usable(valueIn(request.body, name))
    if (url !== undefined) return await subscriptions.findByUrl(operationId, url)
    const one = await subscriptions.findByTracking(operationId, await ownerOf(request), trackingOf(request.headers))
    return one === undefined ? [] : [one]
  }
}

/** An odd content type would be refused before any parser is asked. */
function calledText (request: FastifyRequest, _reply: unknown, done: () => void): void {
  request.raw.headers['content-type'] = 'text/plain'
  done()
}

/** What a body holds: the property of a JSON object, a JSON string, or the text itself. */
function valueIn (body: unknown, name: string): unknown {
  if (typeof body !== 'string' || body.trim() === '') return undefined
  let value: unknown = body.trim()
  try {
    value = JSON.parse(body)
  } catch {
    // A bare URL is no JSON.
  }
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : value
}

/** `undefined` for what can be no callback URL, such as half of a JSON text. */
function usable (value: unknown): string | undefined {
  return typeof value === 'string' && !('fault' in parseCallbackUrl(value)) ? value : undefined
}
