import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { sendCallback } from './callbacks.ts'
import type { ApiParts } from './parts.ts'

interface Subscription { id: string, url: string, isActive: boolean }

/** Path and query without the version and the signature: what a save leaves as it is. */
const versionless = (url: string): string => url.split('?')[0]!.replace(/versions\/[^/]+/, '')

/** Subscriptions of one path, and the routes that end them. */
function addSubscriptions (app: FastifyInstance, { has, origin }: ApiParts, path: string, onSubscribe: (subscription: Subscription, request: FastifyRequest) => void): Map<string, Subscription> {
  const subscriptions = new Map<string, Subscription>()
  let count = 0

  function subscribed (reply: FastifyReply, { id }: Subscription): FastifyReply {
    if (has('subscribe answered 202')) return reply.code(202).header('location', `${origin}${path}/${id}`).send()
    if (has('subscribe without Location')) return reply.code(201).send({ id })
    if (has('subscribe with a foreign Location')) return reply.code(201).header('location', `https://internal.example${path}/${id}`).send({ id })
    return reply.code(201).header('location', `${origin}${path}/${id}`).send({ id })
  }

  app.post(path, async (request, reply) => {
    const { callbackUrl: url, flavour } = request.body as { callbackUrl?: string, flavour?: string }
    if (url === undefined || flavour === undefined) return await reply.code(has('wrong subscription as 500') ? 500 : 400).send({ error: { code: 'Incomplete' } })
    if (has('subscribe refused')) return await reply.code(403).send()
    if (has('hook demands engine headers') && request.headers['x-ms-workflow-run-id'] === undefined) return await reply.code(400).send()
    // These two are promised (engine 5.6): an API may know its subscriptions by them.
    if (request.headers['x-ms-client-tracking-id'] === undefined || request.headers['x-ms-workflow-operation-name'] === undefined) return await reply.code(400).send()
    const known = has('subscribe not idempotent') ? undefined : [...subscriptions.values()].find((one) => one.url === url && one.isActive)
    if (known !== undefined) return subscribed(reply, known)
    if (!has('save adds') && path === '/hooks') for (const one of subscriptions.values()) if (one.url !== url && versionless(one.url) === versionless(url)) one.isActive = false
    const subscription = { id: String(++count), url, isActive: true }
    subscriptions.set(subscription.id, subscription)
    onSubscribe(subscription, request)
    return subscribed(reply, subscription)
  })

  function end (subscription: Subscription | undefined): boolean {
    if (subscription === undefined || (!subscription.isActive && has('unsubscribe twice is 404'))) return false
    subscription.isActive = has('unsubscribe ignored')
    return true
  }

  app.delete<{ Params: { id: string } }>(`${path}/:id`, async ({ params }, reply) => {
    end(subscriptions.get(params.id))
    return await reply.code(204).send()
  })

  app.post(`${path}/unsubscribe`, async (request, reply) => {
    if (has('unsubscribe missing')) return await reply.code(404).send()
    const { callbackUrl: url } = (request.body ?? {}) as { callbackUrl?: string }
    if (url === undefined) return await reply.code(has('unsubscribe demands the URL') ? 400 : 200).send()
    const found = [...subscriptions.values()].filter((one) => has('late unsubscribe ends the new one') ? versionless(one.url) === versionless(url) : one.url === url)
    const isEnded = found.map(end).some((ended) => ended)
    if (found.length === 0 && has('unsubscribe of the unknown is 404')) return await reply.code(404).send()
    return await reply.code(!isEnded && found.length > 0 && has('unsubscribe twice is 404') ? 404 : 200).send()
  })
  return subscriptions
}

/** A webhook action: calls back a while later. */
export function addCalls (app: FastifyInstance, parts: ApiParts): void {
  const { has, clock, pace } = parts
  addSubscriptions(app, parts, '/calls', (subscription, { body }) => {
    const { flavour } = body as { flavour: string }
    if (has('no callback') || (flavour === 'burnt' && has('failure never calls back'))) return
    clock.after(pace.call * 1000, () => {
      if (!subscription.isActive) return
      const payload = flavour === 'burnt' ? { error: { code: 'Burnt' } } : { cake: flavour }
      // What the sender meets is the check's to see.
      sendCallback(parts, subscription.url, payload).catch(() => {})
    })
  })
}

/** A webhook trigger. The function returned tells of an event. */
export function addHooks (app: FastifyInstance, parts: ApiParts): (event: object) => void {
  const { has } = parts
  const subscriptions = addSubscriptions(app, parts, '/hooks', () => {})
  return (event) => {
    if (has('no callback')) return
    for (const subscription of subscriptions.values()) {
      if (!subscription.isActive) continue
      if (has('one callback only')) subscription.isActive = false
      sendCallback(parts, subscription.url, event)
        .then((outcome) => { if (outcome === 'gone' && !has('dead callback hammered') && !has('disabled trigger hammered')) subscription.isActive = false })
        .catch(() => {})
    }
  }
}
