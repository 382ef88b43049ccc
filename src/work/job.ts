import type { Tracking } from '../protocol/tracking-headers.ts'
import type { Clock } from './clock.ts'
import type { Logger } from './log.ts'

const kDeferred = Symbol('fastify-logic-apps.deferred')

/** What `job.defer()` returns. */
export interface Deferred { readonly [kDeferred]: true }

/** What a handler is given: the work, and the means to tell how it goes. */
export interface Job<Input = unknown, Params = unknown, Query = unknown, Context = undefined> {
  /** Public: fit for logs, mails and bodies. It gives no access. */
  readonly id: string
  /** 1 at first, higher when the job runs again after a failure, a crash or a restart. */
  readonly attempt: number
  /** The request's body, as validated at the start. */
  readonly input: Input
  readonly params: Params
  readonly query: Query
  /** What the operation's `context(request)` gave at the start. */
  readonly context: Context
  /** Carries the job's id, its operation and the workflow run that started it. */
  readonly log: Logger
  /**
   * Aborts when the attempt is over before the handler is: canceled, ended from outside, timed out, lease lost, or the
   * server is shutting down. `signal.reason` says which. What the handler returns afterwards is not recorded.
   */
  readonly signal: AbortSignal
  /**
   * Shown by the polls that follow. While the store is away, a report is logged and given up: the work goes on.
   *
   * @param percent 0 to 100.
   * @throws {TypeError} when percent is no such number.
   * @throws {LeaseLostError} when the attempt is over.
   */
  progress (percent: number, message?: string): Promise<void>
  /** To be returned: the job then waits, without a worker, for `app.logicApps.jobs.complete` or `.fail`. */
  defer (): Deferred
  /** Rejects with `signal.reason` when the attempt ends first. */
  sleep (ms: number): Promise<void>
}

export const isDeferred = (value: unknown): value is Deferred => typeof value === 'object' && value !== null && kDeferred in value

/** What is kept of the request that started a job, since a resumed job has none. */
export interface JobRequest {
  input: unknown
  params: unknown
  query: unknown
  context?: unknown
  tracking: Tracking
}

/** `undefined` for what is no record of a request. */
export function readRequest (text: string): JobRequest | undefined {
  try {
    const request = JSON.parse(text) as Partial<JobRequest> | null
    return request?.tracking === undefined ? undefined : request as JobRequest
  } catch {
    return undefined
  }
}

export interface JobParts extends Pick<Job, 'id' | 'attempt' | 'log' | 'signal'> {
  request: JobRequest
  clock: Clock
  report: (percentComplete: number, message: string) => Promise<void>
}

export function createJob ({ id, attempt, log, signal, request, clock, report }: JobParts): Job {
  async function sleep (ms: number): Promise<void> {
    signal.throwIfAborted()
    await new Promise<void>((resolve) => {
      function wake (): void {
        cancel()
        signal.removeEventListener('abort', wake)
        resolve()
      }
      const cancel = clock.after(ms, wake)
      signal.addEventListener('abort', wake)
    })
    signal.throwIfAborted()
  }

  async function progress (percent: number, message: string): Promise<void> {
    signal.throwIfAborted()
    await report(percent, message)
  }

  return {
    id,
    attempt,
    input: request.input,
    params: request.params,
    query: request.query,
    // JSON has no undefined: an operation without `context` finds it missing.
    context: request.context as undefined,
    log,
    signal,
    progress (percent, message = '') {
      if (typeof percent !== 'number' || !(percent >= 0 && percent <= 100)) {
        return Promise.reject(new TypeError(`job.progress(percent, message): percent must be a number from 0 to 100; got ${String(percent)}`))
      }
      return harmless(progress(percent, showable(message)))
    },
    defer: () => ({ [kDeferred]: true }),
    sleep: (ms) => harmless(sleep(ms))
  }
}

/** Left unawaited, such as in the listener of a stream, it must not take the process down when the attempt ends. */
function harmless<T> (promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}

/** Node.js 22 reads a text from SQLite up to its first NUL only. */
const showable = (message: unknown): string => String(message).replaceAll('\0', '\u{FFFD}')
