import { test } from 'tap'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createManualClock } from '../../src/testing/index.ts'
import type { Store } from '../../src/work/store.ts'
import { createLatch } from '../helpers/latch.ts'
import { createSharedFile, until } from '../helpers/runner.ts'
import { createShakyWebhookWorker, createWebhookWorker, statusesOf, type Reply, type WebhookWorker } from '../helpers/webhook-worker.ts'

const urlOf = (n: number): string => `https://r${n}.example/cb?sig=s${n}`
const never = new Promise<Reply>(() => {})
/** As many as a process takes ahead. */
const capacity = 500
const isPaid = async ({ store }: Pick<WebhookWorker, 'store'>): Promise<boolean> => (await store.findFanOuts({ operations: ['OnOrder'], strangersBefore: 0, limit: 1 })).length === 0

async function subscribeMany (worker: Pick<WebhookWorker, 'subscribe'>, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await worker.subscribe(urlOf(n))
}

test('callbacks begin with the commit that owes them: none is claimed', async (t) => {
  const worker = await createShakyWebhookWorker(t)
  await subscribeMany(worker, 1000)
  const claims = worker.store.calls('claimDeliveries')
  for (const n of [1, 2]) {
    await worker.orders.publish({ n })
    await until(() => worker.sender.sent.length === 1000 * n)
  }
  await until(async () => (await statusesOf(worker)).every((status) => status === 'delivered'))
  t.equal(worker.store.calls('claimDeliveries'), claims)
  t.same(worker.sender.sent.map(({ body }) => body), [1, 2].flatMap((n) => Array(1000).fill(`{"n":${n}}`)))
})

test('a store that gives none to begin with has them claimed', async (t) => {
  const inner = sqliteStore({ file: ':memory:' })
  const worker = await createWebhookWorker(t, { store: { ...inner, fanOut: ({ owed, ...step }) => inner.fanOut({ ...step, owed: owed.map(({ begins, ...one }) => one) }) } })
  await subscribeMany(worker, 3)
  await worker.orders.publish({})
  await worker.clock.advance(0)
  t.same(await statusesOf(worker), Array(3).fill('delivered'))
})

test('one that fails is tried again at its time, though nothing was claimed before', async (t) => {
  const worker = await createWebhookWorker(t)
  await subscribeMany(worker, 1)
  worker.sender.receive = () => worker.sender.sent.length === 1 ? 503 : 200
  await worker.orders.publish({})
  await worker.clock.advance(0)
  t.match(await worker.list(), [{ status: 'pending', attempts: 1 }])
  await worker.clock.advance(6001)
  t.match(await worker.list(), [{ status: 'delivered', attempts: 2 }])
})

test('where all places are taken, an event is owed a moment later all the same, and what waited longest begins first', async (t) => {
  const worker = await createWebhookWorker(t)
  await subscribeMany(worker, capacity + 200)
  worker.sender.receive = () => never
  await worker.orders.publish({ n: 1 })
  await worker.clock.advance(0)
  t.equal((await worker.list()).length, capacity)
  await worker.clock.advance(249)
  t.equal(await isPaid(worker), false)
  await worker.clock.advance(1)
  t.equal(await isPaid(worker), true)
  await worker.orders.publish({ n: 2 })
  await worker.clock.advance(0)
  t.equal(await isPaid(worker), true, 'others wait by now, so that nothing begins before them, nor is slowed down')
  t.equal((await worker.list()).filter(({ dueAt }) => dueAt === null).length, capacity)
  worker.sender.receive = () => 200
  await worker.clock.advance(2000)
  t.same(worker.sender.sent.map(({ body }) => body), [1, 2].flatMap((n) => Array(capacity + 200).fill(`{"n":${n}}`)))
})

test('a host that is out of order is owed what it is owed, and others begin', async (t) => {
  const worker = await createWebhookWorker(t, { schedule: [0, 3600] })
  for (let n = 0; n < 5; n++) await worker.subscribe(`https://down.example/${n}`)
  await subscribeMany(worker, 1)
  worker.sender.receive = ({ url }) => url.hostname === 'down.example' ? 503 : 200
  await worker.orders.publish({ n: 1 })
  await worker.clock.advance(0)
  await worker.orders.publish({ n: 2 })
  await worker.clock.advance(0)
  t.same((await worker.list()).filter(({ event }) => event === 2).map(({ status, attempts }) => [status, attempts]), [...Array(5).fill(['pending', 0]), ['delivered', 1]])
})

test('of one host no more than 128 begin with a step', async (t) => {
  const worker = await createWebhookWorker(t)
  for (let n = 0; n < 200; n++) await worker.subscribe(`https://one.example/${n}`)
  await subscribeMany(worker, 10)
  const steps: number[] = []
  const { fanOut } = worker.store
  worker.store.fanOut = async (step) => {
    steps.push(step.owed.filter(({ begins }) => begins).length)
    return await fanOut(step)
  }
  worker.sender.receive = () => never
  await worker.orders.publish({})
  await worker.clock.advance(0)
  t.same(steps, [138])
})

test('what becomes due while a step is being committed is sent at once, whatever the step brings', async (t) => {
  const inner = sqliteStore({ file: ':memory:' })
  const latch = createLatch()
  let held = false
  const worker = await createWebhookWorker(t, {
    schedule: [0, 10],
    store: {
      ...inner,
      async fanOut (step) {
        const outcome = await inner.fanOut(step)
        if (held) await latch.promise
        return outcome
      }
    }
  })
  await subscribeMany(worker, 1)
  worker.sender.receive = () => 503
  await worker.orders.publish({ n: 1 })
  await worker.clock.advance(0)
  t.equal(worker.sender.sent.length, 1)
  held = true
  await worker.orders.publish({ n: 2 })
  await worker.clock.advance(12_000)
  t.ok(worker.sender.sent.filter(({ body }) => body === '{"n":1}').length > 1)
  latch.open()
})

test('what becomes due without a word is sent after the next poll, though an event is still being sent to many', async (t) => {
  const worker = await createWebhookWorker(t, { schedule: [0] })
  await worker.subscribe('https://late.example/cb')
  worker.sender.receive = () => 503
  await worker.orders.publish({ n: 0 })
  await worker.clock.advance(0)
  t.same(await statusesOf(worker), ['dead'])
  // So fast that the event is taken ahead step by step, and so slow that no place is free for long.
  worker.sender.receive = () => new Promise((resolve) => { worker.clock.after(120, () => { resolve(200) }) })
  await subscribeMany(worker, 7000)
  await worker.orders.publish({ n: 1 })
  await worker.clock.advance(1000)
  t.equal(await worker.store.redeliver({ limit: 1 }, worker.clock.now()), 1)
  while (worker.sender.sent.length < 7002) await worker.clock.advance(120)
  const place = worker.sender.sent.slice(1).findIndex(({ body }) => body === '{"n":0}')
  t.ok(place > 0 && place < 6500, `as the ${place}th of ${worker.sender.sent.length - 1}`)
})

test('a fan-out that is under way when the runners stop loses nothing, and what has not begun is given back unsent', async (t) => {
  const file = createSharedFile(t)
  const clock = createManualClock()
  const inner = sqliteStore({ file })
  const latch = createLatch()
  const store: Store = {
    ...inner,
    async fanOut (step) {
      const outcome = await inner.fanOut(step)
      await latch.promise
      return outcome
    }
  }
  const worker = await createWebhookWorker(t, { store, clock })
  await subscribeMany(worker, 200)
  await worker.orders.publish({})
  await until(async () => (await worker.list()).length === 200)
  const closed = worker.close(10_000)
  await clock.advance(0)
  latch.open()
  await closed
  const next = await createWebhookWorker(t, { file, clock, runners: { deliveries: false } })
  const all = await next.list()
  t.equal(all.filter(({ status }) => status === 'delivered').length, worker.sender.sent.length)
  t.ok(all.every(({ status, dueAt, attempts }) => status === 'delivered' || (status === 'pending' && dueAt! <= clock.now() && attempts === 0)))
  next.deliveries.start()
  await until(async () => (await statusesOf(next)).every((status) => status === 'delivered'))
  t.equal(worker.sender.sent.length + next.sender.sent.length, 200)
})
