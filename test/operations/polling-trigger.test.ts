import { test } from 'tap'
import { Type } from 'typebox'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createApp, pathOf } from '../helpers/app.ts'
import { createAwayStore } from '../helpers/away-store.ts'
import { addOrders, briefOf, createPoller, itemsOf } from '../helpers/polling.ts'
import { errorOf, publish } from '../helpers/webhooks.ts'

const ns = (from: number, to: number): { n: number }[] => Array.from({ length: to - from + 1 }, (_, index) => ({ n: from + index }))

test('the first poll, without a state, is a 202 with one, and nothing of before is replayed (engine 3.3, 3.7, rule 9)', async (t) => {
  const { app } = await createApp(t)
  addOrders(app)
  await publish(app, { n: 1 })
  const poller = createPoller(app, '/orders')
  const first = await poller.poll()
  t.same(briefOf(first), [202, '15'])
  t.match(first.headers.location, /^https:\/\/api\.example\/orders\?triggerState=[\w-]+$/)
  t.equal(first.headers['cache-control'], 'no-store')
  t.equal(first.body, '')
  t.same(briefOf(await poller.poll()), [202, '15'])
  await publish(app, { n: 2 })
  await poller.drain()
  t.same(poller.items, [{ n: 2 }])
})

test('nothing after the state is a 202 with the unchanged state (engine 3.4)', async (t) => {
  const { app } = await createApp(t)
  addOrders(app)
  const poller = createPoller(app, '/orders')
  await poller.poll()
  const { url } = poller
  await app.logicApps.topic('pies').publish({ n: 1 })
  for (let polls = 0; polls < 3; polls++) {
    t.same(briefOf(await poller.poll()), [202, '15'])
    t.equal(poller.url, url)
  }
})

test('what is new is a 200 with a batch, and the new state in Location', async (t) => {
  const { app } = await createApp(t)
  addOrders(app)
  const poller = createPoller(app, '/orders')
  await poller.poll()
  for (const event of ns(1, 3)) await publish(app, event)
  const answer = await poller.poll()
  t.same(briefOf(answer), [200, undefined, ns(1, 3)])
  t.equal(answer.body, '{"value":[{"n":1},{"n":2},{"n":3}]}')
  t.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
  t.equal(answer.headers['cache-control'], 'no-store')
  t.same(briefOf(await poller.poll()), [202, '15'])
})

test('Retry-After of a 200 is 0 while more wait, and otherwise absent, since it would overrule the recurrence (engine 3.2, 3.5, rule 12)', async (t) => {
  const { app } = await createApp(t)
  addOrders(app, { maxItems: 2 })
  const poller = createPoller(app, '/orders')
  await poller.poll()
  for (const event of ns(1, 4)) await publish(app, event)
  t.same(briefOf(await poller.poll()), [200, '0', ns(1, 2)])
  t.same(briefOf(await poller.poll()), [200, undefined, ns(3, 4)])
  t.same(briefOf(await poller.poll()), [202, '15'])
})

test('the retryAfterSeconds of the author stands on every answer but while more wait', async (t) => {
  const { app } = await createApp(t, { retryAfterSeconds: 7 })
  addOrders(app, { maxItems: 2, retryAfterSeconds: 40 })
  addOrders(app, { schema: { operationId: 'ByDefault' } }, '/default')
  const poller = createPoller(app, '/orders')
  t.same(briefOf(await poller.poll()), [202, '40'])
  t.same(briefOf(await createPoller(app, '/default').poll()), [202, '15'], 'the plugin\'s own is for jobs')
  for (const event of ns(1, 3)) await publish(app, event)
  t.same(briefOf(await poller.poll()), [200, '0', ns(1, 2)])
  t.same(briefOf(await poller.poll()), [200, '40', ns(3, 3)])
  t.same(briefOf(await poller.poll()), [202, '40'])
})

test('single mode gives one event after the other (engine 3.4)', async (t) => {
  const { app } = await createApp(t)
  addOrders(app, { mode: 'single' })
  const poller = createPoller(app, '/orders')
  await poller.poll()
  for (const event of ns(1, 3)) await publish(app, event)
  t.same(briefOf(await poller.poll()), [200, '0', ns(1, 1)])
  const second = await poller.poll()
  t.equal(second.body, '{"n":2}')
  t.same(briefOf(second), [200, '0', ns(2, 2)])
  t.same(briefOf(await poller.poll()), [200, undefined, ns(3, 3)])
  t.same(briefOf(await poller.poll()), [202, '15'])
})

test('a batch holds 100 events unless maxItems says otherwise', async (t) => {
  const { app } = await createApp(t)
  addOrders(app)
  const poller = createPoller(app, '/orders')
  await poller.poll()
  await Promise.all(ns(1, 250).map((event) => publish(app, event)))
  const sizes: number[] = []
  for (let answer = await poller.poll(); answer.statusCode === 200; answer = await poller.poll()) sizes.push(itemsOf(answer).length)
  t.same(sizes, [100, 100, 50])
  t.same(poller.items, ns(1, 250))
})

test('a repeated state gives again what it gave, in the same order, perhaps followed by newer events', async (t) => {
  const { app } = await createApp(t)
  addOrders(app, { maxItems: 3 })
  const poller = createPoller(app, '/orders')
  await poller.poll()
  const state = poller.url
  for (const event of ns(1, 2)) await publish(app, event)
  const ask = async (): Promise<unknown[]> => briefOf(await app.inject(state))
  t.same(await ask(), [200, undefined, ns(1, 2)])
  await publish(app, { n: 3 })
  await publish(app, { n: 4 })
  t.same(await ask(), [200, '0', ns(1, 3)])
  t.same(await ask(), [200, '0', ns(1, 3)])
})

test('each poller has a state of its own, and polling keeps nothing', async (t) => {
  const store = sqliteStore({ file: ':memory:' })
  const { app } = await createApp(t, { store })
  addOrders(app)
  const [early, late] = [createPoller(app, '/orders'), createPoller(app, '/orders')]
  await early.poll()
  await publish(app, { n: 1 })
  await late.poll()
  await publish(app, { n: 2 })
  await early.drain()
  await late.drain()
  t.same(early.items, ns(1, 2))
  t.same(late.items, ns(2, 2))
  t.same(await store.listSubscriptions({ limit: 10 }), [])
  t.same(await store.listDeliveries({ limit: 10 }), [])
})

test('one topic feeds polling triggers and webhook triggers', async (t) => {
  const { app } = await createApp(t)
  addOrders(app)
  addOrders(app, { schema: { operationId: 'PollNext' }, mode: 'single' }, '/next')
  app.webhookTrigger('/hooks', { schema: { operationId: 'OnOrder' }, topic: app.logicApps.topic('orders') })
  const pollers = ['/orders', '/next'].map((path) => createPoller(app, path))
  for (const poller of pollers) await poller.poll()
  await app.inject({ method: 'POST', url: '/hooks', payload: { callbackUrl: 'https://prod-1.westeurope.logic.azure.com/workflows/w?sig=s' } })
  for (const event of ns(1, 3)) await publish(app, event)
  for (const poller of pollers) {
    await poller.drain()
    t.same(poller.items, ns(1, 3))
  }
})

test('startFrom says where a first poll begins', async (t) => {
  const { app, clock } = await createApp(t)
  addOrders(app, { startFrom: 'beginning' }, '/all')
  addOrders(app, { schema: { operationId: 'Recent' }, startFrom: { lookBackSeconds: 60 } }, '/recent')
  addOrders(app, { schema: { operationId: 'Now' }, startFrom: 'now' }, '/now')
  await publish(app, { n: 1 })
  await clock.advance(59_999)
  await publish(app, { n: 2 })
  await clock.advance(2)
  await publish(app, { n: 3 })
  for (const [path, expected] of [['/all', ns(1, 3)], ['/recent', ns(2, 3)], ['/now', []]] as const) {
    const poller = createPoller(app, path)
    t.same(briefOf(await poller.poll()), [202, '15'], `${path}: no state is a 202, whatever there is`)
    await poller.drain()
    t.same(poller.items, expected, path)
  }
})

test('a filter decides by the event and the query; what it leaves out is passed over for good', async (t) => {
  const { app } = await createApp(t)
  const asked: unknown[] = []
  addOrders(app, {
    schema: { operationId: 'PollOrders', querystring: Type.Object({ least: Type.Integer() }) },
    matches ({ n }: { n: number }, query: { least: number }) {
      asked.push([n, query])
      return n >= query.least
    }
  })
  const poller = createPoller(app, '/orders?least=3')
  await poller.poll()
  const { url } = poller
  await publish(app, { n: 1 })
  await publish(app, { n: 2 })
  t.same(briefOf(await poller.poll()), [202, '15'])
  t.not(poller.url, url, 'seen and not wanted: the state advances')
  t.same(asked.splice(0), [[1, { least: 3 }], [2, { least: 3 }]])
  const after = poller.url
  t.same(briefOf(await poller.poll()), [202, '15'])
  t.equal(poller.url, after)
  for (const event of [...ns(3, 3), ...ns(1, 1), ...ns(4, 4)]) await publish(app, event)
  t.same(briefOf(await poller.poll()), [200, undefined, ns(3, 4)])
  t.same(asked.length, 3, 'none is looked at again')
})

test('more waits only where a wanted event does', async (t) => {
  const { app } = await createApp(t)
  addOrders(app, { mode: 'single', matches: ({ n }: { n: number }) => n > 2 })
  const poller = createPoller(app, '/orders')
  await poller.poll()
  for (const event of [...ns(3, 3), ...ns(1, 2)]) await publish(app, event)
  t.same(briefOf(await poller.poll()), [200, undefined, ns(3, 3)], 'the two behind it are not wanted')
  for (const event of [...ns(1, 2), ...ns(4, 4), ...ns(1, 2), ...ns(5, 5)]) await publish(app, event)
  t.same(briefOf(await poller.poll()), [200, '0', ns(4, 4)])
  t.same(briefOf(await poller.poll()), [200, undefined, ns(5, 5)])
})

test('a poll looks at no more than scanLimit events, and the next goes on from there', async (t) => {
  const { app } = await createApp(t)
  let looks = 0
  addOrders(app, {
    scanLimit: 300,
    matches ({ n }: { n: number }) {
      looks++
      return n === 700
    }
  })
  const poller = createPoller(app, '/orders')
  await poller.poll()
  await Promise.all(ns(1, 901).map((event) => publish(app, event)))
  const answers: unknown[] = []
  for (let polls = 0; polls < 5; polls++) {
    looks = 0
    answers.push([...briefOf(await poller.poll()), looks])
  }
  t.same(answers, [[202, '15', 300], [202, '15', 300], [200, '0', [{ n: 700 }], 300], [202, '15', 1], [202, '15', 0]])
})

test('scanLimit leaves nothing behind that it promises: at the end of the log no more is said to wait', async (t) => {
  const { app } = await createApp(t)
  addOrders(app, { scanLimit: 2, matches: () => true })
  const poller = createPoller(app, '/orders')
  await poller.poll()
  for (const event of ns(1, 3)) await publish(app, event)
  t.same(briefOf(await poller.poll()), [200, '0', ns(1, 2)])
  t.same(briefOf(await poller.poll()), [200, undefined, ns(3, 3)])
})

for (const [name, matches, reason] of [
  ['throws', () => { throw new Error('odd filter') }, 'odd filter'],
  ['throws no error', () => { throw 'odd' }, 'odd'], // eslint-disable-line no-throw-literal
  ['gives a promise', async () => { throw new Error('late') }, 'matches must answer at once: it gave a promise']
] as const) {
  test(`a filter that ${name} fails the poll, and no event is passed over until it is mended`, async (t) => {
    const { app, logs } = await createApp(t)
    let mended = false
    addOrders(app, { matches: (event: { n: number }) => event.n !== 2 || mended || matches() })
    const poller = createPoller(app, '/orders')
    await poller.poll()
    const { url } = poller
    for (const event of ns(1, 3)) await publish(app, event)
    const failed = await poller.poll()
    t.equal(failed.statusCode, 500)
    t.same(failed.json(), { error: { code: 'PollFailed', message: 'The poll failed, and the state stays as it was. Poll again.' } })
    t.equal(failed.headers.location, undefined)
    t.match(logs.find(({ level }) => level === 50), { msg: /^the poll of PollOrders failed, .*matches failed for event \d+ of topic "orders"/, err: { code: 'FST_LOGIC_APPS_POLL_FAILED', stack: new RegExp(`caused by: .*${reason}`, 's') } })
    mended = true
    t.equal(poller.url, url)
    t.same(briefOf(await poller.poll()), [200, undefined, ns(1, 3)])
  })
}

test('a poll that comes after retention goes on with the oldest event there, and says so', async (t) => {
  const { app, clock, logs } = await createApp(t, { logRetentionSeconds: 60 })
  const gaps: unknown[] = []
  addOrders(app, { schema: { operationId: 'PollOrders', querystring: Type.Object({ shop: Type.Integer() }) }, onGap (gap: unknown) { gaps.push(gap) } })
  const poller = createPoller(app, '/orders?shop=7')
  await poller.poll()
  await publish(app, { n: 1 })
  await clock.advance(50_000)
  await publish(app, { n: 2 })
  await clock.advance(10_001)
  await clock.advance(60_000)
  t.same(gaps, [])
  await publish(app, { n: 3 })
  const late = poller.url
  t.same(briefOf(await poller.poll()), [200, undefined, ns(3, 3)])
  t.same(gaps, [{ operationId: 'PollOrders', topic: 'orders', query: { shop: 7 }, reason: 'forgotten' }])
  t.match(logs.find(({ level, warnings }) => level === 40 && warnings === undefined), { operationId: 'PollOrders', topic: 'orders', reason: 'forgotten', msg: /^a poll came after events had left the log: it goes on with the oldest there/ })
  t.same(briefOf(await poller.poll()), [202, '15'])
  t.equal(gaps.length, 1, 'said once: its state is behind the gap now')
  await app.inject(late)
  t.equal(gaps.length, 2, 'a repeat of the late poll is late again')
})

test('a gap with nothing behind it moves the state on, and is said once', async (t) => {
  const { app, clock } = await createApp(t, { logRetentionSeconds: 60 })
  let gaps = 0
  addOrders(app, { async onGap () { gaps++; throw new Error('odd hook') } })
  const poller = createPoller(app, '/orders')
  await poller.poll()
  await publish(app, { n: 1 })
  await clock.advance(120_001)
  for (let polls = 0; polls < 3; polls++) t.same(briefOf(await poller.poll()), [202, '15'])
  t.equal(gaps, 1)
})

test('retention by count: a topic\'s log holds logMaxEvents, whatever other topics do', async (t) => {
  const { app, clock } = await createApp(t, { logMaxEvents: 5 })
  addOrders(app, { startFrom: 'beginning' })
  const gaps: unknown[] = []
  addOrders(app, { schema: { operationId: 'Late' }, onGap ({ reason }: { reason: string }) { gaps.push(reason) } }, '/late')
  const late = createPoller(app, '/late')
  await late.poll()
  for (const event of ns(1, 12)) await publish(app, event)
  for (const event of ns(1, 9)) await app.logicApps.topic('pies').publish(event)
  await clock.advance(60_000)
  const poller = createPoller(app, '/orders')
  await poller.drain()
  await poller.drain()
  await late.drain()
  t.same(poller.items, ns(8, 12))
  t.same(late.items, ns(8, 12))
  t.same(gaps, ['forgotten'])
})

test('maxAgeSeconds passes over what a trigger that was disabled for long shall not make up for, and calls it no gap', async (t) => {
  const { app, clock, logs } = await createApp(t, { logRetentionSeconds: 600 })
  addOrders(app, { maxAgeSeconds: 60, maxItems: 1, onGap () { throw new Error('no gap') } })
  const poller = createPoller(app, '/orders')
  await poller.poll()
  await publish(app, { n: 1 })
  t.same(briefOf(await poller.poll()), [200, undefined, ns(1, 1)])
  for (const event of ns(2, 3)) await publish(app, event)
  await clock.advance(700_000)
  await publish(app, { n: 4 })
  await clock.advance(50_000)
  for (const event of ns(5, 6)) await publish(app, event)
  await clock.advance(10_001)
  t.same(briefOf(await poller.poll()), [200, '0', ns(5, 5)])
  t.same(briefOf(await poller.poll()), [200, undefined, ns(6, 6)])
  await publish(app, { n: 7 })
  await clock.advance(60_001)
  const { url } = poller
  t.same(briefOf(await poller.poll()), [202, '15'])
  t.not(poller.url, url, 'what is too old is looked at once')
  t.same(logs.filter(({ level, warnings }) => level >= 40 && warnings === undefined), [])
})

test('while the store is away, a poll with a genuine state is asked to wait, and its state stays as it is (design 3.5)', async (t) => {
  const { store, leave, comeBack } = createAwayStore(sqliteStore({ file: ':memory:' }))
  const { app, logs } = await createApp(t, { store })
  addOrders(app)
  const poller = createPoller(app, '/orders')
  await poller.poll()
  await publish(app, { n: 1 })
  leave()
  const { url } = poller
  t.same(briefOf(await poller.poll()), [202, '15'])
  t.equal(poller.url, url)
  t.match(logs.find(({ msg }) => msg === 'the store is away; a poll is asked to wait'), { level: 40, operationId: 'PollOrders', err: { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE' } })
  const first = await app.inject('/orders')
  t.equal(first.statusCode, 503, 'without a state there is nothing to wait with')
  t.equal(first.headers['retry-after'], '10')
  t.equal(errorOf(first).code, 'StoreUnavailable')
  t.equal((await app.inject('/orders?triggerState=forged')).statusCode, 400)
  comeBack()
  await poller.drain()
  t.same(poller.items, ns(1, 1))
})

test('a log that ends before the state was restored or made anew: what is new since then is given, and it is said', async (t) => {
  const secret = 'a secret of more than thirty-two bytes'
  const first = await createApp(t, { secret })
  addOrders(first.app)
  const poller = createPoller(first.app, '/orders')
  await poller.poll()
  for (const event of ns(1, 5)) await publish(first.app, event)
  await poller.drain()
  const { url } = poller

  const { app, clock, logs } = await createApp(t, { secret })
  const gaps: unknown[] = []
  addOrders(app, { onGap ({ reason }: { reason: string }) { gaps.push(reason) } })
  await clock.jump(-1000)
  for (const event of ns(1, 2)) await publish(app, event)
  await clock.jump(5000)
  await publish(app, { n: 6 })
  const answer = await app.inject(url)
  t.same(briefOf(answer), [200, undefined, ns(6, 6)], 'those of before the state are in the restored log too')
  t.same(gaps, ['restored'])
  t.match(logs.find(({ level, warnings }) => level === 40 && warnings === undefined), { reason: 'restored' })
  t.same(briefOf(await app.inject(pathOf(answer.headers.location))), [202, '15'])
  t.same(gaps.length, 1)
})

test('events of other topics in between change nothing', async (t) => {
  const { app } = await createApp(t)
  addOrders(app)
  const poller = createPoller(app, '/orders')
  await poller.poll()
  for (const event of ns(1, 30)) await (event.n % 3 === 0 ? publish(app, event) : app.logicApps.topic('pies').publish(event))
  await poller.drain()
  t.same(poller.items, ns(1, 30).filter(({ n }) => n % 3 === 0))
})
