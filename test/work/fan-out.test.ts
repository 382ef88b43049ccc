import { test } from 'tap'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createManualClock } from '../../src/testing/index.ts'
import type { FanOutStep, SubscriptionRecord } from '../../src/work/store.ts'
import { createFailingStore } from '../helpers/failing-store.ts'
import { createLatch } from '../helpers/latch.ts'
import { createSharedFile, linesOf, until, warn } from '../helpers/runner.ts'
import { createWebhookWorker, workflowUrl, type Filter, type WebhookWorker } from '../helpers/webhook-worker.ts'

const idle = { fanOut: false, deliveries: false }
const info = 30
const urlOf = (n: number): string => `https://r${n}.example/cb?sig=s${n}`
const flavourOf: Filter = (event, { input }) => {
  const { flavour } = JSON.parse(input) as { flavour?: string }
  return flavour === undefined || flavour === (event as { flavour: string }).flavour
}

async function subscribeMany (worker: WebhookWorker, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, index) => worker.subscribe(urlOf(index))))
}

const isPaid = (worker: WebhookWorker) => async (): Promise<boolean> => (await worker.store.findFanOuts({ operations: ['OnOrder'], strangersBefore: 0, limit: 1 })).length === 0

test('a publish resolves before anything is fanned out, and reaches each subscription once', async (t) => {
  const worker = await createWebhookWorker(t)
  await subscribeMany(worker, 5)
  await worker.orders.publish({ n: 1 })
  t.equal(worker.sender.sent.length, 0)
  await worker.clock.advance(0)
  t.same(worker.sender.sent.map(({ url, body }) => [url, body]), [0, 1, 2, 3, 4].map((n) => [urlOf(n), '{"n":1}']))
  await worker.clock.advance(60_000)
  t.equal(worker.sender.sent.length, 5)
})

test('a subscription that is made after an event does not get it', async (t) => {
  const worker = await createWebhookWorker(t, { runners: { ...idle } })
  await worker.subscribe(urlOf(1))
  await worker.orders.publish({ n: 1 })
  await worker.subscribe(urlOf(2))
  await worker.orders.publish({ n: 2 })
  worker.fanOut.start()
  await until(isPaid(worker))
  t.same((await worker.list()).map(({ subscription, event }) => [subscription, event]), [[1, 1], [1, 2], [2, 2]])
})

test('filters decide with the event and the subscription', async (t) => {
  const worker = await createWebhookWorker(t, { operations: { OnOrder: flavourOf } })
  await worker.subscribe(urlOf(1), { input: '{"flavour":"lemon"}' })
  await worker.subscribe(urlOf(2), { input: '{"flavour":"plum"}' })
  await worker.subscribe(urlOf(3))
  await worker.orders.publish({ flavour: 'lemon' })
  await worker.clock.advance(0)
  t.same(worker.sender.sent.map(({ url }) => url), [urlOf(1), urlOf(3)])
  t.same((await worker.list()).map(({ status }) => status), ['delivered', 'delivered'])
})

test('a filter that throws leaves a dead letter and a line, and the others get theirs', async (t) => {
  const matches: Filter = (event, subscription) => {
    if (subscription.input === '{"odd":true}') throw new TypeError('no such flavour')
    return true
  }
  const worker = await createWebhookWorker(t, { operations: { OnOrder: matches } })
  await worker.subscribe(urlOf(1))
  const odd = await worker.subscribe(urlOf(2), { input: '{"odd":true}' })
  await worker.subscribe(urlOf(3))
  await worker.orders.publish({})
  await worker.clock.advance(0)
  t.same(worker.sender.sent.map(({ url }) => url), [urlOf(1), urlOf(3)])
  const [letter] = await worker.subscriptions.deliveries.list({ status: 'dead' })
  t.match(letter, { operationId: 'OnOrder', attempts: 1, url: odd.urlHint })
  t.match(await worker.subscriptions.deliveries.attempts(letter!.id), [{ statusCode: null, answer: 'the filter failed: TypeError: no such flavour' }])
  t.match(worker.logs.filter(({ level }) => level >= 50), [{ operationId: 'OnOrder', topic: 'orders', msg: 'a filter failed: the callback is kept as a dead letter' }])
  t.equal((await worker.store.getSubscription(odd.number))!.status, 'active')
  t.equal(await worker.subscriptions.deliveries.redeliver(letter!.id), 1)
  await worker.clock.advance(0)
  t.equal(worker.sender.sent.at(-1)!.url, urlOf(2))
})

test('an event waits an hour for a process that declares the operation of a subscription, then it is a dead letter', async (t) => {
  const worker = await createWebhookWorker(t)
  await worker.subscribe(urlOf(1), { operation: 'Removed' })
  await worker.orders.publish({})
  worker.clock.jump(3_590_000)
  await worker.clock.advance(5000)
  t.same(await worker.list(), [])
  worker.clock.jump(10_000)
  await worker.clock.advance(5000)
  const [letter] = await worker.list()
  t.match(letter, { status: 'dead', operation: 'Removed' })
  t.match(await worker.store.getAttempts(letter!.number), [{ answer: /the operation "Removed" is not declared in this process/ }])
})

test('1,000 events for an operation that is not declared here hold up nobody, and cost no line while they wait', async (t) => {
  const store = createFailingStore(sqliteStore({ file: ':memory:' }))
  const worker = await createWebhookWorker(t, { store })
  await worker.subscribe(urlOf(1), { operation: 'Removed' })
  for (let n = 0; n < 1000; n++) await worker.orders.publish({ n })
  await worker.subscribe(urlOf(2))
  await worker.orders.publish({ n: 1000 })
  await worker.clock.advance(0)
  t.same(worker.sender.sent.map(({ url, body }) => [url, body]), [[urlOf(2), '{"n":1000}']])
  const steps = store.calls('fanOut')
  const passes = store.calls('findFanOuts')
  await worker.clock.advance(60_000)
  t.equal(store.calls('findFanOuts') - passes, 12, 'each pass reads once')
  t.equal(store.calls('fanOut'), steps)
  t.same(linesOf(worker.logs, info), [])
  worker.clock.jump(3_600_000)
  await worker.orders.publish({ n: 1001 })
  await worker.clock.advance(0)
  t.equal(worker.sender.sent.at(-1)!.body, '{"n":1001}')
  await until(async () => (await worker.store.listDeliveries({ operation: 'Removed', status: 'dead', limit: 2000 })).length === 1000)
  t.equal(linesOf(worker.logs, warn).length, 1000, 'each dead letter has its line')
})

test('an event of a topic without subscriptions leaves nothing to do, and is gone at the end of its retention', async (t) => {
  const store = createFailingStore(sqliteStore({ file: ':memory:' }))
  const worker = await createWebhookWorker(t, { store })
  await worker.orders.publish({ n: 1 })
  t.same(await store.findFanOuts({ operations: ['OnOrder'], strangersBefore: Infinity, limit: 10 }), [])
  await worker.subscribe(urlOf(1))
  await worker.clock.advance(0)
  t.equal(store.calls('fanOut'), 0)
  t.same(await worker.list(), [])
  const retainedUntil = worker.clock.now() + 7 * 86_400_000
  t.equal(await store.sweep(retainedUntil, 10), 0)
  t.equal(await store.sweep(retainedUntil + 1, 10), 1)
})

/** Versions of one workflow; the receiver of those that are forged answers as the engine does to a false signature. */
async function subscribeVersions (worker: WebhookWorker, ...inputs: object[]): Promise<SubscriptionRecord[]> {
  const records: SubscriptionRecord[] = []
  for (const [index, input] of inputs.entries()) records.push(await worker.subscribe(workflowUrl(String(index)), { input: JSON.stringify(input) }))
  worker.sender.receive = ({ url }) => url.text === workflowUrl('0') ? 200 : 401
  return records
}

const sentTo = (worker: WebhookWorker, version: number): string[] => worker.sender.sent.filter(({ url }) => url === workflowUrl(String(version))).map(({ body }) => body)
const lemons = [1, 2, 3].map((n) => ({ n, flavour: 'lemon' }))

async function publishLemons (worker: WebhookWorker): Promise<void> {
  for (const event of lemons) {
    await worker.orders.publish(event)
    await worker.clock.advance(0)
  }
}

const ways: Record<string, { forged: object[], attempts: number[] }> = {
  'with a filter that no event passes': { forged: [{ flavour: 'none' }], attempts: [0] },
  'whose filter throws': { forged: [{ odd: true }], attempts: [0] },
  'that wants everything': { forged: [{}], attempts: [1] },
  'with such a filter behind which stands another that wants everything': { forged: [{}, { flavour: 'none' }], attempts: [1, 0] },
  'whose filter throws behind one that wants everything': { forged: [{ odd: true }, {}], attempts: [1, 1] }
}

for (const [way, { forged, attempts }] of Object.entries(ways)) {
  test(`a forged URL ${way} does not displace the true one: every event reaches it`, async (t) => {
    const matches: Filter = (event, subscription) => {
      if (subscription.input === '{"odd":true}') throw new TypeError('odd')
      return flavourOf(event, subscription)
    }
    const worker = await createWebhookWorker(t, { operations: { OnOrder: matches } })
    const [real] = await subscribeVersions(worker, { flavour: 'lemon' }, ...forged)
    await publishLemons(worker)
    t.same(sentTo(worker, 0), lemons.map((event) => JSON.stringify(event)))
    t.same(attempts.map((_, index) => sentTo(worker, index + 1).length), attempts)
    t.ok(['active', 'superseded'].includes((await worker.store.getSubscription(real!.number))!.status))
    t.same((await worker.list()).filter(({ status }) => status === 'pending'), [])
  })
}

test('those behind a new version are asked one by one, until one wants the event', async (t) => {
  const asked: string[] = []
  const matches: Filter = (event, subscription) => {
    asked.push(subscription.input)
    return flavourOf(event, subscription)
  }
  const worker = await createWebhookWorker(t, { operations: { OnOrder: matches }, runners: { deliveries: false } })
  const versions = await subscribeVersions(worker, {}, { flavour: 'lemon' }, { flavour: 'plum' })
  const [any, lemon, plum] = versions.map(({ input }) => input)
  const order: string[][] = []
  for (const flavour of ['plum', 'lemon', 'pear']) {
    await worker.orders.publish({ flavour })
    await until(isPaid(worker))
    order.push(asked.splice(0))
  }
  t.same(order, [[plum], [plum, lemon], [plum, lemon, any]])
  t.same((await worker.list()).map(({ subscription }) => subscription), versions.map(({ number }) => number).reverse())
})

test('what a new version does not want goes to the old one, until the new one was answered', async (t) => {
  const worker = await createWebhookWorker(t, { operations: { OnOrder: flavourOf } })
  const [old, saved] = await subscribeVersions(worker, { flavour: 'lemon' }, { flavour: 'plum' })
  worker.sender.receive = () => 200
  for (const flavour of ['lemon', 'plum', 'lemon']) {
    await worker.orders.publish({ flavour })
    await worker.clock.advance(0)
  }
  t.same([0, 1].map((version) => sentTo(worker, version)), [['{"flavour":"lemon"}'], ['{"flavour":"plum"}']])
  t.equal(await worker.store.getSubscription(old!.number), undefined)
  t.match(await worker.store.getSubscription(saved!.number), { status: 'active' })
})

test('each operation on a topic has its own filter', async (t) => {
  const worker = await createWebhookWorker(t, { operations: { OnOrder: () => true, OnNoOrder: () => false } })
  await worker.subscribe(urlOf(1))
  await worker.subscribe(urlOf(2), { operation: 'OnNoOrder' })
  await worker.orders.publish({})
  await worker.clock.advance(0)
  t.same(worker.sender.sent.map(({ url }) => url), [urlOf(1)])
})

test('1,203 subscribers are owed an event in steps of at most 500, each once', async (t) => {
  const inner = sqliteStore({ file: ':memory:' })
  const steps: FanOutStep[] = []
  const store = createFailingStore({ ...inner, fanOut: (step) => { steps.push(step); return inner.fanOut(step) } })
  const worker = await createWebhookWorker(t, { store, runners: { deliveries: false } })
  await subscribeMany(worker, 1203)
  await Promise.all([worker.orders.publish({ n: 1 }), worker.orders.publish({ n: 2 })])
  await until(isPaid(worker))
  for (const { owed } of steps) t.ok(owed.length <= 500)
  t.equal(steps.reduce((sum, { owed }) => sum + owed.length, 0), 2406)
  const owed = await worker.list()
  t.equal(new Set(owed.map(({ event, subscription }) => `${event} ${subscription}`)).size, 2406)
  t.ok(owed.every(({ status }) => status === 'pending'))
})

test('a last step that finds nobody ends a fan-out whose subscribers fill the steps before', async (t) => {
  const worker = await createWebhookWorker(t, { runners: { deliveries: false } })
  await subscribeMany(worker, 1000)
  await worker.orders.publish({})
  await until(isPaid(worker))
  t.equal((await worker.list()).length, 1000)
})

test('those that are suspended or forgotten while an event is fanned out get nothing, and a skip is counted', async (t) => {
  const store = createFailingStore(sqliteStore({ file: ':memory:' }))
  const worker = await createWebhookWorker(t, { store })
  const [suspended, forgotten, kept] = [await worker.subscribe(urlOf(1)), await worker.subscribe(urlOf(2)), await worker.subscribe(urlOf(3))]
  worker.sender.receive = ({ url }) => url.text === urlOf(1) ? 403 : 200
  const latch = createLatch()
  await worker.orders.publish({ n: 1 })
  await until(async () => (await worker.list()).length === 3)
  store.hold('fanOut', latch.promise)
  await worker.orders.publish({ n: 2 })
  await until(() => store.calls('fanOut') === 2)
  await worker.clock.advance(0)
  await worker.subscriptions.forget(forgotten)
  t.equal((await store.getSubscription(suspended.number))!.status, 'suspended')
  latch.open()
  await until(isPaid(worker))
  await worker.clock.advance(0)
  t.equal((await store.getSubscription(suspended.number))!.skipped, 1)
  t.same((await worker.list()).filter(({ event }) => event === 2).map(({ subscription, status }) => [subscription, status]), [[kept.number, 'delivered']])
})

test('a suspended subscription is passed by, and gets what comes after it was resumed', async (t) => {
  const worker = await createWebhookWorker(t)
  await worker.subscribe(urlOf(1))
  worker.sender.receive = () => 401
  for (let n = 1; n <= 3; n++) {
    await worker.orders.publish({ n })
    await worker.clock.advance(0)
  }
  const [view] = await worker.subscriptions.list({ status: 'suspended' })
  t.match(view, { skipped: 2 })
  worker.sender.receive = () => 200
  await worker.subscriptions.resume(view!.id)
  await worker.orders.publish({ n: 4 })
  await worker.clock.advance(0)
  t.same(worker.sender.sent.map(({ body }) => body), ['{"n":1}', '{"n":4}'])
})

test('two runners on one file owe each event to each subscription once', async (t) => {
  const file = createSharedFile(t)
  const clock = createManualClock()
  const one = await createWebhookWorker(t, { file, clock, runners: { deliveries: false } })
  const two = await createWebhookWorker(t, { file, clock, runners: { deliveries: false } })
  await subscribeMany(one, 620)
  await Promise.all([one, two].flatMap(({ orders }) => [1, 2, 3].map((n) => orders.publish({ n }))))
  one.fanOut.wake()
  two.fanOut.wake()
  await until(isPaid(one))
  const owed = await one.list()
  t.equal(owed.length, 6 * 620)
  t.equal(new Set(owed.map(({ event, subscription }) => `${event} ${subscription}`)).size, 6 * 620)
})

test('a fan-out that is stopped in its midst is finished by the next process', async (t) => {
  const file = createSharedFile(t)
  const store = createFailingStore(sqliteStore({ file }))
  const first = await createWebhookWorker(t, { store, runners: { deliveries: false } })
  await subscribeMany(first, 1203)
  const latch = createLatch()
  store.hold('fanOut', latch.promise)
  await first.orders.publish({})
  await until(() => store.calls('fanOut') === 1)
  const closing = first.close()
  latch.open()
  await closing
  t.equal(store.calls('fanOut'), 1, 'the step under way was the last')
  const second = await createWebhookWorker(t, { file, runners: { deliveries: false } })
  await until(isPaid(second))
  t.equal((await second.list()).length, 1203)
})

test('an outage costs a line and five seconds, no event', async (t) => {
  const store = createFailingStore(sqliteStore({ file: ':memory:' }))
  const worker = await createWebhookWorker(t, { store })
  await worker.subscribe(urlOf(1))
  for (const method of ['findFanOuts', 'findSubscribers', 'fanOut'] as const) {
    store.fail(method, 1)
    await worker.orders.publish({ method })
    await worker.clock.advance(4999)
    await worker.clock.advance(1)
    t.equal(worker.sender.sent.at(-1)?.body, JSON.stringify({ method }))
  }
  t.equal(worker.sender.sent.length, 3)
  t.same(linesOf(worker.logs, warn), Array(3).fill('cannot claim events to fan out, trying again within 5000 ms'))
})

test('a callback waits until the caller of the subscription has read our answer', async (t) => {
  const worker = await createWebhookWorker(t, { callbackDelayMs: 1000 })
  await worker.subscribe(urlOf(1))
  await worker.clock.advance(400)
  await worker.orders.publish({ n: 1 })
  await worker.clock.advance(599)
  t.equal(worker.sender.sent.length, 0)
  await worker.clock.advance(1)
  t.equal(worker.sender.sent.length, 1)
  await worker.orders.publish({ n: 2 })
  await worker.clock.advance(0)
  t.equal(worker.sender.sent.length, 2, 'later ones go at once')
})
