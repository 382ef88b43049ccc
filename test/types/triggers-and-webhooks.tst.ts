import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import { expect, test } from 'tstyche'
import { Type } from 'typebox'
import type { FastifyLogicAppsOptions } from '../../src/index.ts'
import '../../src/index.ts'

const Order = Type.Object({ orderId: Type.String(), flavour: Type.Optional(Type.String()) })
const Filter = Type.Object({ flavour: Type.Optional(Type.String()) })
const Cake = Type.Object({ id: Type.String() })
const Place = Type.Object({ since: Type.Integer() })

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
const bare = Fastify()

const orders = app.logicApps.topic('orders', { event: Order })

test('the event\'s type comes from the topic\'s schema', () => {
  expect(orders.publish).type.toBeCallableWith({ orderId: '1' })
  expect(orders.publish({ orderId: '1', flavour: 'lemon' })).type.toBe<Promise<string>>()
  // @ts-expect-error Type 'number' is not assignable to type 'string'.
  orders.publish({ orderId: 1 })
  // @ts-expect-error Property 'orderId' is missing
  orders.publish({})
  // @ts-expect-error Expected 1-2 arguments, but got 0.
  orders.publish()
  // @ts-expect-error Argument of type 'string' is not assignable
  orders.publish('1')
})

test('without a schema, or with a plain JSON Schema, any event goes', () => {
  expect(app.logicApps.topic('any').publish).type.toBeCallableWith({ a: 1 })
  expect(bare.logicApps.topic('plain', { event: { type: 'object' } }).publish).type.toBeCallableWith({ a: 1 })
  // @ts-expect-error Expected 1-2 arguments, but got 0.
  app.logicApps.topic()
  // @ts-expect-error Argument of type 'number' is not assignable
  app.logicApps.topic(7)
})

test('a filter is given the event and the subscription\'s input', () => {
  app.webhookTrigger('/hooks', {
    schema: { operationId: 'OnOrder', summary: 'When an order is placed', body: Filter },
    topic: orders,
    matches (event, input) {
      expect(event).type.toBe<{ flavour?: string, orderId: string }>()
      expect(input).type.toBe<{ flavour?: string }>()
      return input.flavour === undefined || input.flavour === event.flavour
    }
  })
  app.webhookTrigger('/bare', {
    schema: { operationId: 'Bare' },
    topic: app.logicApps.topic('any'),
    matches (event, input) {
      expect(event).type.toBe<unknown>()
      expect(input).type.toBe<unknown>()
      return true
    }
  })
})

test('a wrong filter does not compile', () => {
  app.webhookTrigger('/hooks', {
    schema: { operationId: 'OnOrder', body: Filter },
    topic: orders,
    // @ts-expect-error Property 'colour' does not exist on type
    matches: (event) => event.colour === 'red'
  })
  app.webhookTrigger('/hooks', {
    schema: { operationId: 'OnOrder', body: Filter },
    topic: orders,
    // @ts-expect-error Property 'colour' does not exist on type
    matches: (_event, input) => input.colour === 'red'
  })
  // @ts-expect-error is not assignable to type 'boolean'.
  app.webhookTrigger('/hooks', { schema: { operationId: 'OnOrder' }, topic: orders, matches: () => 'yes' })
})

test('a trigger without topic or operationId does not compile', () => {
  // @ts-expect-error Property 'topic' is missing
  app.webhookTrigger('/hooks', { schema: { operationId: 'OnOrder' } })
  // @ts-expect-error Property 'operationId' is missing
  app.webhookTrigger('/hooks', { schema: { body: Filter }, topic: orders })
  // @ts-expect-error Property 'schema' is missing
  app.webhookTrigger('/hooks', { topic: orders })
  // @ts-expect-error Type 'string' is not assignable to type
  app.webhookTrigger('/hooks', { schema: { operationId: 'OnOrder' }, topic: 'orders' })
})

test('an action\'s input, params and query are what the schemas say, its result what the result schema says', () => {
  app.webhookAction('/shops/:shop/calls', {
    schema: { operationId: 'Bake', body: Order, params: Type.Object({ shop: Type.Integer() }), querystring: Type.Object({ rush: Type.Boolean() }) },
    result: Cake,
    context: (request) => request.ip
  }, async (job) => {
    expect(job.input).type.toBe<{ flavour?: string, orderId: string }>()
    expect(job.params).type.toBe<{ shop: number }>()
    expect(job.query).type.toBe<{ rush: boolean }>()
    expect(job.context).type.toBe<string>()
    return { id: job.id }
  })
  app.webhookAction('/later', { schema: { operationId: 'Later' }, result: Cake }, (job) => job.defer())
  // @ts-expect-error Type 'number' is not assignable to type 'string'.
  app.webhookAction('/calls', { schema: { operationId: 'Bake' }, result: Cake }, async () => ({ id: 7 }))
})

test('an action without operationId or handler, or with an option of polling actions, does not compile', () => {
  // @ts-expect-error Property 'operationId' is missing
  app.webhookAction('/calls', { schema: { body: Order } }, () => {})
  // @ts-expect-error Expected 3 arguments, but got 2.
  app.webhookAction('/calls', { schema: { operationId: 'Bake' } })
  // @ts-expect-error does not exist in type
  app.webhookAction('/calls', { schema: { operationId: 'Bake' }, waitSeconds: 5 }, () => {})
  // @ts-expect-error does not exist in type
  app.webhookAction('/calls', { schema: { operationId: 'Bake' }, retryAfterSeconds: 5 }, () => {})
})

test('where the callback URL is', () => {
  app.webhookAction('/calls', { schema: { operationId: 'Bake' }, callbackUrl: { in: 'header', name: 'x-callback-url' } }, () => {})
  app.webhookTrigger('/hooks', { schema: { operationId: 'OnOrder' }, topic: orders, callbackUrl: { in: 'body' } })
  // @ts-expect-error Type '"cookie"' is not assignable to type
  app.webhookAction('/calls', { schema: { operationId: 'Bake' }, callbackUrl: { in: 'cookie' } }, () => {})
})

test('a filter is given the event and the query, a tracking id the event', () => {
  app.pollingTrigger('/orders', {
    schema: { operationId: 'PollOrders', querystring: Filter },
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
    schema: { operationId: 'Shop', querystring: Filter, params: Type.Object({ shop: Type.Integer() }) },
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
  expect(app.webhookAction('/calls', { schema: { operationId: 'Bake' } }, () => {})).type.toBe<typeof app>()
  expect(app.webhookTrigger('/hooks', { schema: { operationId: 'OnOrder' }, topic: orders })).type.toBe<typeof app>()
  expect(app.pollingTrigger('/orders', { schema: { operationId: 'PollOrders' }, topic: orders })).type.toBe<typeof app>()
})

test('options of callbacks', () => {
  expect<FastifyLogicAppsOptions['callbacks']>().type.toBeAssignableFrom<{}>()
  const callbacks: FastifyLogicAppsOptions['callbacks'] = {
    allowedHosts: ['*.contoso.com'],
    networks: ['10.20.0.0/16'],
    signingSecret: ['x'],
    onRetired: (news) => { expect(news.outcome).type.toBe<'retired' | 'suspended' | 'dead'>() },
    onDead: async ({ deliveryId }) => { expect(deliveryId).type.toBe<string>() }
  }
  // @ts-expect-error Type 'string' is not assignable to type 'string[]'.
  callbacks.allowedHosts = '*'
})
