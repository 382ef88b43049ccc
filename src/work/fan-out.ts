import { createClaimLoop } from './claim-loop.ts'
import type { Clock } from './clock.ts'
import { verdictOf } from './event-filter.ts'
import type { Logger } from './log.ts'
import { errorOf, logThrown } from './log-thrown.ts'
import { createLoops } from './loops.ts'
import type { DeliveryRunner, KeptPlaces } from './delivery-runner.ts'
import type { ClaimedDelivery, FanOut, FanOutStep, SeenSubscription, Store, Subscriber, SubscriptionRecord } from './store.ts'

const pollMs = 5_000
/** Subscriptions looked at in one commit, at most: the event loop is held for a few milliseconds. */
const stepSize = 500
/** So many of a step begin with it to one host. The others are left to all replicas, and until it has answered. */
const maxOfHost = 128
/** Events read at once, with their bodies. */
const debtsAtOnce = 100
/** How long an event waits for a process that declares its trigger: a rolling deploy is over by then. */
const strangerMs = 3_600_000

/** A webhook trigger, as far as its topic's events are concerned. */
export interface EventSubscriber {
  operationId: string
  topic: string
  /** Whether a subscription wants an event. May throw. */
  matches: (event: unknown, subscription: Pick<SubscriptionRecord, 'input'>) => boolean
}

export interface FanOutRunnerParts {
  store: Store
  clock: Clock
  log: Logger
  subscribers: ReadonlyMap<string, EventSubscriber>
  /** How long after a subscription nothing is sent to it, so that its caller has read our answer. */
  callbackDelayMs: number
  /** Who sends what is owed. */
  deliveries: Pick<DeliveryRunner, 'keepPlaces' | 'wake'>
}

export interface FanOutRunner {
  start (): void
  wake (): void
  stop (): Promise<void>
}

/** Turns events into callbacks, in steps: a publish owes one debt, however many subscribe. */
export function createFanOutRunner ({ store, clock, log, subscribers, callbackDelayMs, deliveries }: FanOutRunnerParts): FanOutRunner {
  const loops = createLoops(clock, log)
  const stopping = new AbortController()
  const { wake, claim, stop: stopClaiming } = createClaimLoop(log, 'events to fan out', pollMs, payAll)
  let accepting = false

  async function payAll (): Promise<boolean> {
    if (!accepting) return false
    const debts = await store.findFanOuts({ operations: [...subscribers.keys()], strangersBefore: clock.now() - strangerMs, limit: debtsAtOnce })
    for (const debt of debts) await pay(debt)
    return debts.length > 0
  }

  async function pay (debt: FanOut): Promise<void> {
    const event: unknown = JSON.parse(debt.body)
    for (let cursor: number | null = debt.cursor; cursor !== null && !stopping.signal.aborted;) {
      const step: FanOutStep | undefined = await makeStep(debt, event, cursor)
      // Another process was faster: it goes on from there.
      if (step === undefined) return
      // After the last step too: many events for few hold the event loop no less than one event for many.
      await new Promise((resolve) => { setImmediate(resolve) })
      cursor = step.to
    }
  }

  /** Resolves to the step, if it was ours to make. */
  async function makeStep (debt: FanOut, event: unknown, cursor: number): Promise<FanOutStep | undefined> {
    // As many as begin with the commit that owes them, where they overtake nobody: they are not claimed later.
    const places = await deliveries.keepPlaces()
    let begun: ClaimedDelivery[] = []
    try {
      const limit = Math.min(places?.limit ?? stepSize, stepSize)
      const found = await store.findSubscribers({ ...debt, cursor }, limit)
      const step = stepOf(debt, event, found, cursor, found.length < limit ? null : found.at(-1)!.number, createChoice(places))
      const outcome = await store.fanOut(step)
      begun = outcome.begun
      // Another process was faster.
      if (!outcome.done) return undefined
      if (step.owed.length > begun.length) deliveries.wake()
      return step
    } catch (error) {
      // A step that was made all the same owes what is due by now.
      deliveries.wake()
      throw error
    } finally {
      places?.fill(begun)
    }
  }

  function stepOf (debt: FanOut, event: unknown, found: Subscriber[], from: number, to: number | null, hasPlace: HasPlace): FanOutStep {
    const { event: number, operation, round } = debt
    const step: FanOutStep = { event: number, operation, from, round, to, owed: [], skipped: [], failed: [], now: clock.now() }
    for (const subscriber of found) {
      // What an unproved URL does not want may be wanted by the one it took the place of. Otherwise a forged one, with a
      // filter that no event passes, would never be tried, so never refused, and displace the true one for ever.
      for (const subscription of [subscriber, ...subscriber.behind]) if (sort(debt, step, event, subscription, hasPlace)) break
    }
    return step
  }

  /** Says whether this subscription wants the event. */
  function sort ({ operation, topic }: FanOut, step: FanOutStep, event: unknown, subscription: SeenSubscription, hasPlace: HasPlace): boolean {
    const { number, status, host, urlHint, createdAt } = subscription
    try {
      const subscriber = subscribers.get(operation)
      if (subscriber === undefined) throw new Error(`the operation "${operation}" is not declared in this process, so its filter is unknown`)
      if (!verdictOf(subscriber.matches(event, subscription))) return false
      const dueAt = Math.max(step.now, createdAt + callbackDelayMs)
      if (status === 'suspended') step.skipped.push(number)
      else step.owed.push({ subscription: number, dueAt, begins: dueAt <= step.now && hasPlace(host) })
      return true
    } catch (thrown) {
      const error = errorOf(thrown)
      logThrown(log, 'error', error, 'a filter failed: the callback is kept as a dead letter', { operationId: operation, topic, url: urlHint })
      step.failed.push({ subscription: number, reason: `the filter failed: ${describe(error)}` })
      return false
    }
  }

  return {
    wake,
    start () {
      accepting = true
      loops.every('fan-out', pollMs, claim)
    },
    async stop () {
      accepting = false
      stopping.abort()
      loops.stop('fan-out')
      await stopClaiming()
    }
  }
}

/** Takes a place for a callback to this host, if there is one. */
type HasPlace = (host: string) => boolean

function createChoice ({ limit, exceptHosts }: Pick<KeptPlaces, 'limit' | 'exceptHosts'> = { limit: 0, exceptHosts: [] }): HasPlace {
  const closed = new Set(exceptHosts)
  const counts = new Map<string, number>()
  let left = limit
  return (host) => {
    const count = counts.get(host) ?? 0
    if (left <= 0 || count >= maxOfHost || closed.has(host)) return false
    left--
    counts.set(host, count + 1)
    return true
  }
}

/** Short enough to be kept with every callback that it costs. */
function describe (error: Error): string {
  try {
    return String(error).slice(0, 1000)
  } catch {
    return 'with an error that cannot be shown'
  }
}
