import type {
  Callback, ClaimedDelivery, DeliveryAttempt, DeliveryClaimRequest, DeliveryFilter, DeliveryOutcome, DeliveryRecord, DeliverySettlement, FanOut,
  FanOutOutcome, FanOutRequest, FanOutStep, HostTransaction, LogPage, LogRequest, NewEvent, NewSubscription, SubscribeOutcome, Subscriber, SubscriptionFilter,
  SubscriptionRecord, VersionLimits
} from './callback-records.ts'
import type { Clock } from './clock.ts'
import type { Logger } from './log.ts'

export type * from './callback-records.ts'

/*
 * THE PORT. What a durable store must do. It keeps records, hands out due work and commits; it knows no HTTP and no
 * policy: what a failure means, when to try again and how long to keep things is decided by the core, which tells the
 * store "ends as X" or "again at T".
 *
 * Every promise that resolves means: on disk. Every method rejects with StoreUnavailableError when the store cannot be
 * reached or has no space, and then nothing of the call is kept. `fastify-logic-apps/testing` has a contract suite
 * with a case for each sentence below.
 */

export type JobStatus = 'queued' | 'running' | 'succeeded' | 'failed' | 'canceled'

/** How a job ended badly, as its polls tell it. */
export interface Failure {
  /** PascalCase, such as `CakeBurnt`. */
  code: string
  message: string
  /** What polls answer: see protocol/failure-status. */
  statusCode: number
  /** Any JSON value; absent when there is none. */
  details?: unknown
}

export interface NewJob {
  operation: string
  owner: string
  /** JSON text, kept and given back as it is. */
  input: string
  /** Epoch milliseconds. */
  createdAt: number
  /** Recognises a repeat of this start, for the life of the record. */
  idempotency?: { key: string, fingerprint: string } | undefined
  /** Who is called back when the job ends: kept in the same commit. Its operation, owner and URL make the idempotency key. */
  subscription?: NewSubscription | undefined
}

export interface JobRecord {
  /** A positive safe integer, given once by this store and never again, not even after the record is gone. */
  number: number
  operation: string
  owner: string
  status: JobStatus
  /** How often it was claimed. With `number`, the fencing token of a lease. */
  attempt: number
  /** How often its handler failed and was to be run again. */
  failures: number
  /** How often its worker vanished. */
  crashes: number
  /** As last reported, over all attempts; 100 once it succeeded. */
  percentComplete: number
  message: string
  createdAt: number
  /** When it was first claimed. */
  startedAt: number | null
  endedAt: number | null
  /** JSON text of a succeeded job that has a result. */
  result: string | null
  failure: Failure | null
}

export type SubmitOutcome =
  | { outcome: 'accepted', job: JobRecord }
  /** The idempotency key is known and so is the fingerprint: this is the job of the first start, whatever its state. Its subscription is active again, and its URL kept as it is sealed now. */
  | { outcome: 'repeated', job: JobRecord }
  /** The idempotency key is known with another fingerprint. */
  | { outcome: 'conflict' }
  /** As many jobs as allowed are waiting. */
  | { outcome: 'full' }

/** One attempt's right to a job: an attempt has one holder, so that number and attempt say all. */
export interface Lease {
  number: number
  attempt: number
}

export interface ClaimRequest {
  /** Which jobs this process can run, and how many more of each. */
  operations: { operation: string, limit: number }[]
  /** How many in all. */
  limit: number
  now: number
}

/** What an attempt needs of a job. */
export interface ClaimedJob extends Pick<JobRecord, 'number' | 'operation' | 'attempt' | 'failures' | 'crashes' | 'createdAt'> {
  input: string
  /** `run` it, or end it: its `deadline` as a deferred job has passed. */
  due: 'run' | 'deadline'
}

export interface ClaimResult {
  jobs: ClaimedJob[]
  /**
   * When the next job of these operations that waits for a time is due, if any does. What is due already does not count.
   * Beside jobs it may be `null` all the same: there may be more, and the next claim tells.
   */
  nextDueAt: number | null
  /** Whether some are due that could not be handed out now: others have their rows, or as many run as may in all processes. */
  waits?: boolean
}

/**
 * How a job ends. `expiresAt` says when `sweep` may forget it. `callback` is owed to the job's subscription, if it has
 * one, in the same commit.
 */
export type JobEnd = { endedAt: number, expiresAt: number, callback?: Callback | undefined } & (
  | { status: 'succeeded', result: string | null }
  | { status: 'failed', failure: Failure }
  | { status: 'canceled', failure: Failure }
)

/** What becomes of a job when an attempt is over. */
export type Transition =
  | JobEnd
  /** Again, no earlier than `dueAt`; 0 means at once, whatever any clock says. */
  | { status: 'queued', dueAt: number, failures: number }
  /** Deferred: runs on with no worker and no lease until it is ended from outside, or `deadline` makes it due. */
  | { status: 'running', deadline: number }

export interface Settlement {
  lease: Lease
  to: Transition
}

export interface ProgressReport {
  lease: Lease
  percentComplete: number
  message: string
}

export interface JobFilter {
  operation?: string | undefined
  owner?: string | undefined
  status?: JobStatus | undefined
  /** Only jobs with a lower number: the last number of one page asks for the next. */
  before?: number | undefined
  limit: number
}

export interface StoreHost {
  clock: Clock
  log: Logger
  /** How long a worker may be silent before its jobs are given to another. */
  leaseMs: number
  /** How long a delivery is kept after its end. */
  deliveryRetentionMs: number
  /** To be called when another process wrote: work may be due, and a lease of ours may be gone. */
  wake: () => void
}

/** What a store keeps about itself. */
export interface StoreIdentity {
  /** 16 random bytes, made with the store and kept for ever: the key that ids are encrypted with. */
  idKey: Uint8Array
  /** Reads, or on first use makes, a secret of 32 bytes that the store keeps beside its data, for hosts that set none. */
  localSecret?: () => Promise<Uint8Array>
}

export interface Store {
  /**
   * Commits are made outside this process, which goes on meanwhile. One that runs no jobs then commits the starts of each
   * turn of its event loop by themselves, rather than those of two together. @default false
   */
  readonly commitsAside?: boolean

  /**
   * Opens the store, creating or migrating what it needs, safely also when several processes do so at once. Jobs whose
   * worker is provably gone are due again when it resolves.
   */
  open (host: StoreHost): Promise<StoreIdentity>
  /** Lets everything go. Leases still held are given up as if their worker had died. Twice is fine. */
  close (): Promise<void>

  /**
   * Accepts all jobs in one commit, `queued` and due at once. Outcomes stand in the order of the jobs; repeats
   * are recognised within the call too, and are answered even when the queue is full. `maxQueued` may be overrun
   * for some seconds where several processes submit.
   *
   * Those that there is room for in `begin` may be given to this process in the same commit, as if it had claimed them:
   * such a one is accepted as `running`, the first attempt, with a lease of this process. A store need not.
   */
  submit (jobs: NewJob[], limits: { maxQueued: number, begin?: ClaimRequest | undefined }): Promise<SubmitOutcome[]>
  /** The records as last committed by any process, all of one moment, in the order asked, `undefined` for those that are not there. */
  get (numbers: number[]): Promise<(JobRecord | undefined)[]>
  /** Newest first. */
  list (filter: JobFilter): Promise<JobRecord[]>

  /**
   * Gives due jobs to this process: a lease each, `running`, `attempt` one higher. Never the same job to two callers.
   * Of one operation those that waited for a time are chosen first, then the oldest.
   */
  claim (request: ClaimRequest): Promise<ClaimResult>
  /** Keeps these leases alive; resolves to those that are lost. */
  heartbeat (leases: Lease[]): Promise<Lease[]>
  /** Resolves to those of these leases that are lost, and writes nothing. */
  findLost (leases: Lease[]): Promise<Lease[]>
  /** Resolves to whether each lease still held; progress of a lost lease is not kept. */
  progress (reports: ProgressReport[]): Promise<boolean[]>
  /** Ends attempts, all in one commit. Resolves to whether each lease still held; what a lost lease wanted is not done. */
  settle (settlements: Settlement[]): Promise<boolean[]>
  /**
   * Ends a job from outside, whoever holds it; an attempt that still runs has lost its lease. Resolves to the job as it
   * then is and whether this call ended it, or `undefined` when there is none.
   */
  end (number: number, end: JobEnd): Promise<{ ended: boolean, job: JobRecord } | undefined>
  /** Makes due again what vanished workers held, `crashes` one higher. Resolves to how many jobs that were. */
  recover (): Promise<number>
  /** Forgets at most `limit` jobs, events and deliveries each that expired before `now`, or left the log as too many, with all that belongs to them. Resolves to the largest of the three numbers. */
  sweep (now: number, limit: number): Promise<number>

  /**
   * Keeps a subscription. The same URL for the same operation and owner is the same subscription, active again if it
   * was not, and waits for what it says now. A URL that differs only in its version supersedes the one before: callbacks still owed move to it. Until
   * the first callback to it is `confirmed` the one before is kept, and has its place and status again (callbacks owed included)
   * when the new one is `suspended`, `retired` or forgotten, or a callback to it is `dead`: anyone can write a URL, only the
   * real one is answered. Meanwhile the one before may be owed what the new one does not want.
   */
  subscribe (subscription: NewSubscription, limits?: VersionLimits): Promise<SubscribeOutcome>
  getSubscription (number: number): Promise<SubscriptionRecord | undefined>
  /** Newest first. */
  listSubscriptions (filter: SubscriptionFilter): Promise<SubscriptionRecord[]>
  /**
   * Forgets a subscription and what it is still owed, and ends the job it waits for, if that has not ended. Resolves to
   * whether there was one.
   */
  unsubscribe (number: number, jobEnd: JobEnd): Promise<{ job: number | null, ended: boolean } | undefined>
  /** Makes a suspended subscription active. Resolves to whether it was suspended. */
  resume (number: number): Promise<boolean>

  /**
   * Appends events in one commit, each with a debt for every operation that has subscriptions of its topic. Numbers grow;
   * a later one never shows before an earlier one.
   */
  publish (events: NewEvent[]): Promise<number[]>
  /**
   * Reads logs, all as of one moment. A log loses its oldest entries only, never one from its middle: an entry leaves it
   * when it expired, or is too many, and so did all before it. What is still owed then is kept, but not read here.
   */
  readLog (requests: LogRequest[]): Promise<LogPage[]>
  /**
   * Publishes with a transaction of the host's: rolled back, it never happened. The events get their numbers, and their
   * debts, after the commit. Absent where the store shares no database with the host.
   */
  publishIn?: (events: NewEvent[], db: HostTransaction) => Promise<void>
  /** Debts, oldest event first; those of other operations come last. Two processes may be given the same one: each step is done once. */
  findFanOuts (request: FanOutRequest): Promise<FanOut[]>
  /** Whom it may be owed to: subscriptions of its topic and operation that were made before the event, after `cursor`, in order of their numbers, none of them superseded. */
  findSubscribers (fanOut: FanOut, limit: number): Promise<Subscriber[]>
  /**
   * Makes a step, in one commit. Those of `owed` that `begins` says it of may be given to this process in it, as if it had
   * claimed them. A store need not.
   */
  fanOut (step: FanOutStep): Promise<FanOutOutcome>

  /** Like `claim`, for deliveries that are due. */
  claimDeliveries (request: DeliveryClaimRequest): Promise<{ deliveries: ClaimedDelivery[], nextDueAt: number | null }>
  /** Keeps the attempt and what follows from it, all in one commit. Resolves to what became of each. */
  settleDeliveries (settlements: DeliverySettlement[]): Promise<DeliveryOutcome[]>
  /** Newest first. */
  listDeliveries (filter: DeliveryFilter): Promise<DeliveryRecord[]>
  /** Oldest first, at least the newest hundred; `undefined` for an unknown delivery. */
  getAttempts (delivery: number): Promise<DeliveryAttempt[] | undefined>
  /** Makes dead deliveries of active subscriptions due again, oldest first, at most `limit`, their attempts counted anew. Resolves to how many. */
  redeliver (filter: Omit<DeliveryFilter, 'status'> & { number?: number | undefined }, now: number): Promise<number>
}
