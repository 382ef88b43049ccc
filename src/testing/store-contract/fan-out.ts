import assert from 'node:assert/strict'
import type { SubscriptionRecord } from '../../work/store.ts'
import { alone, canceled, hourMs, numbersOf, plenty, start, together } from './bench.ts'
import {
  answer, claimDeliveries, claimDelivery, debtsOf, fanOutStep, findFanOut, getSubscription, newEvent, operation, publishAndOwe, publishOne, statusesOf, step,
  subscribe, topic
} from './webhook-bench.ts'

const many = (count: number): { url: string }[] => Array.from({ length: count }, (_, index) => ({ url: `u${index}` }))

export const fanOutCases = [
  together('published events have growing numbers, each with its debt from the same commit on', async ({ open }) => {
    const { store } = await open()
    const numbers = await store.publish([newEvent({ body: '{"n":1}' }), newEvent({ body: '{"n":2}', createdAt: start + 7 })])
    numbers.push(await publishOne(store, { body: '{"n":3}' }))
    assert.deepEqual([...numbers].sort((a, b) => a - b), numbers)
    for (const other of [store, (await open()).store]) {
      assert.deepEqual((await other.findFanOuts([topic], plenty)).map(({ round, ...fanOut }) => fanOut), numbers.map((event, index) =>
        ({ event, topic, body: `{"n":${index + 1}}`, createdAt: index === 1 ? start + 7 : start, cursor: 0 })))
    }
  }),

  together('what several instances publish at once shows in the order of its numbers', async ({ open }) => {
    const instances = await Promise.all([open(), open(), open()])
    const numbers: number[] = []
    const seen: number[][] = []
    const look = async (): Promise<void> => { seen.push((await instances[0].store.findFanOuts([topic], plenty)).map(({ event }) => event)) }
    await Promise.all(instances.map(async ({ store }) => {
      for (let calls = 0; calls < 6; calls++) {
        numbers.push(...await store.publish([newEvent(), newEvent()]))
        await look()
      }
    }))
    numbers.sort((a, b) => a - b)
    assert.equal(new Set(numbers).size, 36)
    for (const part of seen) assert.deepEqual(part, numbers.slice(0, part.length))
  }),

  alone('a number is not given again when its event is gone', async ({ open }) => {
    const { store } = await open()
    const event = await publishAndOwe(store, { expiresAt: start })
    assert.equal(await store.sweep(start + 1, plenty), 1)
    assert.ok(await publishOne(store) > event)
  }),

  alone('debts are found by their topics, oldest first, up to the limit', async ({ open }) => {
    const { store } = await open()
    const numbers = await store.publish(['orders', 'cakes', 'orders', 'boxes', 'cakes'].map((name) => newEvent({ topic: name })))
    const find = async (topics: string[], limit = plenty): Promise<number[]> => (await store.findFanOuts(topics, limit)).map(({ event }) => event)
    assert.deepEqual(await find(['orders', 'cakes']), [0, 1, 2, 4].map((index) => numbers[index]))
    assert.deepEqual(await find(['cakes', 'orders'], 3), [0, 1, 2].map((index) => numbers[index]))
    assert.deepEqual(await find(['unknown']), [])
    assert.deepEqual(await find([]), [])
  }),

  alone('an event may be owed to subscriptions that were made before it, of its topic alone', async ({ open }) => {
    const { store } = await open()
    const [first] = await subscribe(store, { url: 'a' }, { url: 'b', topic: 'cakes' }, { url: 'c', topic: null })
    const event = await publishOne(store)
    const [second] = await subscribe(store, { url: 'd' })
    const fanOut = await findFanOut(store, event)
    assert.deepEqual(await store.findSubscribers(fanOut, plenty), [first])
    const next = await findFanOut(store, await publishOne(store))
    assert.deepEqual(await store.findSubscribers(next, plenty), [first, second])
  }),

  alone('a subscription knows its place though the events before it are forgotten', async ({ open }) => {
    const { store } = await open()
    const past = await publishAndOwe(store, { expiresAt: start })
    await store.sweep(start + 1, plenty)
    const [first] = await subscribe(store, { url: 'a' })
    assert.equal(first!.afterEvent, past)
    const fanOut = await findFanOut(store, await publishOne(store))
    assert.deepEqual(await store.findSubscribers(fanOut, plenty), [first])
  }),

  alone('subscribers are found in pages, in order of their numbers, suspended ones too, superseded ones not', async ({ open }) => {
    const { store } = await open()
    const [suspended] = await subscribe(store, { url: 'suspended' })
    await publishAndOwe(store)
    await answer(store, await claimDelivery(store), 'suspended')
    const all = await subscribe(store, { url: 'old', workflow: 'w' }, ...many(4), { url: 'new', workflow: 'w' })
    const fanOut = await findFanOut(store, await publishOne(store))
    const found: SubscriptionRecord[] = []
    for (let page = [] as SubscriptionRecord[]; ;) {
      page = await store.findSubscribers({ ...fanOut, cursor: page.at(-1)?.number ?? 0 }, 2)
      if (page.length === 0) break
      assert.ok(page.length <= 2)
      found.push(...page)
    }
    assert.deepEqual(numbersOf(found), numbersOf([suspended!, ...all.slice(1)]))
    assert.deepEqual(found[0], await getSubscription(store, suspended!))
  }),

  alone('a step moves the debt on, the last one pays it', async ({ open }) => {
    const { store } = await open()
    const subscriptions = await subscribe(store, ...many(5))
    const event = await publishOne(store, { body: '{"n":1}' })
    const cursors: number[] = []
    for (const count of [2, 2]) {
      assert.equal(await fanOutStep(store, event, count), true)
      cursors.push((await findFanOut(store, event)).cursor)
    }
    assert.deepEqual(cursors, [subscriptions[1]!.number, subscriptions[3]!.number])
    assert.equal(await fanOutStep(store, event, 2), true)
    assert.deepEqual(await store.findFanOuts([topic], plenty), [])
    assert.deepEqual(await debtsOf(store), subscriptions.map(({ number }) => ['pending', event, number]))
    assert.deepEqual((await claimDeliveries(store)).map(({ body, owner }) => ({ body, owner })), subscriptions.map(() => ({ body: '{"n":1}', owner: 'anna' })))
  }),

  alone('a step that begins elsewhere, or whose debt is paid, is not done', async ({ open }) => {
    const { store } = await open()
    const [first, second] = await subscribe(store, ...many(2))
    const event = await publishOne(store)
    assert.equal(await store.fanOut(step(event, { from: first!.number, owed: [second!], skipped: [second!.number] })), false)
    assert.equal(await store.fanOut(step(event, { to: first!.number, owed: [first!] })), true)
    assert.equal(await store.fanOut(step(event, { to: first!.number, owed: [first!, second!] })), false)
    assert.equal(await store.fanOut(step(event, { from: first!.number })), true)
    assert.equal(await store.fanOut(step(event, { from: first!.number, owed: [second!] })), false)
    assert.equal(await store.fanOut(step(event + 1, { owed: [second!] })), false)
    assert.deepEqual(await debtsOf(store), [['pending', event, first!.number]])
    assert.equal((await getSubscription(store, second!)).skipped, 0)
  }),

  together('a step that two instances make at once is done once', async ({ open }) => {
    const instances = await Promise.all([open(), open()])
    const { store } = instances[0]
    const subscriptions = await subscribe(store, ...many(6))
    const events = [await publishOne(store), await publishOne(store)]
    let done = 0
    await Promise.all(instances.map(async (instance) => {
      for (;;) {
        const [fanOut] = await instance.store.findFanOuts([topic], 1)
        if (fanOut === undefined) return
        const found = await instance.store.findSubscribers(fanOut, 2)
        const to = found.length < 2 ? null : found.at(-1)!.number
        if (await instance.store.fanOut(step(fanOut.event, { from: fanOut.cursor, round: fanOut.round, to, owed: found }))) done++
      }
    }))
    assert.equal(done, 8)
    const expected = events.flatMap((event) => subscriptions.map(({ number }) => ['pending', event, number]))
    assert.deepEqual(await debtsOf(store), expected)
  }),

  alone('what is owed is due when the step says so', async ({ open }) => {
    const { store } = await open()
    const [first, second] = await subscribe(store, ...many(2))
    const event = await publishOne(store)
    const owed = [{ subscription: first!.number, operation, dueAt: start + 300 }, { subscription: second!.number, operation, dueAt: start + 200 }]
    await store.fanOut({ ...step(event), owed, now: start + 50 })
    assert.deepEqual(await claimDeliveries(store, { now: start + 199 }), [])
    const [earlier] = await claimDeliveries(store, { now: start + 200 })
    assert.deepEqual({ subscription: earlier?.subscription, createdAt: earlier?.createdAt }, { subscription: second!.number, createdAt: start + 50 })
    assert.equal((await claimDelivery(store, { now: start + 300 })).subscription, first!.number)
  }),

  alone('an event is owed to a subscription once', async ({ open }) => {
    const { store } = await open()
    const [first] = await subscribe(store, { url: 'a' })
    const event = await publishOne(store)
    const failed = [{ subscription: first!.number, operation, reason: 'again' }]
    await store.fanOut(step(event, { to: 1, owed: [first!, first!] }))
    await store.fanOut(step(event, { from: 1, owed: [first!], failed }))
    assert.deepEqual(await debtsOf(store), [['pending', event, first!.number]])
    assert.deepEqual(await store.getAttempts((await claimDelivery(store)).number), [])
  }),

  alone('a suspended subscription is owed nothing new, and what passes it by is counted', async ({ open }) => {
    const { store } = await open()
    const [first] = await subscribe(store, { url: 'a' })
    await publishAndOwe(store)
    await answer(store, await claimDelivery(store), 'suspended')
    await publishAndOwe(store)
    await publishAndOwe(store)
    assert.equal((await getSubscription(store, first!)).skipped, 2)
    assert.deepEqual((await debtsOf(store)).map(([status]) => status), ['dead'])
    await store.resume(first!.number)
    assert.equal((await getSubscription(store, first!)).skipped, 2)
    const event = await publishAndOwe(store)
    assert.equal((await claimDelivery(store)).event, event)
  }),

  alone('one whose filter failed keeps a dead letter with the reason, which can be sent', async ({ open }) => {
    const { store } = await open()
    const [first] = await subscribe(store, { url: 'a' })
    const event = await publishOne(store, { body: '{"n":1}' })
    await store.fanOut(step(event, { failed: [{ subscription: first!.number, operation, reason: 'no such flavour' }], now: start + 5 }))
    const [letter] = await store.listDeliveries({ limit: plenty })
    const { status, attempts, dueAt, endedAt } = letter!
    assert.deepEqual({ status, attempts, dueAt, endedAt }, { status: 'dead', attempts: 1, dueAt: null, endedAt: start + 5 })
    assert.deepEqual(await store.getAttempts(letter!.number), [{ at: start + 5, durationMs: 0, statusCode: null, answer: 'no such flavour' }])
    assert.deepEqual(await claimDeliveries(store), [])
    assert.equal(await store.redeliver({ number: letter!.number, limit: 1 }, start), 1)
    assert.equal((await claimDelivery(store)).body, '{"n":1}')
  }),

  alone('one that was forgotten or suspended since it was looked at is owed nothing', async ({ open }) => {
    const { store } = await open()
    const [gone, suspended, active] = await subscribe(store, ...many(3))
    await publishAndOwe(store)
    const event = await publishOne(store)
    const found = await store.findSubscribers(await findFanOut(store, event), plenty)
    for (const delivery of await claimDeliveries(store)) {
      await answer(store, delivery, delivery.subscription === suspended!.number ? 'suspended' : 'delivered')
    }
    await store.unsubscribe(gone!.number, canceled())
    await store.fanOut(step(event, { owed: found, failed: [{ subscription: gone!.number, operation, reason: 'late' }] }))
    assert.deepEqual(await statusesOf(store, gone!, suspended!), [undefined, 'suspended'])
    assert.deepEqual((await debtsOf(store)).filter(([, number]) => number === event), [['pending', event, active!.number]])
    assert.equal((await getSubscription(store, suspended!)).skipped, 1)
  }),

  alone('an event is forgotten when it expired before now and nothing of it is owed', async ({ open }) => {
    const { store } = await open()
    await subscribe(store, { url: 'a' })
    const event = await publishOne(store, { expiresAt: start + 100 })
    const later = start + 10 * 24 * hourMs
    assert.equal(await store.sweep(later, plenty), 0)
    await fanOutStep(store, event)
    assert.equal(await store.sweep(later, plenty), 0)
    const delivery = await claimDelivery(store)
    assert.equal(await store.sweep(later, plenty), 0)
    await answer(store, delivery, 'refused')
    // The dead letter needs its body.
    assert.equal(await store.sweep(start + 101, plenty), 0)
    await store.redeliver({ number: delivery.number, limit: 1 }, start)
    assert.equal((await claimDelivery(store)).body, '{}')
  }),

  together('events that nobody waits for are forgotten at their time, no more than the limit at once', async ({ open }) => {
    const { store } = await open()
    const other = await open()
    for (let events = 0; events < 5; events++) await publishAndOwe(store, { expiresAt: start + 100 })
    await publishAndOwe(store, { expiresAt: start + 300 })
    assert.equal(await store.sweep(start + 100, plenty), 0)
    const counts: number[] = []
    do counts.push(await other.store.sweep(start + 101, 2)); while (counts.at(-1)! > 0)
    assert.deepEqual(counts, [2, 2, 1, 0])
  })
]
