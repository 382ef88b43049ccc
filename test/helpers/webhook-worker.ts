import type { Test } from 'tap'
import type { CallbackAnswer } from '../../src/callbacks/outcome.ts'
import type { CallbackRequest, CallbackSender } from '../../src/callbacks/sender.ts'
import { createSealer } from '../../src/protocol/seal.ts'
import { createIdCodec } from '../../src/protocol/token.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createManualClock, type ManualClock } from '../../src/testing/index.ts'
import type { CallbackPolicy } from '../../src/work/callback-policy.ts'
import { createDeliveryRunner, type DeliveryNews, type DeliveryRunner } from '../../src/work/delivery-runner.ts'
import { createFanOutRunner, type EventSubscriber, type FanOutRunner } from '../../src/work/fan-out.ts'
import { leaseMs } from '../../src/work/job-runner.ts'
import type { DeliveryRecord, NewSubscription, Store, SubscriptionRecord } from '../../src/work/store.ts'
import { createSubscriptionService, sealCallbackUrl, type SubscriptionService } from '../../src/work/subscriptions.ts'
import { createTopics, type Topic } from '../../src/work/topics.ts'
import type { LogLine } from './app.ts'
import { createFailingStore, type FailingStore } from './failing-store.ts'
import { createLog, passTime } from './runner.ts'

/** How a receiver answers: a status, more than that, or nothing until its latch opens. */
export type Reply = number | Partial<CallbackAnswer>
export type Receiver = (request: CallbackRequest, signal: AbortSignal) => Reply | Promise<Reply>

export interface Sent { at: number, url: string, host: string, id: string, body: string }

/** A sender whose receivers are functions; as the real one, it never rejects and gives up when told to. */
export interface FakeSender extends CallbackSender {
  sent: Sent[]
  receive: Receiver
  closed: boolean
}

export function createFakeSender (receive: Receiver = () => 200): FakeSender {
  const sender: FakeSender = {
    sent: [],
    receive,
    closed: false,
    async send (request, signal) {
      const { url, id, body, now } = request
      sender.sent.push({ at: now, url: url.text, host: url.hostname, id, body })
      const aborted = new Promise<Reply>((resolve) => {
        const giveUp = (): void => { resolve({ statusCode: null, text: 'no answer in time' }) }
        if (signal.aborted) giveUp()
        else signal.addEventListener('abort', giveUp)
      })
      const reply = await Promise.race([sender.receive(request, signal), aborted])
      const answer = typeof reply === 'number' ? { statusCode: reply } : reply
      return { statusCode: null, text: '', retryAfterMs: null, durationMs: 3, ...answer }
    },
    async prepare () {},
    async close () { sender.closed = true }
  }
  return sender
}

export type Filter = EventSubscriber['matches']

export interface WebhookWorkerOptions {
  /** Shared by several workers, it makes them processes of one deployment. @default a database in memory */
  file?: string
  store?: Store
  clock?: ManualClock
  sender?: FakeSender
  operations?: Record<string, Filter>
  schedule?: readonly number[]
  callbackDelayMs?: number
  secrets?: string[]
  /** What has become stricter since they subscribed. */
  policy?: Partial<CallbackPolicy>
  onNews?: (news: DeliveryNews) => void
  /** Which of the runners run. */
  runners?: { fanOut?: boolean, deliveries?: boolean }
}

/** What one process has for webhook triggers: a store, the core on it, a clock that stands still. No HTTP, no network. */
export interface WebhookWorker {
  store: Store
  clock: ManualClock
  sender: FakeSender
  orders: Topic
  subscriptions: SubscriptionService
  fanOut: FanOutRunner
  deliveries: DeliveryRunner
  news: DeliveryNews[]
  logs: LogLine[]
  subscribe (url: string, subscription?: Partial<NewSubscription>): Promise<SubscriptionRecord>
  /** All deliveries, oldest first. */
  list (): Promise<DeliveryRecord[]>
  close (drainMs?: number): Promise<void>
  /** Lets the store go as a killed process would. */
  crash (): Promise<void>
}

export const timeoutMs = 15_000

/** A worker that has started and looked for work; closed with the test. */
export async function createWebhookWorker (t: Test, options: WebhookWorkerOptions = {}): Promise<WebhookWorker> {
  const {
    clock = createManualClock(), sender = createFakeSender(), operations = { OnOrder: () => true }, schedule = [0, 5, 30], callbackDelayMs = 0,
    secrets = ['a secret of the test'], runners = {}
  } = options
  const { log, logs } = createLog()
  const news: DeliveryNews[] = []
  const store = options.store ?? sqliteStore({ file: options.file ?? ':memory:' })
  const { idKey } = await store.open({ clock, log, leaseMs, deliveryRetentionMs: 604_800_000, wake () { fanOut.wake(); deliveries.wake() } })
  const sealer = createSealer(secrets, 'callback URLs')
  const anywhere: CallbackPolicy = { allowedHosts: ['*'], allowHttp: true, guard: { isAllowed: () => true, isAllowedHost: () => true, lookup () {} } }
  const deliveryIds = createIdCodec(idKey, 'delivery')
  const subscriptionIds = createIdCodec(idKey, 'subscription')
  const deliveries = createDeliveryRunner({
    store,
    clock,
    log,
    sender,
    sealer,
    policy: { ...anywhere, ...options.policy },
    deliveryIds,
    subscriptionIds,
    operations: () => Object.keys(operations),
    schedule,
    timeoutMs,
    callbackDelayMs,
    onNews (item) {
      news.push(item)
      options.onNews?.(item)
    }
  })
  const subscribers = new Map(Object.entries(operations).map(([operationId, matches]) => [operationId, { operationId, topic: 'orders', matches }]))
  const fanOut = createFanOutRunner({ store, clock, log, subscribers, callbackDelayMs, deliveries })
  const topics = createTopics({ store, clock, eventIds: createIdCodec(idKey, 'event'), retentionMs: 7 * 86_400_000, onPublished: fanOut.wake })
  const subscriptions = createSubscriptionService({
    store,
    clock,
    subscriptionIds,
    deliveryIds,
    onJobEnded () {},
    onOwed: deliveries.wake,
    callbackDelayMs: 0,
    endOfJob: () => ({ status: 'canceled', failure: { code: 'JobCanceled', message: '', statusCode: 409 }, endedAt: clock.now(), expiresAt: clock.now() })
  })
  let gone = false

  async function close (drainMs = 0): Promise<void> {
    if (gone) return
    gone = true
    await passTime(clock, Promise.all([fanOut.stop(), deliveries.stop(drainMs)]))
    await store.close()
  }

  t.teardown(() => close())
  if (runners.fanOut !== false) fanOut.start()
  if (runners.deliveries !== false) deliveries.start()
  await clock.advance(0)
  return {
    store,
    clock,
    sender,
    orders: topics.topic('orders', {}),
    subscriptions,
    fanOut,
    deliveries,
    news,
    logs,
    close,
    async subscribe (url, subscription = {}) {
      const { subscription: record } = await store.subscribe({
        ...sealCallbackUrl(url, anywhere, sealer), operation: 'OnOrder', owner: 'default', topic: 'orders', input: '{}', tracking: {}, createdAt: clock.now(), ...subscription
      })
      return record
    },
    list: async () => (await store.listDeliveries({ limit: 10_000 })).reverse(),
    async crash () {
      gone = true
      await clock.advance(0)
      await store.close()
    }
  }
}

/** A worker whose store is away when it is told to be. */
export async function createShakyWebhookWorker (t: Test, options: WebhookWorkerOptions = {}): Promise<WebhookWorker & { store: FailingStore }> {
  const store = createFailingStore(sqliteStore({ file: options.file ?? ':memory:' }))
  return { ...await createWebhookWorker(t, { store, ...options }), store }
}

export const statusesOf = async (worker: Pick<WebhookWorker, 'list'>): Promise<string[]> => (await worker.list()).map(({ status }) => status)

/** A callback URL of one version of a workflow (engine 2.9). */
export const workflowUrl = (version: string, host = 'prod-01.logic.azure.com'): string =>
  `https://${host}/workflows/w1/triggers/When/versions/${version}/run?api-version=2016-10-01&sp=%2Ftriggers&sv=1.0&sig=sig-${version}`
