import { test } from 'tap'
import { canceled, claim, leaseOf, newJob, plenty, start, succeeded } from '../../src/testing/store-contract/bench.ts'
import {
  claimDeliveries, newEvent, newSubscription, operation, owing, settlementOf, step, topic
} from '../../src/testing/store-contract/webhook-bench.ts'
import type { ClaimedDelivery } from '../../src/work/store.ts'
import { faults, strikeEverywhere, type Scenario } from '../helpers/disk-faults.ts'

/** A life of five subscriptions and three events, with a job that calls back. */
const scenario: Scenario<ClaimedDelivery[]> = {
  createState: () => [],
  calls: [
    (store) => store.submit([newJob({ subscription: newSubscription({ url: 'run', operation: 'Bake', topic: null }) })], { maxQueued: plenty }),
    (store) => store.subscribe(newSubscription({ url: 'a', workflow: 'w' })),
    (store) => store.subscribe(newSubscription({ url: 'x' })),
    (store) => store.subscribe(newSubscription({ url: 'y' })),
    (store) => store.publish([newEvent({ expiresAt: start }), newEvent()]),
    (store) => store.findFanOuts([topic], plenty),
    (store) => store.findSubscribers({ event: 1, topic, body: '{}', createdAt: start, cursor: 0, round: 0 }, plenty),
    (store) => store.fanOut(step(1, { to: 3, owed: [{ number: 2 }, { number: 3 }], failed: [{ subscription: 4, operation, reason: 'odd' }] })),
    (store) => store.subscribe(newSubscription({ url: 'b', workflow: 'w' })),
    (store) => store.fanOut(step(1, { from: 3, round: 1, owed: [{ number: 5 }], skipped: [4] })),
    (store) => store.fanOut(step(2, { round: 1, owed: [{ number: 3 }, { number: 5 }] })),
    // Jobs and deliveries in one life.
    async (store) => { if ((await claim(store)).length !== 1) throw new Error('no job') },
    (store) => store.settle([{ lease: leaseOf({ number: 1, attempt: 1 }), to: { ...succeeded('"cake"', start + 100), ...owing('{}', start) } }]),
    async (store, claimed) => { claimed.push(...await claimDeliveries(store, { operations: [operation, 'Bake'] })) },
    (store, claimed) => store.settleDeliveries(claimed.map((delivery) =>
      settlementOf(delivery, delivery.subscription === 5 ? 'suspended' : delivery.subscription === 1 ? 'delivered' : delivery.event === 1 ? 'refused' : 'again'))),
    (store) => store.listDeliveries({ limit: plenty }),
    (store) => store.getAttempts(1),
    (store) => store.listSubscriptions({ limit: plenty }),
    (store) => store.redeliver({ limit: plenty }, start),
    (store) => store.resume(5),
    async (store, claimed) => { claimed.push(...await claimDeliveries(store)) },
    (store, claimed) => store.settleDeliveries([settlementOf(claimed.at(-1)!, 'retired')]),
    (store) => store.unsubscribe(3, canceled()),
    (store) => store.getSubscription(3),
    (store) => store.sweep(start + 10 * 86_400_000, plenty)
  ]
}

// That a rollback may have happened already is the connection's matter, and tried with jobs.
for (const fault of faults.filter(({ name }) => name !== 'a full disk without a rollback')) {
  test(`${fault.name} at any step of subscribing, publishing, fanning out and delivering: nothing is half done`, async (t) => {
    const { steps, end } = await strikeEverywhere(t, scenario, fault)
    t.ok(steps > 120, `${steps} steps were tried`)
    t.same(end.fan_outs, [], 'every debt was paid')
    t.same(end.jobs, [])
    t.ok(end.deliveries!.length > 0 && end.subscriptions!.length > 0, 'something was left to compare')
  })
}
