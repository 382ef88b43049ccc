import type { IdCodec } from '../protocol/token.ts'
import { ShutdownReason, type RunnableOperation } from './attempt.ts'
import { createBatcher } from './batch.ts'
import { createClaimLoop } from './claim-loop.ts'
import { waitAtMost, type Clock } from './clock.ts'
import { createEarlyStart, type EarlyStart } from './early-start.ts'
import { beginAttempt, type JobAttempt, type JobAttemptParts } from './job-attempt.ts'
import type { Logger } from './log.ts'
import { createLoops } from './loops.ts'
import { createSettler } from './settler.ts'
import { createSlots } from './slots.ts'
import type { ClaimedJob, ClaimRequest, Lease, NewJob, ProgressReport, Settlement, Store } from './store.ts'

/** A worker that was silent for so long has lost its jobs. With the two intervals below it keeps the promise of 30 s. */
export const leaseMs = 15_000
const heartbeatMs = 5_000
/** Of the three beats in a lease, a failed one must not cost a third of it. */
const heartbeatRetryMs = 1_000
const recoverMs = 5_000
/** How often we look for work that nobody told us of. */
const pollMs = 5_000
const sweepMs = 60_000
const sweepLimit = 500
/** One claim brings at most so many: more would keep the store busy while nothing runs, and then the handlers, while it waits. */
const maxClaimed = 500

export interface JobRunnerParts {
  store: Store
  clock: Clock
  log: Logger
  ids: IdCodec
  operations: ReadonlyMap<string, RunnableOperation>
  /** At most this many jobs at once in this process, of all operations. */
  concurrency: number
  /** A job ended, by this process. */
  onEnd: (number: number) => void
  /** Jobs and callbacks of a worker that vanished are due again. */
  onRecover: () => void
}

export interface JobRunner {
  start (): void
  /** There may be work. */
  wake (): void
  /** Submits jobs, and begins at once with those that there is room for, where none waits before them. */
  submit: EarlyStart['submit']
  /** Another process wrote: there may be work, and a lease may be gone. */
  storeChanged (): void
  /** The job ended or belongs to another now: its handler may stop. */
  abort (number: number, reason: Error): void
  /** Takes no more work, lets handlers finish for `drainMs`, then hands what is left back to the queue at once. */
  stop (drainMs: number): Promise<void>
}

export function createJobRunner ({ store, clock, log, ids, operations, concurrency, onEnd, onRecover }: JobRunnerParts): JobRunner {
  const active = createSlots<JobAttempt>()
  const settler = createSettler<Settlement, boolean>({
    clock,
    settle: (settlements) => store.settle(settlements),
    what: 'the outcome of this attempt',
    otherwise: 'the job will run again'
  })
  const parts: JobAttemptParts = { clock, log, settler, onEnd, report: createBatcher((reports: ProgressReport[]) => store.progress(reports)) }
  const loops = createLoops(clock, log)
  const { wake: look, claim, stop: stopClaiming } = createClaimLoop(log, 'work', pollMs, claimOnce)
  const earlyStart = createEarlyStart({ store, placesFor, begin, wake })
  let accepting = false
  let firstOperation = 0
  let claiming = false
  /** The last look found nothing that waits, and nothing has been heard of since: what is submitted now overtakes nobody. */
  let nothingWaits = false

  function wake (): void {
    nothingWaits = false
    look()
  }

  /** How many more jobs may run, and of each operation. Begins with another operation each time, so that none is always last. */
  function room (): { operations: ClaimRequest['operations'], limit: number } {
    const running = new Map<string, number>()
    let limit = concurrency
    const take = (operation: string, count: number): void => {
      running.set(operation, (running.get(operation) ?? 0) + count)
      limit -= count
    }
    for (const { operation } of active.values()) take(operation.operationId, 1)
    for (const { operation, limit } of earlyStart.kept()) take(operation, limit)
    const all = [...operations.values()].map(({ operationId, concurrency }) => ({ operation: operationId, limit: concurrency - (running.get(operationId) ?? 0) }))
    return { operations: [...all.slice(firstOperation), ...all.slice(0, firstOperation)].filter(({ limit }) => limit > 0), limit }
  }

  async function claimOnce (): Promise<boolean> {
    const { operations: wanted, limit } = room()
    nothingWaits = false
    // When there is none, the end of an attempt wakes us.
    if (!accepting || limit <= 0 || wanted.length === 0) return false
    // Only where a claim follows: moved on in rounds without room too, the same operation could come first for ever.
    firstOperation = (firstOperation + 1) % operations.size
    // Unless one of it is heard of meanwhile.
    nothingWaits = wanted.length === operations.size
    claiming = true
    try {
      const { jobs, nextDueAt, waits = false } = await store.claim({ operations: wanted, limit: Math.min(limit, maxClaimed), now: clock.now() })
      // The next claim goes first: the store is busy with it while these begin.
      if (jobs.length > 0) begin(jobs, new Promise((resolve) => { setImmediate(resolve) }))
      if (jobs.length > 0 || waits) nothingWaits = false
      if (accepting && nextDueAt !== null && nextDueAt - clock.now() < pollMs) loops.after('due', nextDueAt - clock.now(), wake)
      return jobs.length > 0
    } catch (error) {
      nothingWaits = false
      throw error
    } finally {
      claiming = false
    }
  }

  /** Places for those of these jobs that may begin as they are accepted. */
  function placesFor (jobs: NewJob[]): ClaimRequest | undefined {
    // A claim under way may fill any place.
    if (!accepting || claiming || !nothingWaits) return undefined
    const free = room()
    const places = free.operations
      .map(({ operation, limit }) => ({ operation, limit: Math.min(limit, jobs.filter((job) => job.operation === operation).length) }))
      .filter(({ limit }) => limit > 0)
    const limit = places.reduce((sum, { limit }) => sum + limit, 0)
    return limit === 0 || limit > free.limit ? undefined : { operations: places, limit, now: clock.now() }
  }

  function begin (jobs: ClaimedJob[], turn?: Promise<unknown>): void {
    const jobIds = ids.encodeAll(jobs)
    for (const [index, job] of jobs.entries()) {
      const attempt = beginAttempt(parts, job, jobIds[index]!, operations.get(job.operation)!, turn)
      const slot = active.add(attempt)
      attempt.done.then((mayWait) => {
        active.free(slot)
        if (mayWait) nothingWaits = false
        // What waits has room now.
        if (!nothingWaits) look()
      })
    }
  }

  const heartbeat = (): Promise<void> => dropLost((leases) => store.heartbeat(leases))

  async function dropLost (ask: (leases: Lease[]) => Promise<Lease[]>): Promise<void> {
    if (active.size === 0) return
    const lost = await ask(active.values().map(({ lease }) => lease))
    if (lost.length === 0) return
    const keys = new Set(lost.map(keyOf))
    for (const attempt of active.values()) if (keys.has(keyOf(attempt.lease))) attempt.lose()
  }

  async function recover (): Promise<void> {
    const count = await store.recover()
    if (count === 0) return
    log.warn({ count }, 'took over what a worker that vanished had in hand')
    wake()
    onRecover()
  }

  async function sweep (): Promise<void> {
    for (;;) {
      const count = await store.sweep(clock.now(), sweepLimit)
      if (count < sweepLimit || !accepting) return
      await new Promise((resolve) => { setImmediate(resolve) })
    }
  }

  return {
    wake,
    submit: earlyStart.submit,

    storeChanged () {
      wake()
      // Only looked at: a write here would wake the other process, and so on without end.
      dropLost((leases) => store.findLost(leases))
        .catch((error: unknown) => { log.warn({ err: error }, 'cannot look after leases, trying again with the next heartbeat') })
    },

    start () {
      accepting = true
      loops.every('poll', pollMs, claim)
      loops.every('heartbeat', heartbeatMs, heartbeat, heartbeatRetryMs)
      loops.every('recover', recoverMs, recover)
      loops.every('sweep', sweepMs, sweep)
    },

    abort (number, reason) {
      // Also an older one that goes on, although it lost the job.
      for (const attempt of active.values()) if (attempt.lease.number === number) attempt.abort(reason)
    },

    async stop (drainMs) {
      accepting = false
      loops.stop('poll', 'due', 'recover', 'sweep')
      // A claim under way may still bring jobs.
      await Promise.all([stopClaiming(), earlyStart.begun()])
      const attempts = active.values()
      const drained = Promise.all(attempts.map(({ done }) => done))
      if (attempts.length > 0) {
        log.info({ count: attempts.length, drainMs }, 'waiting for running jobs to end')
        await waitAtMost(clock, drainMs, drained)
      }
      settler.release()
      for (const attempt of active.values()) attempt.abort(new ShutdownReason('the server is shutting down'))
      await drained
      loops.stop('heartbeat')
    }
  }
}

const keyOf = ({ number, attempt }: Lease): string => `${number} ${attempt}`
