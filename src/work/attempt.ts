import { InvalidResultError, JobError } from '../errors.ts'
import { assertFailureStatusCode } from '../protocol/failure-status.ts'
import { isDeferred, type Job } from './job.ts'
import type { Logger } from './log.ts'
import { errorOf, logThrown } from './log-thrown.ts'
import { retryDelayMs, type RetryPolicy } from './retry-policy.ts'
import type { ClaimedJob, Failure, JobEnd, JobRecord, Transition } from './store.ts'

/** What the runner must know of an operation. */
export interface RunnableOperation extends RetryPolicy {
  operationId: string
  /** At most this many at once in this process. */
  concurrency: number
  timeoutMs: number
  deferTimeoutMs: number
  /** How often its worker may vanish under a job before the job is given up. */
  maxCrashes: number
  retentionMs: number
  failureStatusCode: number
  handler: (job: Job) => unknown
  /** Of an operation whose end owes a callback: how long after the start none is sent, so that its caller has read our answer. */
  callbackDelayMs?: number | undefined
  /** JSON text of a result, `null` for none. Throws InvalidResultError when it does not fit the schema. */
  encodeResult: (result: unknown) => string | null
}

/** Why the signal of a job aborts. */
export class JobTimedOutReason extends Error { override readonly name = 'JobTimedOutReason' }
export class ShutdownReason extends Error { override readonly name = 'ShutdownReason' }
export class JobEndedReason extends Error { override readonly name = 'JobEndedReason' }

export function jobEnd (operation: Pick<RunnableOperation, 'retentionMs'>, now: number): { endedAt: number, expiresAt: number } {
  return { endedAt: now, expiresAt: later(now, operation.retentionMs) }
}

/** A time that every store can keep and give back, also where an option or a handler says "never" with a huge number. */
const later = (now: number, ms: number): number => Math.min(Math.round(now + ms), Number.MAX_SAFE_INTEGER)

export function failed (operation: Pick<RunnableOperation, 'retentionMs' | 'failureStatusCode'>, now: number, failure: Omit<Failure, 'statusCode'> & { statusCode?: number | undefined }): JobEnd {
  return { status: 'failed', failure: { ...failure, statusCode: failure.statusCode ?? operation.failureStatusCode }, ...jobEnd(operation, now) }
}

/** The end of a job, with the callback that it owes. A callback cannot fail an action, so a failure is an `error` in its body (engine 2.20). */
export function owingCallback (end: JobEnd, { createdAt }: Pick<JobRecord, 'createdAt'>, { callbackDelayMs }: Pick<RunnableOperation, 'callbackDelayMs'>): JobEnd {
  if (callbackDelayMs === undefined) return end
  return { ...end, callback: { body: callbackBodyOf(end), dueAt: Math.max(end.endedAt, createdAt + callbackDelayMs) } }
}

function callbackBodyOf (end: JobEnd): string {
  if (end.status === 'succeeded') return end.result ?? '{}'
  const { statusCode, ...error } = end.failure
  return JSON.stringify({ error })
}

/** A JobError as it is kept. Details that are no JSON are left out, since the rest of the answer must not be lost. */
export function failureOf (error: JobError, log: Logger): Omit<Failure, 'statusCode'> & { statusCode: number | undefined } {
  const { code, message } = error
  const statusCode = statusCodeOf(error, log)
  if (error.details === undefined) return { code: String(code), message: String(message), statusCode }
  try {
    return { code: String(code), message: String(message), statusCode, details: JSON.parse(JSON.stringify(error.details)) as unknown }
  } catch (cause) {
    logThrown(log, 'error', errorOf(cause), `the details of a JobError ("${code}") are no JSON value and were left out`)
    return { code: String(code), message: String(message), statusCode }
  }
}

/** Checked again: whatever an error says that a subclass or a caller put together, a poll must end the action (design 3.7). */
function statusCodeOf ({ statusCode, code }: JobError, log: Logger): number | undefined {
  if (statusCode === undefined) return undefined
  try {
    assertFailureStatusCode(statusCode, `"statusCode" of a JobError ("${code}")`)
    return statusCode
  } catch (cause) {
    log.error({ err: cause }, 'the status of a JobError was replaced by the operation\'s failureStatusCode')
    return undefined
  }
}

export const failedMessage = (id: string): string => `The job failed. Its id is ${id}.`

/** What becomes of a job that was claimed but must not run, or `undefined` when it may. @param log Asked for when there is something to log. */
export function refuse (job: ClaimedJob, operation: RunnableOperation, now: number, log: () => Logger): Transition | undefined {
  if (job.due === 'deadline') {
    log().warn({}, 'job failed: nobody completed it in time')
    return failed(operation, now, { code: 'JobTimedOut', message: 'Nobody completed the job in time.' })
  }
  if (job.crashes >= operation.maxCrashes) {
    log().error({ crashes: job.crashes }, 'job failed: its worker vanished too often')
    return failed(operation, now, { code: 'JobCrashed', message: `The server stopped ${job.crashes} times while it worked on this job.` })
  }
}

/** How an attempt went. */
export type Outcome = { returned: unknown } | { thrown: unknown }

/** What becomes of a job after an attempt. @param log Asked for when there is something to log. */
export function decide (outcome: Outcome, job: ClaimedJob, id: string, operation: RunnableOperation, now: number, log: () => Logger): Transition {
  try {
    if ('thrown' in outcome) return afterThrow(errorOf(outcome.thrown), job, id, operation, now, log)
    return afterReturn(outcome.returned, operation, now, log)
  } catch (cause) {
    // A serializer that throws, an error that cannot be read: as much the handler's doing as a throw of its own.
    return afterThrow(new Error('what the handler left cannot be used', { cause }), job, id, operation, now, log)
  }
}

function afterReturn (value: unknown, operation: RunnableOperation, now: number, log: () => Logger): Transition {
  if (isDeferred(value)) {
    log().debug({}, 'job deferred')
    return { status: 'running', deadline: later(now, operation.deferTimeoutMs) }
  }
  try {
    return { status: 'succeeded', result: operation.encodeResult(value), ...jobEnd(operation, now) }
  } catch (error) {
    if (!(error instanceof InvalidResultError)) throw error
    logThrown(log(), 'error', error, 'job failed: its result does not fit the schema')
    return failed(operation, now, { code: 'InvalidResult', message: 'The job ended with a result that does not fit its schema.' })
  }
}

function afterThrow (error: Error, job: ClaimedJob, id: string, operation: RunnableOperation, now: number, log: () => Logger): Transition {
  if (error instanceof ShutdownReason) {
    log().info({}, 'job handed back to the queue: the server is shutting down')
    return { status: 'queued', dueAt: 0, failures: job.failures }
  }
  if (error instanceof JobError) {
    logThrown(log(), 'warn', error, 'job failed')
    return failed(operation, now, failureOf(error, log()))
  }
  const delayMs = retryDelayMs(error, operation, job.failures, Math.random())
  if (delayMs !== undefined) {
    logThrown(log(), 'warn', error, 'attempt failed, the job will run again', { delayMs: Math.round(delayMs) })
    return { status: 'queued', dueAt: later(now, delayMs), failures: job.failures + 1 }
  }
  logThrown(log(), 'error', error, 'job failed')
  return failed(operation, now, error instanceof JobTimedOutReason
    ? { code: 'JobTimedOut', message: 'The job took longer than it may.' }
    // The cause is for the log alone: it may hold anything.
    : { code: 'JobFailed', message: failedMessage(id) })
}
