import { LeaseLostError } from '../errors.ts'
import { decide, failed, failedMessage, JobTimedOutReason, owingCallback, refuse, ShutdownReason, type Outcome, type RunnableOperation } from './attempt.ts'
import type { Clock } from './clock.ts'
import { createJob, readRequest, type JobRequest } from './job.ts'
import type { Logger } from './log.ts'
import type { Settler } from './settler.ts'
import type { ClaimedJob, Lease, ProgressReport, Settlement, Transition } from './store.ts'

/** One attempt at a job, from its claim until what came of it is recorded. */
export interface JobAttempt {
  lease: Lease
  operation: RunnableOperation
  /** The handler's signal aborts, and nobody waits for it any more. Of several reasons the first counts. */
  abort (reason: Error): void
  /** Aborts, since the lease is not ours any more. */
  lose (): void
  /** Resolves when nothing of it is left to write: to whether the job may wait for another attempt. Never rejects. */
  done: Promise<boolean>
}

export interface JobAttemptParts {
  clock: Clock
  log: Logger
  settler: Settler<Settlement, boolean>
  /** Resolves to whether the lease still held. */
  report: (report: ProgressReport) => Promise<boolean>
  /** It ended, by this attempt. */
  onEnd: (number: number) => void
}

/** @param turn When its handler may begin. */
export function beginAttempt ({ clock, log, settler, report, onEnd }: JobAttemptParts, claimed: ClaimedJob, id: string, operation: RunnableOperation, turn?: Promise<unknown>): JobAttempt {
  const lease: Lease = { number: claimed.number, attempt: claimed.attempt }
  const controller = new AbortController()
  let stopped: Error | undefined
  let letGo: (reason: Error) => void = () => {}
  let about: Record<string, unknown> = { jobId: id, operationId: operation.operationId, attempt: lease.attempt }
  let ownLog: Logger | undefined
  const logOf = (): Logger => {
    ownLog ??= log.child(about)
    return ownLog
  }

  function abort (reason: Error): void {
    if (stopped !== undefined) return
    stopped = reason
    letGo(reason)
    controller.abort(reason)
  }

  /** The job was ended from outside, or is another worker's: nothing of this attempt may be recorded. */
  const isOver = (): boolean => stopped !== undefined && !(stopped instanceof JobTimedOutReason) && !(stopped instanceof ShutdownReason)

  async function run (): Promise<boolean> {
    try {
      await turn
      const to = isOver() ? undefined : refuse(claimed, operation, clock.now(), logOf) ?? await outcomeOf(readRequest(claimed.input))
      if (to !== undefined) return await settle(to)
      log.debug({ ...about, err: stopped }, 'attempt over')
      return false
    } catch (error) {
      log.error({ ...about, err: error }, 'the runner failed on this job')
      return true
    }
  }

  async function outcomeOf (request: JobRequest | undefined): Promise<Transition | undefined> {
    about = { ...about, workflowRunId: request?.tracking.workflowRunId }
    const outcome: Outcome = request === undefined
      ? { thrown: new Error('the record of the request is damaged: restore a backup') }
      : await runHandler(request)
    return isOver() ? undefined : decide(outcome, claimed, id, operation, clock.now(), logOf)
  }

  /** What the handler left, or the reason to stop it if that comes first: one that ignores its signal is left to itself. */
  async function runHandler (request: JobRequest): Promise<Outcome> {
    if (stopped !== undefined) return { thrown: stopped }
    const job = createJob({ id, attempt: lease.attempt, log: logOf(), signal: controller.signal, request, clock, report: reportProgress })
    log.debug(about, 'job started')
    const cancelTimeout = clock.after(operation.timeoutMs, () => { abort(new JobTimedOutReason(`the attempt took longer than ${operation.timeoutMs} ms`)) })
    const outcome = await new Promise<Outcome>((resolve) => {
      letGo = (reason) => { resolve({ thrown: reason }) }
      const handled = (async () => await operation.handler(job))()
      // Whatever a handler throws once its signal fired, the signal is the reason.
      handled.then((returned) => { resolve({ returned }) }, (error: unknown) => { resolve({ thrown: stopped ?? error }) })
    })
    cancelTimeout()
    return outcome
  }

  async function settle (to: Transition): Promise<boolean> {
    // One that no store can keep is a failure of the job.
    const unkept = (): Settlement => settlementOf(failed(operation, clock.now(), { code: 'JobFailed', message: failedMessage(id) }))
    const settled = await settler.settle(settlementOf(to), logOf, unkept)
    if (settled === undefined) return true
    const { outcome: held, settlement } = settled
    const hasEnded = 'endedAt' in settlement.to
    if (!held) logOf().warn({}, 'the outcome of this attempt was not recorded: the job ended, or another worker has it')
    else if (hasEnded) {
      log.debug({ ...about, status: settlement.to.status }, 'job ended')
      onEnd(lease.number)
    }
    return !hasEnded
  }

  const settlementOf = (to: Transition): Settlement => ({ lease, to: 'endedAt' in to ? owingCallback(to, claimed, operation) : to })

  function lose (): Error {
    const lost = new LeaseLostError(id)
    abort(lost)
    return lost
  }

  async function reportProgress (percentComplete: number, message: string): Promise<void> {
    try {
      if (await report({ lease, percentComplete, message })) return
    } catch (error) {
      // The work is worth more than the news of it.
      return log.warn({ err: error, jobId: id }, 'progress was not recorded')
    }
    throw lose()
  }

  return { lease, operation, abort, lose, done: run() }
}
