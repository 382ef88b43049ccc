import { test } from 'tap'
import { Type } from 'typebox'
import { createApp } from '../helpers/app.ts'
import { addNumbers, addOrders, createPoller } from '../helpers/polling.ts'
import { publish } from '../helpers/webhooks.ts'

const own = { schema: { operationId: 'Own' }, state: {}, item: {}, start () {}, poll () {} }

for (const [name, options, message] of [
  ['no operationId', { schema: {} }, /^\/orders: schema\.operationId is missing/],
  ['no schema', { schema: undefined }, /^\/orders: schema\.operationId is missing/],
  ['a topic that is none', { topic: 'orders' }, /^PollOrders \(\/orders\): topic must be a topic: make one with app\.logicApps\.topic\(name\)$/],
  ['a mode that is none', { mode: 'all' }, /mode must be equal to one of/],
  ['no whole number of items', { maxItems: 1.5 }, /maxItems must be integer/],
  ['no items', { maxItems: 0 }, /maxItems must be >= 1/],
  ['maxItems of one', { mode: 'single', maxItems: 5 }, /maxItems needs mode 'batch'/],
  ['a Retry-After of 0 (engine 3.5)', { retryAfterSeconds: 0 }, /retryAfterSeconds must be >= 1/],
  ['a Retry-After that is no whole number', { retryAfterSeconds: 1.5 }, /retryAfterSeconds must be integer/],
  ['startFrom of yesterday', { startFrom: 'yesterday' }, /startFrom must be 'now', 'beginning' or \{ lookBackSeconds \}/],
  ['startFrom nothing', { startFrom: null }, /startFrom must be/],
  ['a look back that is none', { startFrom: { lookBackSeconds: -1 } }, /startFrom must be/],
  ['an age that is none', { maxAgeSeconds: 0 }, /maxAgeSeconds must be > 0/],
  ['a scan of nothing', { scanLimit: 0 }, /scanLimit must be >= 1/],
  ['a filter that is none', { matches: 'all' }, /matches must be a function of an event and the query of a poll/],
  ['a hook that is none', { onGap: true }, /onGap must be a function/],
  ['a tracking id of a batch', { clientTrackingId: () => 'x' }, /clientTrackingId needs mode 'single'/],
  ['a tracking id that is no function', { mode: 'single', clientTrackingId: 'x' }, /clientTrackingId must be a function of an item/],
  ['options of the other kind', { poll () {}, timeoutSeconds: 5 }, /timeoutSeconds is no option of a trigger with a topic; poll is no option of a trigger with a topic/],
  ['a state that is required', { schema: { operationId: 'X', querystring: Type.Object({ triggerState: Type.String() }) } }, /schema\.querystring must not require triggerState: nobody has one at first/]
] as const) {
  test(`a trigger on a topic with ${name} is refused`, async (t) => {
    const { app } = await createApp(t)
    t.throws(() => addOrders(app, options), { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message })
  })
}

for (const [name, options, message] of [
  ['neither topic nor poll', { poll: undefined, state: undefined, item: undefined, start: undefined }, /^Own \(\/own\): topic is missing, or poll with state, item and start/],
  ['no start', { start: undefined }, /start is missing: it makes the state of those who poll for the first time/],
  ['no state', { state: undefined }, /state must be a JSON Schema/],
  ['no item', { item: undefined }, /item must be a JSON Schema/],
  ['a poll that is none', { poll: 'x' }, /poll must be a function/],
  ['an upgrade that is none', { upgradeState: 'x' }, /upgradeState must be a function/],
  ['a time-out that is none', { timeoutSeconds: 0 }, /timeoutSeconds must be > 0/],
  ['a time-out that the engine does not wait for', { timeoutSeconds: 120 }, /timeoutSeconds must be <= 115/],
  ['options of the other kind', { startFrom: 'now', scanLimit: 5 }, /scanLimit is no option of a trigger without a topic; startFrom is no option of a trigger without a topic/],
  ['many faults', { timeoutSeconds: 0, mode: 'x', item: 7 }, /mode must .*; timeoutSeconds must .*; item must/]
] as const) {
  test(`a trigger on the host's data with ${name} is refused`, async (t) => {
    const { app } = await createApp(t)
    t.throws(() => app.pollingTrigger('/own', { ...own, ...options } as never), { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message })
  })
}

test('an operationId is used once', async (t) => {
  const { app } = await createApp(t)
  addOrders(app)
  t.throws(() => addNumbers(app, [], { schema: { operationId: 'PollOrders' } }), { code: 'FST_LOGIC_APPS_DUPLICATE_OPERATION', message: /by GET \/orders and by GET \/numbers/ })
})

test('a schema that does not compile stops the app when it starts', async (t) => {
  for (const [name, schema] of [['state', { state: { type: 'nonsense' } }], ['item', { item: { type: 'nonsense' }, schema: { operationId: 'PollNumbers', response: { 200: {} } } }]] as const) {
    const { app } = await createApp(t)
    addNumbers(app, [], schema)
    await t.rejects(async () => { await app.ready() }, { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: new RegExp(`^${name} of PollNumbers is no schema that compiles`) })
  }
})

test('the decorator gives the instance back, and route options of Fastify go through', async (t) => {
  const { app } = await createApp(t)
  t.equal(addOrders(app, { config: { mine: 1 }, logLevel: 'silent' }), app)
  let config: unknown
  app.addHook('onRequest', async ({ routeOptions }) => { ({ config } = routeOptions) })
  addNumbers(app, [], { config: { mine: 2 } })
  await app.inject('/numbers')
  t.match(config, { mine: 2, logicApps: { operationId: 'PollNumbers', role: 'poll' } })
})

test('logMaxEvents is a number of events', async (t) => {
  for (const logMaxEvents of [0, 1.5, '7']) await t.rejects(createApp(t, { logMaxEvents: logMaxEvents as number }), { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: /logMaxEvents must be/ })
})

test('a tracking id for each item, in single mode (engine 3.23)', async (t) => {
  const { app, logs } = await createApp(t)
  const ids: unknown[] = ['order-1', undefined, 'a b', 7, '', 'ü', 'x'.repeat(201)]
  addOrders(app, {
    mode: 'single',
    clientTrackingId ({ n }: { n: number }) {
      if (n === 8) throw new Error('odd id')
      return ids[n - 1]
    }
  })
  const poller = createPoller(app, '/orders')
  t.equal((await poller.poll()).headers['x-ms-client-tracking-id'], undefined)
  for (let n = 1; n <= 8; n++) await publish(app, { n })
  const given: unknown[] = []
  for (let answer = await poller.poll(); answer.statusCode === 200; answer = await poller.poll()) given.push(answer.headers['x-ms-client-tracking-id'])
  t.same(given, ['order-1', ...Array<undefined>(7)], 'one that cannot be sent costs no item')
  t.equal(logs.filter(({ level, msg }) => level === 40 && msg === 'clientTrackingId failed: the item is sent without one').length, 6)
})
