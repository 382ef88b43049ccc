import { hash } from 'node:crypto'
import { CallbackUrlNotAllowedError, DeliveryNotFoundError, InvalidCallbackUrlError, SubscriptionNotFoundError, TooManyVersionsError } from '../errors.ts'
import { parseCallbackUrl, versionlessForm } from '../protocol/callback-url.ts'
import type { Sealer } from '../protocol/seal.ts'
import type { IdCodec } from '../protocol/token.ts'
import type { Tracking } from '../protocol/tracking-headers.ts'
import { refusalOf, type CallbackPolicy } from './callback-policy.ts'
import type { Clock } from './clock.ts'
import type { DeliveryAttempt, DeliveryStatus, NewSubscription, Store, SubscribeOutcome, SubscriptionRecord, SubscriptionStatus } from './store.ts'

/** A subscription as the programmatic face shows it. Times are epoch milliseconds. */
export interface SubscriptionView {
  id: string
  operationId: string
  owner: string
  status: SubscriptionStatus
  /** Scheme, host and head of the path: never what gives access. */
  url: string
  createdAt: number
  /** Since when every callback to it failed. */
  failingSince: number | null
  /** How many events passed it by while it was suspended. */
  skipped: number
}

export interface SubscriptionListFilter {
  operationId?: string
  owner?: string
  status?: SubscriptionStatus
  /** The last id of one page asks for the next. */
  before?: string
  /** @default 100 */
  limit?: number
}

/** `app.logicApps.subscriptions`. */
export interface Subscriptions {
  /** Newest first. */
  list (filter?: SubscriptionListFilter): Promise<SubscriptionView[]>
  /** Forgets a subscription, as an unsubscribe does. @throws {SubscriptionNotFoundError} */
  remove (id: string): Promise<void>
  /** Ends a suspension. @throws {SubscriptionNotFoundError} */
  resume (id: string): Promise<void>
}

/** A callback as the programmatic face shows it. Times are epoch milliseconds. */
export interface DeliveryView {
  /** What receivers see as `webhook-id`. */
  id: string
  operationId: string
  owner: string
  subscriptionId: string
  url: string
  status: DeliveryStatus
  /** How many attempts were made since it was last redelivered, or moved to another URL of its workflow. */
  attempts: number
  createdAt: number
  /** When it will be sent; `null` while it is being sent, and at its end. */
  dueAt: number | null
  endedAt: number | null
}

export interface DeliveryListFilter {
  operationId?: string
  owner?: string
  subscriptionId?: string
  status?: DeliveryStatus
  before?: string
  /** @default 100 */
  limit?: number
}

/** `app.logicApps.deliveries`. */
export interface Deliveries {
  /** Newest first. */
  list (filter?: DeliveryListFilter): Promise<DeliveryView[]>
  /** Every attempt at one, oldest first. @throws {DeliveryNotFoundError} */
  attempts (id: string): Promise<DeliveryAttempt[]>
  /**
   * Sends dead letters again: one by its id, or those that a filter finds, oldest first. Those whose subscription is
   * suspended or gone stay. Resolves to how many will be sent.
   */
  redeliver (which: string | Omit<DeliveryListFilter, 'status' | 'before'>): Promise<number>
}

/** A callback URL that was accepted, in the form in which it is kept. */
export type SealedCallback = Pick<NewSubscription, 'urlDigest' | 'versionlessDigest' | 'sealedUrl' | 'urlHint' | 'host'>

/**
 * A workflow that is saved so often with no event in between is somebody who makes up URLs. With the gap, each is tried
 * before the next one may come.
 */
const maxUnproved = 8

export const digestOf = (text: string): string => hash('sha256', text, 'base64url').slice(0, 22)

/**
 * Checks a callback URL and makes it fit to be kept.
 *
 * @throws {InvalidCallbackUrlError} @throws {CallbackUrlNotAllowedError} neither of which shows its query.
 */
export function sealCallbackUrl (text: unknown, policy: CallbackPolicy, sealer: Sealer): SealedCallback {
  const url = parseCallbackUrl(text)
  if ('fault' in url) throw new InvalidCallbackUrlError(url.fault)
  const refusal = refusalOf(url, policy)
  if (refusal === 'protocol') throw new InvalidCallbackUrlError('must be an https URL')
  if (refusal !== undefined) throw new CallbackUrlNotAllowedError(url.hostname)
  const versionless = versionlessForm(url)
  return {
    urlDigest: digestOf(url.text),
    versionlessDigest: versionless === undefined ? null : digestOf(versionless),
    sealedUrl: sealer.seal(url.text),
    urlHint: url.hint,
    host: url.host
  }
}

export interface SubscriptionServiceParts {
  store: Store
  clock: Clock
  subscriptionIds: IdCodec
  deliveryIds: IdCodec
  /** A subscription is gone, and with it this job, if there was one. */
  onJobEnded: (job: number) => void
  /** Something may be due that was not before. */
  onOwed: () => void
  /** How long after a subscription nothing is sent to it. */
  callbackDelayMs: number
  /** How a job ends whose caller does not wait for it any more. */
  endOfJob: (operation: string) => Parameters<Store['unsubscribe']>[1]
}

export interface SubscriptionService extends Subscriptions {
  deliveries: Deliveries
  /** Waits for events from now on. @throws {TooManyVersionsError} */
  subscribe (subscription: NewSubscription): Promise<SubscribeOutcome>
  /** Idempotent: what is not there is fine. */
  forget (subscription: SubscriptionRecord): Promise<void>
  find (number: number, createdAt: number): Promise<SubscriptionRecord | undefined>
  findByJob (job: number): Promise<SubscriptionRecord | undefined>
  /** Those of an operation with exactly this URL. */
  findByUrl (operation: string, url: string): Promise<SubscriptionRecord[]>
  /** The one that the engine's tracking headers name, if they name exactly one (engine 2.5). */
  findByTracking (operation: string, owner: string, tracking: Tracking): Promise<SubscriptionRecord | undefined>
}

export function createSubscriptionService ({ store, clock, subscriptionIds, deliveryIds, onJobEnded, onOwed, callbackDelayMs, endOfJob }: SubscriptionServiceParts): SubscriptionService {
  async function find (number: number, createdAt: number): Promise<SubscriptionRecord | undefined> {
    const subscription = await store.getSubscription(number)
    return subscription?.createdAt === createdAt ? subscription : undefined
  }

  async function findById (id: string): Promise<SubscriptionRecord> {
    const name = subscriptionIds.decode(id)
    const subscription = name === undefined ? undefined : await find(name.number, name.createdAt)
    if (subscription === undefined) throw new SubscriptionNotFoundError()
    return subscription
  }

  async function forget ({ number, operation }: SubscriptionRecord): Promise<void> {
    const answer = await store.unsubscribe(number, endOfJob(operation))
    if (answer === undefined) return
    if (answer.job !== null && answer.ended) onJobEnded(answer.job)
    // The version before may have its place again.
    onOwed()
  }

  /** The number in an id of a filter. @throws {Error} for an id that cannot be one. */
  function numberOf (id: string | undefined, codec: IdCodec, Missing: new () => Error): number | undefined {
    if (id === undefined) return undefined
    const name = codec.decode(id)
    if (name === undefined) throw new Missing()
    return name.number
  }

  return {
    find,
    forget,

    async subscribe (subscription) {
      const answer = await store.subscribe(subscription, { maxUnproved, gapMs: 2 * callbackDelayMs })
      if (answer.outcome === 'crowded') throw new TooManyVersionsError()
      // It may have taken over what the version before was owed.
      onOwed()
      return answer
    },

    findByJob: async (job) => (await store.listSubscriptions({ job, limit: 1 }))[0],
    findByUrl: (operation, url) => store.listSubscriptions({ operation, urlDigest: digestOf(url), limit: 100 }),

    async findByTracking (operation, owner, { clientTrackingId, operationName, workflowRunId, workflowId }) {
      if (clientTrackingId === undefined || operationName === undefined) return undefined
      const found = (await store.listSubscriptions({ operation, owner, tracking: { clientTrackingId, operationName }, limit: 100 }))
        // Run and workflow must be equal where both calls had them.
        .filter(({ tracking }) => [[tracking.workflowRunId, workflowRunId], [tracking.workflowId, workflowId]]
          .every(([kept, given]) => kept === undefined || given === undefined || kept === given))
      return found.length === 1 ? found[0] : undefined
    },

    async list ({ operationId, owner, status, before, limit = 100 } = {}) {
      const subscriptions = await store.listSubscriptions({
        operation: operationId, owner, status, before: numberOf(before, subscriptionIds, SubscriptionNotFoundError), limit
      })
      return subscriptions.map((subscription) => ({
        id: subscriptionIds.encode(subscription),
        operationId: subscription.operation,
        owner: subscription.owner,
        status: subscription.status,
        url: subscription.urlHint,
        createdAt: subscription.createdAt,
        failingSince: subscription.failingSince,
        skipped: subscription.skipped
      }))
    },

    async remove (id) {
      await forget(await findById(id))
    },

    async resume (id) {
      await store.resume((await findById(id)).number)
    },

    deliveries: {
      async list ({ operationId, owner, subscriptionId, status, before, limit = 100 } = {}) {
        const deliveries = await store.listDeliveries({
          operation: operationId,
          owner,
          subscription: numberOf(subscriptionId, subscriptionIds, SubscriptionNotFoundError),
          status,
          before: numberOf(before, deliveryIds, DeliveryNotFoundError),
          limit
        })
        return deliveries.map((delivery) => ({
          id: deliveryIds.encode(delivery),
          operationId: delivery.operation,
          owner: delivery.owner,
          subscriptionId: subscriptionIds.encode({ number: delivery.subscription, createdAt: delivery.subscriptionCreatedAt }),
          url: delivery.urlHint,
          status: delivery.status,
          attempts: delivery.attempts,
          createdAt: delivery.createdAt,
          dueAt: delivery.dueAt,
          endedAt: delivery.endedAt
        }))
      },

      async attempts (id) {
        const attempts = await store.getAttempts(numberOf(id, deliveryIds, DeliveryNotFoundError)!)
        if (attempts === undefined) throw new DeliveryNotFoundError()
        return attempts
      },

      async redeliver (which) {
        const filter = typeof which === 'string'
          ? { number: numberOf(which, deliveryIds, DeliveryNotFoundError), limit: 1 }
          : {
              operation: which.operationId,
              owner: which.owner,
              subscription: numberOf(which.subscriptionId, subscriptionIds, SubscriptionNotFoundError),
              limit: which.limit ?? 100
            }
        const count = await store.redeliver(filter, clock.now())
        if (count > 0) onOwed()
        return count
      }
    }
  }
}
