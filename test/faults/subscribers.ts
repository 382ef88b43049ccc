import { setTimeout as delay } from 'node:timers/promises'
import type { Receipt, Receiver } from './receiver.ts'

/** The clients of the callbacks campaign: what they asked for, when, and what they are therefore owed. */
export interface Subscribers {
  readonly counts: { published: number, publishedUnanswered: number, subscribed: number, unsubscribed: number, actions: number, owed: number, received: number }
  /** Callbacks that must still arrive. */
  readonly owed: ReadonlySet<string>
  /** Told of each accepted event, and of each accepted action with the time it takes. */
  onAccepted: (what: 'event' | 'action', ms: number) => void
  /** So many subscribers, spread evenly over a crowd that nothing is ever published for: it makes fan-outs long. */
  subscribeFirst (count: number, crowd: number): Promise<void>
  /** Until `stop`. */
  work (): Promise<void>
  stop (): void
  received (receipt: Receipt): void
  /** At the end: what came that should not have. */
  check (): void
  /** Callbacks that arrived after their unsubscribe was answered. */
  lateCount (limitMs: number): number
}

export interface SubscribersParts {
  origin: string
  receiver: Receiver
  random: () => number
  /** Ends all calls; else a call is tried until it is answered. */
  signal: AbortSignal
  violation: (text: string) => void
}

/** Times are of performance.now(): when a call was first sent, and when it was answered. */
interface Call { sentAt: number, answeredAt: number }
interface Answer { status: number, location: string, text: string }
interface Subscribed extends Call { target: string, url: string, location: string, unsubscribe?: Call }
interface Subscription extends Subscribed { group: string }
interface Action extends Subscribed { value: string }
interface PublishedEvent extends Call { value: string, group: string }

const groups = ['a', 'b', 'c']
const maxSubscriptions = 40
/** Publishing pauses above: kills leave little time to send. */
const maxOwed = 300

export function createSubscribers ({ origin, receiver, random, signal, violation }: SubscribersParts): Subscribers {
  const counts = { published: 0, publishedUnanswered: 0, subscribed: 0, unsubscribed: 0, actions: 0, owed: 0, received: 0 }
  const subscriptions: Subscription[] = []
  const actions: Action[] = []
  const events: PublishedEvent[] = []
  const owed = new Set<string>()
  const taken = new Set<string>()
  const stopping = new AbortController()
  let names = 0

  const nameOf = (target: string, value: string): string => `${target} ${value}`
  const isLive = ({ unsubscribe }: Subscribed): boolean => unsubscribe === undefined

  function owe (name: string): void {
    counts.owed++
    if (!taken.has(name)) owed.add(name)
  }

  async function once (method: string, path: string, body?: object): Promise<Answer | 'unsent' | 'unanswered'> {
    signal.throwIfAborted()
    try {
      const response = await fetch(origin + path, {
        method,
        ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(15_000)
      })
      const text = await response.text()
      if (response.status < 500) return { status: response.status, location: response.headers.get('location') ?? '', text }
      return 'unanswered'
    } catch (error) {
      return ((error as Error).cause as { code?: string } | undefined)?.code === 'ECONNREFUSED' ? 'unsent' : 'unanswered'
    }
  }

  async function call (method: string, path: string, expected: number, body?: object): Promise<Call & { location: string }> {
    const sentAt = performance.now()
    for (;;) {
      const answer = await once(method, path, body)
      if (typeof answer === 'object') {
        if (answer.status !== expected) violation(`${method} ${path} was answered ${answer.status}: ${answer.text}`)
        return { sentAt, answeredAt: performance.now(), location: answer.location.replace('https://work.example', '') }
      }
      await delay(20 + random() * 60)
    }
  }

  async function subscribe (group: string): Promise<void> {
    const target = `/subscriptions/${names++}`
    const url = receiver.urlOf(target)
    const answer = await call('POST', '/hooks', 201, { callbackUrl: url, group })
    subscriptions.push({ target, url, group, ...answer })
    counts.subscribed++
    if (random() < 0.1) {
      const again = await call('POST', '/hooks', 201, { callbackUrl: url, group })
      if (again.location !== answer.location) violation(`${target} was subscribed twice`)
    }
  }

  async function unsubscribe (one: Subscribed): Promise<void> {
    // From here on a callback may be dropped, so none is owed.
    one.unsubscribe = { sentAt: performance.now(), answeredAt: Infinity }
    for (const name of [...owed].filter((name) => name.startsWith(`${one.target} `))) {
      owed.delete(name)
      counts.owed--
    }
    if (random() < 0.5) await call('DELETE', one.location, 200)
    else await call('POST', `${one.location.slice(0, one.location.lastIndexOf('/'))}/unsubscribe`, 200, { callbackUrl: one.url })
    one.unsubscribe.answeredAt = performance.now()
    counts.unsubscribed++
  }

  /** Not repeated: whether an event without an answer was kept is not known. */
  async function publish (): Promise<void> {
    const event: PublishedEvent = { value: `event ${names++}`, group: groups[Math.floor(random() * groups.length)]!, sentAt: performance.now(), answeredAt: Infinity }
    const answer = await once('POST', '/events', { value: event.value, group: event.group })
    if (answer === 'unsent') return
    events.push(event)
    if (answer === 'unanswered') {
      counts.publishedUnanswered++
      return
    }
    if (answer.status !== 201) violation(`a publish was answered ${answer.status}: ${answer.text}`)
    event.answeredAt = performance.now()
    counts.published++
    oweAll(event)
    subscribers.onAccepted('event', 0)
  }

  /** To those that had subscribed before the event was sent, and have not unsubscribed since. */
  function oweAll ({ value, group, sentAt }: PublishedEvent): void {
    for (const subscription of subscriptions) {
      if (subscription.group === group && subscription.answeredAt <= sentAt && isLive(subscription)) owe(nameOf(subscription.target, value))
    }
  }

  async function act (): Promise<void> {
    const value = `action ${names++}`
    const target = `/actions/${names}`
    const url = receiver.urlOf(target)
    const ms = random() * 200
    const body = { callbackUrl: url, value, ms }
    const action: Action = { target, url, value, ...await call('POST', '/calls', 201, body) }
    actions.push(action)
    counts.actions++
    owe(nameOf(target, value))
    subscribers.onAccepted('action', ms)
    if (random() < 0.2 && (await call('POST', '/calls', 201, body)).location !== action.location) violation(`${target} was started twice`)
    if (random() < 0.1) {
      await delay(random() * 300)
      await unsubscribe(action)
    }
  }

  async function loop (work: () => Promise<void>, pauseMs: number): Promise<void> {
    try {
      while (!stopping.signal.aborted) {
        await work()
        await delay(pauseMs * (0.5 + random()))
      }
    } catch (error) {
      if (!signal.aborted) violation(`a client failed: ${String(error)}`)
    }
  }

  const subscribers: Subscribers = {
    counts,
    owed,
    onAccepted: () => {},

    async subscribeFirst (count, crowd) {
      const all = Array.from({ length: count + crowd }, (_, index) => index % Math.ceil((count + crowd) / count) === 0)
      for (let done = 0; done < all.length; done += 50) {
        await Promise.all(all.slice(done, done + 50).map((wants) => wants
          ? subscribe(groups[Math.floor(random() * groups.length)]!)
          : call('POST', '/hooks', 201, { callbackUrl: receiver.urlOf(`/crowd/${names++}`), group: 'nobody' })))
      }
    },

    async work () {
      await Promise.all([
        ...Array.from({ length: 3 }, () => loop(async () => { if (owed.size < maxOwed) await publish() }, 60)),
        ...Array.from({ length: 3 }, () => loop(act, 60)),
        loop(async () => {
          const live = subscriptions.filter(isLive)
          if (live.length > maxSubscriptions || random() < 0.4) await unsubscribe(live[Math.floor(random() * live.length)]!)
          else await subscribe(groups[Math.floor(random() * groups.length)]!)
        }, 150)
      ])
    },

    stop () { stopping.abort() },

    received ({ target, value, answer }) {
      const name = nameOf(target, value)
      if (answer !== 'taken' || taken.has(name)) return
      taken.add(name)
      owed.delete(name)
      counts.received++
    },

    check () {
      const eventOf = new Map(events.map((event) => [event.value, event]))
      const subscriptionOf = new Map(subscriptions.map((subscription) => [subscription.target, subscription]))
      const actionOf = new Map(actions.map((action) => [action.target, action]))
      for (const { target, value, at } of receiver.receipts) {
        const [subscription, event, action] = [subscriptionOf.get(target), eventOf.get(value), actionOf.get(target)]
        if (action === undefined ? subscription === undefined || event === undefined || event.group !== subscription.group : action.value !== value) {
          violation(`${target} was sent ${value}, which nobody asked for`)
        } else if (subscription !== undefined && event!.answeredAt < subscription.sentAt) {
          violation(`${target} was sent ${value}, which had been published before it subscribed`)
        }
        const { unsubscribe } = action ?? subscription ?? {}
        if (unsubscribe !== undefined && at > unsubscribe.answeredAt + 1000) violation(`${target} was sent ${value} ${Math.round(at - unsubscribe.answeredAt)} ms after it had unsubscribed`)
      }
      // Kept or not: one or the other, for all.
      for (const event of events.filter(({ answeredAt }) => answeredAt === Infinity)) {
        const wanting = subscriptions.filter((subscription) => subscription.group === event.group && subscription.answeredAt <= event.sentAt && isLive(subscription))
        const got = wanting.filter(({ target }) => taken.has(nameOf(target, event.value)))
        if (got.length !== 0 && got.length !== wanting.length) violation(`${event.value}, whose publish was not answered, reached ${got.length} of ${wanting.length}`)
      }
    },

    lateCount (limitMs) {
      const all = new Map([...subscriptions, ...actions].map((one) => [one.target, one.unsubscribe]))
      return receiver.receipts.filter(({ target, at }) => {
        const afterMs = at - (all.get(target)?.answeredAt ?? Infinity)
        return afterMs > 0 && afterMs <= limitMs
      }).length
    }
  }
  return subscribers
}
