import t, { test } from 'tap'
import { canceled, claim, leaseOf, newJob, plenty, start, succeeded } from '../../src/testing/store-contract/bench.ts'
import {
  claimDeliveries, claimDelivery, findFanOuts, newEvent, newSubscription, operation, owing, settlementOf, step, topic, type Answer
} from '../../src/testing/store-contract/webhook-bench.ts'
import type { ClaimedDelivery } from '../../src/work/store.ts'
import { faults, strikeEverywhere, type Scenario } from '../helpers/disk-faults.ts'

// A life for every statement: a busy machine takes its time.
t.setTimeout(300_000)

/** What the receivers of the first round say: an unproved version is refused, one that only the version behind it got too. */
const firstAnswers = new Map<number, Answer>([[1, 'delivered'], [3, 'refused'], [5, 'delivered'], [6, 'suspended'], [7, 'again']])

/** A life of seven subscriptions, three of them versions of one workflow, and two events, with a job that calls back. */
const scenario: Scenario<ClaimedDelivery[]> = {
  createState: () => [],
  calls: [
    (store) => store.submit([newJob({ subscription: newSubscription({ url: 'run', operation: 'Bake', topic: null }) })], { maxQueued: plenty }),
    (store) => store.subscribe(newSubscription({ url: 'a', workflow: 'w' })),
    (store) => store.subscribe(newSubscription({ url: 'x' })),
    (store) => store.subscribe(newSubscription({ url: 'y' })),
    (store) => store.subscribe(newSubscription({ url: 'z', operation: 'OnCake' })),
    (store) => store.publish([newEvent({ expiresAt: start }), newEvent()]),
    (store) => findFanOuts(store, { strangersBefore: start + 1, limit: 3 }),
    (store) => store.fanOut(step(1, { to: 3, owed: [{ number: 2 }, { number: 3 }], failed: [{ subscription: 4, reason: 'odd' }] })),
    (store) => store.subscribe(newSubscription({ url: 'b', workflow: 'w' })),
    (store) => store.fanOut(step(1, { from: 3, round: 1, owed: [{ number: 6 }], skipped: [4] })),
    (store) => store.subscribe(newSubscription({ url: 'c', workflow: 'w' })),
    (store) => store.findSubscribers({ event: 2, topic, operation, body: '{}', cursor: 0, round: 2 }, plenty),
    // The newest version does not want the second event, the one behind it does.
    (store) => store.fanOut(step(2, { round: 2, owed: [{ number: 3 }, { number: 6 }] })),
    (store) => store.fanOut(step(1, { operation: 'OnCake', owed: [{ number: 5 }] })),
    (store) => store.fanOut(step(2, { operation: 'OnCake', failed: [{ subscription: 5, reason: 'odd' }] })),
    // Jobs and deliveries in one life.
    async (store) => { if ((await claim(store)).length !== 1) throw new Error('no job') },
    (store) => store.settle([{ lease: leaseOf({ number: 1, attempt: 1 }), to: { ...succeeded('"cake"', start + 100), ...owing('{}', start) } }]),
    async (store, claimed) => { claimed.push(...await claimDeliveries(store, { operations: [operation, 'OnCake', 'Bake'] })) },
    (store, claimed) => store.settleDeliveries(claimed.map((delivery) => settlementOf(delivery, firstAnswers.get(delivery.subscription)!))),
    (store) => store.listDeliveries({ limit: plenty }),
    (store) => store.getAttempts(1),
    (store) => store.listSubscriptions({ limit: plenty }),
    // It moved to the oldest version.
    async (store, claimed) => { claimed.push(await claimDelivery(store)) },
    (store, claimed) => store.settleDeliveries([settlementOf(claimed.at(-1)!, 'again')]),
    (store) => store.redeliver({ limit: plenty }, start),
    (store) => store.resume(6),
    async (store, claimed) => { claimed.push(...await claimDeliveries(store)) },
    (store, claimed) => store.settleDeliveries([settlementOf(claimed.at(-1)!, 'retired')]),
    // The newest one takes its callback: the oldest one is dropped with its own.
    async (store, claimed) => { claimed.push((await claimDeliveries(store, { now: start + 5000 })).find(({ subscription }) => subscription === 7)!) },
    (store, claimed) => store.settleDeliveries([settlementOf(claimed.at(-1)!, 'delivered')]),
    (store) => store.unsubscribe(4, canceled()),
    (store) => store.getSubscription(4),
    (store) => store.sweep(start + 10 * 86_400_000, plenty)
  ]
}

// That a rollback may have happened already is the connection's matter, and tried with jobs.
for (const fault of faults.filter(({ name }) => name !== 'a full disk without a rollback')) {
  test(`${fault.name} at any step of subscribing, publishing, fanning out and delivering: nothing is half done`, async (t) => {
    const { steps, end } = await strikeEverywhere(t, scenario, fault)
    t.ok(steps > 200, `${steps} steps were tried`)
    t.same(end.fan_outs, [], 'every debt was paid')
    t.same(end.jobs, [])
    t.same(end.subscriptions!.map((row) => (row as { number: number }).number), [5, 6, 7], 'the others were refused, dropped or forgotten')
    t.ok(end.deliveries!.length > 0 && end.subscriptions!.length > 0, 'something was left to compare')
  })
}
