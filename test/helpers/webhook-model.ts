import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { ManualClock } from '../../src/testing/index.ts'
import { canceled, hourMs, start } from '../../src/testing/store-contract/bench.ts'
import { newSubscription, operation, settlementOf, topic, type Answer } from '../../src/testing/store-contract/webhook-bench.ts'
import type { ClaimedDelivery, FanOut, FanOutStep, Store, SubscriptionRecord } from '../../src/work/store.ts'

type Wants = (event: number) => boolean
interface Url {
  receiver: string
  /** Whether the receiver refuses whatever is sent to it, as it does with a false signature. */
  forged: boolean
  /** Its filter, which may throw. */
  wants: Wants
}

const all: Wants = () => true
const odd: Wants = (event) => event % 2 === 1
const none: Wants = () => false
const broken: Wants = () => { throw new Error('a filter that fails') }

const url = (receiver: string, wants: Wants, forged = false): Url => ({ receiver, forged, wants })
/** Versions of one workflow, true and forged ones, and two URLs that have no versions. */
const urls: Record<string, Url> = {
  w1: url('w', all), w2: url('w', all), w3: url('w', odd), f1: url('w', none, true), f2: url('w', all, true), f3: url('w', broken, true), x: url('x', all), y: url('y', odd)
}
const names = Object.keys(urls)
const receivers = ['w', 'x', 'y']
const nameOf = ({ urlHint }: Pick<SubscriptionRecord, 'urlHint'>): string => new URL(urlHint).hostname.split('.')[0]!
const urlOf = (subscription: Pick<SubscriptionRecord, 'urlHint'>): Url => urls[nameOf(subscription)]!

const who = fc.nat(1)
const which = fc.nat(9)
const answer = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Answer>('delivered') },
  { weight: 4, arbitrary: fc.constant<Answer>('again') },
  { weight: 3, arbitrary: fc.constantFrom<Answer[]>('suspended', 'retired', 'refused', 'exhausted') }
)
export const command = fc.oneof(
  { weight: 6, arbitrary: fc.record({ name: fc.constant('subscribe' as const), who, url: fc.constantFrom(...names) }) },
  { weight: 4, arbitrary: fc.record({ name: fc.constant('publish' as const), who, count: fc.integer({ min: 1, max: 2 }) }) },
  { weight: 7, arbitrary: fc.record({ name: fc.constant('look' as const), who, which, size: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 7, arbitrary: fc.record({ name: fc.constant('owe' as const), who, which }) },
  { weight: 6, arbitrary: fc.record({ name: fc.constant('claim' as const), who, limit: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 7, arbitrary: fc.record({ name: fc.constant('answer' as const), which, answer }) },
  { weight: 2, arbitrary: fc.record({ name: fc.constant('unsubscribe' as const), who, url: fc.constantFrom(...names) }) },
  { weight: 1, arbitrary: fc.record({ name: fc.constant('resume' as const), who, url: fc.constantFrom('x', 'y') }) },
  { weight: 1, arbitrary: fc.record({ name: fc.constant('freeze' as const), who }) }
)
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never

export interface Deployment { stores: Store[], clocks: ManualClock[], leaseMs: number }

/**
 * Does all commands with two workers, then lets everything be delivered, and checks that every event that was owed to a
 * receiver when it was published has reached it, or is a dead letter, or was dropped by an unsubscribe or a suspension.
 * Forged versions of `w` come and go, with filters of their own; they must make no difference to it.
 */
export async function runCommands ({ stores, clocks, leaseMs }: Deployment, commands: Command[]): Promise<void> {
  const [store] = stores as [Store, ...Store[]]
  /** Which events each receiver must account for. */
  const owed = new Map<string, Set<number>>(receivers.map((receiver) => [receiver, new Set()]))
  /** Which each has taken. */
  const reached = new Map<string, Set<number>>(receivers.map((receiver) => [receiver, new Set()]))
  /** Those that have refused something though the URL was true. */
  const unreachable = new Set<string>()
  const held: { who: number, delivery: ClaimedDelivery }[] = []
  const looked: FanOutStep[] = []
  const delivered = new Set<number>()
  /** Taken from a frozen worker: if its subscription ended meanwhile, only the next claim finds out. */
  const givenBack = new Set<number>()

  const listAll = (): Promise<SubscriptionRecord[]> => store.listSubscriptions({ limit: 1000 })
  const findDebts = (of = store): Promise<FanOut[]> => of.findFanOuts({ operations: [operation], strangersBefore: 0, limit: 1000 })
  /** The true ones of a receiver that an event may be owed to: at their place, or behind another that is unproved. */
  const waitingOf = (subscriptions: SubscriptionRecord[], receiver: string): SubscriptionRecord[] =>
    subscriptions.filter((one) => one.status !== 'suspended' && urlOf(one).receiver === receiver && !urlOf(one).forged)

  /** One step, as the core makes it. */
  async function look (who: number, which: number, size: number): Promise<FanOutStep | undefined> {
    const debts = await findDebts(stores[who])
    const debt = debts[which % Math.max(debts.length, 1)]
    if (debt === undefined) return undefined
    const found = await stores[who]!.findSubscribers(debt, size)
    const step: FanOutStep = {
      event: debt.event, operation, from: debt.cursor, round: debt.round, to: found.length < size ? null : found.at(-1)!.number, owed: [], skipped: [], failed: [], now: start
    }
    for (const subscriber of found) {
      for (const one of [subscriber, ...subscriber.behind]) {
        try {
          if (!urlOf(one).wants(debt.event)) continue
          if (one.status === 'suspended') step.skipped.push(one.number)
          else step.owed.push({ subscription: one.number, dueAt: start })
          break
        } catch (error) {
          step.failed.push({ subscription: one.number, reason: String(error) })
        }
      }
    }
    return step
  }

  async function answer ({ who, delivery }: typeof held[number], given: Answer): Promise<void> {
    const { receiver, forged } = urlOf(delivery)
    const how = forged && given === 'delivered' ? 'suspended' : given
    const settlement = settlementOf(delivery, how, how === 'again' ? { to: { status: 'pending', dueAt: start } } : {})
    // It has it, whether we may record that or not.
    if (how === 'delivered' && delivery.event !== null) reached.get(receiver)!.add(delivery.event)
    const [outcome] = await stores[who]!.settleDeliveries([settlement])
    if (outcome === 'lost') return
    if (how === 'delivered') {
      assert.equal(outcome, 'kept')
      assert.ok(!delivered.has(delivery.number), 'a delivery is recorded once')
      delivered.add(delivery.number)
    } else if (how !== 'again' && !forged) unreachable.add(receiver)
  }

  const claim = async (who: number, limit: number): Promise<number> => {
    const { deliveries } = await stores[who]!.claimDeliveries({ operations: [operation], exceptHosts: [], limit, now: start + 1000 * hourMs })
    for (const delivery of deliveries) assert.ok(!delivered.has(delivery.number), 'what was delivered is not sent again')
    held.push(...deliveries.map((delivery) => ({ who, delivery })))
    return deliveries.length
  }

  async function publish (who: number, count: number): Promise<void> {
    const subscriptions = await listAll()
    const events = await stores[who]!.publish(Array.from({ length: count }, () => ({ topic, body: '{}', createdAt: start, expiresAt: start })))
    const debts = new Set((await findDebts()).map(({ event }) => event))
    for (const event of events) assert.equal(debts.has(event), subscriptions.length > 0, 'there is a debt if somebody waits')
    for (const [receiver, set] of owed) {
      const waiting = waitingOf(subscriptions, receiver)
      // What one true version wants and another does not may or may not be sent, as the new one is proved late or soon.
      for (const event of events) if (waiting.length > 0 && waiting.every((one) => urlOf(one).wants(event))) set.add(event)
    }
  }

  async function subscribe (who: number, name: string): Promise<void> {
    const { receiver, forged, wants } = urls[name]!
    await stores[who]!.subscribe(newSubscription({ url: name, ...(receiver === 'w' ? { workflow: 'w' } : {}) }))
    // The workflow was saved: it does not want those any more.
    if (!forged) for (const event of owed.get(receiver)!) if (!wants(event)) owed.get(receiver)!.delete(event)
  }

  async function unsubscribe (who: number, { number, urlHint }: SubscriptionRecord): Promise<void> {
    await stores[who]!.unsubscribe(number, canceled())
    const { receiver } = urlOf({ urlHint })
    // Nobody is left who could be owed anything.
    if (waitingOf(await listAll(), receiver).length === 0) owed.get(receiver)!.clear()
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
    } else if (command.name === 'publish') await publish(command.who, command.count)
    else if (command.name === 'freeze') await freeze(command.who)
    else if (command.name === 'subscribe') await subscribe(command.who, command.url)
    else {
      const subscription = (await listAll()).find((one) => nameOf(one) === command.url)
      if (subscription === undefined) return
      if (command.name === 'unsubscribe') await unsubscribe(command.who, subscription)
      else await stores[command.who]!.resume(subscription.number)
    }
  }

  /** The other sees that `who` does not move for the time of a lease. */
  async function freeze (who: number): Promise<void> {
    const other = 1 - who
    for (const { who: holder, delivery } of held) if (holder === who) givenBack.add(delivery.number)
    await stores[other]!.recover()
    await clocks[other]!.advance(leaseMs)
    await stores[other]!.recover()
  }

  async function assertSound (): Promise<void> {
    const subscriptions = await listAll()
    const debts = await findDebts()
    for (const [receiver, set] of owed) {
      const own = subscriptions.filter((one) => urlOf(one).receiver === receiver)
      const active = own.filter(({ status }) => status === 'active').length
      assert.ok(active <= 1, `${receiver} has one place`)
      if (own.some(({ status }) => status === 'superseded')) assert.equal(active, 1, `of ${receiver} nobody is superseded by none`)
      // Suspended or gone: an event that is not fanned out yet passes it by.
      if (waitingOf(subscriptions, receiver).length === 0) for (const { event } of debts) set.delete(event)
    }
    const statuses = new Map(subscriptions.map(({ number, status }) => [number, status]))
    for (const { number, status, dueAt, subscription } of await store.listDeliveries({ limit: 1000 })) {
      const canBeSent = ['active', 'superseded'].includes(statuses.get(subscription)!)
      if (status === 'pending' && dueAt !== null) assert.ok(canBeSent || givenBack.has(number), `delivery ${number} is owed to somebody who can be sent to`)
      assert.equal(status === 'delivered', delivered.has(number), `delivery ${number}`)
    }
  }

  async function deliverAll (): Promise<void> {
    for (;;) {
      const step = await look(0, 0, 2)
      if (step === undefined) break
      assert.equal((await store.fanOut(step)).done, true)
      await assertSound()
    }
    for (;;) {
      for (const one of held.splice(0)) await answer(one, 'delivered')
      // What a frozen worker lost was given back; what nobody holds is due.
      if (await claim(0, 100) + await claim(1, 100) === 0) break
      await assertSound()
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
      const own = deliveries.filter((delivery) => delivery.event === event && urlOf(delivery).receiver === receiver)
      assert.ok(own.length > 0, `event ${event} is accounted for with ${receiver}`)
      if (!unreachable.has(receiver)) assert.ok(reached.get(receiver)!.has(event), `event ${event} has reached ${receiver}`)
      if (receiver !== 'w') assert.equal(new Set(own.map(({ subscription }) => subscription)).size, own.length)
    }
  }
}
