import { test, type Test } from 'tap'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createManualClock } from '../../src/testing/index.ts'
import { leaseMs } from '../../src/work/job-runner.ts'
import { createFailingStore, type FailingStore } from '../helpers/failing-store.ts'
import { createLatch } from '../helpers/latch.ts'
import { createSharedFile, linesOf, passTime, until, warn } from '../helpers/runner.ts'
import { createFakeSender, createWebhookWorker, timeoutMs, type Reply, type WebhookWorker, type WebhookWorkerOptions } from '../helpers/webhook-worker.ts'

const urlOf = (name: string): string => `https://${name}.example/workflows/w/run?sig=secret-${name}`
const never = new Promise<Reply>(() => {})
const hostCount = 32

async function createShaky (t: Test, options: WebhookWorkerOptions = {}): Promise<WebhookWorker & { store: FailingStore }> {
  const store = createFailingStore(sqliteStore({ file: options.file ?? ':memory:' }))
  return { ...await createWebhookWorker(t, { store, ...options }), store }
}

const statuses = async (worker: Pick<WebhookWorker, 'list'>): Promise<string[]> => (await worker.list()).map(({ status }) => status)

test('a settlement is tried until the store takes it, and the callback is sent once', async (t) => {
  const { store, clock, sender, orders, ...worker } = await createShaky(t)
  await worker.subscribe(urlOf('a'))
  store.fail('settleDeliveries', 7)
  await orders.publish({})
  await clock.advance(6999)
  t.same(await statuses(worker), ['pending'])
  await clock.advance(1)
  t.same(await statuses(worker), ['delivered'])
  t.equal(sender.sent.length, 1)
  t.same(linesOf(worker.logs, warn), Array(7).fill('cannot record what came of a callback, trying again in 1000 ms'))
})

test('a settlement that waits keeps its lease', async (t) => {
  const file = createSharedFile(t)
  const clock = createManualClock()
  const one = await createShaky(t, { file, clock })
  const two = await createWebhookWorker(t, { file, clock })
  await one.subscribe(urlOf('a'))
  one.store.fail('settleDeliveries', 60)
  const id = await one.orders.publish({})
  t.ok(id)
  await clock.advance(0)
  const [holder, other] = one.sender.sent.length === 1 ? [one, two] : [two, one]
  for (let passed = 0; passed < 3 * leaseMs; passed += 5000) {
    t.equal(await other.store.recover(), 0)
    await clock.advance(5000)
  }
  await clock.advance(60_000)
  t.same(await statuses(one), ['delivered'])
  t.equal(holder.sender.sent.length, 1)
  t.equal(other.sender.sent.length, 0)
})

test('a store that is away when callbacks are claimed is asked again within five seconds', async (t) => {
  const { store, clock, sender, orders, ...worker } = await createShaky(t)
  await worker.subscribe(urlOf('a'))
  store.fail('claimDeliveries', 1)
  await orders.publish({})
  await clock.advance(5000)
  t.equal(sender.sent.length, 1)
  t.match(linesOf(worker.logs, warn)[0], /^cannot claim callbacks, trying again within 5000 ms|^claiming callbacks failed/)
})

test('a worker that dies between the answer and its record: another sends again, with the same id', async (t) => {
  const file = createSharedFile(t)
  const one = await createShaky(t, { file })
  await one.subscribe(urlOf('a'))
  one.store.fail('settleDeliveries', Infinity)
  await one.orders.publish({ n: 1 })
  await one.clock.advance(0)
  t.equal(one.sender.sent.length, 1)
  await one.crash()
  const two = await createWebhookWorker(t, { file })
  await two.clock.advance(0)
  t.same(two.sender.sent.map(({ id, url, body }) => ({ id, url, body })), one.sender.sent.map(({ id, url, body }) => ({ id, url, body })))
  t.match(await two.list(), [{ status: 'delivered', attempts: 1 }])
})

test('a worker that is taken for dead while it sends records nothing, and says so', async (t) => {
  const file = createSharedFile(t)
  const clock = createManualClock()
  const one = await createWebhookWorker(t, { file, clock })
  const latch = createLatch<Reply>()
  one.sender.receive = () => latch.promise
  await one.subscribe(urlOf('a'))
  await one.orders.publish({})
  await clock.advance(0)
  const rivalClock = createManualClock()
  const two = await createWebhookWorker(t, { file, clock: rivalClock })
  await two.store.recover()
  await rivalClock.advance(leaseMs)
  t.equal(await two.store.recover(), 1)
  two.deliveries.wake()
  await rivalClock.advance(0)
  t.equal(two.sender.sent.length, 1)
  latch.open(404)
  await clock.advance(0)
  t.match(linesOf(one.logs, warn), [/^what came of this callback was not recorded: /])
  t.same(one.news, [])
  t.equal((await two.store.getSubscription(1))?.status, 'active')
})

test('two workers on one file send each callback once', async (t) => {
  const file = createSharedFile(t)
  const clock = createManualClock()
  const sender = createFakeSender()
  const workers = [await createWebhookWorker(t, { file, clock, sender }), await createWebhookWorker(t, { file, clock, sender })]
  for (let n = 0; n < 40; n++) await workers[n % 2]!.subscribe(urlOf(`r${n}`))
  await Promise.all([1, 2, 3].map((n) => workers[n % 2]!.orders.publish({ n })))
  await until(async () => {
    await clock.advance(1000)
    const all = await statuses(workers[0]!)
    return all.length === 120 && all.every((status) => status === 'delivered')
  })
  t.equal(sender.sent.length, 120)
  t.equal(new Set(sender.sent.map(({ id }) => id)).size, 120)
})

test('1,000 receivers that never answer do not hold up ten that do', async (t) => {
  const { clock, sender, orders, ...worker } = await createWebhookWorker(t)
  for (let n = 0; n < 1000; n++) await worker.subscribe(urlOf(`slow${n}`))
  for (let n = 0; n < 10; n++) await worker.subscribe(urlOf(`fast${n}`))
  let most = 0
  let flying = 0
  sender.receive = async ({ url }, signal) => {
    if (url.hostname.startsWith('fast')) return 200
    most = Math.max(most, ++flying)
    signal.addEventListener('abort', () => { flying-- })
    return await never
  }
  const fastOf = (n: number): number[] => sender.sent.filter(({ host, body }) => host.startsWith('fast') && body === `{"n":${n}}`).map(({ at }) => at)
  const started = clock.now()
  await orders.publish({ n: 1 })
  // A thousand young attempts a second: the slow ones that stand before them take one.
  for (let seconds = 0; seconds < 3 && fastOf(1).length < 10; seconds++) await clock.advance(1000)
  t.equal(fastOf(1).length, 10)
  t.ok(fastOf(1).every((at) => at - started <= 2_000), `the last after ${Math.max(...fastOf(1)) - started} ms`)
  t.ok(most <= 2000, `${most} at once`)
  t.ok(most > 900)
})

test('a host gets at most 32 at once, and others are not kept waiting by it', async (t) => {
  const { clock, sender, orders, ...worker } = await createWebhookWorker(t)
  for (let n = 0; n < 100; n++) await worker.subscribe(`https://busy.example/cb/${n}`)
  await worker.subscribe(urlOf('quiet'))
  let flying = 0
  let most = 0
  const latches = [] as ReturnType<typeof createLatch<Reply>>[]
  sender.receive = async ({ url }) => {
    if (url.hostname !== 'busy.example') return 200
    most = Math.max(most, ++flying)
    const latch = createLatch<Reply>()
    latches.push(latch)
    const reply = await latch.promise
    flying--
    return reply
  }
  await orders.publish({})
  await clock.advance(2000)
  t.equal(flying, hostCount)
  t.equal(sender.sent.filter(({ host }) => host === 'quiet.example').length, 1)
  for (let answered = 0; answered < 100; answered++) {
    await until(() => latches.length > answered)
    latches[answered]!.open(200)
    await clock.advance(0)
  }
  await until(async () => (await statuses(worker)).every((status) => status === 'delivered'))
  t.equal(most, hostCount)
  t.equal(new Set(sender.sent.map(({ url }) => url)).size, 101)
})

test('a host that is down is left alone for 30 seconds after five failures, others go on', async (t) => {
  const { clock, sender, orders, ...worker } = await createWebhookWorker(t, { schedule: [0, 1, 1, 1, 1, 1, 1, 1, 1, 1] })
  await worker.subscribe(urlOf('down'))
  await worker.subscribe(urlOf('up'))
  sender.receive = ({ url }) => url.hostname === 'down.example' ? { statusCode: null, text: 'ECONNREFUSED' } : 200
  const sentTo = (host: string): number => sender.sent.filter((sent) => sent.host === host).length
  await orders.publish({ n: 1 })
  while (sentTo('down.example') < 5) await clock.advance(1000)
  await clock.advance(29_000 - 2000)
  t.equal(sentTo('down.example'), 5)
  await orders.publish({ n: 2 })
  await clock.advance(0)
  t.equal(sentTo('up.example'), 2)
  t.equal(sentTo('down.example'), 5, 'what is new for it waits too')
  await clock.advance(5000)
  t.ok(sentTo('down.example') > 5)
  sender.receive = () => 200
  await clock.advance(40_000)
  t.same(await statuses(worker), ['delivered', 'delivered', 'delivered', 'delivered'])
})

test('callbacks of operations that this process does not have are left to others', async (t) => {
  const { clock, sender, store, orders, ...worker } = await createWebhookWorker(t, { runners: { fanOut: false } })
  const { number } = await worker.subscribe(urlOf('a'), { operation: 'Elsewhere' })
  await orders.publish({})
  await store.fanOut({ event: 1, from: 0, round: 0, to: null, owed: [{ subscription: number, operation: 'Elsewhere', dueAt: 0 }], skipped: [], failed: [], now: clock.now() })
  await clock.advance(60_000)
  t.equal(sender.sent.length, 0)
  t.same(await statuses(worker), ['pending'])
})

test('an unsubscribe while its callback is sent drops it', async (t) => {
  const { clock, sender, orders, ...worker } = await createWebhookWorker(t)
  const subscription = await worker.subscribe(urlOf('a'))
  const latch = createLatch<Reply>()
  sender.receive = () => latch.promise
  await orders.publish({ n: 1 })
  await orders.publish({ n: 2 })
  await clock.advance(0)
  await worker.subscriptions.forget(subscription)
  latch.open(503)
  await clock.advance(60_000)
  t.same(await worker.list(), [])
  t.ok(sender.sent.length <= 2)
})

test('stop waits for the callbacks that are being sent, and takes no more', async (t) => {
  const { clock, sender, orders, store, ...worker } = await createWebhookWorker(t)
  await worker.subscribe(urlOf('a'))
  const latch = createLatch<Reply>()
  sender.receive = () => latch.promise
  await orders.publish({ n: 1 })
  await clock.advance(0)
  const stopped = worker.deliveries.stop(10_000)
  await orders.publish({ n: 2 })
  worker.deliveries.wake()
  await clock.advance(5000)
  t.equal(sender.closed, false)
  latch.open(200)
  await passTime(clock, stopped, 0)
  t.equal(sender.closed, true)
  t.same(await statuses(worker), ['delivered', 'pending'])
  t.equal(sender.sent.length, 1)
})

test('what is not answered when the drain ends is due again at once, and it costs no attempt of the schedule', async (t) => {
  const file = createSharedFile(t)
  const clock = createManualClock()
  const one = await createWebhookWorker(t, { file, clock, schedule: [0] })
  const record = await one.subscribe(urlOf('a'))
  one.sender.receive = () => never
  await one.orders.publish({ n: 1 })
  await clock.advance(0)
  const closed = one.close(10_000)
  await clock.advance(9000)
  t.equal(one.sender.closed, false)
  await clock.advance(1000)
  await closed
  t.same(one.news, [])
  const two = await createWebhookWorker(t, { file, clock, schedule: [0] })
  await clock.advance(0)
  t.equal(two.sender.sent[0]?.id, one.sender.sent[0]!.id)
  t.same(await statuses(two), ['delivered'])
  t.equal((await two.store.getSubscription(record.number))!.failingSince, null)
})

test('those that still wait for their host when the drain ends are given back unsent', async (t) => {
  const file = createSharedFile(t)
  const one = await createWebhookWorker(t, { file })
  for (let n = 0; n < hostCount + 8; n++) await one.subscribe(`https://busy.example/cb/${n}`)
  one.sender.receive = () => never
  await one.orders.publish({})
  await one.clock.advance(0)
  t.equal(one.sender.sent.length, hostCount)
  await one.close(0)
  t.equal(one.sender.sent.length, hostCount)
  const two = await createWebhookWorker(t, { file, runners: { fanOut: false, deliveries: false } })
  const all = await two.list()
  t.ok(all.every(({ status, dueAt }) => status === 'pending' && dueAt !== null))
  t.equal(all.filter(({ attempts }) => attempts === 0).length, 8)
})

test('a claim that is under way when the runner stops loses nothing', async (t) => {
  const file = createSharedFile(t)
  const { store, clock, sender, orders, ...worker } = await createShaky(t, { file })
  await worker.subscribe(urlOf('a'))
  const latch = createLatch()
  store.hold('claimDeliveries', latch.promise)
  const before = store.calls('claimDeliveries')
  await orders.publish({})
  await until(() => store.calls('claimDeliveries') > before)
  await clock.advance(0)
  const closed = worker.close(10_000)
  await clock.advance(0)
  latch.open()
  await closed
  const next = await createWebhookWorker(t, { file })
  await next.clock.advance(0)
  t.equal(sender.sent.length + next.sender.sent.length, 1, 'sent once, by whom it was claimed')
  t.same(await statuses(next), ['delivered'])
})

test('an outage that outlasts the drain leaves the callback to the next process', async (t) => {
  const file = createSharedFile(t)
  const one = await createShaky(t, { file })
  await one.subscribe(urlOf('a'))
  one.store.fail('settleDeliveries', Infinity)
  await one.orders.publish({})
  await one.clock.advance(0)
  await one.close(5000)
  const two = await createWebhookWorker(t, { file })
  await two.clock.advance(0)
  t.equal(two.sender.sent[0]?.id, one.sender.sent[0]!.id)
  t.same(await statuses(two), ['delivered'])
})

test('a runner with nothing to do stops at once, twice too', async (t) => {
  const { deliveries, sender, clock } = await createWebhookWorker(t, { runners: { fanOut: false } })
  await deliveries.stop(10_000)
  await deliveries.stop(10_000)
  t.equal(sender.closed, true)
  t.equal(clock.pending, 0, 'no timer is left')
})

test('no timer is left of callbacks that were answered', async (t) => {
  const { clock, sender, orders, ...worker } = await createWebhookWorker(t)
  for (let n = 0; n < 20; n++) await worker.subscribe(urlOf(`r${n}`))
  await clock.advance(0)
  const before = clock.pending
  await orders.publish({})
  await clock.advance(0)
  t.equal(sender.sent.length, 20)
  t.ok(clock.pending <= before + 1, `${clock.pending} timers, ${before} before`)
  await clock.advance(timeoutMs)
  t.same(new Set(await statuses(worker)), new Set(['delivered']))
})
