import assert from 'node:assert/strict'
import type { ClaimedDelivery, DeliveryRecord, Store } from '../../work/store.ts'
import { alone, canceled, hourMs, leaseMs, plenty, start, together } from './bench.ts'
import {
  answer, claimDeliveries, claimDelivery, debtsOf, newSubscription, only, publishAndOwe, publishOne, save, settlementOf, step, subscribe, workflow, type Answer
} from './webhook-bench.ts'

const answers = ['delivered', 'again', 'suspended', 'retired', 'refused', 'exhausted'] as const satisfies Answer[]
const later = { status: 'pending', dueAt: start + hourMs } as const

async function listOne (store: Store, number: number): Promise<Pick<DeliveryRecord, 'status' | 'subscription' | 'attempts' | 'dueAt'> | undefined> {
  const delivery = (await store.listDeliveries({ limit: plenty })).find((one) => one.number === number)
  if (delivery === undefined) return undefined
  const { status, subscription, attempts, dueAt } = delivery
  return { status, subscription, attempts, dueAt }
}

/** One that failed once and waits for its next attempt. */
async function oweAndFail (store: Store, dueAt = start + hourMs): Promise<ClaimedDelivery> {
  await publishAndOwe(store)
  const delivery = await claimDelivery(store)
  await answer(store, delivery, 'again', { to: { status: 'pending', dueAt } })
  return delivery
}

export const outcomeCases = [
  ...answers.map((how) => alone(`a settlement ("${how}") of a callback that stays with its subscription is kept`, async ({ open }) => {
    const { store } = await open()
    const [subscription] = await subscribe(store, { url: 'a' })
    await publishAndOwe(store)
    const delivery = await claimDelivery(store)
    assert.equal(await answer(store, delivery, how), 'kept')
    const status = how === 'delivered' ? 'delivered' : how === 'again' ? 'pending' : 'dead'
    assert.deepEqual(await listOne(store, delivery.number), { status, subscription: subscription!.number, attempts: 1, dueAt: how === 'again' ? start + 5000 : null })
  })),

  ...answers.map((how) => alone(`a settlement ("${how}") of an unproved URL's callback: a yes is kept, a no moves it to the one before`, async ({ open, clock }) => {
    const { store } = await open()
    const [a, b] = await save(store, 'a', 'b')
    await publishAndOwe(store)
    const delivery = await claimDelivery(store)
    await clock.advance(7)
    const stays = how === 'delivered' || how === 'again'
    assert.equal(await answer(store, delivery, how), stays ? 'kept' : 'moved')
    assert.deepEqual(await listOne(store, delivery.number), how === 'delivered'
      ? { status: 'delivered', subscription: b!.number, attempts: 1, dueAt: null }
      : how === 'again'
        ? { status: 'pending', subscription: b!.number, attempts: 1, dueAt: start + 5000 }
        : { status: 'pending', subscription: a!.number, attempts: 0, dueAt: start + 7 })
    assert.equal((await store.getAttempts(delivery.number))?.length, 1, 'the attempt is kept wherever it is owed')
  })),

  ...answers.map((how) => alone(`a settlement ("${how}") that comes after a save: a yes is kept, anything else moves the callback to the new URL`, async ({ open, clock }) => {
    const { store } = await open()
    await save(store, 'a')
    await oweAndFail(store, start)
    const delivery = await claimDelivery(store)
    assert.equal(delivery.attempts, 1)
    const [b] = await save(store, 'b')
    assert.deepEqual(await listOne(store, delivery.number), { status: 'pending', subscription: b!.number, attempts: 1, dueAt: null })
    await clock.advance(7)
    assert.equal(await answer(store, delivery, how), how === 'delivered' ? 'kept' : 'moved')
    assert.deepEqual(await listOne(store, delivery.number), how === 'delivered'
      ? { status: 'delivered', subscription: b!.number, attempts: 2, dueAt: null }
      : { status: 'pending', subscription: b!.number, attempts: 0, dueAt: start + 7 })
    assert.equal((await store.getAttempts(delivery.number))?.length, 2)
  })),

  alone('one that is given back without an attempt moves too, when another URL has it by then', async ({ open, clock }) => {
    const { store } = await open()
    await save(store, 'a')
    await publishAndOwe(store)
    const delivery = await claimDelivery(store)
    const [b] = await save(store, 'b')
    await clock.advance(7)
    assert.equal(await answer(store, delivery, 'again', { attempt: undefined, subscription: 'unchanged', to: later }), 'moved')
    assert.deepEqual(await listOne(store, delivery.number), { status: 'pending', subscription: b!.number, attempts: 0, dueAt: start + 7 })
    assert.deepEqual(await store.getAttempts(delivery.number), [])
  }),

  alone('one that moved away and back again has not moved', async ({ open }) => {
    const { store } = await open()
    const [a] = await save(store, 'a')
    await publishAndOwe(store)
    const delivery = await claimDelivery(store)
    const [b] = await save(store, 'b')
    await store.unsubscribe(b!.number, canceled())
    assert.equal(await answer(store, delivery, 'again'), 'kept')
    assert.deepEqual(await listOne(store, delivery.number), { status: 'pending', subscription: a!.number, attempts: 1, dueAt: start + 5000 })
  }),

  ...(['suspended', 'retired'] as const).map((fate) => alone(`a settlement whose subscription was ${fate} meanwhile is kept, and the callback is a dead letter`, async ({ open }) => {
    const { store } = await open()
    await subscribe(store, { url: 'a' })
    await publishAndOwe(store)
    await publishAndOwe(store)
    const [first, second] = await claimDeliveries(store)
    await answer(store, first!, fate)
    assert.equal(await answer(store, second!, 'again'), 'kept')
    assert.deepEqual([(await listOne(store, second!.number))?.status, (await store.getAttempts(second!.number))?.length], ['dead', 1])
  })),

  alone('one that is owed to a URL that was refused by then is a dead letter, and has not moved', async ({ open }) => {
    const { store } = await open()
    const [a] = await save(store, 'a')
    await publishAndOwe(store)
    const flying = await claimDelivery(store)
    await save(store, 'b')
    await store.unsubscribe(a!.number, canceled())
    await publishAndOwe(store)
    await answer(store, await claimDelivery(store), 'suspended')
    assert.equal(await answer(store, flying, 'again'), 'kept')
    assert.deepEqual((await debtsOf(store)).map(([status]) => status), ['dead', 'dead'])
  }),

  alone('an event that the one before has been sent already does not move to it', async ({ open }) => {
    const { store } = await open()
    const [real, forged] = await save(store, 'real', 'forged')
    const event = await publishOne(store)
    // Whose filter failed keeps a dead letter, which may be sent all the same.
    await store.fanOut(step(event, { owed: [real!], failed: [{ subscription: forged!.number, reason: 'odd' }] }))
    await answer(store, await claimDelivery(store), 'delivered')
    assert.equal(await store.redeliver({ subscription: forged!.number, limit: 1 }, start), 1)
    assert.equal(await answer(store, await claimDelivery(store), 'refused'), 'kept')
    assert.deepEqual(await debtsOf(store), [['delivered', event, real!.number], ['dead', event, forged!.number]])
  }),

  together('a settlement is lost with its lease, and with its delivery', async ({ open, clock }) => {
    const { store } = await open()
    const other = await open()
    const [a, b] = await save(store, 'a', 'b')
    const [x] = await subscribe(store, { url: 'x' })
    await publishAndOwe(store, {}, only('a'))
    await publishAndOwe(store, {}, only('x'))
    await publishAndOwe(store, {}, only('b'))
    const [ofA, ofX, ofB] = await claimDeliveries(store)
    assert.deepEqual([ofA, ofX, ofB].map((delivery) => delivery!.subscription), [a, x, b].map((one) => one!.number))
    assert.equal(await answer(other.store, ofB!, 'delivered'), 'lost', 'another worker\'s')
    assert.equal(await answer(store, { ...ofB!, claim: ofB!.claim + 1 }, 'delivered'), 'lost', 'another claim')
    assert.equal(await answer(store, { ...ofB!, number: 999 }, 'delivered'), 'lost', 'unknown')
    await store.unsubscribe(x!.number, canceled())
    assert.equal(await answer(store, ofX!, 'delivered'), 'lost', 'unsubscribed')
    assert.equal(await answer(store, ofB!, 'delivered'), 'kept')
    assert.equal(await answer(store, ofA!, 'delivered'), 'lost', 'dropped with its subscription')
    assert.equal(await answer(store, ofB!, 'refused'), 'lost', 'settled before')
    await publishAndOwe(store)
    const late = await claimDelivery(store)
    await other.store.recover()
    await clock.advance(leaseMs)
    await other.store.recover()
    assert.equal(await answer(store, late, 'delivered'), 'lost', 'taken from a silent worker')
    assert.equal((await listOne(store, late.number))?.attempts, 0)
  }),

  alone('what became of several settlements is told in their order', async ({ open }) => {
    const { store } = await open()
    await save(store, 'a', 'b')
    await subscribe(store, { url: 'x' })
    await publishAndOwe(store)
    const [ofB, ofX] = await claimDeliveries(store)
    assert.deepEqual(await store.settleDeliveries([settlementOf({ ...ofX!, claim: 9 }, 'delivered'), settlementOf(ofB!, 'retired'), settlementOf(ofX!, 'delivered')]), ['lost', 'moved', 'kept'])
  }),

  alone('a yes says more than a failure before it in the same call, whatever is settled between them', async ({ open }) => {
    const { store } = await open()
    const [a, b] = await subscribe(store, { url: 'a' }, { url: 'b' })
    await publishAndOwe(store)
    await publishAndOwe(store)
    const [first, ofB, second] = await claimDeliveries(store)
    assert.deepEqual([first, ofB, second].map((delivery) => delivery!.subscription), [a, b, a].map((one) => one!.number))
    assert.deepEqual(await store.settleDeliveries([settlementOf(first!, 'again'), settlementOf(ofB!, 'retired'), settlementOf(second!, 'delivered')]), ['kept', 'kept', 'kept'])
    assert.equal((await store.getSubscription(a!.number))?.failingSince, null)
  }),

  alone('what waits for its next attempt is due at once for a URL that supersedes, its attempts counted anew', async ({ open }) => {
    const { store } = await open()
    await save(store, 'a')
    const { number } = await oweAndFail(store)
    const { subscription: b } = await store.subscribe(newSubscription({ url: 'b', workflow, createdAt: start + 9 }))
    assert.deepEqual(await listOne(store, number), { status: 'pending', subscription: b.number, attempts: 0, dueAt: start + 9 })
    assert.equal((await store.getAttempts(number))?.length, 1)
  }),

  alone('what is due already stays so when it is taken over, and dead letters stay dead', async ({ open }) => {
    const { store } = await open()
    await save(store, 'a')
    await publishAndOwe(store)
    const dead = await claimDelivery(store)
    await answer(store, dead, 'refused')
    const { number } = await oweAndFail(store, start + 5)
    const { subscription: b } = await store.subscribe(newSubscription({ url: 'b', workflow, createdAt: start + 9 }))
    assert.deepEqual(await listOne(store, number), { status: 'pending', subscription: b.number, attempts: 0, dueAt: start + 5 })
    assert.deepEqual(await listOne(store, dead.number), { status: 'dead', subscription: b.number, attempts: 1, dueAt: null })
  }),

  ...(['suspended', 'retired', 'refused', 'exhausted', 'unsubscribed'] as const).map((way) =>
    alone(`what waits for its next attempt is due at once for the one before, when the newer one is ${way}`, async ({ open, clock }) => {
      const { store } = await open()
      const [a, b] = await save(store, 'a', 'b')
      const { number } = await oweAndFail(store)
      await publishAndOwe(store)
      await clock.advance(7)
      if (way === 'unsubscribed') await store.unsubscribe(b!.number, { ...canceled(), endedAt: start + 7 })
      else assert.equal(await answer(store, await claimDelivery(store), way), 'moved')
      assert.deepEqual(await listOne(store, number), { status: 'pending', subscription: a!.number, attempts: 0, dueAt: start + 7 })
    }))
]
