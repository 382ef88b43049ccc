import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { pathOf } from './app.ts'

/** `GET /orders`, operation PollOrders, on the topic `orders`. */
export function addOrders (app: FastifyInstance, options: object = {}, path = '/orders'): FastifyInstance {
  return app.pollingTrigger(path, { schema: { operationId: 'PollOrders' }, topic: app.logicApps.topic('orders'), ...options })
}

const integer = { type: 'integer' }

/** `GET /numbers`, operation PollNumbers: its state is the last number given, its items are what `numbers` holds after that. */
export function addNumbers (app: FastifyInstance, numbers: number[], options: object = {}, path = '/numbers'): FastifyInstance {
  return app.pollingTrigger(path, {
    schema: { operationId: 'PollNumbers' },
    state: integer as object,
    item: { type: 'object', properties: { n: integer }, required: ['n'] } as object,
    start: () => numbers.at(-1) ?? 0,
    poll ({ state, limit }: { state: number, limit: number }) {
      const news = numbers.filter((n) => n > state)
      const items = news.slice(0, limit).map((n) => ({ n }))
      return { items, state: items.at(-1)?.n ?? state, more: news.length > limit }
    },
    ...options
  } as never)
}

/** Polls as the engine does: each time where the answer before said (engine 3.1). */
export interface Poller {
  poll (headers?: Record<string, string>): Promise<LightMyRequestResponse>
  /** Where it asks next. */
  readonly url: string
  /** To ask somewhere else next. */
  goTo (next: string): void
  /** Everything that came, oldest first. */
  readonly items: unknown[]
  /** Polls until there is nothing new. */
  drain (): Promise<void>
}

export function createPoller (app: FastifyInstance, path: string): Poller {
  let url = path
  const items: unknown[] = []
  const poller: Poller = {
    get url () { return url },
    items,
    goTo (next) { url = next },
    async poll (headers = {}) {
      const answer = await app.inject({ url, headers })
      if (answer.headers.location !== undefined) url = pathOf(answer.headers.location)
      if (answer.statusCode === 200) items.push(...itemsOf(answer))
      return answer
    },
    async drain () {
      while ((await poller.poll()).statusCode === 200);
    }
  }
  return poller
}

/** Of a batch, or the one. */
export function itemsOf (answer: LightMyRequestResponse): unknown[] {
  const body = answer.json<{ value?: unknown[] }>()
  return Array.isArray(body.value) ? body.value : [body]
}

/** What makes an answer: status, Retry-After, items. */
export function briefOf (answer: LightMyRequestResponse): unknown[] {
  return [answer.statusCode, answer.headers['retry-after'], ...(answer.statusCode === 200 ? [itemsOf(answer)] : [])]
}
