import { test } from 'tap'
import { createManualClock } from '../../src/testing/index.ts'
import { createLatch } from '../helpers/latch.ts'
import { createSharedFile, linesOf, passTime, until, warn } from '../helpers/runner.ts'
import { createShakyWebhookWorker, createWebhookWorker, statusesOf, type Reply } from '../helpers/webhook-worker.ts'

const urlOf = (name: string): string => `https://${name}.example/workflows/w/run?sig=secret-${name}`
const never = new Promise<Reply>(() => {})
const hostCount = 32

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
  t.same(await statusesOf(worker), ['delivered', 'pending'])
  t.equal(sender.sent.length, 1)
})

test('an answer that waits for the store is waited for as long as one that waits for its receiver', async (t) => {
  const { store, clock, orders, ...worker } = await createShakyWebhookWorker(t)
  await worker.subscribe(urlOf('a'))
  store.fail('settleDeliveries', 3)
  await orders.publish({})
  await clock.advance(0)
  await passTime(clock, worker.deliveries.stop(10_000))
  t.same(await statusesOf(worker), ['delivered'])
})

test('what is not answered when the drain ends is due again at once, and is no attempt', async (t) => {
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
  t.same(linesOf(one.logs, warn), [])
  const two = await createWebhookWorker(t, { file, clock, schedule: [0] })
  await clock.advance(0)
  t.equal(two.sender.sent[0]?.id, one.sender.sent[0]!.id)
  t.match(await two.list(), [{ status: 'delivered', attempts: 1 }])
  t.equal((await two.store.getAttempts(1))!.length, 1)
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
  const closedAt = one.clock.now()
  await one.close(0)
  t.equal(one.sender.sent.length, hostCount)
  const two = await createWebhookWorker(t, { file, runners: { fanOut: false, deliveries: false } })
  const all = await two.list()
  t.equal(all.length, hostCount + 8)
  t.ok(all.every(({ status, dueAt, attempts }) => status === 'pending' && dueAt === closedAt && attempts === 0))
})

test('a claim that is under way when the runner stops loses nothing', async (t) => {
  const file = createSharedFile(t)
  const { store, clock, sender, orders, ...worker } = await createShakyWebhookWorker(t, { file, runners: { deliveries: false } })
  await worker.subscribe(urlOf('a'))
  await orders.publish({})
  await until(async () => (await worker.list()).length === 1)
  const latch = createLatch()
  store.hold('claimDeliveries', latch.promise)
  worker.deliveries.start()
  await until(() => store.calls('claimDeliveries') > 0)
  await clock.advance(0)
  const closed = worker.close(10_000)
  await clock.advance(0)
  latch.open()
  await closed
  const next = await createWebhookWorker(t, { file })
  await next.clock.advance(0)
  t.equal(sender.sent.length + next.sender.sent.length, 1, 'sent once, by whom it was claimed')
  t.same(await statusesOf(next), ['delivered'])
})

test('an outage that outlasts the drain leaves the callback to the next process', async (t) => {
  const file = createSharedFile(t)
  const one = await createShakyWebhookWorker(t, { file })
  await one.subscribe(urlOf('a'))
  one.store.fail('settleDeliveries', Infinity)
  await one.orders.publish({})
  await one.clock.advance(0)
  await one.close(5000)
  const two = await createWebhookWorker(t, { file })
  await two.clock.advance(0)
  t.equal(two.sender.sent[0]?.id, one.sender.sent[0]!.id)
  t.same(await statusesOf(two), ['delivered'])
})

test('a runner with nothing to do stops at once, twice too', async (t) => {
  const { deliveries, sender, clock } = await createWebhookWorker(t, { runners: { fanOut: false } })
  await deliveries.stop(10_000)
  await deliveries.stop(10_000)
  t.equal(sender.closed, true)
  t.equal(clock.pending, 0, 'no timer is left')
})
