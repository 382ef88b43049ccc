import assert from 'node:assert/strict'
import type { ClaimedDelivery, DeliveryRecord, Store } from '../../work/store.ts'
import { alone, canceled, hourMs, leaseMs, numbersOf, plenty, start, together } from './bench.ts'
import {
  answer, claimDeliveries, claimDelivery, debtsOf, getSubscription, hostOf, newEvent, operation, publishAndOwe, publishOne, settlementOf, statusesOf, step,
  subscribe, urlBytes
} from './webhook-bench.ts'

const retentionMs = 7 * 24 * hourMs
const request = { operations: [operation], exceptHosts: [], limit: plenty, now: start }

/** Owes an event to new subscriptions, each due at its time. */
async function oweAt (store: Store, ...dueAts: number[]): Promise<DeliveryRecord[]> {
  const { length } = await store.listSubscriptions({ limit: plenty })
  const subscriptions = await subscribe(store, ...dueAts.map((_, index) => ({ url: `u${length + index}` })))
  const event = await publishOne(store)
  await store.fanOut({ ...step(event), owed: subscriptions.map(({ number }, index) => ({ subscription: number, dueAt: dueAts[index]! })) })
  return (await store.listDeliveries({ limit: dueAts.length })).reverse()
}

async function listOne (store: Store, number: number): Promise<DeliveryRecord> {
  const delivery = (await store.listDeliveries({ limit: plenty })).find((delivery) => delivery.number === number)
  assert.ok(delivery)
  return delivery
}

export const deliverCases = [
  alone('a claimed delivery has its URL and its body, and is not given again', async ({ open }) => {
    const { store } = await open()
    const [subscription] = await subscribe(store, { url: 'a', owner: 'ben', createdAt: start - 5 })
    const event = await publishAndOwe(store, { body: '{"n":1}' })
    const { number, ...rest } = await claimDelivery(store)
    const record = {
      operation,
      owner: 'ben',
      subscription: subscription!.number,
      subscriptionCreatedAt: start - 5,
      urlHint: 'https://a.example/',
      status: 'pending',
      attempts: 0,
      createdAt: start,
      endedAt: null,
      event,
      job: null
    }
    const { dueAt: _, claim: __, ...claimed } = rest
    assert.deepEqual(claimed, { ...record, sealedUrl: urlBytes('a'), body: '{"n":1}', failingSince: null })
    assert.deepEqual(await listOne(store, number), { number, ...record, dueAt: null })
    assert.deepEqual(await store.claimDeliveries({ ...request, now: start + 1000 * hourMs }), { deliveries: [], nextDueAt: null })
  }),

  alone('deliveries are given in the order in which they are due, up to the limit', async ({ open }) => {
    const { store } = await open()
    const [a, b, c, d] = numbersOf(await oweAt(store, start + 30, start + 10, start + 20, start + 10))
    const order: number[] = []
    for (let claims = 0; claims < 3; claims++) order.push(...numbersOf(await claimDeliveries(store, { limit: 2, now: start + 30 })))
    assert.deepEqual(order, [b, d, c, a])
    await oweAt(store, start)
    assert.deepEqual(await claimDeliveries(store, { limit: 0 }), [])
  }),

  alone('nextDueAt tells when the next is due, also beside claimed ones', async ({ open }) => {
    const { store } = await open()
    const [first, second] = await oweAt(store, start + 100, start + 200)
    assert.deepEqual(await store.claimDeliveries({ ...request, now: start + 99 }), { deliveries: [], nextDueAt: start + 100 })
    const { deliveries, nextDueAt } = await store.claimDeliveries({ ...request, now: start + 100 })
    assert.deepEqual([numbersOf(deliveries), nextDueAt], [[first!.number], start + 200])
    await answer(store, deliveries[0]!, 'again')
    assert.deepEqual((await store.claimDeliveries({ ...request, now: start + 199 })).nextDueAt, start + 200)
    assert.equal((await claimDelivery(store, { now: start + 200 })).number, second!.number)
    assert.equal((await store.claimDeliveries({ ...request, now: start + 201 })).nextDueAt, start + 5000)
    assert.equal((await store.claimDeliveries({ ...request, operations: ['OnCake'] })).nextDueAt, null)
    assert.equal((await store.claimDeliveries({ ...request, now: start + 201, exceptHosts: [hostOf('u0')] })).nextDueAt, null)
  }),

  alone('deliveries of operations that were not named are never taken', async ({ open }) => {
    const { store } = await open()
    await subscribe(store, { url: 'a' }, { url: 'b', operation: 'OnCake' })
    await publishAndOwe(store)
    assert.deepEqual(await claimDeliveries(store, { operations: [] }), [])
    assert.deepEqual(await claimDeliveries(store, { operations: ['Unregistered', 'onorder'] }), [])
    assert.deepEqual((await claimDelivery(store, { operations: ['OnCake', 'Other'] })).urlHint, 'https://b.example/')
    assert.equal((await claimDeliveries(store, { operations: ['OnCake', operation] })).length, 1)
  }),

  alone('nothing is taken for the hosts that are excepted', async ({ open }) => {
    const { store } = await open()
    await subscribe(store, { url: 'a' }, { url: 'b' }, { url: 'c' }, { url: 'd', host: hostOf('a') })
    await publishAndOwe(store)
    const hints = (deliveries: ClaimedDelivery[]): string[] => deliveries.map(({ urlHint }) => urlHint)
    assert.deepEqual(hints(await claimDeliveries(store, { exceptHosts: [hostOf('a'), hostOf('c')] })), ['https://b.example/'])
    assert.deepEqual(hints(await claimDeliveries(store, { exceptHosts: [hostOf('a')] })), ['https://c.example/'])
    assert.deepEqual(hints(await claimDeliveries(store)), ['https://a.example/', 'https://d.example/'])
  }),

  together('two instances never get the same delivery', async ({ open }) => {
    const instances = await Promise.all([open(), open()])
    const owed = await oweAt(instances[0].store, ...Array.from({ length: 60 }, () => start))
    const claimed = await Promise.all(instances.flatMap(({ store }) => Array.from({ length: 6 }, () => claimDeliveries(store, { limit: 7 }))))
    assert.deepEqual(numbersOf(claimed.flat()).sort((a, b) => a - b), numbersOf(owed))
  }),

  together('only who claimed it settles a delivery, and only the last claim', async ({ open }) => {
    const { store } = await open()
    const other = await open()
    await oweAt(store, start)
    const first = await claimDelivery(store)
    assert.equal(await answer(other.store, first, 'delivered'), 'lost')
    assert.equal(await answer(store, { ...first, claim: first.claim + 1 }, 'delivered'), 'lost')
    assert.equal(await answer(store, { ...first, number: first.number + 1 }, 'delivered'), 'lost')
    assert.equal(await answer(store, first, 'again'), 'kept')
    const second = await claimDelivery(store, { now: start + 5000 })
    assert.ok(second.claim > first.claim)
    assert.equal(await answer(store, first, 'retired'), 'lost')
    assert.equal(await answer(store, second, 'delivered'), 'kept')
    assert.equal(await answer(store, second, 'retired'), 'lost')
    assert.deepEqual((await debtsOf(store)).map(([status]) => status), ['delivered'])
    assert.equal((await store.getAttempts(first.number))?.length, 2)
    assert.deepEqual(await statusesOf(store, { number: first.subscription }), ['active'])
  }),

  alone('several are settled in one commit, in order', async ({ open }) => {
    const { store } = await open()
    await oweAt(store, start, start, start)
    const [a, b, c] = await claimDeliveries(store)
    const done = await store.settleDeliveries([settlementOf(b!, 'again'), settlementOf(a!, 'refused'), settlementOf({ ...a!, claim: a!.claim + 1 }, 'delivered'), settlementOf(c!, 'delivered')])
    assert.deepEqual(done, ['kept', 'kept', 'lost', 'kept'])
    assert.deepEqual((await debtsOf(store)).map(([status]) => status), ['dead', 'pending', 'delivered'])
    assert.deepEqual(await store.settleDeliveries([]), [])
  }),

  alone('what came of each attempt is kept, and dates what it changes', async ({ open, clock }) => {
    const { store } = await open()
    const [owed] = await oweAt(store, start)
    const attempts = [
      { at: start + 10, durationMs: 20, statusCode: null, answer: 'ECONNREFUSED' },
      { at: start + 5010, durationMs: 15_000, statusCode: 503, answer: 'wait' },
      { at: start + 9010, durationMs: 0, statusCode: 200, answer: '' }
    ]
    await clock.advance(40)
    await answer(store, await claimDelivery(store), 'again', { attempt: attempts[0]! })
    const { status, dueAt, endedAt } = await listOne(store, owed!.number)
    assert.deepEqual({ status, dueAt, endedAt, attempts: 1 }, { status: 'pending', dueAt: start + 5000, endedAt: null, attempts: 1 })
    const { failingSince } = await getSubscription(store, { number: owed!.subscription })
    assert.equal(failingSince, start + 40)
    await clock.advance(5000)
    const again = await claimDelivery(store, { now: start + 5000 })
    assert.deepEqual({ attempts: again.attempts, failingSince: again.failingSince }, { attempts: 1, failingSince: start + 40 })
    await answer(store, again, 'again', { attempt: attempts[1]! })
    assert.equal((await getSubscription(store, { number: owed!.subscription })).failingSince, start + 40)
    await answer(store, await claimDelivery(store, { now: start + 9000 }), 'delivered', { attempt: attempts[2]! })
    const delivered = await listOne(store, owed!.number)
    assert.deepEqual([delivered.status, delivered.attempts, delivered.dueAt, delivered.endedAt], ['delivered', 3, null, start + 5040])
    assert.deepEqual(await store.getAttempts(owed!.number), attempts)
    assert.equal(await store.getAttempts(owed!.number + 1), undefined)
    assert.equal((await getSubscription(store, { number: owed!.subscription })).failingSince, null)
  }),

  alone('of many attempts at least the newest hundred are kept', async ({ open }) => {
    const { store } = await open()
    const [owed] = await oweAt(store, start)
    for (let at = 0; at < 103; at++) {
      await answer(store, await claimDelivery(store), 'again', { attempt: { at, durationMs: 1, statusCode: null, answer: `"${at}", é\n` }, to: { status: 'pending', dueAt: start } })
    }
    const attempts = (await store.getAttempts(owed!.number))!.slice(-100)
    assert.deepEqual(attempts.map(({ at }) => at), Array.from({ length: 100 }, (_, index) => index + 3))
    assert.equal(attempts.at(-1)!.answer, '"102", é\n')
    assert.equal((await listOne(store, owed!.number)).attempts, 103)
  }),

  alone('one that is given back without an attempt is as it was', async ({ open }) => {
    const { store } = await open()
    const [owed] = await oweAt(store, start)
    const first = await claimDelivery(store)
    assert.equal(await answer(store, first, 'again', { attempt: undefined, subscription: 'unchanged', to: { status: 'pending', dueAt: start + 3 } }), 'kept')
    assert.deepEqual(await listOne(store, owed!.number), { ...owed, dueAt: start + 3 })
    assert.deepEqual(await store.getAttempts(owed!.number), [])
    assert.equal((await getSubscription(store, { number: owed!.subscription })).failingSince, null)
    const second = await claimDelivery(store, { now: start + 3 })
    assert.equal(second.attempts, 0)
    assert.equal(await answer(store, first, 'delivered'), 'lost')
  }),

  alone('a callback that will never be taken leaves its subscription as it is', async ({ open }) => {
    const { store } = await open()
    const [owed] = await oweAt(store, start)
    await answer(store, await claimDelivery(store), 'refused')
    assert.equal((await listOne(store, owed!.number)).status, 'dead')
    const { status, failingSince } = await getSubscription(store, { number: owed!.subscription })
    assert.deepEqual({ status, failingSince }, { status: 'active', failingSince: null })
  }),

  ...(['suspended', 'retired'] as const).map((outcome) => alone(`a ${outcome} subscription: what is still owed to it becomes dead letters`, async ({ open, clock }) => {
    const { store } = await open()
    const [subscription, bystander] = await subscribe(store, { url: 'a' }, { url: 'b' })
    const events: number[] = []
    for (let count = 0; count < 4; count++) events.push(await publishAndOwe(store))
    const own = (await claimDeliveries(store, { limit: 6 })).filter((delivery) => delivery.subscription === subscription!.number)
    const [first, flying, answered] = own
    assert.equal(own.length, 3)
    await clock.advance(5)
    await answer(store, first!, outcome)
    assert.deepEqual(await statusesOf(store, subscription!, bystander!), [outcome === 'suspended' ? 'suspended' : undefined, 'active'])
    assert.equal(await answer(store, flying!, 'again'), 'kept')
    assert.equal(await answer(store, answered!, 'delivered'), 'kept')
    const mine = { subscription: subscription!.number }
    assert.deepEqual((await debtsOf(store, mine)).map(([status]) => status), ['dead', 'dead', 'delivered', 'dead'])
    assert.deepEqual((await store.listDeliveries({ ...mine, status: 'dead', limit: plenty })).map(({ endedAt }) => endedAt), [start + 5, start + 5, start + 5])
    assert.deepEqual(new Set((await claimDeliveries(store, { now: start + hourMs })).map((delivery) => delivery.subscription)), new Set([bystander!.number]))
    // What a receiver once took does not lift a suspension.
    assert.deepEqual(await statusesOf(store, subscription!), [outcome === 'suspended' ? 'suspended' : undefined])
  })),

  alone('dead deliveries are sent again by number, or by filter, oldest first up to the limit, their attempts counted anew', async ({ open }) => {
    const { store } = await open()
    const [first, second] = await subscribe(store, { url: 'a' }, { url: 'b', owner: 'ben', operation: 'OnCake' })
    const operations = [operation, 'OnCake']
    for (let events = 0; events < 3; events++) await publishAndOwe(store, { body: `{"n":${events}}` })
    const claimed = await claimDeliveries(store, { operations })
    const [a0, b0, a1, b1, a2] = numbersOf(claimed)
    for (const delivery of claimed.slice(0, 5)) await answer(store, delivery, 'exhausted')
    await answer(store, claimed[5]!, 'delivered')
    assert.equal(await store.redeliver({ number: claimed[5]!.number, limit: 1 }, start), 0)
    assert.equal(await store.redeliver({ number: 999, limit: 1 }, start), 0)
    assert.equal(await store.redeliver({ owner: 'nobody', limit: plenty }, start), 0)

    assert.equal(await store.redeliver({ number: a1!, limit: 1 }, start + 70), 1)
    assert.deepEqual(await claimDeliveries(store, { operations, now: start + 69 }), [])
    const again = await claimDelivery(store, { operations, now: start + 70 })
    assert.deepEqual([again.number, again.body, again.attempts, again.endedAt], [a1, '{"n":1}', 0, null])
    await answer(store, again, 'delivered')
    assert.equal((await store.getAttempts(a1!))?.length, 2)

    assert.equal(await store.redeliver({ operation: 'OnCake', owner: 'ben', limit: 1 }, start), 1)
    assert.deepEqual(numbersOf(await claimDeliveries(store, { operations })), [b0])
    assert.equal(await store.redeliver({ subscription: first!.number, limit: plenty }, start), 2)
    assert.deepEqual(numbersOf(await claimDeliveries(store, { operations })), [a0, a2])
    assert.equal(await store.redeliver({ subscription: second!.number, owner: 'ben', limit: plenty }, start), 1)
    assert.deepEqual(numbersOf(await claimDeliveries(store, { operations })), [b1])
    assert.equal(await store.redeliver({ limit: plenty }, start), 0)
  }),

  alone('dead letters whose subscription is suspended or gone stay', async ({ open }) => {
    const { store } = await open()
    const subscriptions = await subscribe(store, { url: 'suspended' }, { url: 'retired' }, { url: 'forgotten' }, { url: 'active' })
    await publishAndOwe(store)
    const [suspended, retired, forgotten, active] = await claimDeliveries(store)
    await answer(store, suspended!, 'suspended')
    await answer(store, retired!, 'retired')
    await answer(store, forgotten!, 'refused')
    await answer(store, active!, 'refused')
    await store.unsubscribe(subscriptions[2]!.number, canceled())
    assert.equal((await store.listDeliveries({ status: 'dead', limit: plenty })).length, 4)
    for (const { number } of [suspended!, retired!, forgotten!]) assert.equal(await store.redeliver({ number, limit: 1 }, start), 0)
    // Those that stay do not use up the limit.
    assert.equal(await store.redeliver({ limit: 1 }, start), 1)
    assert.equal((await claimDelivery(store)).number, active!.number)
    await store.resume(subscriptions[0]!.number)
    assert.equal(await store.redeliver({ limit: plenty }, start), 1)
    assert.equal((await claimDelivery(store)).number, suspended!.number)
  }),

  together('deliveries of a closed instance are due at once', async ({ open, clock }) => {
    const worker = await open()
    const [owed] = await oweAt(worker.store, start)
    const first = await claimDelivery(worker.store)
    await worker.store.close()
    clock.jump(-hourMs)
    const other = await open()
    await other.store.recover()
    const again = await claimDelivery(other.store, { now: clock.now() })
    assert.deepEqual([again.number, again.attempts, again.claim > first.claim], [owed!.number, 0, true])
  }),

  together('deliveries of a worker that was silent for the time of a lease are due, and its answers come too late', async ({ open, clock }) => {
    const silent = await open()
    const other = await open()
    await oweAt(silent.store, start, start)
    const claimed = await claimDeliveries(silent.store)
    assert.equal(await other.store.recover(), 0)
    await clock.advance(leaseMs - 1)
    assert.equal(await other.store.recover(), 0)
    assert.deepEqual(await claimDeliveries(other.store), [])
    await clock.advance(1)
    assert.equal(await other.store.recover(), 2)
    assert.equal(await answer(silent.store, claimed[0]!, 'delivered'), 'lost')
    const again = await claimDeliveries(other.store)
    assert.deepEqual(numbersOf(again), numbersOf(claimed))
    assert.equal(await answer(silent.store, claimed[1]!, 'delivered'), 'lost')
    assert.equal(await answer(other.store, again[0]!, 'delivered'), 'kept')
  }),

  together('deliveries of a worker that beats are never taken', async ({ open, clock }) => {
    const worker = await open()
    const other = await open()
    await oweAt(worker.store, start)
    const delivery = await claimDelivery(worker.store)
    for (let beats = 0; beats < 6; beats++) {
      assert.deepEqual(await worker.store.heartbeat([]), [])
      assert.equal(await other.store.recover(), 0)
      await clock.advance(leaseMs / 3)
    }
    assert.equal(await answer(worker.store, delivery, 'delivered'), 'kept')
  }),

  together('what a vanished worker held of a suspended or forgotten subscription is not sent', async ({ open, clock }) => {
    const worker = await open()
    const { store } = await open()
    const [suspended, forgotten] = await subscribe(store, { url: 'a' }, { url: 'b' })
    await publishAndOwe(store)
    const [held] = (await claimDeliveries(worker.store)).filter(({ subscription }) => subscription === suspended!.number)
    await publishAndOwe(store)
    const [second] = await claimDeliveries(store, { limit: 1 })
    await answer(store, second!, 'suspended')
    await store.unsubscribe(forgotten!.number, canceled())
    await store.recover()
    await clock.advance(leaseMs)
    assert.equal(await store.recover(), 1)
    assert.deepEqual(await claimDeliveries(store), [])
    assert.equal((await listOne(store, held!.number)).status, 'dead')
  }),

  alone('lists are newest first, in pages, of what all filters fit', async ({ open }) => {
    const { store } = await open()
    const [first, second] = await subscribe(store, { url: 'a' }, { url: 'b', owner: 'ben', operation: 'OnCake' })
    await publishAndOwe(store)
    await publishAndOwe(store)
    const claimed = await claimDeliveries(store, { operations: [operation, 'OnCake'] })
    const [a0, b0, a1, b1] = numbersOf(claimed)
    await answer(store, claimed[0]!, 'delivered')
    await answer(store, claimed[1]!, 'refused')
    const list = async (filter: Partial<Parameters<typeof store.listDeliveries>[0]>): Promise<number[]> => numbersOf(await store.listDeliveries({ limit: plenty, ...filter }))
    assert.deepEqual(await list({}), [b1, a1, b0, a0])
    assert.deepEqual(await list({ limit: 3 }), [b1, a1, b0])
    assert.deepEqual(await list({ limit: 3, before: b0! }), [a0])
    assert.deepEqual(await list({ operation: 'OnCake' }), [b1, b0])
    assert.deepEqual(await list({ owner: 'anna' }), [a1, a0])
    assert.deepEqual(await list({ subscription: second!.number, status: 'dead' }), [b0])
    assert.deepEqual(await list({ subscription: first!.number, status: 'delivered', owner: 'anna', operation }), [a0])
    assert.deepEqual(await list({ status: 'pending' }), [b1, a1])
    assert.deepEqual(await list({ status: 'delivered', owner: 'ben' }), [])
  }),

  alone('a delivery is forgotten with its attempts when it ended longer ago than it is kept', async ({ open }) => {
    const { store } = await open()
    await oweAt(store, start, start, start, start)
    const [delivered, dead, waiting] = await claimDeliveries(store)
    await answer(store, delivered!, 'delivered')
    await answer(store, dead!, 'refused')
    await answer(store, waiting!, 'again')
    const far = start + 100 * retentionMs
    const [event] = await store.publish([newEvent({ expiresAt: far })])
    await store.fanOut(step(event!))
    assert.equal(await store.sweep(start + retentionMs, 1), 0)
    assert.equal(await store.sweep(start + retentionMs + 1, 1), 1)
    assert.equal(await store.sweep(start + retentionMs + 1, 1), 1)
    // Those that are still owed, claimed or not, stay, and so does their event.
    assert.equal(await store.sweep(far, plenty), 0)
    assert.deepEqual([await store.getAttempts(delivered!.number), await store.getAttempts(dead!.number)], [undefined, undefined])
    assert.deepEqual((await debtsOf(store)).map(([status]) => status), ['pending', 'pending'])
    assert.equal((await store.getAttempts(waiting!.number))?.length, 1)
  })
]
