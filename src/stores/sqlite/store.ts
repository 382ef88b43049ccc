import { randomBytes } from 'node:crypto'
import { realpathSync, statSync } from 'node:fs'
import type { LogPage, Store, StoreHost, StoreIdentity } from '../../work/store.ts'
import { createObserver, type Beating } from '../observer.ts'
import { createConnection, type OpenDatabase, type Transaction } from './connection.ts'
import {
  claimJobs, countQueued, endJob, findDue, findNextDueAt, findRepeated, isHeld, keepWorker, lastJob, listJobs, readJob, releaseWorker,
  reportProgress, settleJob, submitJob, sweepJobs
} from './jobs.ts'
import {
  claimDeliveries, findDueDeliveries, listDeliveries, nextDeliveryDueAt, readAttempts, redeliver, settleDelivery, sweepDeliveries
} from './deliveries.ts'
import { appendEvent, findFanOuts, findSubscribers } from './events.ts'
import { makeKeyFile, readKeyFile } from './key-file.ts'
import { fanOut } from './owe.ts'
import { createRecordCache } from './record-cache.ts'
import { listSubscriptions, readSubscription, removeSubscription, resumeSubscription, subscribe } from './subscriptions.ts'
import { readLog, sweepEvents } from './topic-log.ts'
import { holdWorkerLock, isWorkerGone, type WorkerLock } from './worker-lock.ts'

/** How often we look whether another process wrote, and how often at least the database itself is asked. */
const watchMs = 500
const watchAnywayMs = 5_000
const maxNothingNew = 1_000

/**
 * @param file An absolute path, or `:memory:`.
 * @param worker Names this process among those on the file; never used twice.
 */
export function createSqliteStore (file: string, worker: string, openDatabase?: OpenDatabase): Store {
  const connection = createConnection(file, openDatabase)
  const shared = file !== ':memory:'
  /** What the files beside the database are named after: as for SQLite's own, not a symbolic link to it. */
  let path = file
  const memorySecret = randomBytes(32)
  const cache = createRecordCache()
  /** What polls found that found nothing, by what they asked: as most do, until something is committed. */
  const nothingNew = new Map<string, LogPage>()
  let cacheVersion = ''
  let queued: { count: number, version: string } | undefined
  let lock: WorkerLock | undefined
  let host: StoreHost
  let stopWatching = (): void => {}
  const observer = createObserver(worker)

  /** Drops what another process may have changed. */
  function refreshCache (): void {
    const version = connection.dataVersion()
    if (version === cacheVersion) return
    cache.clear()
    nothingNew.clear()
    cacheVersion = version
  }

  /** A transaction whose records are read anew afterwards; after a failure, so is the number of queued jobs. */
  async function write<T> (work: (transaction: Transaction) => T): Promise<T> {
    let isRepeated = false
    try {
      return await connection.write((transaction) => {
        // What it counted was rolled back, since another process was in the way.
        if (isRepeated) queued = undefined
        isRepeated = true
        nothingNew.clear()
        return work(transaction)
      })
    } catch (error) {
      queued = undefined
      cache.clear()
      throw error
    }
  }

  /** How many jobs are queued: counted once and kept up to date by our own commits, until another process commits. */
  function queuedCount (transaction: Transaction): { count: number, version: string } {
    const version = connection.dataVersion()
    return queued?.version === version ? queued : (queued = { count: countQueued(transaction), version })
  }

  /** Within the transaction's turn: the next call may come before anybody waits for this one. */
  function addQueued (change: number): void {
    if (queued !== undefined) queued.count += change
  }

  function forget (numbers: number[]): void {
    for (const number of numbers) cache.delete(number)
  }

  /** Changes with every commit, of ours too. The file that commits are appended to costs no statement to look at. */
  function journalStamp (): string {
    const stat = statSync(`${path}-wal`, { throwIfNoEntry: false })
    return `${stat?.mtimeMs}:${stat?.size}`
  }

  function watch (seen: { version: string, stamp: string, at: number }): void {
    stopWatching = host.clock.after(watchMs, () => {
      let now = seen
      try {
        const stamp = journalStamp()
        const at = host.clock.monotonic()
        // Two commits of one tick of the file system's clock look the same.
        if (stamp !== seen.stamp || at - seen.at >= watchAnywayMs) now = { version: connection.dataVersion(), stamp, at }
      } catch (error) {
        host.log.warn({ err: error }, 'cannot look for work of other processes; trying again')
      }
      if (now.version !== seen.version) host.wake()
      watch(now)
    })
  }

  /** Workers whose process is gone, or that have not moved for the time of a lease: frozen, or blocked. */
  function findVanished (workers: Beating[]): Beating[] {
    const silent = observer.findSilent(workers, host.clock.monotonic(), host.leaseMs)
    return workers.filter((other) => (other.id !== worker && isWorkerGone(path, other.id)) || silent.includes(other))
  }

  async function recover (): Promise<number> {
    if (!shared) return 0
    const workers = await connection.read(({ sql }) => sql('SELECT id, beat FROM workers').all() as unknown as Beating[])
    const vanished = findVanished(workers)
    if (vanished.length === 0) return 0
    // It may have moved since we looked, and a claim it made then must stay its own.
    const count = await write((transaction) => vanished
      .filter(({ id, beat }) => transaction.sql('SELECT 1 FROM workers WHERE id = ? AND beat = ?').get(id, beat) !== undefined)
      .reduce((sum, { id }) => sum + releaseWorker(transaction, id), 0))
    for (const { id } of vanished) observer.forget(id)
    cache.clear()
    queued = undefined
    return count
  }

  async function open (storeHost: StoreHost): Promise<StoreIdentity> {
    host = storeHost
    try {
      await connection.open()
      if (shared) {
        path = realpathSync(file)
        lock = holdWorkerLock(path, worker)
      }
      const row = await write((transaction) => {
        keepWorker(transaction, worker)
        return transaction.sql('SELECT id_key, has_key_file FROM store').get() as { id_key: Uint8Array, has_key_file: number }
      })
      await recover()
      if (shared) watch({ version: connection.dataVersion(), stamp: '', at: host.clock.monotonic() })
      return { idKey: row.id_key, localSecret: () => localSecret(row.has_key_file === 1) }
    } catch (error) {
      letGo()
      throw error
    }
  }

  function letGo (): void {
    stopWatching()
    lock?.release()
    lock = undefined
    connection.close()
  }

  async function localSecret (hasKeyFile: boolean): Promise<Uint8Array> {
    if (!shared) return memorySecret
    if (!hasKeyFile) {
      // Within the transaction no other process makes it too.
      await write(({ sql }) => {
        makeKeyFile(`${path}.key`)
        sql('UPDATE store SET has_key_file = 1').run()
      })
    }
    return readKeyFile(`${path}.key`)
  }

  return {
    open,

    async close () {
      try {
        if (lock !== undefined) await write((transaction) => { releaseWorker(transaction, worker) })
      } catch (error) {
        // Whoever opens the file next finds our lock free, and gives back what we held.
        host.log.warn({ err: error }, 'the store was closed without giving back what it held')
      } finally {
        letGo()
      }
    },

    async submit (jobs, { maxQueued }) {
      return await write((transaction) => {
        const queue = queuedCount(transaction)
        let last = lastJob(transaction)
        return jobs.map((job) => {
          if (queue.count >= maxQueued) return findRepeated(transaction, job) ?? { outcome: 'full' as const }
          const outcome = submitJob(transaction, job, last + 1)
          if (outcome.outcome === 'accepted') {
            queue.count++
            last++
          }
          return outcome
        })
      })
    },

    async get (numbers) {
      refreshCache()
      const cached = numbers.map((number) => cache.get(number))
      if (!cached.includes(undefined)) return cached
      // The cache is filled within the transaction's turn: later, a commit of ours could have made the record old.
      return connection.read((transaction) => {
        // Again, now that the moment is fixed: another process may have committed in between.
        refreshCache()
        return numbers.map((number) => {
          const record = cache.get(number) ?? readJob(transaction, number)
          if (record !== undefined) cache.set(record)
          return record
        })
      })
    },

    list: (filter) => connection.read((transaction) => listJobs(transaction, filter)),

    async claim (request) {
      // Looking first costs no lock and no commit: most wake-ups find nothing.
      const idle = await connection.read((transaction) =>
        findDue(transaction, { ...request, limit: Math.min(request.limit, 1) }).length > 0 ? undefined : findNextDueAt(transaction, request))
      if (idle !== undefined) return { jobs: [], nextDueAt: idle }
      const result = await write((transaction) => {
        const claimed = claimJobs(transaction, request, worker)
        addQueued(-claimed.jobs.filter(({ due }) => due === 'run').length)
        return claimed
      })
      forget(result.jobs.map(({ number }) => number))
      return result
    },

    heartbeat: (leases) => write((transaction) => {
      keepWorker(transaction, worker)
      return leases.filter((lease) => !isHeld(transaction, lease, worker))
    }),

    findLost: (leases) => connection.read((transaction) => leases.filter((lease) => !isHeld(transaction, lease, worker))),

    async progress (reports) {
      const kept = await write((transaction) => reports.map((report) => reportProgress(transaction, report, worker)))
      forget(reports.map(({ lease }) => lease.number))
      return kept
    },

    async settle (settlements) {
      const outcomes = await write((transaction) => settlements.map((settlement) => {
        const done = settleJob(transaction, settlement, worker)
        if (done && settlement.to.status === 'queued') addQueued(1)
        return done
      }))
      forget(settlements.map(({ lease }) => lease.number))
      return outcomes
    },

    async end (number, end) {
      const answer = await write((transaction) => {
        const before = readJob(transaction, number)
        if (before === undefined || before.endedAt !== null) return { before, after: before }
        endJob(transaction, number, end)
        const after = readJob(transaction, number)
        if (before.status === 'queued' && after?.status !== 'queued') addQueued(-1)
        return { before, after }
      })
      forget([number])
      return answer.after === undefined ? undefined : { ended: answer.before !== answer.after, job: answer.after }
    },

    recover,

    async sweep (now, limit) {
      const { jobs, others } = await write((transaction) => ({
        jobs: sweepJobs(transaction, now, limit),
        others: [sweepDeliveries(transaction, now - host.deliveryRetentionMs, limit), sweepEvents(transaction, now, limit)]
      }))
      forget(jobs)
      return Math.max(jobs.length, ...others)
    },

    subscribe: (subscription, limits) => write((transaction) => subscribe(transaction, subscription, limits)),
    getSubscription: (number) => connection.read((transaction) => readSubscription(transaction, number)),
    listSubscriptions: (filter) => connection.read((transaction) => listSubscriptions(transaction, filter)),
    resume: (number) => write((transaction) => resumeSubscription(transaction, number)),

    async unsubscribe (number, jobEnd) {
      const answer = await write((transaction) => {
        const subscription = readSubscription(transaction, number)
        if (subscription === undefined) return undefined
        const job = subscription.job === null ? undefined : readJob(transaction, subscription.job)
        const ended = job !== undefined && job.endedAt === null
        if (ended) endJob(transaction, job.number, jobEnd)
        if (ended && job.status === 'queued') addQueued(-1)
        removeSubscription(transaction, number, jobEnd.endedAt)
        return { job: subscription.job, ended }
      })
      if (answer === undefined) return undefined
      if (answer.job !== null) forget([answer.job])
      return answer
    },

    publish: (events) => write((transaction) => events.map((event) => appendEvent(transaction, event))),

    async readLog (requests) {
      refreshCache()
      const keys = requests.map((request) => JSON.stringify(request))
      const known = keys.map((key) => nothingNew.get(key))
      if (!known.includes(undefined)) return known as LogPage[]
      return connection.read((transaction) => {
        const pages = readLog(transaction, requests)
        if (nothingNew.size >= maxNothingNew) nothingNew.clear()
        // A request with a time is another one each time.
        for (const [index, page] of pages.entries()) if (page.entries.length === 0 && requests[index]!.notBefore === undefined) nothingNew.set(keys[index]!, page)
        return pages
      })
    },

    findFanOuts: (request) => connection.read((transaction) => findFanOuts(transaction, request)),
    findSubscribers: (fanOut, limit) => connection.read((transaction) => findSubscribers(transaction, fanOut, limit)),

    fanOut: (step) => write((transaction) => {
      if (step.owed.some(({ begins }) => begins)) keepWorker(transaction, worker)
      return fanOut(transaction, step, worker)
    }),

    async claimDeliveries (request) {
      const idle = await connection.read((transaction) =>
        findDueDeliveries(transaction, { ...request, limit: 1 }).length > 0 ? undefined : nextDeliveryDueAt(transaction, request))
      if (idle !== undefined) return { deliveries: [], nextDueAt: idle }
      return write((transaction) => {
        keepWorker(transaction, worker)
        const deliveries = claimDeliveries(transaction, request, worker)
        return { deliveries, nextDueAt: nextDeliveryDueAt(transaction, request) }
      })
    },

    settleDeliveries: (settlements) => write((transaction) =>
      settlements.map((settlement) => settleDelivery(transaction, settlement, host.clock.now(), worker))),
    listDeliveries: (filter) => connection.read((transaction) => listDeliveries(transaction, filter)),
    getAttempts: (delivery) => connection.read((transaction) => readAttempts(transaction, delivery)),
    redeliver: (filter, now) => write((transaction) => redeliver(transaction, filter, now))
  }
}
