import Fastify, { type FastifyInstance } from 'fastify'
import type { AppParts } from '../../../src/testing/index.ts'
import type { CallConfig, OperationConfig } from '../../../src/cli/check/operations.ts'
import { addDocument } from './document.ts'
import { addCalls, addHooks } from './hooks.ts'
import { addJobs } from './jobs.ts'
import { usualPace, type Pace } from './parts.ts'
import { addPoll } from './poll.ts'

export const origin = 'https://api.example'
const event = { path: '/events', body: { orderId: '{{id}}' } }
const authentication = { type: 'Raw', value: 'Key 1' }
const unsubscribe = (path: string): CallConfig => ({ path, body: { callbackUrl: '@{listCallbackUrl()}' } })

/** What `check` is told of the API. */
export const operations: Record<string, OperationConfig> = {
  Bake: { kind: 'async-action', path: '/jobs', body: { flavour: 'lemon' }, failingBody: { flavour: 'burnt' }, badBody: {}, authentication },
  BakeAndCall: { kind: 'webhook-action', path: '/calls', body: { flavour: 'lemon' }, failingBody: { flavour: 'burnt' }, badBody: {}, unsubscribe: unsubscribe('/calls/unsubscribe') },
  OnOrder: { kind: 'webhook-trigger', path: '/hooks', body: { flavour: 'lemon' }, badBody: {}, unsubscribe: unsubscribe('/hooks/unsubscribe'), event },
  PollOrders: { kind: 'polling-trigger', path: '/poll', event, items: 'value' }
}

/** An API written by hand, as an author would write it without a library: right but for one fault. */
export function buildWrongApi (parts: AppParts, fault?: string, at = origin, pace: Pace = usualPace): FastifyInstance {
  const app = Fastify()
  const apiParts = { ...parts, origin: at, pace, has: (one: string) => one === fault }
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => { done(null, body === '' ? undefined : JSON.parse(body as string)) })
  addJobs(app, apiParts)
  addCalls(app, apiParts)
  const tell = [addHooks(app, apiParts), addPoll(app, apiParts)]
  addDocument(app, apiParts)
  app.post('/events', async ({ body }, reply) => {
    for (const one of tell) one(body as object)
    return await reply.code(201).send()
  })
  return app
}
