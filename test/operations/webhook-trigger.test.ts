import { Type } from 'typebox'
import { test } from 'tap'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createApp, pathOf } from '../helpers/app.ts'
import { createAwayStore } from '../helpers/away-store.ts'
import { idOf } from '../helpers/cakes.ts'
import { addHooks, createWebhookApp, errorOf, post, publish, sent, settle, subscribeHook, triggerUrl, unsubscribe } from '../helpers/webhooks.ts'

const owner = ({ headers }: { headers: Record<string, unknown> }): string => String(headers['x-tenant'] ?? 'north')

test('a workflow subscribes: 201, an absolute Location, an id', async (t) => {
  const { app, receiver } = await createWebhookApp(t)
  addHooks(app)
  const subscribed = await subscribeHook(app, triggerUrl(receiver))
  t.equal(subscribed.statusCode, 201)
  t.match(subscribed.headers, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store', location: /^https:\/\/api\.example\/hooks\/[\w-]{44}$/ })
  t.match(await app.logicApps.subscriptions.list(), [{ id: idOf(subscribed), operationId: 'OnOrder', status: 'active', owner: 'default', url: `${receiver.origin}/workflows/w1/…`, skipped: 0, failingSince: null }])
})

test('each event of the topic is POSTed to each subscription, once', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, receiver } = parts
  addHooks(app)
  for (const workflow of ['w1', 'w2', 'w3']) await subscribeHook(app, triggerUrl(receiver, workflow))
  const id = await publish(app, { n: 1 })
  t.match(id, /^[\w-]{22}$/)
  await publish(app, { n: 2 })
  await settle(parts)
  t.same(sent(parts), ['w1', 'w2', 'w3'].flatMap((workflow) => [`signature-${workflow}-1 {"n":1}`, `signature-${workflow}-1 {"n":2}`]))
  t.equal(new Set(receiver.calls.map(({ headers }) => headers['webhook-id'])).size, 6)
  t.match((await app.logicApps.deliveries.list()).map(({ status }) => status), Array(6).fill('delivered'))
  await settle(parts, 600_000)
  t.equal(receiver.calls.length, 6)
})

test('events from before a subscription are not owed to it', async (t) => {
  const parts = await createWebhookApp(t)
  addHooks(parts.app)
  await publish(parts.app, { n: 1 })
  await subscribeHook(parts.app, triggerUrl(parts.receiver))
  await publish(parts.app, { n: 2 })
  await settle(parts)
  t.same(sent(parts), ['signature-w1-1 {"n":2}'])
})

test('nothing is sent before delaySeconds have passed since the subscribe call', async (t) => {
  const parts = await createWebhookApp(t, { callbacks: { delaySeconds: 3 } })
  addHooks(parts.app)
  await subscribeHook(parts.app, triggerUrl(parts.receiver))
  await publish(parts.app, { n: 1 })
  await parts.clock.advance(2999)
  t.equal(parts.receiver.calls.length, 0)
  await settle(parts, 1)
  t.equal(parts.receiver.calls.length, 1)
})

test('a filter decides by the event and the subscription\'s input, without the callback URL', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, receiver } = parts
  const inputs: unknown[] = []
  addHooks(app, {
    schema: { operationId: 'OnOrder', body: { type: 'object', properties: { flavour: { type: 'string' } } } },
    matches (event: { flavour: string }, input: { flavour?: string }) {
      inputs.push(input)
      return input.flavour === undefined || input.flavour === event.flavour
    }
  })
  await subscribeHook(app, triggerUrl(receiver, 'w1'), {}, { flavour: 'lemon' })
  await subscribeHook(app, triggerUrl(receiver, 'w2'), {}, { flavour: 'plum' })
  await subscribeHook(app, triggerUrl(receiver, 'w3'))
  await publish(app, { flavour: 'lemon' })
  await settle(parts)
  t.same(sent(parts), ['signature-w1-1 {"flavour":"lemon"}', 'signature-w3-1 {"flavour":"lemon"}'])
  t.same(inputs, [{ flavour: 'lemon' }, { flavour: 'plum' }, {}])
})

test('a filter that throws makes a dead letter of that pair, and is logged; the others get theirs', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, receiver, logs } = parts
  addHooks(app, {
    schema: { operationId: 'OnOrder', body: { type: 'object', properties: { odd: { type: 'boolean' } } } },
    matches (_event: unknown, { odd }: { odd?: boolean }) {
      if (odd === true) throw new Error('odd filter')
      return true
    }
  })
  await subscribeHook(app, triggerUrl(receiver, 'w1'), {}, { odd: true })
  await subscribeHook(app, triggerUrl(receiver, 'w2'))
  await publish(app, { n: 1 })
  await settle(parts)
  t.same(sent(parts), ['signature-w2-1 {"n":1}'])
  const [dead] = await app.logicApps.deliveries.list({ status: 'dead' })
  t.match(await app.logicApps.deliveries.attempts(dead!.id), [{ statusCode: null, answer: 'the filter failed: Error: odd filter' }])
  t.match(logs.find(({ level }) => level === 50), { msg: 'a filter failed: the callback is kept as a dead letter', operationId: 'OnOrder' })
  t.equal(await app.logicApps.deliveries.redeliver(dead!.id), 1, 'and can be sent all the same')
  await settle(parts)
  t.equal(receiver.calls.length, 2)
})

test('two triggers on one topic each have their subscriptions', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, receiver } = parts
  addHooks(app)
  addHooks(app, { schema: { operationId: 'OnOrderToo' } }, '/more')
  addHooks(app, { schema: { operationId: 'OnPie' }, topic: app.logicApps.topic('pies') }, '/pies')
  await subscribeHook(app, triggerUrl(receiver, 'w1'))
  await post(app, '/more', { callbackUrl: triggerUrl(receiver, 'w1') })
  await post(app, '/pies', { callbackUrl: triggerUrl(receiver, 'pie') })
  await publish(app, { n: 1 })
  await settle(parts)
  t.same(sent(parts), ['signature-w1-1 {"n":1}', 'signature-w1-1 {"n":1}'])
})

test('the same URL again is the same subscription; of another owner it is another', async (t) => {
  const parts = await createWebhookApp(t, { owner: owner as never })
  const { app, receiver } = parts
  addHooks(app)
  const first = await subscribeHook(app, triggerUrl(receiver))
  const again = await subscribeHook(app, triggerUrl(receiver))
  t.equal(again.statusCode, 201)
  t.equal(again.headers.location, first.headers.location)
  t.same(again.json(), first.json())
  t.not((await subscribeHook(app, triggerUrl(receiver), { 'x-tenant': 'south' })).headers.location, first.headers.location)
  t.match((await app.logicApps.subscriptions.list()).map(({ owner }) => owner), ['south', 'north'])
  await publish(app, { n: 1 })
  await settle(parts)
  t.equal(receiver.calls.length, 2)
})

test('a saved workflow\'s new URL supersedes the old one, and what is still owed moves to it (engine 2.9, rule 15)', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, receiver } = parts
  addHooks(app)
  const old = await subscribeHook(app, triggerUrl(receiver, 'w1', '1'))
  receiver.answer(503)
  await publish(app, { n: 1 })
  await settle(parts)
  t.equal(receiver.calls.length, 1)
  receiver.answer(202)
  const saved = await subscribeHook(app, triggerUrl(receiver, 'w1', '2'))
  t.not(idOf(saved), idOf(old))
  t.match((await app.logicApps.subscriptions.list()).map(({ status }) => status), ['active', 'superseded'])
  await publish(app, { n: 2 })
  receiver.calls.length = 0
  await settle(parts, 60_000)
  t.same(sent(parts), ['signature-w1-2 {"n":1}', 'signature-w1-2 {"n":2}'])
  t.match(await app.logicApps.subscriptions.list(), [{ id: idOf(saved), status: 'active' }])
  t.equal((await app.logicApps.subscriptions.list()).length, 1, 'the first answer proves the new one: the old one is gone')
})

test('the late unsubscribe of a save does not remove its successor, by Location or by URL', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, receiver } = parts
  addHooks(app)
  for (const [index, late] of [
    async (old: Parameters<typeof unsubscribe>[1]) => unsubscribe(app, old),
    async () => post(app, '/hooks/unsubscribe', { callbackUrl: triggerUrl(receiver, 'w1', '1') })
  ].entries()) {
    const workflow = `w${index}`
    const old = await subscribeHook(app, triggerUrl(receiver, workflow, '1'))
    const saved = await subscribeHook(app, triggerUrl(receiver, workflow, '2'))
    await late(old)
    t.match((await app.logicApps.subscriptions.list()).find(({ id }) => id === idOf(saved)), { status: 'active' })
  }
})

test('a new version of another owner\'s workflow supersedes nothing', async (t) => {
  const parts = await createWebhookApp(t, { owner: owner as never })
  const { app, receiver } = parts
  addHooks(app)
  await subscribeHook(app, triggerUrl(receiver, 'w1', '1'))
  await subscribeHook(app, triggerUrl(receiver, 'w1', '2'), { 'x-tenant': 'south' })
  t.match((await app.logicApps.subscriptions.list()).map(({ status }) => status), ['active', 'active'])
  await publish(app, { n: 1 })
  await settle(parts)
  t.same(sent(parts), ['signature-w1-1 {"n":1}', 'signature-w1-2 {"n":1}'])
})

test('a topic is the same one by its name; with another schema it is refused', async (t) => {
  const { app } = await createApp(t)
  const Order = Type.Object({ orderId: Type.String() })
  const orders = app.logicApps.topic('orders', { event: Order })
  t.equal(app.logicApps.topic('orders'), orders)
  t.equal(app.logicApps.topic('orders', { event: Order }), orders)
  t.equal(orders.name, 'orders')
  t.equal(orders.eventSchema, Order)
  t.throws(() => app.logicApps.topic('orders', { event: Type.Object({}) }), { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: 'topic "orders" was made before with another schema: make it once and pass it on' })
  for (const name of ['', undefined, 7]) t.throws(() => app.logicApps.topic(name as string), { code: 'FST_LOGIC_APPS_INVALID_OPTIONS' })
})

test('an event that does not fit is a typed error, and nothing is stored', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, receiver } = parts
  const orders = app.logicApps.topic('orders', { event: Type.Object({ orderId: Type.String({ minLength: 1 }), at: Type.Optional(Type.String()) }) })
  addHooks(app, { topic: orders })
  await subscribeHook(app, triggerUrl(receiver))
  const circular: Record<string, unknown> = {}
  circular.self = circular
  for (const [event, message] of [
    [{}, /does not fit its schema: .*orderId/], [{ orderId: 7 }, /does not fit its schema: \/orderId/], [{ orderId: '' }, /\/orderId/],
    ['text', /is no JSON object/], [7, /is no JSON object/], [null, /is no JSON object/], [[], /is no JSON object/], [undefined, /is no JSON object/], [() => {}, /is no JSON object/],
    [circular, /is no JSON value/], [{ orderId: 1n }, /is no JSON value/]
  ] as const) {
    await t.rejects(orders.publish(event as never), { code: 'FST_LOGIC_APPS_INVALID_EVENT', name: 'FastifyError', message: new RegExp(`^the event for topic "orders" .*${message.source}`) })
  }
  await t.resolves(orders.publish({ orderId: '1', at: new Date(0) as never }), 'what is checked is what will be read')
  await settle(parts)
  t.same(sent(parts), ['signature-w1-1 {"orderId":"1","at":"1970-01-01T00:00:00.000Z"}'])
})

test('publishing while the store is away is a typed error, and publishing again is fine', async (t) => {
  const { store, leave, comeBack } = createAwayStore(sqliteStore({ file: ':memory:' }))
  const parts = await createWebhookApp(t, { store })
  addHooks(parts.app)
  await subscribeHook(parts.app, triggerUrl(parts.receiver))
  leave()
  await t.rejects(publish(parts.app, { n: 1 }), { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE', statusCode: 503 })
  t.equal((await subscribeHook(parts.app, triggerUrl(parts.receiver, 'w2'))).statusCode, 503)
  comeBack()
  await publish(parts.app, { n: 2 })
  await settle(parts)
  t.same(sent(parts), ['signature-w1-1 {"n":2}'])
})

test('events published together keep their order in the log', async (t) => {
  const parts = await createWebhookApp(t)
  addHooks(parts.app)
  await subscribeHook(parts.app, triggerUrl(parts.receiver))
  const ids = await Promise.all(Array.from({ length: 50 }, (_, n) => publish(parts.app, { n })))
  t.equal(new Set(ids).size, 50)
  await settle(parts)
  t.equal(new Set(sent(parts)).size, 50)
})

test('what is wrong with a trigger is told when it is declared', async (t) => {
  const { app } = await createApp(t)
  const topic = app.logicApps.topic('orders')
  const refused = (options: object, message: RegExp | string): void => {
    t.throws(() => app.webhookTrigger('/x', options as never), { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message })
  }
  refused({ topic }, /^\/x: schema\.operationId is missing/)
  refused({ topic, schema: {} }, /^\/x: schema\.operationId is missing/)
  refused({ topic, schema: { operationId: '' } }, /^\/x: schema\.operationId is missing/)
  refused({ schema: { operationId: 'A' } }, /^A \(\/x\): topic is missing: make one with app\.logicApps\.topic\(name\)/)
  refused({ schema: { operationId: 'A' }, topic: 'orders' }, /topic is missing/)
  refused({ schema: { operationId: 'A' }, topic, matches: 'all' }, /matches must be a function/)
  refused({ schema: { operationId: 'A' }, topic, monitorHooks: { onRequst: () => {} } }, /monitorHooks must be an object/)
  refused({ schema: { operationId: 'B', body: { type: 'array' } }, topic }, /cannot be added to a schema/)
  for (const [index, event] of [{ type: 'string' }, { type: 'array' }, {}].entries()) {
    refused({ schema: { operationId: `C${index}` }, topic: app.logicApps.topic(`c${index}`, { event }) }, `the events of topic "c${index}" (C${index}) must be objects (type "object"): a callback's body is one`)
  }
  refused({ schema: { operationId: 'D' }, topic: app.logicApps.topic('d', { event: { type: 'object', properties: { error: {} } } }) }, /must have no property "error"/)
  addHooks(app)
  t.throws(() => addHooks(app, {}, '/again'), { code: 'FST_LOGIC_APPS_DUPLICATE_OPERATION' })
})

test('the callback URL by header, query and as the whole body', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, receiver } = parts
  for (const place of ['header', 'query', 'body'] as const) addHooks(app, { schema: { operationId: place }, callbackUrl: { in: place } }, `/${place}`)
  t.equal((await app.inject({ method: 'POST', url: '/header', headers: { callbackurl: triggerUrl(receiver, 'header') } })).statusCode, 201)
  t.equal((await app.inject({ method: 'POST', url: `/query?callbackUrl=${encodeURIComponent(triggerUrl(receiver, 'query'))}` })).statusCode, 201)
  t.equal((await post(app, '/body', triggerUrl(receiver, 'body'), { 'content-type': 'text/plain' })).statusCode, 201)
  await publish(app, {})
  await settle(parts)
  t.same(sent(parts), ['body', 'header', 'query'].map((place) => `signature-${place}-1 {}`))
})

test('a prefix and a path at the root are part of the Location', async (t) => {
  const { app, receiver } = await createWebhookApp(t)
  await app.register(async (child) => { addHooks(child, {}, '/') }, { prefix: '/v1' })
  addHooks(app, { schema: { operationId: 'Root' } }, '/')
  for (const [url, location] of [['/v1', /^https:\/\/api\.example\/v1\/[\w-]{44}$/], ['/v1/', /^https:\/\/api\.example\/v1\/[\w-]{44}$/], ['/', /^https:\/\/api\.example\/[\w-]{44}$/]] as const) {
    const subscribed = await post(app, url, { callbackUrl: triggerUrl(receiver) })
    t.match(subscribed.headers.location, location)
    t.equal((await app.inject({ method: 'DELETE', url: pathOf(subscribed.headers.location) })).statusCode, 200)
    t.same(await app.logicApps.subscriptions.list(), [])
    t.equal((await post(app, `${url.replace(/\/$/, '')}/unsubscribe`, {})).statusCode, 200)
  }
})

test('a suspended subscription is active again when its workflow subscribes again', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, receiver } = parts
  addHooks(app)
  await subscribeHook(app, triggerUrl(receiver))
  receiver.answer(401)
  await publish(app, { n: 1 })
  await settle(parts)
  await publish(app, { n: 2 })
  await settle(parts)
  t.match(await app.logicApps.subscriptions.list(), [{ status: 'suspended', skipped: 1 }])
  receiver.answer(202)
  await subscribeHook(app, triggerUrl(receiver))
  t.match(await app.logicApps.subscriptions.list(), [{ status: 'active' }])
  await publish(app, { n: 3 })
  receiver.calls.length = 0
  await settle(parts)
  t.same(sent(parts), ['signature-w1-1 {"n":3}'])
})

test('a refused subscribe call keeps nothing', async (t) => {
  const { app, receiver } = await createWebhookApp(t)
  addHooks(app)
  for (const callbackUrl of ['http://evil.example/', 'https://evil.example/', 'nonsense', `${receiver.origin}/#x`]) {
    const refused = await subscribeHook(app, callbackUrl)
    t.equal(refused.statusCode, 400)
    t.match(errorOf(refused).code, /^(InvalidCallbackUrl|CallbackUrlNotAllowed)$/)
  }
  t.same(await app.logicApps.subscriptions.list(), [])
})
