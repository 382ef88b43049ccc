import assert from 'node:assert/strict'
import type { SeenSubscription, Store, Subscriber, SubscriptionRecord } from '../../work/store.ts'
import { alone, canceled, leaseMs, numbersOf, plenty, start, together } from './bench.ts'
import {
  answer, claimDeliveries, claimDelivery, debtsOf, fanOutStep, findFanOut, findSeen, getSubscription, hostOf, newSubscription, only, publishAndOwe, publishOne, save, seenOf,
  statusesOf, step, subscribe, urlBytes, workflow, type Answer
} from './webhook-bench.ts'

/** What is found of a new event. */
async function find (store: Store, event?: number): Promise<Subscriber[]> {
  return await findSeen(store, await findFanOut(store, event ?? await publishOne(store)))
}

const get = (store: Store, ...records: SubscriptionRecord[]): Promise<SeenSubscription[]> => Promise.all(records.map(async (record) => seenOf(await getSubscription(store, record))))

const refusals = ['suspended', 'retired', 'refused', 'exhausted'] as const satisfies Answer[]
/** All ways in which one behind can go. */
const ways = [...refusals, 'unsubscribed'] as const

export const behindCases = [
  alone('a subscription has those behind it that it superseded, newest first', async ({ open }) => {
    const { store } = await open()
    const [a, b, c] = await save(store, 'a', 'b', 'c')
    const [x] = await subscribe(store, { url: 'x' })
    const [y1, y2] = await subscribe(store, { url: 'y1', workflow: 'y' }, { url: 'y2', workflow: 'y' })
    const [ofC, ofY] = [await get(store, b!, a!), await get(store, y1!)]
    assert.deepEqual([...ofC, ...ofY].map(({ status }) => status), ['superseded', 'superseded', 'superseded'])
    assert.deepEqual(await find(store), [{ ...seenOf(c!), behind: ofC }, { ...seenOf(x!), behind: [] }, { ...seenOf(y2!), behind: ofY }])
  }),

  alone('an older URL that is subscribed again has the newer ones behind it', async ({ open }) => {
    const { store } = await open()
    const [a, b, c] = await save(store, 'a', 'b', 'c')
    await save(store, 'a')
    assert.deepEqual(await find(store), [{ ...seenOf(a!), behind: await get(store, c!, b!) }])
    await save(store, 'b')
    assert.deepEqual(await find(store), [{ ...seenOf(b!), behind: await get(store, a!, c!) }])
  }),

  alone('one that is unsubscribed is behind nobody any more', async ({ open }) => {
    const { store } = await open()
    const [a, b, c] = await save(store, 'a', 'b', 'c')
    await store.unsubscribe(b!.number, canceled())
    assert.deepEqual(await find(store), [{ ...seenOf(c!), behind: await get(store, a!) }])
    await store.unsubscribe(a!.number, canceled())
    assert.deepEqual(await find(store), [{ ...seenOf(c!), behind: [] }])
  }),

  alone('nobody is behind one that is proved, and who is put back keeps those behind it', async ({ open }) => {
    const { store } = await open()
    const [a, b] = await save(store, 'a', 'b', 'c')
    await publishAndOwe(store)
    await answer(store, await claimDelivery(store), 'retired')
    assert.deepEqual(await find(store), [{ ...seenOf(b!), behind: await get(store, a!) }])
    await answer(store, await claimDelivery(store), 'delivered')
    assert.deepEqual(await find(store), [{ ...seenOf(b!), behind: [] }])
  }),

  alone('an event from before a workflow subscribed is not owed to any version of it, one from after to all of them', async ({ open }) => {
    const { store } = await open()
    const [x] = await subscribe(store, { url: 'x' })
    const before = await publishOne(store)
    const [a] = await save(store, 'a')
    const after = await publishOne(store)
    const [, c] = await save(store, 'b', 'c')
    await save(store, 'a')
    assert.deepEqual(await find(store, before), [{ ...seenOf(x!), behind: [] }])
    assert.deepEqual((await find(store, after)).map((one) => [one.number, numbersOf(one.behind)]), [[x!.number, []], [a!.number, [c!.number, c!.number - 1]]])
  }),

  together('what is owed to one behind is sent to its own URL', async ({ open }) => {
    const { store } = await open()
    const [real] = await save(store, 'real')
    const { subscription: newer } = await store.subscribe(newSubscription({ url: 'newer', workflow, createdAt: start + 9 }))
    const event = await publishAndOwe(store, { body: '{"n":1}' }, only('real'))
    assert.deepEqual(await debtsOf(store), [['pending', event, real!.number]])
    const other = await open()
    assert.deepEqual(await claimDeliveries(other.store, { exceptHosts: [hostOf('real')] }), [])
    const { subscription, subscriptionCreatedAt, urlHint, sealedUrl, body } = await claimDelivery(other.store, { exceptHosts: [hostOf('newer')] })
    assert.deepEqual({ subscription, subscriptionCreatedAt, urlHint, sealedUrl, body },
      { subscription: real!.number, subscriptionCreatedAt: start, urlHint: real!.urlHint, sealedUrl: urlBytes('real'), body: '{"n":1}' })
    assert.deepEqual(await statusesOf(store, real!, newer), ['superseded', 'active'])
  }),

  alone('one behind that takes its callback proves itself, not the newer one', async ({ open }) => {
    const { store } = await open()
    const [oldest, real, newer] = await save(store, 'oldest', 'real', 'newer')
    const events = [await publishAndOwe(store, {}, only('oldest')), await publishAndOwe(store, {}, only('real')), await publishAndOwe(store, {}, only('newer'))]
    const [, second, third] = await claimDeliveries(store)
    assert.equal(await answer(store, second!, 'delivered'), 'kept')
    assert.deepEqual(await statusesOf(store, oldest!, real!, newer!), [undefined, 'superseded', 'active'])
    assert.deepEqual(await debtsOf(store), [['delivered', events[1], real!.number], ['pending', events[2], newer!.number]])
    assert.equal(await answer(store, third!, 'refused'), 'moved')
    assert.deepEqual(await statusesOf(store, real!, newer!), ['active', undefined])
    assert.deepEqual(await debtsOf(store, { status: 'pending' }), [['pending', events[2], real!.number]])
  }),

  alone('one behind that fails for now is tried again', async ({ open }) => {
    const { store } = await open()
    const [real, newer] = await save(store, 'real', 'newer')
    await publishAndOwe(store, {}, only('real'))
    assert.equal(await answer(store, await claimDelivery(store), 'again'), 'kept')
    assert.deepEqual((await Promise.all([real!, newer!].map((one) => getSubscription(store, one)))).map(({ failingSince }) => failingSince), [start, null])
    assert.deepEqual(await claimDeliveries(store, { now: start + 4999 }), [])
    const again = await claimDelivery(store, { now: start + 5000 })
    assert.deepEqual([again.subscription, again.attempts, again.failingSince], [real!.number, 1, start])
  }),

  ...refusals.map((refusal) => alone(`the last one behind is refused ("${refusal}"): that says nothing of the newer one, and its callback is a dead letter`, async ({ open }) => {
    const { store } = await open()
    const [real, newer] = await save(store, 'real', 'newer')
    const events = [await publishAndOwe(store, {}, only('real')), await publishAndOwe(store, {}, only('newer'))]
    const [delivery] = await claimDeliveries(store, { limit: 1 })
    assert.equal(await answer(store, delivery!, refusal), 'kept')
    assert.deepEqual(await statusesOf(store, real!, newer!), [refusal === 'retired' ? undefined : 'superseded', 'active'])
    assert.deepEqual(await debtsOf(store), [['dead', events[0], real!.number], ['pending', events[1], newer!.number]])
    assert.deepEqual((await store.getAttempts(delivery!.number))?.map(({ answer }) => answer), [refusal])
    assert.equal((await claimDelivery(store)).subscription, newer!.number)
  })),

  // Or two forged URLs, one that wants everything and a newer one that wants nothing, would displace the true one.
  ...ways.map((way) => alone(`one behind that is ${way} leaves what it is owed, and its place in the row, to the one before it`, async ({ open }) => {
    const { store } = await open()
    const [real, forged, newer] = await save(store, 'real', 'forged', 'newer')
    const events = [await publishAndOwe(store, {}, only('real', 'forged')), await publishAndOwe(store, {}, only('real', 'forged'))]
    events.push(await publishAndOwe(store, {}, only('newer')))
    assert.deepEqual((await debtsOf(store)).map(([, , owner]) => owner), [forged, forged, newer].map((record) => record!.number))
    if (way === 'unsubscribed') await store.unsubscribe(forged!.number, canceled())
    else assert.equal(await answer(store, (await claimDeliveries(store, { limit: 1 }))[0]!, way), 'moved')
    assert.deepEqual(await statusesOf(store, real!, forged!, newer!), ['superseded', way === 'suspended' ? 'suspended' : undefined, 'active'])
    assert.deepEqual(await debtsOf(store), [real, real, newer].map((record, index) => ['pending', events[index], record!.number]))
    assert.deepEqual((await find(store)).find(({ number }) => number === newer!.number)?.behind, await get(store, real!))
    const sent = await claimDeliveries(store, { now: start + 60 })
    assert.deepEqual(sent.map(({ sealedUrl, attempts }) => [sealedUrl, attempts]), ['real', 'real', 'newer'].map((url) => [urlBytes(url), 0]))
  })),

  ...ways.map((way) => alone(`a step that was looked at before one behind was ${way} is not done`, async ({ open }) => {
    const { store } = await open()
    const [real, forged] = await save(store, 'real', 'forged', 'newer')
    await publishAndOwe(store, {}, only('forged'))
    const event = await publishOne(store)
    const { round, cursor } = await findFanOut(store, event)
    if (way === 'unsubscribed') await store.unsubscribe(forged!.number, canceled())
    else await answer(store, await claimDelivery(store), way)
    assert.equal((await store.fanOut(step(event, { from: cursor, round, owed: [forged!] }))).done, false)
    assert.equal(await fanOutStep(store, event, { wants: only('real', 'forged') }), true)
    assert.ok((await debtsOf(store)).some(([status, owed, owner]) => status === 'pending' && owed === event && owner === real!.number))
  })),

  alone('what those behind are owed is dropped when the newer one is proved, even what is under way', async ({ open }) => {
    const { store } = await open()
    const [a, b, c] = await save(store, 'a', 'b', 'c')
    await publishAndOwe(store, {}, only('a'))
    await publishAndOwe(store, {}, only('b'))
    await publishAndOwe(store, {}, only('b'))
    const event = await publishAndOwe(store, {}, only('c'))
    const [ofA, ofB, secondOfB, ofC] = await claimDeliveries(store)
    await answer(store, ofB!, 'again')
    await answer(store, secondOfB!, 'refused')
    // A refusal made b leave the row, its callbacks go to a.
    assert.deepEqual(await statusesOf(store, a!, b!), ['superseded', undefined])
    assert.deepEqual(await debtsOf(store), [a, a, a, c].map((record, index) => ['pending', event - 3 + index, record!.number]))
    assert.equal(await answer(store, ofC!, 'delivered'), 'kept')
    assert.deepEqual(await statusesOf(store, a!, c!), [undefined, 'active'])
    assert.deepEqual(await debtsOf(store), [['delivered', event, c!.number]])
    assert.equal(await answer(store, ofA!, 'delivered'), 'lost')
    assert.equal(await store.getAttempts(ofB!.number), undefined)
    assert.deepEqual(await claimDeliveries(store, { now: start + 5000 }), [])
  }),

  alone('one that is put back keeps what it was owed, as it was, and is owed the rest too', async ({ open }) => {
    const { store } = await open()
    const [real, forged] = await save(store, 'real', 'forged')
    const own = await publishAndOwe(store, {}, only('real'))
    await answer(store, await claimDelivery(store), 'again')
    const other = await publishAndOwe(store, {}, only('forged'))
    assert.equal(await answer(store, await claimDelivery(store), 'suspended'), 'moved')
    assert.deepEqual(await statusesOf(store, real!, forged!), ['active', 'suspended'])
    const owed = await store.listDeliveries({ limit: plenty })
    assert.deepEqual(owed.map(({ event, subscription, status, attempts, dueAt }) => ({ event, subscription, status, attempts, dueAt })), [
      { event: other, subscription: real!.number, status: 'pending', attempts: 0, dueAt: start },
      { event: own, subscription: real!.number, status: 'pending', attempts: 1, dueAt: start + 5000 }
    ])
  }),

  alone('one whose filter failed keeps its dead letter, beside what the one behind is owed', async ({ open }) => {
    const { store } = await open()
    const [real, forged] = await save(store, 'real', 'forged')
    const event = await publishOne(store)
    assert.equal((await store.fanOut(step(event, { owed: [real!], failed: [{ subscription: forged!.number, reason: 'odd' }] }))).done, true)
    assert.deepEqual(await debtsOf(store), [['pending', event, real!.number], ['dead', event, forged!.number]])
    await store.redeliver({ subscription: forged!.number, limit: 1 }, start)
    const [ofReal, ofForged] = await claimDeliveries(store)
    assert.equal(await answer(store, ofForged!, 'suspended'), 'kept')
    assert.deepEqual(await debtsOf(store), [['pending', event, real!.number], ['dead', event, forged!.number]])
    assert.equal(await answer(store, ofReal!, 'delivered'), 'kept')
    assert.deepEqual(await statusesOf(store, real!), ['active'])
  }),

  alone('a dead letter of one version does not keep the event from another', async ({ open }) => {
    const { store } = await open()
    const [real, broken] = await save(store, 'real', 'broken')
    const event = await publishOne(store)
    assert.equal((await store.fanOut(step(event, { to: 1, failed: [{ subscription: broken!.number, reason: 'odd' }] }))).done, true)
    assert.equal((await store.fanOut(step(event, { from: 1, owed: [real!] }))).done, true)
    assert.deepEqual(await debtsOf(store), [['dead', event, broken!.number], ['pending', event, real!.number]])
  }),

  // Or a forged URL whose filter fails would make dead letters of the true one's callbacks.
  alone('a callback that may yet be sent moves in the place of a dead letter of the same event, forward and back', async ({ open }) => {
    const { store } = await open()
    const [real, broken] = await save(store, 'real', 'broken')
    const event = await publishOne(store)
    await store.fanOut(step(event, { owed: [real!], failed: [{ subscription: broken!.number, reason: 'odd' }] }))
    const [forged] = await save(store, 'forged')
    assert.deepEqual(await debtsOf(store, { status: 'pending' }), [['pending', event, forged!.number]])
    assert.equal(await answer(store, await claimDelivery(store), 'suspended'), 'moved')
    assert.deepEqual(await debtsOf(store), [['pending', event, broken!.number]])
    assert.equal(await answer(store, await claimDelivery(store), 'suspended'), 'moved')
    assert.deepEqual(await debtsOf(store), [['pending', event, real!.number]])
  }),

  alone('the last one behind takes what it is owed with it when it is unsubscribed', async ({ open }) => {
    const { store } = await open()
    const [real, newer] = await save(store, 'real', 'newer')
    await publishAndOwe(store, {}, only('real'))
    const event = await publishAndOwe(store, {}, only('newer'))
    const [flying] = await claimDeliveries(store, { limit: 1 })
    await store.unsubscribe(real!.number, canceled())
    assert.deepEqual(await statusesOf(store, real!, newer!), [undefined, 'active'])
    assert.deepEqual(await debtsOf(store), [['pending', event, newer!.number]])
    assert.equal(await answer(store, flying!, 'again'), 'lost')
  }),

  // The engine unsubscribes the old version right after a save: what a forged one kept from moving would go with it.
  alone('a newer URL is owed what all those behind it were owed', async ({ open }) => {
    const { store } = await open()
    const [real] = await save(store, 'real', 'forged')
    const events = [await publishAndOwe(store, {}, only('real')), await publishAndOwe(store, {}, only('forged'))]
    const [saved] = await save(store, 'saved')
    await store.unsubscribe(real!.number, canceled())
    assert.deepEqual(await debtsOf(store), events.map((event) => ['pending', event, saved!.number]))
    for (const delivery of await claimDeliveries(store)) assert.equal(await answer(store, delivery, 'delivered'), 'kept')
    assert.deepEqual(numbersOf(await store.listSubscriptions({ limit: plenty })), [saved!.number])
  }),

  alone('an event is owed to one version of a workflow, though a save comes in the midst of its fan-out', async ({ open }) => {
    const { store } = await open()
    const [a] = await save(store, 'a')
    await subscribe(store, { url: 'x' })
    const [delivered, owed] = [await publishOne(store), await publishOne(store)]
    await fanOutStep(store, delivered, { limit: 1 })
    assert.equal(await answer(store, await claimDelivery(store), 'delivered'), 'kept')
    await fanOutStep(store, owed, { limit: 1 })
    const [b] = await save(store, 'b')
    await fanOutStep(store, delivered, { wants: only('b') })
    await fanOutStep(store, owed, { wants: only('a') })
    assert.deepEqual(await debtsOf(store), [['delivered', delivered, a!.number], ['pending', owed, b!.number]])
  }),

  alone('an event is owed to each owner and each operation that the same workflow subscribed for', async ({ open }) => {
    const { store } = await open()
    const records = await subscribe(store, ...['a', 'b'].flatMap((url) => [{ url, workflow }, { url, workflow, owner: 'ben' }, { url, workflow, operation: 'OnCake' }]))
    const event = await publishAndOwe(store)
    assert.deepEqual((await debtsOf(store)).map(([, , owner]) => owner).sort((a, b) => a - b), numbersOf(records.slice(3)))
    assert.deepEqual((await debtsOf(store)).map(([status, owed]) => [status, owed]), Array.from({ length: 3 }, () => ['pending', event]))
  }),

  alone('what two versions are owed is owed to the next one once', async ({ open }) => {
    const { store } = await open()
    const [real, broken] = await save(store, 'real', 'broken')
    const event = await publishOne(store)
    await store.fanOut(step(event, { owed: [real!], failed: [{ subscription: broken!.number, reason: 'odd' }] }))
    await store.redeliver({ subscription: broken!.number, limit: 1 }, start)
    const [saved] = await save(store, 'saved')
    assert.deepEqual(await debtsOf(store), [['pending', event, saved!.number]])
  }),

  together('what a vanished worker was sending to one behind is sent to it again', async ({ open, clock }) => {
    const worker = await open()
    const { store } = await open()
    const [real] = await save(store, 'real', 'newer')
    await publishAndOwe(store, {}, only('real'))
    const flying = await claimDelivery(worker.store)
    await store.recover()
    await clock.advance(leaseMs)
    assert.equal(await store.recover(), 1)
    assert.equal((await claimDelivery(store)).subscription, real!.number)
    assert.equal(await answer(worker.store, flying, 'delivered'), 'lost')
  })
]
