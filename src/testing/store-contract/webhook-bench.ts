import assert from 'node:assert/strict'
import type {
  Callback, ClaimedDelivery, DeliveryClaimRequest, DeliveryFilter, DeliverySettlement, FanOut, FanOutStep, NewEvent, NewSubscription, Store,
  SubscriptionRecord
} from '../../work/store.ts'
import { hourMs, plenty, start } from './bench.ts'

/** What differs between subscriptions. Equal `workflow`: URLs of one workflow, which differ in their version. */
export interface Subscriber extends Partial<NewSubscription> {
  url: string
  workflow?: string
}

export const topic = 'orders'
export const operation = 'OnOrder'

export const urlBytes = (url: string): Uint8Array => new TextEncoder().encode(`sealed ${url}`)
export const hostOf = (url: string): string => `${url}.example:443`

export function newSubscription ({ url, workflow, ...rest }: Subscriber): NewSubscription {
  return {
    operation,
    owner: 'anna',
    topic,
    urlDigest: `digest of ${url}`,
    versionlessDigest: workflow === undefined ? null : `digest of ${workflow}`,
    sealedUrl: urlBytes(url),
    urlHint: `https://${url}.example/`,
    host: hostOf(url),
    input: '{}',
    tracking: {},
    createdAt: start,
    ...rest
  }
}

/** Subscribes one after the other. */
export async function subscribe (store: Store, ...subscribers: Subscriber[]): Promise<SubscriptionRecord[]> {
  const records: SubscriptionRecord[] = []
  for (const subscriber of subscribers) records.push((await store.subscribe(newSubscription(subscriber))).subscription)
  return records
}

export async function getSubscription (store: Store, { number }: { number: number }): Promise<SubscriptionRecord> {
  const subscription = await store.getSubscription(number)
  assert.ok(subscription)
  return subscription
}

/** The status of each, `undefined` for one that is gone. */
export async function statusesOf (store: Store, ...subscriptions: { number: number }[]): Promise<(string | undefined)[]> {
  return await Promise.all(subscriptions.map(async ({ number }) => (await store.getSubscription(number))?.status))
}

export function newEvent (event: Partial<NewEvent> = {}): NewEvent {
  return { topic, body: '{}', createdAt: start, expiresAt: start + hourMs, ...event }
}

export async function publishOne (store: Store, event: Partial<NewEvent> = {}): Promise<number> {
  const [number, ...others] = await store.publish([newEvent(event)])
  assert.ok(number !== undefined)
  assert.deepEqual(others, [])
  return number
}

export async function findFanOut (store: Store, event: number): Promise<FanOut> {
  const found = (await store.findFanOuts([topic], plenty)).find((fanOut) => fanOut.event === event)
  assert.ok(found, `event ${event} is to be fanned out`)
  return found
}

export function step (event: number, { owed = [], ...rest }: Partial<Omit<FanOutStep, 'owed'>> & { owed?: { number: number }[] } = {}): FanOutStep {
  return { event, from: 0, round: 0, to: null, owed: owed.map(({ number }) => ({ subscription: number, operation, dueAt: start })), skipped: [], failed: [], now: start, ...rest }
}

/** One step of the core: everybody wants everything. Resolves to whether it was this call's to make. */
export async function fanOutStep (store: Store, event: number, limit = plenty, now = start): Promise<boolean> {
  const fanOut = await findFanOut(store, event)
  const found = await store.findSubscribers(fanOut, limit)
  return await store.fanOut(step(event, {
    from: fanOut.cursor,
    round: fanOut.round,
    to: found.length < limit ? null : found.at(-1)!.number,
    owed: found.filter(({ status }) => status === 'active'),
    skipped: found.filter(({ status }) => status === 'suspended').map(({ number }) => number),
    now
  }))
}

/** Publishes an event and owes it to all subscribers. */
export async function publishAndOwe (store: Store, event: Partial<NewEvent> = {}): Promise<number> {
  const number = await publishOne(store, event)
  assert.equal(await fanOutStep(store, number), true)
  return number
}

export async function claimDeliveries (store: Store, request: Partial<DeliveryClaimRequest> = {}): Promise<ClaimedDelivery[]> {
  const { deliveries } = await store.claimDeliveries({ operations: [operation], exceptHosts: [], limit: plenty, now: start, ...request })
  return deliveries
}

/** Claims what is due, which must be one. */
export async function claimDelivery (store: Store, request: Partial<DeliveryClaimRequest> = {}): Promise<ClaimedDelivery> {
  const [delivery, ...others] = await claimDeliveries(store, request)
  assert.ok(delivery)
  assert.deepEqual(others, [])
  return delivery
}

const answers = {
  delivered: { statusCode: 200, to: { status: 'delivered' }, subscription: 'confirmed' },
  again: { statusCode: 503, to: { status: 'pending', dueAt: start + 5000 }, subscription: 'failing' },
  suspended: { statusCode: 401, to: { status: 'dead' }, subscription: 'suspended' },
  retired: { statusCode: 404, to: { status: 'dead' }, subscription: 'retired' },
  refused: { statusCode: 400, to: { status: 'dead' }, subscription: 'unchanged' },
  exhausted: { statusCode: 503, to: { status: 'dead' }, subscription: 'failing' }
} satisfies Record<string, { statusCode: number } & Pick<DeliverySettlement, 'to' | 'subscription'>>

export type Answer = keyof typeof answers

export function settlementOf ({ number, claim }: ClaimedDelivery, answer: Answer, overrides: Partial<DeliverySettlement> = {}): DeliverySettlement {
  const { statusCode, to, subscription } = answers[answer]
  return { lease: { number, claim }, attempt: { at: start + 1, durationMs: 7, statusCode, answer }, to, subscription, ...overrides }
}

/** Settles one delivery as an answer has it. */
export async function answer (store: Store, delivery: ClaimedDelivery, answer: Answer, overrides: Partial<DeliverySettlement> = {}): Promise<boolean> {
  const [done, ...others] = await store.settleDeliveries([settlementOf(delivery, answer, overrides)])
  assert.deepEqual(others, [])
  return done!
}

/** Each delivery as `status of event to subscription`, oldest first. */
export async function debtsOf (store: Store, filter: Partial<DeliveryFilter> = {}): Promise<[string, number | null, number][]> {
  const deliveries = await store.listDeliveries({ limit: plenty, ...filter })
  return deliveries.map(({ status, event, subscription }): [string, number | null, number] => [status, event, subscription]).reverse()
}

export const owing = (body = '{"cake":1}', dueAt = start + 100): { callback: Callback } => ({ callback: { body, dueAt } })
