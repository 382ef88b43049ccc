import assert from 'node:assert/strict'
import type { Store, SubscriptionRecord } from '../../work/store.ts'
import { alone, canceled, numbersOf, plenty, start, together } from './bench.ts'
import {
  answer, claimDeliveries, claimDelivery, debtsOf, fanOutStep, findAllOf, findFanOut, hostOf, newSubscription, publishAndOwe, publishOne, save, statusesOf, step,
  subscribe, urlBytes, workflow, type Answer
} from './webhook-bench.ts'

const refusals = ['suspended', 'retired'] as const

/** How the newest turns out false. */
const ways: Record<string, (store: Store, newest: SubscriptionRecord) => Promise<unknown>> = {
  suspended: async (store) => { await answer(store, (await claimDeliveries(store, { limit: 1 }))[0]!, 'suspended') },
  retired: async (store) => { await answer(store, (await claimDeliveries(store, { limit: 1 }))[0]!, 'retired') },
  refused: async (store) => { await answer(store, (await claimDeliveries(store, { limit: 1 }))[0]!, 'refused') },
  exhausted: async (store) => { await answer(store, (await claimDeliveries(store, { limit: 1 }))[0]!, 'exhausted') },
  unsubscribed: (store, { number }) => store.unsubscribe(number, canceled())
}

export const supersedeCases = [
  together('a URL that differs in its version supersedes the one before, and what is owed moves to it', async ({ open }) => {
    const { store } = await open()
    const [first] = await save(store, 'a')
    const waiting = await publishAndOwe(store)
    const unseen = await publishOne(store)
    const { outcome, subscription: second } = await (await open()).store.subscribe(newSubscription({ url: 'b', workflow, createdAt: start + 9 }))
    assert.equal(outcome, 'created')
    assert.notEqual(second.number, first!.number)
    assert.deepEqual(await statusesOf(store, first!, second), ['superseded', 'active'])
    assert.deepEqual(await claimDeliveries(store, { exceptHosts: [hostOf('b')] }), [])
    await fanOutStep(store, unseen)
    await publishAndOwe(store)
    const claimed = await claimDeliveries(store)
    assert.deepEqual(claimed.map(({ subscription, subscriptionCreatedAt, urlHint, sealedUrl }) => ({ subscription, subscriptionCreatedAt, urlHint, sealedUrl })),
      claimed.map(() => ({ subscription: second.number, subscriptionCreatedAt: start + 9, urlHint: 'https://b.example/', sealedUrl: urlBytes('b') })))
    assert.deepEqual(claimed.map(({ event }) => event), [waiting, unseen, unseen + 1])
  }),

  alone('nothing is superseded of another owner, for another operation, of another workflow, or without versions', async ({ open }) => {
    const { store } = await open()
    const records = await subscribe(store, { url: 'a', workflow }, { url: 'b', workflow, owner: 'ben' }, { url: 'c', workflow, operation: 'OnCake' },
      { url: 'd', workflow: 'other' }, { url: 'e' }, { url: 'f' })
    assert.deepEqual(await statusesOf(store, ...records), records.map(() => 'active'))
  }),

  alone('an event that both were owed is owed once', async ({ open }) => {
    const { store } = await open()
    const [first] = await save(store, 'a')
    const event = await publishOne(store)
    await store.fanOut(step(event, { to: first!.number, owed: [first!] }))
    const [second] = await save(store, 'b')
    await fanOutStep(store, event)
    assert.deepEqual(await debtsOf(store), [['pending', event, second!.number]])
  }),

  alone('an event that one was sent is not owed to it again when the other is forgotten', async ({ open }) => {
    const { store } = await open()
    const [first] = await save(store, 'a')
    const event = await publishOne(store)
    await store.fanOut(step(event, { to: first!.number, owed: [first!] }))
    await answer(store, await claimDelivery(store), 'delivered')
    const [second] = await save(store, 'b')
    await fanOutStep(store, event)
    await store.unsubscribe(second!.number, canceled())
    assert.deepEqual(await debtsOf(store), [['delivered', event, first!.number]])
  }),

  alone('the first callback that is confirmed drops all that came before', async ({ open }) => {
    const { store } = await open()
    const versions = await save(store, 'a', 'b', 'c')
    assert.deepEqual(await statusesOf(store, ...versions), ['superseded', 'superseded', 'active'])
    await publishAndOwe(store)
    await answer(store, await claimDelivery(store), 'delivered')
    assert.deepEqual(await statusesOf(store, ...versions), [undefined, undefined, 'active'])
    await publishAndOwe(store)
    await answer(store, await claimDelivery(store), 'suspended')
    assert.deepEqual(await statusesOf(store, ...versions), [undefined, undefined, 'suspended'])
  }),

  ...Object.entries(ways).map(([way, turn]) => alone(`a forged URL displaces nobody: when it is ${way}, the one before is back with all that is owed`, async ({ open }) => {
    const { store } = await open()
    const [real] = await save(store, 'real')
    const events = [await publishAndOwe(store)]
    const [forged] = await save(store, 'forged')
    events.push(await publishAndOwe(store), await publishAndOwe(store))
    await turn(store, forged!)
    assert.deepEqual(await statusesOf(store, real!, forged!), ['active', way === 'suspended' ? 'suspended' : undefined])
    assert.deepEqual(await debtsOf(store), events.map((event) => ['pending', event, real!.number]))
    const claimed = await claimDeliveries(store)
    assert.deepEqual(claimed.map(({ event, sealedUrl }) => ({ event, sealedUrl })), events.map((event) => ({ event, sealedUrl: urlBytes('real') })))
    for (const delivery of claimed) assert.equal(await answer(store, delivery, 'delivered'), 'kept')
  })),

  alone('failures that may pass do not bring the one before back', async ({ open }) => {
    const { store } = await open()
    const versions = await save(store, 'a', 'b')
    await publishAndOwe(store)
    await answer(store, await claimDelivery(store), 'again')
    assert.deepEqual(await statusesOf(store, ...versions), ['superseded', 'active'])
    const unsent = { attempt: undefined, subscription: 'unchanged' } as const
    await answer(store, await claimDelivery(store, { now: start + 5000 }), 'again', unsent)
    assert.deepEqual(await statusesOf(store, ...versions), ['superseded', 'active'])
  }),

  alone('a chain of three falls back one by one', async ({ open }) => {
    const { store } = await open()
    const [a, b, c] = await save(store, 'a', 'b', 'c')
    const event = await publishAndOwe(store)
    await answer(store, await claimDelivery(store), 'retired')
    assert.deepEqual(await statusesOf(store, a!, b!, c!), ['superseded', 'active', undefined])
    await answer(store, await claimDelivery(store), 'suspended')
    assert.deepEqual(await statusesOf(store, a!, b!), ['active', 'suspended'])
    const last = await claimDelivery(store)
    assert.deepEqual({ event: last.event, subscription: last.subscription, attempts: last.attempts }, { event, subscription: a!.number, attempts: 0 })
    await answer(store, last, 'retired')
    assert.deepEqual(await statusesOf(store, a!, b!), [undefined, 'suspended'])
    assert.deepEqual(await debtsOf(store), [['dead', event, a!.number]])
  }),

  alone('a late unsubscribe of the superseded one leaves its successor, with what is owed', async ({ open }) => {
    const { store } = await open()
    const [first] = await save(store, 'a')
    const event = await publishAndOwe(store)
    const [second] = await save(store, 'b')
    assert.deepEqual(await store.unsubscribe(first!.number, canceled()), { job: null, ended: false })
    assert.deepEqual(await statusesOf(store, first!, second!), [undefined, 'active'])
    assert.deepEqual(await debtsOf(store), [['pending', event, second!.number]])
    await answer(store, await claimDelivery(store), 'suspended')
    assert.deepEqual(await debtsOf(store), [['dead', event, second!.number]])
  }),

  alone('a chain closes over the one that is unsubscribed in its middle', async ({ open }) => {
    const { store } = await open()
    const [a, b, c] = await save(store, 'a', 'b', 'c')
    await store.unsubscribe(b!.number, canceled())
    assert.deepEqual(await statusesOf(store, a!, b!, c!), ['superseded', undefined, 'active'])
    const event = await publishAndOwe(store)
    assert.deepEqual(await debtsOf(store), [['pending', event, c!.number]])
    await answer(store, await claimDelivery(store), 'retired')
    assert.deepEqual(await statusesOf(store, a!, b!, c!), ['active', undefined, undefined])
    assert.deepEqual(await debtsOf(store), [['pending', event, a!.number]])
  }),

  alone('a superseded URL that is subscribed again has its place again', async ({ open }) => {
    const { store } = await open()
    const [a, b] = await save(store, 'a', 'b', 'c')
    const event = await publishAndOwe(store)
    const { outcome, subscription } = await store.subscribe(newSubscription({ url: 'a', workflow }))
    assert.deepEqual([outcome, subscription.number, subscription.status], ['repeated', a!.number, 'active'])
    assert.deepEqual(await debtsOf(store), [['pending', event, a!.number]])
    const active = await store.listSubscriptions({ status: 'active', limit: plenty })
    assert.deepEqual(numbersOf(active), [a!.number])
    await answer(store, await claimDelivery(store), 'retired')
    assert.deepEqual(await statusesOf(store, a!, b!, { number: b!.number + 1 }), [undefined, 'superseded', 'active'])
    await answer(store, await claimDelivery(store), 'delivered')
    assert.deepEqual((await store.listSubscriptions({ limit: plenty })).length, 1)
  }),

  alone('a suspended URL that is subscribed again supersedes the one that was put back', async ({ open }) => {
    const { store } = await open()
    const [a, b] = await save(store, 'a', 'b')
    await publishAndOwe(store)
    await answer(store, await claimDelivery(store), 'suspended')
    await save(store, 'b')
    assert.deepEqual(await statusesOf(store, a!, b!), ['superseded', 'active'])
    await answer(store, await claimDelivery(store), 'delivered')
    assert.deepEqual(await statusesOf(store, a!, b!), [undefined, 'active'])
  }),

  alone('a suspended one is superseded too', async ({ open }) => {
    const { store } = await open()
    const [a] = await save(store, 'a')
    await publishAndOwe(store)
    await answer(store, await claimDelivery(store), 'suspended')
    const [b] = await save(store, 'b')
    assert.deepEqual(await statusesOf(store, a!, b!), ['superseded', 'active'])
  }),

  ...(['delivered', ...refusals, 'again', 'refused', 'exhausted'] as const).map((late: Answer) =>
    alone(`an answer to the one before that comes late ("${late}") says nothing of its successor`, async ({ open }) => {
      const { store } = await open()
      const [a] = await save(store, 'a')
      const event = await publishAndOwe(store)
      const flying = await claimDelivery(store)
      const [b] = await save(store, 'b')
      assert.deepEqual(await claimDeliveries(store), [])
      assert.equal(await answer(store, flying, late), late === 'delivered' ? 'kept' : 'moved')
      const isGone = late === 'retired'
      assert.deepEqual(await statusesOf(store, a!, b!), [isGone ? undefined : 'superseded', 'active'])
      assert.equal((await store.getSubscription(b!.number))?.failingSince, null)
      if (late === 'delivered') return assert.deepEqual((await debtsOf(store)).map(([status]) => status), ['delivered'])
      // The other URL has not been tried yet.
      assert.deepEqual(await debtsOf(store), [['pending', event, b!.number]])
      const again = await claimDelivery(store)
      assert.deepEqual({ sealedUrl: again.sealedUrl, attempts: again.attempts }, { sealedUrl: urlBytes('b'), attempts: 0 })
      await answer(store, again, 'suspended')
      assert.deepEqual(await statusesOf(store, a!, b!), [isGone ? undefined : 'active', 'suspended'])
    })),

  ...([...refusals, 'delivered'] as const).map((late: Answer) =>
    alone(`an answer to a forged URL that comes late ("${late}") says nothing of the real one`, async ({ open }) => {
      const { store } = await open()
      const [real, forged] = await save(store, 'real', 'forged')
      const events = [await publishAndOwe(store), await publishAndOwe(store)]
      const [first, second] = await claimDeliveries(store)
      await answer(store, first!, 'suspended')
      assert.deepEqual(await statusesOf(store, real!, forged!), ['active', 'suspended'])
      assert.equal(await answer(store, second!, late), late === 'delivered' ? 'kept' : 'moved')
      assert.deepEqual(await statusesOf(store, real!), ['active'])
      const owed = late === 'delivered' ? events.slice(0, 1) : events
      assert.deepEqual(await debtsOf(store, { status: 'pending' }), owed.map((event) => ['pending', event, real!.number]))
    })),

  alone('a callback that is under way when the one before is put back is sent there', async ({ open }) => {
    const { store } = await open()
    const [a, b] = await save(store, 'a', 'b')
    const event = await publishAndOwe(store)
    const flying = await claimDelivery(store)
    await store.unsubscribe(b!.number, canceled())
    assert.deepEqual(await statusesOf(store, a!), ['active'])
    await answer(store, flying, 'retired')
    assert.deepEqual(await debtsOf(store), [['pending', event, a!.number]])
  }),

  alone('a step that was looked at before one was superseded is not done, and the successor is found instead', async ({ open }) => {
    const { store } = await open()
    const [a] = await save(store, 'a')
    const event = await publishOne(store)
    const fanOut = await findFanOut(store, event)
    const found = await store.findSubscribers(fanOut, plenty)
    assert.deepEqual(numbersOf(found), [a!.number])
    const [, c] = await save(store, 'b', 'c')
    assert.equal((await store.fanOut(step(event, { from: fanOut.cursor, round: fanOut.round, owed: found }))).done, false)
    assert.deepEqual(await debtsOf(store), [])
    assert.equal(await fanOutStep(store, event), true)
    assert.deepEqual(await debtsOf(store), [['pending', event, c!.number]])
  }),

  ...Object.entries(ways).map(([way, turn]) => alone(`a step that was looked at before one was ${way} is not done, and the one before is found instead`, async ({ open }) => {
    const { store } = await open()
    const [a] = await save(store, 'a')
    const [b] = await save(store, 'b')
    const first = await publishAndOwe(store)
    const event = await publishOne(store)
    const fanOut = await findFanOut(store, event)
    const found = await store.findSubscribers(fanOut, plenty)
    assert.deepEqual(numbersOf(found), [b!.number])
    await turn(store, b!)
    assert.equal((await store.fanOut(step(event, { from: fanOut.cursor, round: fanOut.round, owed: found }))).done, false)
    assert.equal(await fanOutStep(store, event), true)
    assert.deepEqual(await debtsOf(store, { subscription: a!.number }), [['pending', first, a!.number], ['pending', event, a!.number]])
  })),

  ...Object.entries(ways).map(([way, turn]) => alone(`one that is put back is owed what has passed it by meanwhile, when the other is ${way}`, async ({ open }) => {
    const { store } = await open()
    const [a] = await save(store, 'a')
    const [between] = await subscribe(store, { url: 'x' })
    // Something owed to the newest, to be refused.
    const [b] = await save(store, 'b')
    const first = await publishOne(store)
    await store.fanOut(step(first, { owed: [b!] }))
    const event = await publishOne(store)
    await fanOutStep(store, event, { limit: 1 })
    assert.deepEqual(await debtsOf(store), [['pending', first, b!.number], ['pending', event, between!.number]])
    await turn(store, b!)
    for (let steps = 0; (await findAllOf(store, event)).length > 0 && steps < 9; steps++) await fanOutStep(store, event, { limit: 1 })
    const owed = await debtsOf(store, { subscription: a!.number })
    assert.deepEqual(owed.filter(([, number]) => number === event), [['pending', event, a!.number]])
    assert.equal((await debtsOf(store, { subscription: between!.number })).length, 1)
  })),

  alone('dead letters move too, so that they can be sent when the workflow was mended', async ({ open }) => {
    const { store } = await open()
    await save(store, 'a')
    const event = await publishAndOwe(store)
    await answer(store, await claimDelivery(store), 'refused')
    const [b] = await save(store, 'b')
    assert.deepEqual(await debtsOf(store), [['dead', event, b!.number]])
    assert.equal(await store.redeliver({ subscription: b!.number, limit: plenty }, start), 1)
    assert.deepEqual((await claimDelivery(store)).sealedUrl, urlBytes('b'))
  })
]
