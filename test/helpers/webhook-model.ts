import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { ManualClock } from '../../src/testing/index.ts'
import { canceled, hourMs, start } from '../../src/testing/store-contract/bench.ts'
import { newSubscription, operation, settlementOf, topic, type Answer } from '../../src/testing/store-contract/webhook-bench.ts'
import type { ClaimedDelivery, FanOutStep, Store, SubscriptionRecord } from '../../src/work/store.ts'

/** URLs by the receiver that they lead to: the versions of one workflow, and two that have no versions. */
const receivers: Record<string, string[]> = { w: ['w1', 'w2', 'w3', 'w4'], x: ['x'], y: ['y'] }
const urls = Object.values(receivers).flat()
const receiverOf = new Map(Object.entries(receivers).flatMap(([receiver, all]) => all.map((url): [string, string] => [`digest of ${url}`, receiver])))

const who = fc.nat(1)
const which = fc.nat(9)
export const command = fc.oneof(
  { weight: 5, arbitrary: fc.record({ name: fc.constant('subscribe' as const), who, url: fc.constantFrom(...urls) }) },
  { weight: 4, arbitrary: fc.record({ name: fc.constant('publish' as const), who, count: fc.integer({ min: 1, max: 2 }) }) },
  { weight: 7, arbitrary: fc.record({ name: fc.constant('look' as const), who, which, size: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 7, arbitrary: fc.record({ name: fc.constant('owe' as const), who, which }) },
  { weight: 6, arbitrary: fc.record({ name: fc.constant('claim' as const), who, limit: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 7, arbitrary: fc.record({ name: fc.constant('answer' as const), which, answer: fc.constantFrom<Answer[]>('delivered', 'delivered', 'again', 'suspended', 'retired', 'refused', 'exhausted') }) },
  { weight: 1, arbitrary: fc.record({ name: fc.constant('unsubscribe' as const), who, url: fc.constantFrom(...urls) }) },
  { weight: 1, arbitrary: fc.record({ name: fc.constant('resume' as const), who, url: fc.constantFrom('x', 'y') }) },
  { weight: 1, arbitrary: fc.record({ name: fc.constant('freeze' as const), who }) }
)
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never

export interface Deployment { stores: Store[], clocks: ManualClock[], leaseMs: number }

/**
 * Does all commands with two workers, then lets everything be delivered, and checks that every event that was owed to a
 * receiver when it was published has reached it, or is a dead letter, or was dropped by an unsubscribe or a suspension.
 */
export async function runCommands ({ stores, clocks, leaseMs }: Deployment, commands: Command[]): Promise<void> {
  const [store] = stores as [Store, ...Store[]]
  /** Which events each receiver must account for. */
  const owed = new Map<string, Set<number>>(Object.keys(receivers).map((receiver) => [receiver, new Set()]))
  /** Those whose answers were not always yes, or not yet. */
  const unreachable = new Set<string>()
  const held: { who: number, delivery: ClaimedDelivery }[] = []
  const looked: FanOutStep[] = []
  const delivered = new Set<number>()
  const names = new Map<number, string>()

  const listAll = async (): Promise<SubscriptionRecord[]> => {
    const all = await store.listSubscriptions({ limit: 1000 })
    for (const { number, urlDigest } of all) names.set(number, receiverOf.get(urlDigest)!)
    return all
  }
  const hasActive = (all: SubscriptionRecord[], receiver: string): boolean => all.some(({ urlDigest, status }) => status === 'active' && receiverOf.get(urlDigest) === receiver)

  async function look (who: number, which: number, size: number): Promise<FanOutStep | undefined> {
    const debts = await stores[who]!.findFanOuts([topic], 10)
    const debt = debts[which % Math.max(debts.length, 1)]
    if (debt === undefined) return undefined
    const found = await stores[who]!.findSubscribers(debt, size)
    return {
      event: debt.event,
      from: debt.cursor,
      round: debt.round,
      to: found.length < size ? null : found.at(-1)!.number,
      owed: found.filter(({ status }) => status === 'active').map(({ number }) => ({ subscription: number, operation, dueAt: start })),
      skipped: found.filter(({ status }) => status === 'suspended').map(({ number }) => number),
      failed: [],
      now: start
    }
  }

  async function answer ({ who, delivery }: typeof held[number], how: Answer): Promise<void> {
    const settlement = settlementOf(delivery, how, how === 'again' ? { to: { status: 'pending', dueAt: start } } : {})
    const [kept] = await stores[who]!.settleDeliveries([settlement])
    if (kept !== true) return
    if (how === 'delivered') {
      assert.ok(!delivered.has(delivery.number), 'a delivery is recorded once')
      delivered.add(delivery.number)
    } else if (how !== 'again') unreachable.add(names.get(delivery.subscription)!)
  }

  const claim = async (who: number, limit: number): Promise<number> => {
    const { deliveries } = await stores[who]!.claimDeliveries({ operations: [operation], exceptHosts: [], limit, now: start + 1000 * hourMs })
    for (const delivery of deliveries) assert.ok(!delivered.has(delivery.number), 'what was delivered is not sent again')
    held.push(...deliveries.map((delivery) => ({ who, delivery })))
    return deliveries.length
  }

  async function perform (command: Command): Promise<void> {
    if (command.name === 'look') {
      const step = await look(command.who, command.which, command.size)
      if (step !== undefined) looked.push(step)
    } else if (command.name === 'owe') {
      const [step] = looked.splice(command.which % Math.max(looked.length, 1), 1)
      if (step !== undefined) await stores[command.who]!.fanOut(step)
    } else if (command.name === 'claim') await claim(command.who, command.limit)
    else if (command.name === 'answer') {
      const [one] = held.splice(command.which % Math.max(held.length, 1), 1)
      if (one !== undefined) await answer(one, command.answer)
    } else if (command.name === 'publish') {
      const all = await listAll()
      const events = await stores[command.who]!.publish(Array.from({ length: command.count }, () => ({ topic, body: '{}', createdAt: start, expiresAt: start })))
      for (const [receiver, set] of owed) if (hasActive(all, receiver)) for (const event of events) set.add(event)
    } else if (command.name === 'freeze') await freeze(command.who)
    else {
      const digest = `digest of ${command.url}`
      const receiver = receiverOf.get(digest)!
      if (command.name === 'subscribe') {
        await stores[command.who]!.subscribe(newSubscription({ url: command.url, ...(receiver === 'w' ? { workflow: 'w' } : {}) }))
        return
      }
      const [subscription] = await store.listSubscriptions({ urlDigest: digest, limit: 1 })
      if (subscription === undefined) return
      if (command.name === 'resume') await stores[command.who]!.resume(subscription.number)
      else {
        await stores[command.who]!.unsubscribe(subscription.number, canceled())
        // Nobody is left who could be owed anything.
        if (!hasActive(await listAll(), receiver)) owed.get(receiver)!.clear()
        unreachable.add(receiver)
      }
    }
  }

  /** The other sees that `who` does not move for the time of a lease. */
  async function freeze (who: number): Promise<void> {
    const other = 1 - who
    await stores[other]!.recover()
    await clocks[other]!.advance(leaseMs)
    await stores[other]!.recover()
  }

  async function assertSound (): Promise<void> {
    const all = await listAll()
    const debts = await store.findFanOuts([topic], 1000)
    for (const [receiver, set] of owed) {
      const own = all.filter(({ urlDigest }) => receiverOf.get(urlDigest) === receiver)
      const active = own.filter(({ status }) => status === 'active').length
      assert.ok(active <= 1, `${receiver} has one place`)
      if (own.some(({ status }) => status === 'superseded')) assert.equal(active, 1, `of ${receiver} nobody is superseded by none`)
      // Suspended or gone: an event that is not fanned out yet passes it by.
      if (active === 0) for (const { event } of debts) set.delete(event)
    }
    const statuses = new Map(all.map(({ number, status }) => [number, status]))
    for (const { number, status, dueAt, subscription } of await store.listDeliveries({ limit: 1000 })) {
      if (status === 'pending' && dueAt !== null) assert.equal(statuses.get(subscription), 'active', `delivery ${number} is owed to somebody who can be sent to`)
      assert.equal(status === 'delivered', delivered.has(number), `delivery ${number}`)
    }
  }

  async function deliverAll (): Promise<void> {
    for (;;) {
      const step = await look(0, 0, 2)
      if (step === undefined) break
      assert.equal(await store.fanOut(step), true)
      await assertSound()
    }
    for (;;) {
      for (const one of held.splice(0)) await answer(one, 'delivered')
      // What a frozen worker lost was given back; what nobody holds is due.
      if (await claim(0, 100) + await claim(1, 100) === 0) break
    }
  }

  for (const command of commands) {
    await perform(command)
    await assertSound()
  }
  await deliverAll()
  await assertSound()
  const deliveries = await store.listDeliveries({ limit: 1000 })
  assert.deepEqual(deliveries.filter(({ status }) => status === 'pending'), [], 'nothing is left to do')
  for (const [receiver, events] of owed) {
    for (const event of events) {
      const own = deliveries.filter((delivery) => delivery.event === event && names.get(delivery.subscription) === receiver)
      assert.ok(own.length > 0, `event ${event} is accounted for with ${receiver}`)
      if (!unreachable.has(receiver)) assert.ok(own.some(({ status }) => status === 'delivered'), `event ${event} has reached ${receiver}`)
      if (receiver !== 'w') assert.equal(new Set(own.map(({ subscription }) => subscription)).size, own.length)
    }
  }
}
