import { LeaseLostError } from '../errors.ts'
import type { IdCodec } from '../protocol/token.ts'
import { afterReturn, afterThrow, JobTimedOutReason, refuse, ShutdownReason, type RunnableOperation } from './attempt.ts'
import { createBatcher } from './batch.ts'
import type { Clock } from './clock.ts'
import { createJob, type JobRequest } from './job.ts'
import type { Logger } from './log.ts'
import type { ClaimedJob, Lease, ProgressReport, Settlement, Store, Transition } from './store.ts'

/** A worker that was silent for so long has lost its jobs. With the two intervals below it keeps the promise of 30 s. */
export const leaseMs = 15_000
const heartbeatMs = 5_000
const recoverMs = 5_000
/** How often we look for work that nobody told us of. */
const pollMs = 5_000
const sweepMs = 60_000
const sweepLimit = 500
const settleRetryMs = 1_000

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
}

export interface JobRunner {
  start (): void
  /** There may be work. */
  wake (): void
  /** The job ended or belongs to another now: its handler may stop. */
  abort (number: number, reason: Error): void
  /** Takes no more work, lets handlers finish for `drainMs`, then hands what is left back to the queue at once. */
  stop (drainMs: number): Promise<void>
}

interface ActiveAttempt {
  lease: Lease
  operation: RunnableOperation
  controller: AbortController
  /** Settles when nothing of it is left to write. */
  done: Promise<void>
}

export function createJobRunner ({ store, clock, log, ids, operations, concurrency, onEnd }: JobRunnerParts): JobRunner {
  const active = new Map<number, ActiveAttempt>()
  const settle = createBatcher((settlements: Settlement[]) => store.settle(settlements))
  const report = createBatcher((reports: ProgressReport[]) => store.progress(reports))
  const timers = new Map<string, () => void>()
  const loops = new Set<string>()
  let accepting = false
  let releasing = false
  let waking = false
  let claimed: Promise<void> | undefined
  let claimAgain = false
  let firstOperation = 0

  function arm (name: string, ms: number, callback: () => void): void {
    timers.get(name)?.()
    timers.set(name, clock.after(ms, callback))
  }

  /** Runs `work` now and then `ms` after each end of it, until stopped; a failure is logged and the next turn tries again. */
  function every (name: string, ms: number, work: () => Promise<unknown>): void {
    loops.add(name)
    work()
      .catch((error: unknown) => { log.warn({ err: error }, `${name} failed, trying again in ${ms} ms`) })
      .finally(() => { if (loops.has(name)) arm(name, ms, () => { every(name, ms, work) }) })
  }

  function stopLoop (name: string): void {
    loops.delete(name)
    timers.get(name)?.()
    timers.delete(name)
  }

  /** How many more jobs of each operation may run. Begins with another operation each time, so that none is always last. */
  function room (): { operation: string, limit: number }[] {
    const running = new Map<string, number>()
    for (const { operation } of active.values()) running.set(operation.operationId, (running.get(operation.operationId) ?? 0) + 1)
    const all = [...operations.values()].map(({ operationId, concurrency }) => ({ operation: operationId, limit: concurrency - (running.get(operationId) ?? 0) }))
    firstOperation = (firstOperation + 1) % Math.max(all.length, 1)
    return [...all.slice(firstOperation), ...all.slice(0, firstOperation)].filter(({ limit }) => limit > 0)
  }

  /** Claims until there is no due work or no room. One at a time: a wake-up meanwhile means another round. */
  function claim (): Promise<void> {
    claimAgain = true
    claimed ??= claimRounds().finally(() => { claimed = undefined })
    return claimed
  }

  async function claimRounds (): Promise<void> {
    while (claimAgain) {
      claimAgain = false
      const limit = concurrency - active.size
      const wanted = room()
      // When there is none, the end of an attempt wakes us.
      if (!accepting || limit <= 0 || wanted.length === 0) return
      const { jobs, nextDueAt } = await store.claim({ operations: wanted, limit, now: clock.now() })
      for (const job of jobs) begin(job)
      if (nextDueAt !== null && nextDueAt - clock.now() < pollMs) arm('due', nextDueAt - clock.now(), wake)
      if (jobs.length > 0) claimAgain = true
    }
  }

  /** All wake-ups of one turn, such as the ends of a settled batch, make one claim. */
  function wake (): void {
    if (waking || !accepting) return
    waking = true
    setImmediate(() => {
      waking = false
      claim().catch((error: unknown) => { log.warn({ err: error }, `cannot claim work, trying again within ${pollMs} ms`) })
    })
  }

  function begin (job: ClaimedJob): void {
    const operation = operations.get(job.operation)!
    const attempt: ActiveAttempt = {
      lease: { number: job.number, attempt: job.attempt },
      operation,
      controller: new AbortController(),
      done: Promise.resolve()
    }
    active.set(job.number, attempt)
    attempt.done = run(job, attempt).finally(() => {
      if (active.get(job.number) === attempt) active.delete(job.number)
      wake()
    })
  }

  async function run (job: ClaimedJob, attempt: ActiveAttempt): Promise<void> {
    const { operation, controller: { signal } } = attempt
    const id = ids.encode(job)
    const request = JSON.parse(job.input) as JobRequest
    const jobLog = log.child({ jobId: id, operationId: operation.operationId, attempt: job.attempt, workflowRunId: request.tracking.workflowRunId })
    let to: Transition | undefined = refuse(job, operation, clock.now())
    if (to !== undefined) jobLog.error({ failure: to }, 'job given up')
    else {
      const cancelTimeout = clock.after(operation.timeoutMs, () => attempt.controller.abort(new JobTimedOutReason(`the attempt took longer than ${operation.timeoutMs} ms`)))
      try {
        jobLog.debug({}, 'job started')
        const value = await unlessAborted(signal, () => operation.handler(createJob({
          id, attempt: job.attempt, log: jobLog, signal, request, clock, report: (percentComplete, message) => reportProgress(id, attempt, percentComplete, message)
        })))
        to = afterReturn(value, operation, clock.now(), jobLog)
      } catch (error) {
        // Whatever a handler throws once its signal fired, the signal is the reason.
        to = afterThrow(signal.aborted ? signal.reason : error, job, id, operation, clock.now(), jobLog)
      } finally {
        cancelTimeout()
      }
    }
    // Ended from outside, or another worker's: there is nothing left to say.
    if (isOver(signal)) return
    await settleUntilDone(attempt, to, jobLog)
  }

  async function reportProgress (id: string, attempt: ActiveAttempt, percentComplete: number, message: string): Promise<void> {
    if (await report({ lease: attempt.lease, percentComplete, message })) return
    const lost = new LeaseLostError(id)
    attempt.controller.abort(lost)
    throw lost
  }

  /** A result must not be lost to a short outage of the store: tried until it is committed or the lease is gone. */
  async function settleUntilDone (attempt: ActiveAttempt, to: Transition, jobLog: Logger): Promise<void> {
    for (;;) {
      try {
        const held = await settle({ lease: attempt.lease, to })
        if (!held) jobLog.warn({}, 'the outcome of this attempt was not recorded: the job ended, or another worker has it')
        else if ('endedAt' in to) {
          jobLog.debug({ status: to.status }, 'job ended')
          onEnd(attempt.lease.number)
        }
        return
      } catch (error) {
        if (releasing) {
          jobLog.error({ err: error }, 'the outcome of this attempt could not be recorded before the server closed: the job will run again')
          return
        }
        jobLog.warn({ err: error }, `cannot record the outcome of this attempt, trying again in ${settleRetryMs} ms`)
        await new Promise<void>((resolve) => { clock.after(settleRetryMs, resolve) })
      }
    }
  }

  async function heartbeat (): Promise<void> {
    if (active.size === 0) return
    const lost = await store.heartbeat([...active.values()].map(({ lease }) => lease))
    for (const { number, attempt } of lost) {
      const entry = active.get(number)
      if (entry?.lease.attempt === attempt) entry.controller.abort(new LeaseLostError(String(number)))
    }
  }

  async function recover (): Promise<void> {
    const count = await store.recover()
    if (count === 0) return
    log.warn({ count }, 'took over jobs of a worker that vanished')
    wake()
  }

  async function sweep (): Promise<void> {
    while (await store.sweep(clock.now(), sweepLimit) === sweepLimit) await new Promise((resolve) => { setImmediate(resolve) })
  }

  return {
    wake,

    start () {
      accepting = true
      every('poll', pollMs, claim)
      every('heartbeat', heartbeatMs, heartbeat)
      every('recover', recoverMs, recover)
      every('sweep', sweepMs, sweep)
    },

    abort (number, reason) {
      active.get(number)?.controller.abort(reason)
    },

    async stop (drainMs) {
      accepting = false
      for (const name of ['poll', 'due', 'recover', 'sweep']) stopLoop(name)
      // A claim under way may still bring jobs.
      await claimed
      const attempts = [...active.values()]
      const drained = Promise.all(attempts.map(({ done }) => done))
      if (attempts.length > 0) {
        log.info({ count: attempts.length, drainMs }, 'waiting for running jobs to end')
        await new Promise<void>((resolve) => {
          const cancel = clock.after(drainMs, resolve)
          drained.then(() => { cancel(); resolve() })
        })
      }
      releasing = true
      for (const { controller } of active.values()) controller.abort(new ShutdownReason('the server is shutting down'))
      await drained
      stopLoop('heartbeat')
    }
  }
}

/** Whether the attempt has lost the job for good, so that nothing of it may be recorded. */
function isOver (signal: AbortSignal): boolean {
  return signal.aborted && !(signal.reason instanceof JobTimedOutReason) && !(signal.reason instanceof ShutdownReason)
}

/** The handler's outcome, or the signal's reason if that comes first. A handler that ignores its signal is left to itself. */
async function unlessAborted<T> (signal: AbortSignal, handler: () => T): Promise<Awaited<T>> {
  const aborted = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => { resolve() }, { once: true })
  })
  const outcome = (async () => await handler())()
  return await Promise.race([outcome, aborted.then(() => { throw signal.reason })])
}
