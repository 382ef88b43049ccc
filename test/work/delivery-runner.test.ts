import { test } from 'tap'
import { createManualClock } from '../../src/testing/index.ts'
import { leaseMs } from '../../src/work/job-runner.ts'
import { createLatch } from '../helpers/latch.ts'
import { createSharedFile, linesOf, until, warn } from '../helpers/runner.ts'
import { createFakeSender, createShakyWebhookWorker, createWebhookWorker, statusesOf, timeoutMs, type Reply } from '../helpers/webhook-worker.ts'

const urlOf = (name: string): string => `https://${name}.example/workflows/w/run?sig=secret-${name}`
const never = new Promise<Reply>(() => {})
const hostCount = 32

test('a settlement is tried until the store takes it, and the callback is sent once', async (t) => {
  const { store, clock, sender, orders, ...worker } = await createShakyWebhookWorker(t)
  await worker.subscribe(urlOf('a'))
  store.fail('settleDeliveries', 7)
  await orders.publish({})
  await clock.advance(6999)
  t.same(await statusesOf(worker), ['pending'])
  await clock.advance(1)
  t.same(await statusesOf(worker), ['delivered'])
  t.equal(sender.sent.length, 1)
  t.same(linesOf(worker.logs, warn), Array(7).fill('cannot record what came of a callback, trying again in 1000 ms'))
})

test('a settlement that waits keeps its lease', async (t) => {
  const file = createSharedFile(t)
  const clock = createManualClock()
  const one = await createShakyWebhookWorker(t, { file, clock })
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
  t.same(await statusesOf(one), ['delivered'])
  t.equal(holder.sender.sent.length, 1)
  t.equal(other.sender.sent.length, 0)
})

test('a store that is away when callbacks are claimed is asked again within five seconds', async (t) => {
  const { store, clock, sender, orders, ...worker } = await createShakyWebhookWorker(t)
  await worker.subscribe(urlOf('a'))
  store.fail('claimDeliveries', 1)
  await orders.publish({})
  await clock.advance(5000)
  t.equal(sender.sent.length, 1)
  t.match(linesOf(worker.logs, warn)[0], /^cannot claim callbacks, trying again within 5000 ms|^claiming callbacks failed/)
})

/** What no store can keep, in place of a text. */
const noText = 1n as unknown as string

test('an answer that no store can keep is left out; the callback and those settled with it are recorded', async (t) => {
  const { clock, sender, store, orders, ...worker } = await createShakyWebhookWorker(t)
  for (const name of ['good', 'bad', 'refusing']) await worker.subscribe(urlOf(name))
  sender.receive = ({ url }) => ({ statusCode: url.hostname === 'refusing.example' ? 422 : 200, text: url.hostname === 'good.example' ? 'thanks' : noText })
  await orders.publish({})
  await clock.advance(0)
  t.same(await statusesOf(worker), ['delivered', 'pending', 'pending'])
  await clock.advance(1000)
  t.same(await statusesOf(worker), ['delivered', 'delivered', 'dead'])
  t.match(await Promise.all([1, 2, 3].map(async (number) => (await store.getAttempts(number))![0])), [
    { statusCode: 200, answer: 'thanks' }, { statusCode: 200, answer: 'the answer cannot be kept' }, { statusCode: 422, answer: 'the answer cannot be kept' }
  ])
  t.match(worker.news, [{ outcome: 'dead', statusCode: 422 }])
  t.equal(sender.sent.length, 3)
})

test('a callback whose outcome cannot be kept at all is logged, left alone, and sent again by the next process', async (t) => {
  const file = createSharedFile(t)
  const one = await createShakyWebhookWorker(t, { file })
  await one.subscribe(urlOf('a'))
  one.store.fail('settleDeliveries', 3, new TypeError('no such value'))
  await one.orders.publish({})
  await one.clock.advance(60_000)
  t.equal(one.store.calls('settleDeliveries'), 3)
  t.equal(one.sender.sent.length, 1)
  t.same(one.logs.filter(({ level }) => level === 50).map(({ msg, err }) => [msg, (err as Error).message]), [['what came of a callback cannot be recorded: it will be sent again once this process has ended', 'no such value']])
  await one.crash()
  const two = await createWebhookWorker(t, { file })
  await two.clock.advance(0)
  t.equal(two.sender.sent[0]?.id, one.sender.sent[0]!.id)
  t.same(await statusesOf(two), ['delivered'])
})

test('nothing is claimed before the start, and wake-ups of one turn make one claim', async (t) => {
  const { store, clock, deliveries } = await createShakyWebhookWorker(t, { runners: { deliveries: false, fanOut: false } })
  deliveries.wake()
  await clock.advance(0)
  t.equal(store.calls('claimDeliveries'), 0)
  deliveries.start()
  await clock.advance(0)
  const before = store.calls('claimDeliveries')
  for (let wakes = 0; wakes < 20; wakes++) deliveries.wake()
  await clock.advance(0)
  t.equal(store.calls('claimDeliveries'), before + 1)
  await deliveries.stop(0)
  deliveries.wake()
  await clock.advance(0)
  t.equal(store.calls('claimDeliveries'), before + 1)
})

test('a worker that dies between the answer and its record: another sends again, with the same id', async (t) => {
  const file = createSharedFile(t)
  const one = await createShakyWebhookWorker(t, { file })
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
    const all = await statusesOf(workers[0]!)
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

test('callbacks that wait to be recorded do not hold up those that are still to be sent', async (t) => {
  const { store, clock, sender, orders, ...worker } = await createShakyWebhookWorker(t)
  for (let index = 0; index < 300; index++) await worker.subscribe(urlOf(`host${index}`))
  store.fail('settleDeliveries', 1000)
  await orders.publish({})
  const began = clock.monotonic()
  await until(() => sender.sent.length === 300)
  t.equal(clock.monotonic(), began, 'none is old enough to make room')
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
  await until(async () => (await statusesOf(worker)).every((status) => status === 'delivered'))
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
  t.same(await statusesOf(worker), ['delivered', 'delivered', 'delivered', 'delivered'])
})

test('those that wait for a host that breaks are put back unsent, and one finds out when it is in order again', async (t) => {
  const { clock, sender, orders, ...worker } = await createWebhookWorker(t, { schedule: [0, 3600, 3600] })
  for (let n = 0; n < hostCount + 8; n++) await worker.subscribe(`https://busy.example/cb/${n}`)
  const latches: ReturnType<typeof createLatch<Reply>>[] = []
  sender.receive = () => {
    latches.push(createLatch<Reply>())
    return latches.at(-1)!.promise
  }
  await orders.publish({})
  await clock.advance(0)
  t.equal(sender.sent.length, hostCount)
  for (const latch of latches.slice()) latch.open(503)
  await clock.advance(0)
  // Four took the places of the first to fail, before the fifth did.
  for (const latch of latches.slice(hostCount)) latch.open(503)
  await clock.advance(0)
  const tried = hostCount + 4
  t.equal(sender.sent.length, tried)
  const unsent = (await worker.list()).filter(({ attempts }) => attempts === 0)
  t.same(unsent.map(({ status, dueAt }) => [status, dueAt]), Array(4).fill(['pending', clock.now() + 30_000]))
  t.same(linesOf(worker.logs, warn), [])

  await clock.advance(30_000)
  t.equal(sender.sent.length, tried + 1, 'one finds out')
  latches.at(-1)!.open(503)
  await clock.advance(0)
  await clock.advance(29_999)
  t.equal(sender.sent.length, tried + 1)
  await clock.advance(1)
  t.equal(sender.sent.length, tried + 2)
  sender.receive = () => 200
  latches.at(-1)!.open(200)
  await clock.advance(0)
  t.equal(sender.sent.length, tried + 4, 'and the others follow at once')
  t.same((await worker.list()).map(({ status, attempts }) => status === 'delivered' && attempts === 1).filter((fine) => fine).length, 3)
})

test('callbacks of operations that this process does not have are left to others', async (t) => {
  const { clock, sender, store, orders, ...worker } = await createWebhookWorker(t, { runners: { fanOut: false } })
  const { number } = await worker.subscribe(urlOf('a'), { operation: 'Elsewhere' })
  await orders.publish({})
  await store.fanOut({ event: 1, operation: 'Elsewhere', from: 0, round: 0, to: null, owed: [{ subscription: number, dueAt: 0 }], skipped: [], failed: [], now: clock.now() })
  await clock.advance(60_000)
  t.equal(sender.sent.length, 0)
  t.same(await statusesOf(worker), ['pending'])
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
  t.same(new Set(await statusesOf(worker)), new Set(['delivered']))
})
