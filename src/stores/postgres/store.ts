import type { ClaimedJob, ClaimRequest, DeliveryLease, FanOutOutcome, FanOutStep, Lease, Store, StoreHost, StoreIdentity, SubmitOutcome } from '../../work/store.ts'
import { createObserver } from '../observer.ts'
import { claimJobs, findDue } from './claim.ts'
import { createConnection, type Connection, type Statements, type Transaction } from './connection.ts'
import { claimDeliveries, findDueDeliveries, listDeliveries, readAttempts, redeliver, sweepDeliveries } from './deliveries.ts'
import { importPg } from './dependencies.ts'
import { appendEvents, findFanOuts, findSubscribers, putIntoInbox, takeInbox } from './events.ts'
import { StoreUnavailableError } from '../../errors.ts'
import { explain } from './errors.ts'
import { createHandedOut, type Claimed } from './handed-out.ts'
import { endJob, findLost, listJobs, readJobs, reportProgress, settleJobs, sweepJobs } from './jobs.ts'
import { createListener, type Listener } from './listener.ts'
import { assertMigrated, migrate } from './migrate.ts'
import type { PostgresSettings } from './options.ts'
import { fanOut } from './owe.ts'
import { createQueueLimit } from './queue-limit.ts'
import { giveBack, recoverSilent, release, type RecoveryParts } from './recovery.ts'
import { migrations, type Migration } from './schema.ts'
import { settleDeliveries } from './settle-deliveries.ts'
import { submitJobs, WorkerGoneError, type Beginning } from './submit.ts'
import { listSubscriptions, lockOperations, readSubscription, removeSubscription, resumeSubscription, subscribe } from './subscriptions.ts'
import { readLog, sweepEvents } from './topic-log.ts'
import { giveBackDeliveries, giveBackJobs, holdWorker, keepWorker } from './workers.ts'

/** All that there is between `open` and `close`. */
interface Opened extends RecoveryParts {
  listener: Listener
}

/**
 * @param worker Names this replica among those on the database; never used twice.
 * @param steps The schema, for tests.
 */
export function createPostgresStore (settings: PostgresSettings, worker: string, steps: Migration[] = migrations): Store {
  const { schema, timeoutMs } = settings
  const news = { channel: `${schema}.work`, worker }
  const observer = createObserver(worker)
  const queueLimit = createQueueLimit()
  const heldJobs = createHandedOut()
  const heldDeliveries = createHandedOut()
  /** The last claim was full: there are more, and the next need not look first. */
  let isBehind = false
  /** When the others were last shown by a submit that the worker moves. */
  let shownAt = -Infinity
  let opened: Opened | undefined

  function now (): Opened {
    if (opened === undefined) throw new StoreUnavailableError('the store on PostgreSQL is closed')
    return opened
  }

  // Async, so that a closed store rejects like one that cannot be reached.
  const sql: Connection['sql'] = async (text, ...values) => await now().connection.sql(text, ...values)
  const reads: Statements = { sql, prepared: async (text, ...values) => await now().connection.prepared(text, ...values) }
  const write: Connection['write'] = async (work) => await now().connection.write(work)

  async function open (host: StoreHost): Promise<StoreIdentity> {
    const pg = await importPg()
    const pool = settings.pool ?? new pg.Pool(settings.config!)
    const connection = createConnection({
      pg,
      pool,
      owned: settings.pool === undefined,
      schema,
      notify: `NOTIFY "${news.channel}", '${worker}'`,
      timeoutMs,
      prepare: settings.prepare,
      onIdleLoss (error) {
        // The pool hangs its whole client on it, with the key that cancels its queries: not for any log.
        if ('client' in error) Object.defineProperty(error, 'client', { enumerable: false })
        host.log.warn({ err: explain(error) }, 'an idle connection to PostgreSQL was lost')
      },
      onUntold (error) { host.log.warn({ err: error }, 'other replicas could not be told of new work, they find it within 5 s') }
    })
    const listener = createListener({ connection, ...news, clock: host.clock, log: host.log, onNews: host.wake, timeoutMs })
    opened = { connection, listener, host }
    try {
      await (settings.migrate ? migrate : assertMigrated)(connection, schema, steps, host.log)
      await recover()
      await listener.start()
      const [row] = await sql('SELECT id_key FROM @.store')
      return { idKey: new Uint8Array(row!.id_key as Buffer) }
    } catch (error) {
      await letGo()
      throw error
    }
  }

  async function letGo (): Promise<void> {
    if (opened === undefined) return
    const { connection, listener } = opened
    opened = undefined
    await listener.stop()
    await connection.close()
  }

  async function recover (): Promise<number> {
    const count = await recoverSilent(now(), observer)
    queueLimit.add(count)
    return count
  }

  function dropLost (lost: Lease[]): Lease[] {
    heldJobs.letGo(lost.map(fenceOf))
    return lost
  }

  /** Resolves to `undefined`, with nothing done, where this is no time to begin any. */
  async function submitAndBegin (request: ClaimRequest, accept: (beginning: Beginning) => Promise<SubmitOutcome[]>): Promise<SubmitOutcome[] | undefined> {
    const { host: { clock } } = now()
    const { now: startedAt, limit } = request
    // Of those that are limited in all replicas together a claim has to count first.
    const limits = new Map(request.operations.filter(({ operation }) => !settings.concurrency.has(operation)).map(({ operation, limit }) => [operation, limit]))
    const at = clock.monotonic()
    // Many may hold the row at the same time; those that change it wait for each other.
    const isRecent = at - shownAt < showMs
    let isChanged = false
    const show = async (transaction: Transaction): Promise<boolean> => {
      if (isRecent) return await holdWorker(transaction, worker)
      await keepWorker(transaction, worker)
      isChanged = true
      return true
    }
    try {
      const outcomes = await heldJobs.claimAlong(() => accept({ worker, startedAt, limits, limit, show }), (outcomes) => outcomes.flatMap(begunOf))
      if (isChanged) shownAt = at
      return outcomes
    } catch (error) {
      if (!(error instanceof WorkerGoneError)) throw error
      shownAt = -Infinity
      return undefined
    }
  }

  return {
    commitsAside: true,
    open,

    async close () {
      if (opened === undefined) return
      try {
        await release(opened, worker)
      } catch (error) {
        // The others find us silent, and take what we held.
        opened.host.log.warn({ err: error }, 'the store was closed without giving back what it held')
      } finally {
        await letGo()
        heldJobs.clear()
        heldDeliveries.clear()
      }
    },

    async submit (jobs, { maxQueued, begin }) {
      const { host: { clock } } = now()
      const room = await queueLimit.reserve(reads, clock, maxQueued, jobs.length)
      let queued = room
      try {
        const accept = (beginning?: Beginning): Promise<SubmitOutcome[]> => write((transaction) => submitJobs(transaction, jobs, room, beginning))
        const outcomes = await (begin === undefined ? undefined : submitAndBegin(begin, accept)) ?? await accept()
        queued = outcomes.filter((outcome) => outcome.outcome === 'accepted' && outcome.job.status === 'queued').length
        return outcomes
      } catch (error) {
        // It may have been committed all the same.
        queueLimit.forget()
        throw error
      } finally {
        queueLimit.free(room, queued)
      }
    },

    get: async (numbers) => await readJobs(reads, numbers),
    list: async (filter) => await listJobs(reads, filter),

    async claim (request) {
      const free = async (known: Claimed[]): Promise<void> => {
        queueLimit.add(await giveBack(now(), 'jobs', (transaction) => giveBackJobs(transaction, worker, known)))
      }
      return await heldJobs.claim(free, async () => {
        const claimAmong = async (names: string[]): Promise<ClaimedJob[]> => {
          const leave = queueLimit.leaving()
          const jobs = await write((transaction) => claimJobs(transaction, request, names, worker, settings.concurrency))
          leave(jobs.filter(({ due }) => due === 'run').length)
          isBehind = jobs.length > 0 && jobs.length === request.limit
          return jobs
        }
        // Of those that are limited in all replicas together it would hold up the others' claims, also where none waits.
        if (isBehind && !request.operations.some(({ operation }) => settings.concurrency.has(operation))) {
          const jobs = await claimAmong(request.operations.map(({ operation }) => operation))
          if (jobs.length > 0) return { jobs, nextDueAt: null }
        }
        const { due, nextDueAt } = await findDue(reads, request)
        if (due.length === 0 || request.limit <= 0) return { jobs: [], nextDueAt }
        const jobs = await claimAmong(due)
        return { jobs, nextDueAt, ...(jobs.length === 0 ? { waits: true } : {}) }
      }, ({ jobs }) => jobs.map(fenceOf))
    },

    async heartbeat (leases) {
      await keepWorker(reads, worker)
      return dropLost(await findLost(reads, leases, worker))
    },

    findLost: async (leases) => dropLost(await findLost(reads, leases, worker)),
    progress: async (reports) => await write((transaction) => reportProgress(transaction, reports, worker)),

    async settle (settlements) {
      if (settlements.length === 0) return []
      const done = await write((transaction) => settleJobs(transaction, settlements, worker))
      heldJobs.letGo(settlements.map(({ lease }) => fenceOf(lease)))
      queueLimit.add(settlements.filter(({ to }, index) => to.status === 'queued' && done[index] === true).length)
      return done
    },

    async end (number, end) {
      const answer = await write(async (transaction) => {
        const answer = await endJob(transaction, number, end)
        if (answer?.ended) transaction.tell()
        return answer
      })
      if (answer !== undefined) heldJobs.letGo([fenceOf(answer.job)])
      queueLimit.forget()
      return answer
    },

    recover,

    async sweep (at, limit) {
      const { host: { deliveryRetentionMs } } = now()
      const counts = [
        await write((transaction) => sweepJobs(transaction, at, limit)),
        await write((transaction) => sweepDeliveries(transaction, at - deliveryRetentionMs, limit)),
        await write((transaction) => sweepEvents(transaction, at, limit))
      ]
      return Math.max(...counts)
    },

    subscribe: async (subscription, limits) => await write((transaction) => subscribe(transaction, subscription, limits)),
    getSubscription: async (number) => await readSubscription(reads, number),
    listSubscriptions: async (filter) => await listSubscriptions(reads, filter),
    resume: async (number) => await write((transaction) => resumeSubscription(transaction, number)),

    async unsubscribe (number, jobEnd) {
      const seen = await readSubscription(reads, number)
      if (seen === undefined) return undefined
      const answer = await write(async (transaction) => {
        await lockOperations(transaction, [seen.operation])
        const subscription = await readSubscription(transaction, number)
        if (subscription === undefined) return undefined
        const job = subscription.job === null ? undefined : await endJob(transaction, subscription.job, jobEnd)
        await removeSubscription(transaction, number, jobEnd.endedAt)
        transaction.tell()
        return { job: subscription.job, ended: job?.ended ?? false, lease: job?.job }
      })
      queueLimit.forget()
      if (answer === undefined) return undefined
      const { lease, ...gone } = answer
      if (lease !== undefined) heldJobs.letGo([fenceOf(lease)])
      return gone
    },

    publish: async (events) => await appendEvents(reads, events, news, timeoutMs),

    publishIn: async (events, db) => {
      now()
      await putIntoInbox(db, schema, news.channel, events)
    },

    async readLog (requests) {
      await takeInbox(reads)
      return await readLog(reads, requests)
    },

    async findFanOuts (request) {
      await takeInbox(reads)
      return await findFanOuts(reads, request)
    },

    findSubscribers: async (fanOut, limit) => await findSubscribers(reads, fanOut, limit),

    async fanOut (step) {
      const make = (given: FanOutStep): Promise<FanOutOutcome> => write((transaction) => fanOut(transaction, given, worker))
      const claiming = step.owed.some(({ begins }) => begins) ? heldDeliveries.claimAlong(() => make(step), ({ begun }) => begun.map(claimOf)) : undefined
      return await (claiming ?? make({ ...step, owed: step.owed.map((one) => ({ ...one, begins: false })) }))
    },

    async claimDeliveries (request) {
      const free = async (known: Claimed[]): Promise<void> => {
        await giveBack(now(), 'callbacks', (transaction) => giveBackDeliveries(transaction, worker, known))
      }
      return await heldDeliveries.claim(free, async () => {
        const { found, nextDueAt } = await findDueDeliveries(reads, request)
        if (!found) return { deliveries: [], nextDueAt }
        return { deliveries: await write((transaction) => claimDeliveries(transaction, request, worker)), nextDueAt }
      }, ({ deliveries }) => deliveries.map(claimOf))
    },

    settleDeliveries: async (settlements) => {
      const { host: { clock } } = now()
      if (settlements.length === 0) return []
      const outcomes = await write((transaction) => settleDeliveries(transaction, settlements, clock.now(), worker))
      heldDeliveries.letGo(settlements.map(({ lease }) => claimOf(lease)))
      return outcomes
    },

    listDeliveries: async (filter) => await listDeliveries(reads, filter),
    getAttempts: async (delivery) => await readAttempts(reads, delivery),

    redeliver: async (filter, at) => await write(async (transaction) => {
      const count = await redeliver(transaction, filter, at)
      if (count > 0) transaction.tell()
      return count
    })
  }
}

/** How long a submit leaves it at that: a small part of what a worker may be silent for. */
const showMs = 1000

const begunOf = (outcome: SubmitOutcome): Claimed[] => outcome.outcome === 'accepted' && outcome.job.status === 'running' ? [fenceOf(outcome.job)] : []
const fenceOf = ({ number, attempt }: Lease): Claimed => ({ number, fence: attempt })
const claimOf = ({ number, claim }: DeliveryLease): Claimed => ({ number, fence: claim })
