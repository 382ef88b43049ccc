import { LeaseLostError } from '../errors.ts'
import type { IdCodec } from '../protocol/token.ts'
import {
  decide, failed, failedMessage, JobTimedOutReason, owingCallback, refuse, ShutdownReason, type Outcome, type RunnableOperation
} from './attempt.ts'
import { createBatcher } from './batch.ts'
import { createClaimLoop } from './claim-loop.ts'
import { waitAtMost, type Clock } from './clock.ts'
import { createJob, readRequest, type JobRequest } from './job.ts'
import { createEarlyStart, type EarlyStart } from './early-start.ts'
import type { Logger } from './log.ts'
import { createLoops } from './loops.ts'
import { createSettler } from './settler.ts'
import type { ClaimedJob, ClaimRequest, Lease, NewJob, ProgressReport, Settlement, Store, Transition } from './store.ts'

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

interface ActiveAttempt {
  id: string
  lease: Lease
  operation: RunnableOperation
  controller: AbortController
  /** Settles when nothing of it is left to write. */
  done: Promise<void>
}

export function createJobRunner ({ store, clock, log, ids, operations, concurrency, onEnd, onRecover }: JobRunnerParts): JobRunner {
  const active = new Map<number, ActiveAttempt>()
  const settler = createSettler<Settlement, boolean>({
    clock,
    settle: (settlements) => store.settle(settlements),
    what: 'the outcome of this attempt',
    otherwise: 'the job will run again'
  })
  const report = createBatcher((reports: ProgressReport[]) => store.progress(reports))
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
      const { jobs, nextDueAt, waits = false } = await store.claim({ operations: wanted, limit, now: clock.now() })
      for (const job of jobs) begin(job)
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

  function begin (job: ClaimedJob): void {
    const operation = operations.get(job.operation)!
    const attempt: ActiveAttempt = {
      id: ids.encode(job),
      lease: { number: job.number, attempt: job.attempt },
      operation,
      controller: new AbortController(),
      done: Promise.resolve()
    }
    active.set(job.number, attempt)
    attempt.done = run(job, attempt)
      .catch((error: unknown) => { log.error({ err: error, jobId: attempt.id }, 'the runner failed on this job') })
      .finally(() => {
        if (active.get(job.number) === attempt) active.delete(job.number)
        // What waits has room now.
        if (!nothingWaits) look()
      })
  }

  async function run (job: ClaimedJob, attempt: ActiveAttempt): Promise<void> {
    const { id, operation, controller: { signal } } = attempt
    let jobLog = log.child({ jobId: id, operationId: operation.operationId, attempt: job.attempt })
    let to = refuse(job, operation, clock.now(), jobLog)
    if (to === undefined) {
      const request = readRequest(job.input)
      jobLog = jobLog.child({ workflowRunId: request?.tracking.workflowRunId })
      const outcome: Outcome = request === undefined
        ? { thrown: new Error('the record of the request is damaged: restore a backup') }
        : await runHandler(attempt, request, jobLog)
      // Ended from outside, or another worker's: there is nothing left to say.
      if (isOver(signal)) return jobLog.debug({ err: signal.reason as Error }, 'attempt over')
      to = decide(outcome, job, id, operation, clock.now(), jobLog)
    }
    const owing = (outcome: Transition): Transition => 'endedAt' in outcome ? owingCallback(outcome, job, operation) : outcome
    // One that no store can keep is a failure of the job.
    const unkept = (): Settlement => ({ lease: attempt.lease, to: owing(failed(operation, clock.now(), { code: 'JobFailed', message: failedMessage(id) })) })
    const settled = await settler.settle({ lease: attempt.lease, to: owing(to) }, () => jobLog, unkept)
    if (settled === undefined || !('endedAt' in settled.settlement.to)) nothingWaits = false
    if (settled === undefined) return
    const { outcome: held, settlement } = settled
    if (!held) jobLog.warn({}, 'the outcome of this attempt was not recorded: the job ended, or another worker has it')
    else if ('endedAt' in settlement.to) {
      jobLog.debug({ status: settlement.to.status }, 'job ended')
      onEnd(job.number)
    }
  }

  /** The handler's outcome, or the signal's reason if that comes first: a handler that ignores its signal is left to itself. */
  async function runHandler (attempt: ActiveAttempt, request: JobRequest, jobLog: Logger): Promise<Outcome> {
    const { id, lease, operation, controller } = attempt
    const { signal } = controller
    const job = createJob({
      id,
      attempt: lease.attempt,
      log: jobLog,
      signal,
      request,
      clock,
      report: (percentComplete, message) => reportProgress(attempt, percentComplete, message)
    })
    jobLog.debug({}, 'job started')
    const cancelTimeout = clock.after(operation.timeoutMs, () => {
      controller.abort(new JobTimedOutReason(`the attempt took longer than ${operation.timeoutMs} ms`))
    })
    return await new Promise<Outcome>((resolve) => {
      signal.addEventListener('abort', () => { resolve({ thrown: signal.reason }) }, { once: true })
      const handled = (async () => await operation.handler(job))()
      handled.then(
        (returned) => { resolve({ returned }) },
        // Whatever a handler throws once its signal fired, the signal is the reason.
        (error: unknown) => { resolve({ thrown: signal.aborted ? signal.reason : error }) })
    }).finally(cancelTimeout)
  }

  async function reportProgress ({ id, lease, controller }: ActiveAttempt, percentComplete: number, message: string): Promise<void> {
    try {
      if (await report({ lease, percentComplete, message })) return
    } catch (error) {
      // The work is worth more than the news of it.
      return log.warn({ err: error, jobId: id }, 'progress was not recorded')
    }
    const lost = new LeaseLostError(id)
    controller.abort(lost)
    throw lost
  }

  const heartbeat = (): Promise<void> => dropLost((leases) => store.heartbeat(leases))

  async function dropLost (ask: (leases: Lease[]) => Promise<Lease[]>): Promise<void> {
    if (active.size === 0) return
    const lost = await ask([...active.values()].map(({ lease }) => lease))
    for (const { number, attempt } of lost) {
      const entry = active.get(number)
      if (entry?.lease.attempt === attempt) entry.controller.abort(new LeaseLostError(entry.id))
    }
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
      active.get(number)?.controller.abort(reason)
    },

    async stop (drainMs) {
      accepting = false
      loops.stop('poll', 'due', 'recover', 'sweep')
      // A claim under way may still bring jobs.
      await Promise.all([stopClaiming(), earlyStart.begun()])
      const attempts = [...active.values()]
      const drained = Promise.all(attempts.map(({ done }) => done))
      if (attempts.length > 0) {
        log.info({ count: attempts.length, drainMs }, 'waiting for running jobs to end')
        await waitAtMost(clock, drainMs, drained)
      }
      settler.release()
      for (const { controller } of active.values()) controller.abort(new ShutdownReason('the server is shutting down'))
      await drained
      loops.stop('heartbeat')
    }
  }
}

/** Whether the attempt has lost the job for good, so that nothing of it may be recorded. */
function isOver (signal: AbortSignal): boolean {
  return signal.aborted && !(signal.reason instanceof JobTimedOutReason) && !(signal.reason instanceof ShutdownReason)
}
