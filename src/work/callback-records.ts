/*
 * What a store keeps of callbacks: whom they are owed to, what for, and what came of them. Part of the port, which
 * exports it: import it from store.ts.
 */

/** A POST owed to somebody. */
export interface Callback {
  /** JSON text. */
  body: string
  /** Not before: epoch milliseconds. */
  dueAt: number
}

export type SubscriptionStatus =
  | 'active'
  /** Its callbacks were refused: nothing new is owed until it is resumed. */
  | 'suspended'
  /** A later URL of the same workflow took its place, and has not been proved yet. */
  | 'superseded'

export interface NewSubscription {
  operation: string
  owner: string
  /** Whose events it waits for; `null` for one job's end. */
  topic: string | null
  /** Equal for equal URLs. */
  urlDigest: string
  /** Equal for the URLs of all versions of one workflow; `null` where a URL has none. */
  versionlessDigest: string | null
  /** Not readable without the secret. */
  sealedUrl: Uint8Array
  /** What may be shown of the URL. */
  urlHint: string
  /** Host and port of the URL. */
  host: string
  /** JSON text, kept and given back as it is. */
  input: string
  /** What an unsubscribe without a URL is recognised by. */
  tracking: { clientTrackingId?: string, operationName?: string, workflowRunId?: string, workflowId?: string }
  createdAt: number
}

export interface SubscriptionRecord extends NewSubscription {
  number: number
  status: SubscriptionStatus
  /** The job whose end it waits for. */
  job: number | null
  /** Events up to this one are not owed to it. */
  afterEvent: number
  /** Since when every callback failed, epoch milliseconds. */
  failingSince: number | null
  /** How many events were not owed to it because it was suspended. */
  skipped: number
}

/** How many made-up versions of a URL may stand before the true one, and how fast they may come. */
export interface VersionLimits {
  /** Versions that were not proved yet, one before the other. */
  maxUnproved: number
  /** From one that is not proved to the next, by `createdAt`. */
  gapMs: number
}

export interface SubscribeOutcome {
  /** `crowded`: it would be one version too many, or comes too soon, and is not kept; `subscription` is the newest that is. */
  outcome: 'created' | 'repeated' | 'crowded'
  subscription: SubscriptionRecord
}

export interface SubscriptionFilter {
  operation?: string | undefined
  job?: number | undefined
  owner?: string | undefined
  urlDigest?: string | undefined
  status?: SubscriptionStatus | undefined
  /** All members must be equal. */
  tracking?: NewSubscription['tracking'] | undefined
  before?: number | undefined
  limit: number
}

export interface NewEvent {
  topic: string
  /** JSON text. */
  body: string
  createdAt: number
  /** When it may leave the log. `sweep` then forgets it, once nothing of it is owed any more. */
  expiresAt: number
  /** How many entries its topic's log may have from now on: the oldest of more than that leave it. @default no limit */
  maxEvents?: number | undefined
}

/** What is to be read of a topic's log. */
export interface LogRequest {
  topic: string
  /** Only entries with a greater number. */
  after: number
  /** From the first entry on that is not dated before this, epoch milliseconds: an older one behind it counts too, since clocks go back. */
  notBefore?: number | undefined
  limit: number
}

export interface LogEntry {
  number: number
  /** The latest date in the log up to this entry: it never goes back. */
  reachedAt: number
  /** JSON text. */
  body: string
}

export interface LogPage {
  /** Oldest first. */
  entries: LogEntry[]
  /** Where they were read from: `after`, or further on where what follows it left the log or is too old. */
  from: number
  /** Whether entries that were asked for had left the log. */
  missed: boolean
  /** The last number that was given, of any topic: whatever is published later has a greater one. */
  last: number
}

/** A transaction of the host's, on the database that the store uses: a client of `pg`, or anything else in pg-boss's form. */
export type HostTransaction =
  | { query: (text: string, values: unknown[]) => Promise<unknown> }
  | { executeSql: (text: string, values?: unknown[]) => Promise<unknown> }

/** As much of a subscription as says whether an event is owed to it. Each event reads those of all that wait for its topic. */
export type SeenSubscription = Pick<SubscriptionRecord, 'number' | 'status' | 'host' | 'urlHint' | 'createdAt' | 'input'>

/** A subscription as a fan-out sees it. */
export interface Subscriber extends SeenSubscription {
  /** The superseded ones that it took the place of and has not been proved against, newest first. */
  behind: SeenSubscription[]
}

/** Whose debts: those of these operations, and of any other one when they are older than `strangersBefore`, epoch milliseconds. */
export interface FanOutRequest {
  operations: string[]
  strangersBefore: number
  limit: number
}

/** What an event owes to the subscriptions of one operation: it is still to be turned into deliveries, from the one after `cursor` on. */
export interface FanOut {
  event: number
  topic: string
  operation: string
  body: string
  cursor: number
  /** Another whenever a subscription of this operation was superseded, or took its place again. */
  round: number
}

/** One step of a fan-out. */
export interface FanOutStep {
  event: number
  operation: string
  /** Where it began: if another process made this step, nothing is done. */
  from: number
  /** As `findFanOuts` had it: in another round nothing is done, since others are to be looked at. */
  round: number
  /** The last subscription looked at, or `null`: that was all. */
  to: number | null
  owed: OwedCallback[]
  /** Suspended: counted, not owed. */
  skipped: number[]
  /** Its filter failed: kept as a dead letter. */
  failed: { subscription: number, reason: string }[]
  now: number
}

export interface OwedCallback {
  subscription: number
  dueAt: number
  /** Whether it is due, and this process may have it at once. @default false */
  begins?: boolean | undefined
}

export interface FanOutOutcome {
  /** Whether the step was this call's to make. */
  done: boolean
  /** What of it this process has claimed, in the order of `owed`. */
  begun: ClaimedDelivery[]
}

export type DeliveryStatus = 'pending' | 'delivered' | 'dead'

/** One try to deliver. */
export interface DeliveryAttempt {
  at: number
  durationMs: number
  /** `null` when there was no answer. */
  statusCode: number | null
  /** The beginning of the answer, or what went wrong. */
  answer: string
}

export interface DeliveryRecord {
  number: number
  operation: string
  owner: string
  subscription: number
  subscriptionCreatedAt: number
  urlHint: string
  status: DeliveryStatus
  /** How many attempts were made, since it was last redelivered or moved to another URL. */
  attempts: number
  createdAt: number
  dueAt: number | null
  endedAt: number | null
  event: number | null
  job: number | null
}

/** The fencing token of a delivery's lease. */
export interface DeliveryLease {
  number: number
  claim: number
}

export interface ClaimedDelivery extends DeliveryRecord {
  claim: number
  sealedUrl: Uint8Array
  body: string
  /** Since when every callback to its subscription failed. */
  failingSince: number | null
}

export interface DeliveryClaimRequest {
  operations: string[]
  /** Hosts that have enough to do, or are out of order: nothing for them is claimed. */
  exceptHosts: string[]
  limit: number
  now: number
}

export interface DeliverySettlement {
  lease: DeliveryLease
  /** `undefined` when none was made, or none that counts: the delivery is only given back. */
  attempt: DeliveryAttempt | undefined
  to:
    | { status: 'delivered' }
    | { status: 'dead' }
    | { status: 'pending', dueAt: number }
  /** What the answer says of the subscription. */
  subscription: 'confirmed' | 'failing' | 'suspended' | 'retired' | 'unchanged'
}

export type DeliveryOutcome =
  | 'kept'
  /** The attempt is kept, but the callback is owed to another URL of its workflow now, and due there at once, its attempts counted anew. */
  | 'moved'
  /** The lease was lost, or the delivery is gone: nothing is kept. */
  | 'lost'

export interface DeliveryFilter {
  operation?: string | undefined
  owner?: string | undefined
  subscription?: number | undefined
  status?: DeliveryStatus | undefined
  before?: number | undefined
  limit: number
}
