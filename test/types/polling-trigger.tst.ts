import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import { expect, test } from 'tstyche'
import { Type } from 'typebox'
import '../../src/index.ts'

const Order = Type.Object({ orderId: Type.String(), flavour: Type.Optional(Type.String()) })
const Query = Type.Object({ flavour: Type.Optional(Type.String()) })
const Place = Type.Object({ since: Type.Integer() })

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
const bare = Fastify()
const orders = app.logicApps.topic('orders', { event: Order })

test('a filter is given the event and the query, a tracking id the event', () => {
  app.pollingTrigger('/orders', {
    schema: { operationId: 'PollOrders', querystring: Query },
    topic: orders,
    mode: 'single',
    startFrom: { lookBackSeconds: 60 },
    matches (event, query) {
      expect(event).type.toBe<{ flavour?: string, orderId: string }>()
      expect(query).type.toBe<{ flavour?: string }>()
      return query.flavour === event.flavour
    },
    clientTrackingId (event) {
      expect(event).type.toBe<{ flavour?: string, orderId: string }>()
      return event.orderId
    },
    onGap ({ reason, topic }) {
      expect(reason).type.toBe<'forgotten' | 'restored'>()
      expect(topic).type.toBe<string>()
    }
  })
})

test('poll is given state, query and params as the schemas say, and gives items and state', () => {
  app.pollingTrigger('/shops/:shop', {
    schema: { operationId: 'Shop', querystring: Query, params: Type.Object({ shop: Type.Integer() }) },
    state: Place,
    item: Order,
    start ({ query, params, signal }) {
      expect(query).type.toBe<{ flavour?: string }>()
      expect(params).type.toBe<{ shop: number }>()
      expect(signal).type.toBe<AbortSignal>()
      return { since: 1 }
    },
    async poll ({ state, limit, query, params }) {
      expect(state).type.toBe<{ since: number }>()
      expect(limit).type.toBe<number>()
      expect(query).type.toBe<{ flavour?: string }>()
      expect(params).type.toBe<{ shop: number }>()
      return { items: [{ orderId: '1' }], state: { since: 2 }, more: true }
    },
    upgradeState (old) {
      expect(old).type.toBe<unknown>()
      return { since: 0 }
    }
  })
})

test('without a type provider everything is unknown', () => {
  bare.pollingTrigger('/orders', {
    schema: { operationId: 'PollOrders' },
    topic: bare.logicApps.topic('any'),
    matches (event, query) {
      expect(event).type.toBe<unknown>()
      expect(query).type.toBe<unknown>()
      return true
    }
  })
})

const own = { schema: { operationId: 'Own' }, state: Place, item: Order } as const

test('what does not fit the schemas does not compile', () => {
  // @ts-expect-error Type 'string' is not assignable to type 'number'.
  app.pollingTrigger('/own', { ...own, start: () => ({ since: 1 }), poll: () => ({ items: [], state: { since: 'x' } }) })
  // @ts-expect-error Type 'number' is not assignable to type 'string'.
  app.pollingTrigger('/own', { ...own, start: () => ({ since: 1 }), poll: () => ({ items: [{ orderId: 1 }], state: { since: 1 } }) })
  // @ts-expect-error is not assignable to type
  app.pollingTrigger('/own', { ...own, start: () => 7, poll: () => ({ items: [], state: { since: 1 } }) })
  // @ts-expect-error Property 'state' is missing
  app.pollingTrigger('/own', { ...own, start: () => ({ since: 1 }), poll: () => ({ items: [] }) })
})

test('a trigger without operationId, or without a source, does not compile', () => {
  // @ts-expect-error Property 'operationId' is missing
  app.pollingTrigger('/orders', { schema: {}, topic: orders })
  // @ts-expect-error is missing the following properties
  app.pollingTrigger('/orders', { schema: { operationId: 'PollOrders' } })
  // @ts-expect-error Property 'start' is missing
  app.pollingTrigger('/own', { ...own, poll: () => ({ items: [], state: { since: 1 } }) })
  // @ts-expect-error Type '"all"' is not assignable to type
  app.pollingTrigger('/orders', { schema: { operationId: 'PollOrders' }, topic: orders, mode: 'all' })
  // @ts-expect-error Type '"yesterday"' is not assignable to type
  app.pollingTrigger('/orders', { schema: { operationId: 'PollOrders' }, topic: orders, startFrom: 'yesterday' })
})

test('the instance is given back, with its type provider', () => {
  expect(app.pollingTrigger('/orders', { schema: { operationId: 'PollOrders' }, topic: orders })).type.toBe<typeof app>()
})
