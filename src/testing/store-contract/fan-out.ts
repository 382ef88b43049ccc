import assert from 'node:assert/strict'
import type { Subscriber } from '../../work/store.ts'
import { alone, canceled, leaseMs, numbersOf, plenty, start, together } from './bench.ts'
import {
  answer, beginning, claimDeliveries, claimDelivery, debtsOf, fanOutStep, findAllOf, findFanOut, findFanOuts, findSeen, getSubscription, hintOf, operation, publishAndOwe,
  publishOne, save, seenOf, statusesOf, step, subscribe, urlBytes
} from './webhook-bench.ts'

const many = (count: number): { url: string }[] => Array.from({ length: count }, (_, index) => ({ url: `u${index}` }))

export const fanOutCases = [
  alone('an event may be owed to subscriptions that were made before it, of its topic and of the operation alone', async ({ open }) => {
    const { store } = await open()
    const [first, , , onCake] = await subscribe(store, { url: 'a' }, { url: 'b', topic: 'cakes' }, { url: 'c', topic: null }, { url: 'd', operation: 'OnCake' })
    const event = await publishOne(store)
    const [second] = await subscribe(store, { url: 'e' })
    assert.deepEqual(await findSeen(store, await findFanOut(store, event)), [{ ...seenOf(first!), behind: [] }])
    assert.deepEqual(await findSeen(store, await findFanOut(store, event, 'OnCake')), [{ ...seenOf(onCake!), behind: [] }])
    const next = await findFanOut(store, await publishOne(store))
    assert.deepEqual(await findSeen(store, next), [{ ...seenOf(first!), behind: [] }, { ...seenOf(second!), behind: [] }])
  }),

  alone('a subscription knows its place though the events before it are forgotten', async ({ open }) => {
    const { store } = await open()
    const past = await publishOne(store, { expiresAt: start })
    assert.equal(await store.sweep(start + 1, plenty), 1)
    const [first] = await subscribe(store, { url: 'a' })
    assert.equal(first!.afterEvent, past)
    const fanOut = await findFanOut(store, await publishOne(store))
    assert.deepEqual(await findSeen(store, fanOut), [{ ...seenOf(first!), behind: [] }])
  }),

  alone('subscribers are found in pages, in order of their numbers, suspended ones too, superseded ones not', async ({ open }) => {
    const { store } = await open()
    const [suspended] = await subscribe(store, { url: 'suspended' })
    await publishAndOwe(store)
    await answer(store, await claimDelivery(store), 'suspended')
    const all = await subscribe(store, { url: 'old', workflow: 'w' }, ...many(4), { url: 'new', workflow: 'w' })
    const fanOut = await findFanOut(store, await publishOne(store))
    const found: Subscriber[] = []
    for (let page: Subscriber[] = []; ;) {
      page = await store.findSubscribers({ ...fanOut, cursor: page.at(-1)?.number ?? 0 }, 2)
      if (page.length === 0) break
      assert.ok(page.length <= 2)
      found.push(...page)
    }
    assert.deepEqual(numbersOf(found), numbersOf([suspended!, ...all.slice(1)]))
    assert.deepEqual({ ...seenOf(found[0]!), behind: found[0]!.behind }, { ...seenOf(await getSubscription(store, suspended!)), behind: [] })
  }),

  alone('a step moves the debt on, the last one pays it', async ({ open }) => {
    const { store } = await open()
    const subscriptions = await subscribe(store, ...many(5))
    const event = await publishOne(store, { body: '{"n":1}' })
    const cursors: number[] = []
    for (const count of [2, 2]) {
      assert.equal(await fanOutStep(store, event, { limit: count }), true)
      cursors.push((await findFanOut(store, event)).cursor)
    }
    assert.deepEqual(cursors, [subscriptions[1]!.number, subscriptions[3]!.number])
    assert.equal(await fanOutStep(store, event, { limit: 2 }), true)
    assert.deepEqual(await findFanOuts(store), [])
    assert.deepEqual(await debtsOf(store), subscriptions.map(({ number }) => ['pending', event, number]))
    assert.deepEqual((await claimDeliveries(store)).map(({ body, owner }) => ({ body, owner })), subscriptions.map(() => ({ body: '{"n":1}', owner: 'anna' })))
  }),

  alone('a step that begins elsewhere, or whose debt is paid, is not done', async ({ open }) => {
    const { store } = await open()
    const [first, second] = await subscribe(store, ...many(2))
    const event = await publishOne(store)
    assert.equal((await store.fanOut(step(event, { from: first!.number, owed: [second!], skipped: [second!.number] }))).done, false)
    assert.equal((await store.fanOut(step(event, { to: first!.number, owed: [first!] }))).done, true)
    assert.equal((await store.fanOut(step(event, { to: first!.number, owed: [first!, second!] }))).done, false)
    assert.equal((await store.fanOut(step(event, { from: first!.number }))).done, true)
    assert.equal((await store.fanOut(step(event, { from: first!.number, owed: [second!] }))).done, false)
    assert.equal((await store.fanOut(step(event + 1, { owed: [second!] }))).done, false)
    assert.equal((await store.fanOut(step(event, { operation: 'OnCake', owed: [second!] }))).done, false)
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
        const [fanOut] = await findFanOuts(instance.store, { limit: 1 })
        if (fanOut === undefined) return
        const found = await instance.store.findSubscribers(fanOut, 2)
        const to = found.length < 2 ? null : found.at(-1)!.number
        if ((await instance.store.fanOut(step(fanOut.event, { from: fanOut.cursor, round: fanOut.round, to, owed: found }))).done) done++
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
    const owed = [{ subscription: first!.number, dueAt: start + 300 }, { subscription: second!.number, dueAt: start + 200 }]
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
    const failed = [{ subscription: first!.number, reason: 'again' }]
    await store.fanOut(step(event, { to: 1, owed: [first!, first!] }))
    await store.fanOut(step(event, { from: 1, owed: [first!], failed }))
    assert.deepEqual(await debtsOf(store), [['pending', event, first!.number]])
    assert.deepEqual(await store.getAttempts((await claimDelivery(store)).number), [])
  }),

  alone('a step that finds nobody any more pays the debt', async ({ open }) => {
    const { store } = await open()
    const [first] = await subscribe(store, { url: 'a' })
    const event = await publishOne(store)
    await store.unsubscribe(first!.number, canceled())
    assert.equal(await fanOutStep(store, event), true)
    assert.deepEqual([await findAllOf(store, event), await debtsOf(store)], [[], []])
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
    await store.fanOut(step(event, { failed: [{ subscription: first!.number, reason: 'no such flavour' }], now: start + 5 }))
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
    await store.fanOut(step(event, { owed: found, failed: [{ subscription: gone!.number, reason: 'late' }] }))
    assert.deepEqual(await statusesOf(store, gone!, suspended!), [undefined, 'suspended'])
    assert.deepEqual((await debtsOf(store)).filter(([, number]) => number === event), [['pending', event, active!.number]])
    assert.equal((await getSubscription(store, suspended!)).skipped, 1)
  }),

  alone('what begins with a step is as if it had been claimed; a store may leave it to a claim', async ({ open }) => {
    const { store } = await open()
    const [first] = await subscribe(store, { url: 'a', owner: 'ben', createdAt: start - 5 })
    const event = await publishOne(store, { body: '{"n":1}' })
    const { done, begun } = await store.fanOut(beginning(step(event, { owed: [first!] })))
    assert.equal(done, true)
    const claimed = [...begun, ...await claimDeliveries(store)]
    assert.deepEqual(claimed.map(({ claim, number, ...rest }) => rest), [{
      operation,
      owner: 'ben',
      subscription: first!.number,
      subscriptionCreatedAt: start - 5,
      urlHint: hintOf('a'),
      status: 'pending',
      attempts: 0,
      createdAt: start,
      dueAt: null,
      endedAt: null,
      event,
      job: null,
      sealedUrl: urlBytes('a'),
      body: '{"n":1}',
      failingSince: null
    }])
    assert.deepEqual((await store.listDeliveries({ limit: plenty })).map(({ number, dueAt }) => [number, dueAt]), [[claimed[0]!.number, null]])
    assert.equal(await answer(store, claimed[0]!, 'again'), 'kept')
    const again = await claimDelivery(store, { now: start + 5000 })
    assert.ok(again.number === claimed[0]!.number && again.claim > claimed[0]!.claim)
    assert.equal(await answer(store, claimed[0]!, 'delivered'), 'lost')
    assert.equal(await answer(store, again, 'delivered'), 'kept')
  }),

  alone('nothing begins but what may', async ({ open }) => {
    const { store } = await open()
    const [late, waiting, ...others] = await subscribe(store, ...many(5))
    const event = await publishOne(store)
    const owed = [
      { subscription: late!.number, dueAt: start + 1 },
      { subscription: waiting!.number, dueAt: start },
      ...others.map(({ number }) => ({ subscription: number, dueAt: start, begins: true }))
    ]
    const { begun } = await store.fanOut({ ...step(event), owed })
    const places = begun.map(({ subscription }) => subscription)
    assert.deepEqual(places, numbersOf(others).slice(0, places.length))
    assert.deepEqual((await claimDeliveries(store, { now: start + 1 })).map(({ subscription }) => subscription), [waiting!, ...others, late!].map(({ number }) => number).filter((number) => !places.includes(number)))
  }),

  alone('a step that is not done begins nothing, and nobody begins who is suspended, forgotten or was owed it already', async ({ open }) => {
    const { store } = await open()
    const [suspended, gone, known, active] = await subscribe(store, ...many(4))
    await publishAndOwe(store)
    for (const delivery of await claimDeliveries(store)) await answer(store, delivery, delivery.subscription === suspended!.number ? 'suspended' : 'delivered')
    await store.unsubscribe(gone!.number, canceled())
    const event = await publishOne(store)
    await store.fanOut(step(event, { to: 1, owed: [known!] }))
    assert.deepEqual(await store.fanOut(beginning(step(event, { owed: [active!] }))), { done: false, begun: [] })
    const { done, begun } = await store.fanOut(beginning(step(event, { from: 1, owed: [suspended!, gone!, known!, active!] })))
    assert.equal(done, true)
    assert.ok(begun.every(({ subscription }) => subscription === active!.number))
    assert.equal((await getSubscription(store, suspended!)).skipped, 1)
    const rest = await claimDeliveries(store)
    assert.deepEqual([...begun, ...rest].map(({ subscription }) => subscription).sort((a, b) => a - b), numbersOf([known!, active!]))
  }),

  alone('of two versions of a workflow one is owed an event, also within a step', async ({ open }) => {
    const { store } = await open()
    const versions = await save(store, 'v1', 'v2')
    const event = await publishOne(store)
    const { begun } = await store.fanOut(beginning(step(event, { owed: [versions[1]!, versions[0]!] })))
    assert.deepEqual([...begun, ...await claimDeliveries(store)].map(({ subscription }) => subscription), [versions[1]!.number])
  }),

  together('what a worker began with a step that vanished is due again', async ({ open, clock }) => {
    const worker = await open()
    const other = await open()
    const [first] = await subscribe(worker.store, { url: 'a' })
    const event = await publishOne(worker.store)
    const { begun } = await worker.store.fanOut(beginning(step(event, { owed: [first!] })))
    await other.store.recover()
    await clock.advance(leaseMs)
    await other.store.recover()
    const again = await claimDelivery(other.store)
    assert.equal(again.subscription, first!.number)
    for (const delivery of begun) assert.equal(await answer(worker.store, delivery, 'delivered'), 'lost')
    assert.equal(await answer(other.store, again, 'delivered'), 'kept')
  })
]
