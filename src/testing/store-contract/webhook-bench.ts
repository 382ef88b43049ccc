import assert from 'node:assert/strict'
import type {
  Callback, ClaimedDelivery, DeliveryClaimRequest, DeliveryFilter, DeliveryOutcome, DeliverySettlement, FanOut, FanOutRequest, FanOutStep, NewEvent,
  NewSubscription, SeenSubscription, Store, Subscriber as FoundSubscriber, SubscriptionRecord
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
export const hintOf = (url: string): string => `https://${url}.example/`
export const hostOf = (url: string): string => `${url}.example:443`

export function newSubscription ({ url, workflow, ...rest }: Subscriber): NewSubscription {
  return {
    operation,
    owner: 'anna',
    topic,
    urlDigest: `digest of ${url}`,
    versionlessDigest: workflow === undefined ? null : `digest of ${workflow}`,
    sealedUrl: urlBytes(url),
    urlHint: hintOf(url),
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

export const workflow = 'w'

/** Subscribes version after version of one workflow; `urls` are in the order of their subscriptions. */
export async function save (store: Store, ...urls: string[]): Promise<SubscriptionRecord[]> {
  return await subscribe(store, ...urls.map((url) => ({ url, workflow })))
}

/** What a fan-out sees of it. */
export function seenOf ({ number, status, host, urlHint, createdAt, input }: SeenSubscription): SeenSubscription {
  return { number, status, host, urlHint, createdAt, input }
}

/** Subscribers, without what a store may tell of them beside that. */
export async function findSeen (store: Store, fanOut: FanOut): Promise<FoundSubscriber[]> {
  return (await store.findSubscribers(fanOut, plenty)).map(({ behind, ...one }) => ({ ...seenOf(one), behind: behind.map(seenOf) }))
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

/** The debts of `operation`, and those of others that the request asks for. */
export async function findFanOuts (store: Store, request: Partial<FanOutRequest> = {}): Promise<FanOut[]> {
  return await store.findFanOuts({ operations: [operation], strangersBefore: 0, limit: plenty, ...request })
}

/** All that an event still owes, to `operation` first. */
export async function findAllOf (store: Store, event: number): Promise<FanOut[]> {
  return (await findFanOuts(store, { strangersBefore: Number.MAX_SAFE_INTEGER })).filter((fanOut) => fanOut.event === event)
}

export async function findFanOut (store: Store, event: number, of = operation): Promise<FanOut> {
  const found = (await findAllOf(store, event)).find((fanOut) => fanOut.operation === of)
  assert.ok(found, `event ${event} is to be fanned out to ${of}`)
  return found
}

export function step (event: number, { owed = [], ...rest }: Partial<Omit<FanOutStep, 'owed'>> & { owed?: { number: number }[] } = {}): FanOutStep {
  return { event, operation, from: 0, round: 0, to: null, owed: owed.map(({ number }) => ({ subscription: number, dueAt: start })), skipped: [], failed: [], now: start, ...rest }
}

/** All that it owes may begin with it. */
export const beginning = ({ owed, ...step }: FanOutStep): FanOutStep => ({ ...step, owed: owed.map((one) => ({ ...one, begins: true })) })

/** Which subscriptions want what is published. */
export type Wants = (subscription: SeenSubscription) => boolean
export const all: Wants = () => true
/** Only those with these URLs do. */
export const only = (...urls: string[]): Wants => ({ urlHint }) => urls.some((url) => urlHint === hintOf(url))

/** One step of the core. Resolves to whether it was this call's to make. */
export async function fanOutStep (store: Store, event: number, { of = operation, limit = plenty, now = start, wants = all } = {}): Promise<boolean> {
  const fanOut = await findFanOut(store, event, of)
  const found = await store.findSubscribers(fanOut, limit)
  const wanting = found.map((subscriber) => [subscriber, ...subscriber.behind].find(wants)).filter((one) => one !== undefined)
  const { done } = await store.fanOut(step(event, {
    operation: of,
    from: fanOut.cursor,
    round: fanOut.round,
    to: found.length < limit ? null : found.at(-1)!.number,
    owed: wanting.filter(({ status }) => status !== 'suspended'),
    skipped: wanting.filter(({ status }) => status === 'suspended').map(({ number }) => number),
    now
  }))
  return done
}

/** Publishes an event and owes it to all subscribers, of whatever operation, that want it. */
export async function publishAndOwe (store: Store, event: Partial<NewEvent> = {}, wants = all): Promise<number> {
  const number = await publishOne(store, event)
  const debts = await findAllOf(store, number)
  assert.ok(debts.length > 0, 'somebody waits for it')
  for (const { operation: of } of debts) assert.equal(await fanOutStep(store, number, { of, wants }), true)
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
export async function answer (store: Store, delivery: ClaimedDelivery, answer: Answer, overrides: Partial<DeliverySettlement> = {}): Promise<DeliveryOutcome> {
  const [outcome, ...others] = await store.settleDeliveries([settlementOf(delivery, answer, overrides)])
  assert.deepEqual(others, [])
  return outcome!
}

/** Each delivery as `status of event to subscription`, oldest first. */
export async function debtsOf (store: Store, filter: Partial<DeliveryFilter> = {}): Promise<[string, number | null, number][]> {
  const deliveries = await store.listDeliveries({ limit: plenty, ...filter })
  return deliveries.map(({ status, event, subscription }): [string, number | null, number] => [status, event, subscription]).reverse()
}

export const owing = (body = '{"cake":1}', dueAt = start + 100): { callback: Callback } => ({ callback: { body, dueAt } })
