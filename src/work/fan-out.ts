import type { Clock } from './clock.ts'
import type { Logger } from './log.ts'
import { errorOf, logThrown } from './log-thrown.ts'
import { createLoops } from './loops.ts'
import type { FanOut, FanOutStep, Store, SubscriptionRecord } from './store.ts'

const pollMs = 5_000
/** Subscriptions looked at in one commit: the event loop is held for a few milliseconds. */
const stepSize = 500
/** Many, since those that are left to strangers stand before the rest. */
const debtsAtOnce = 1000
/** How long an event waits for a process that knows all triggers of its topic: a rolling deploy is over by then. */
const strangerMs = 3_600_000

/** A webhook trigger, as far as its topic's events are concerned. */
export interface EventSubscriber {
  operationId: string
  topic: string
  /** Whether a subscription wants an event. May throw. */
  matches: (event: unknown, subscription: SubscriptionRecord) => boolean
}

export interface FanOutRunnerParts {
  store: Store
  clock: Clock
  log: Logger
  subscribers: ReadonlyMap<string, EventSubscriber>
  /** How long after a subscription nothing is sent to it, so that its caller has read our answer. */
  callbackDelayMs: number
  /** Callbacks became due. */
  onOwed: () => void
}

export interface FanOutRunner {
  start (): void
  wake (): void
  stop (): Promise<void>
}

/** Turns events into callbacks, in steps: a publish owes one debt, however many subscribe. */
export function createFanOutRunner ({ store, clock, log, subscribers, callbackDelayMs, onOwed }: FanOutRunnerParts): FanOutRunner {
  const loops = createLoops(clock, log)
  const stopping = new AbortController()
  let accepting = false
  let again = false
  let running: Promise<void> | undefined

  function wake (): void {
    if (!accepting) return
    again = true
    running ??= run()
      .catch((error: unknown) => { log.warn({ err: error }, `cannot fan out events, trying again within ${pollMs} ms`) })
      .finally(() => {
        running = undefined
        if (again) wake()
      })
  }

  async function run (): Promise<void> {
    while (again && !stopping.signal.aborted) {
      again = false
      const topics = [...new Set([...subscribers.values()].map(({ topic }) => topic))]
      const debts = await store.findFanOuts(topics, debtsAtOnce)
      for (const debt of debts) if (await pay(debt)) again = true
    }
  }

  /** Resolves to whether anything was done. */
  async function pay (debt: FanOut): Promise<boolean> {
    const event: unknown = JSON.parse(debt.body)
    for (let cursor = debt.cursor; !stopping.signal.aborted;) {
      const subscriptions = await store.findSubscribers({ ...debt, cursor }, stepSize)
      const to = subscriptions.length < stepSize ? null : subscriptions.at(-1)!.number
      const stranger = subscriptions.find(({ operation }) => !subscribers.has(operation))
      if (stranger !== undefined && clock.now() - debt.createdAt < strangerMs) {
        log.warn({ operationId: stranger.operation, topic: debt.topic }, 'an event is left to a process that declares this trigger, for an hour; then its callbacks are kept as dead letters')
        return cursor !== debt.cursor
      }
      // Another process was faster: it goes on from there.
      if (!await store.fanOut(sort(debt, event, subscriptions, cursor, to))) return true
      onOwed()
      // After the last step too: many events for few hold the event loop no less than one event for many.
      await new Promise((resolve) => { setImmediate(resolve) })
      if (to === null) return true
      cursor = to
    }
    return false
  }

  function sort (debt: FanOut, event: unknown, subscriptions: SubscriptionRecord[], from: number, to: number | null): FanOutStep {
    const now = clock.now()
    const step: FanOutStep = { event: debt.event, from, round: debt.round, to, owed: [], skipped: [], failed: [], now }
    for (const subscription of subscriptions) {
      const { number, operation, status, createdAt } = subscription
      try {
        const subscriber = subscribers.get(operation)
        if (subscriber === undefined) throw new Error(`the operation "${operation}" is not declared in this process, so its filter is unknown`)
        const wanted: unknown = subscriber.matches(event, subscription)
        if (wanted instanceof Promise) throw new TypeError(refuseAsync(wanted))
        if (!wanted) continue
        if (status === 'active') step.owed.push({ subscription: number, operation, dueAt: Math.max(now, createdAt + callbackDelayMs) })
        else step.skipped.push(number)
      } catch (thrown) {
        const error = errorOf(thrown)
        logThrown(log, 'error', error, 'a filter failed: the callback is kept as a dead letter', { operationId: operation, topic: debt.topic })
        step.failed.push({ subscription: number, operation, reason: `the filter failed: ${describe(error)}` })
      }
    }
    return step
  }

  return {
    wake,
    start () {
      accepting = true
      loops.every('fan-out', pollMs, async () => { wake() })
    },
    async stop () {
      accepting = false
      stopping.abort()
      loops.stop('fan-out')
      await running
    }
  }
}

/** A promise is always true, and nobody would hear of its failure: neither may pass for an answer. */
function refuseAsync (answer: Promise<unknown>): string {
  answer.catch(() => {})
  return 'matches must answer at once: it gave a promise'
}

/** Short enough to be kept with every callback that it costs. */
function describe (error: Error): string {
  try {
    return String(error).slice(0, 1000)
  } catch {
    return 'with an error that cannot be shown'
  }
}
