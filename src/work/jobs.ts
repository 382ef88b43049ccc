import { IdempotencyKeyReusedError, JobAlreadyEndedError, JobError, JobNotFoundError, OperationNotFoundError, QueueFullError } from '../errors.ts'
import type { IdCodec } from '../protocol/token.ts'
import { failed, failureOf, jobEnd, JobEndedReason, owingCallback, type RunnableOperation } from './attempt.ts'
import { createBatcher } from './batch.ts'
import type { Clock } from './clock.ts'
import type { JobRunner } from './job-runner.ts'
import type { Logger } from './log.ts'
import type { Failure, JobEnd, JobRecord, JobStatus, NewJob, Store, SubmitOutcome } from './store.ts'

/** A job as the programmatic face shows it. Times are epoch milliseconds. */
export interface JobView {
  id: string
  operationId: string
  owner: string
  status: JobStatus
  attempt: number
  percentComplete: number
  message: string
  createdAt: number
  startedAt: number | null
  endedAt: number | null
  /** Of a succeeded job that has one. */
  result?: unknown
  /** Of a failed or canceled job. */
  error?: Failure
}

export interface JobListFilter {
  operationId?: string
  owner?: string
  status?: JobStatus
  /** Only jobs accepted before the one with this id: the last id of one page asks for the next. */
  before?: string
  /** @default 100 */
  limit?: number
}

/** `app.logicApps.jobs`. */
export interface Jobs {
  /** `undefined` for an unknown id, and for a job past retention. */
  get (id: string): Promise<JobView | undefined>
  /** Newest first. */
  list (filter?: JobListFilter): Promise<JobView[]>
  /**
   * Cancels a job that has not ended; its handler's signal aborts. A job canceled before is left as it is.
   *
   * @throws {JobNotFoundError} @throws {JobAlreadyEndedError}
   */
  cancel (id: string): Promise<void>
  /**
   * Ends a job, deferred or not, with a result.
   *
   * @throws {JobNotFoundError} @throws {JobAlreadyEndedError} @throws {InvalidResultError} @throws {OperationNotFoundError}
   */
  complete (id: string, result?: unknown): Promise<void>
  /** Ends a job, deferred or not, as failed. @throws {JobNotFoundError} @throws {JobAlreadyEndedError} @throws {OperationNotFoundError} */
  fail (id: string, error: JobError): Promise<void>
}

/** What the routes need beyond that. */
export interface JobService extends Jobs {
  /** @throws {IdempotencyKeyReusedError} @throws {QueueFullError} @throws {StoreUnavailableError} */
  accept (job: NewJob): Promise<{ job: JobRecord, id: string, repeated: boolean }>
  find (number: number): Promise<JobRecord | undefined>
  /** The job once it ended, or as it is after `ms`. Never rejects: the job is accepted, whatever happens to the store. */
  waitForEnd (job: JobRecord, ms: number): Promise<JobRecord>
  /** Ends a job as canceled. Resolves to it, and to whether it ended otherwise before; `undefined` when there is none. */
  cancelJob (job: JobRecord): Promise<{ canceled: boolean, job: JobRecord } | undefined>
  /** A job ended, by this process. */
  onEnd (number: number): void
  /** A job was ended in the store otherwise than by its attempt: its handler may stop. */
  onEndedOutside (number: number, status: JobStatus): void
  /** How a job of an operation ends that is canceled now. */
  canceled (operationId: string): JobEnd
  /** Lets all waits go: the server is closing. */
  stop (): void
}

export interface JobServiceParts {
  store: Store
  clock: Clock
  log: Logger
  ids: IdCodec
  operations: ReadonlyMap<string, RunnableOperation>
  maxQueued: number
  /** For jobs of operations that this process does not declare. */
  defaults: Pick<RunnableOperation, 'retentionMs' | 'failureStatusCode'>
  /** Of this process, if it runs jobs. */
  runner: () => Pick<JobRunner, 'submit' | 'abort'> | undefined
  /** A job was ended from outside, so that a callback may be owed. */
  onOwed?: () => void
}

/** Beside each job, its id. */
type WithId<Outcome> = Outcome extends { job: JobRecord } ? Outcome & { id: string } : Outcome

/** How often a wait looks for an end that another process wrote. */
const waitPollMs = 500

export function createJobService ({ store, clock, log, ids, operations, maxQueued, defaults, runner, onOwed }: JobServiceParts): JobService {
  const submit = createBatcher(submitAll, { maxRuns: 3, turns: turnsOfCommit })
  const find = createBatcher((numbers: number[]) => store.get(numbers))
  const waits = new Map<number, Set<() => void>>()
  const stop = new AbortController()

  /**
   * Two turns halve the commits of a busy process, since an answer brings the next request, and an idle one is through with
   * them at once. Where the store commits elsewhere, and no job of ours waits for it, commits of one turn get more done
   * (5 to 12 % more starts): one group is made while the other is on its way. Beside jobs they would end 10 to 15 % fewer.
   */
  function turnsOfCommit (): number {
    return runner() === undefined && store.commitsAside === true ? 1 : 2
  }

  /** All ids at once: one call of the cipher is most of what they cost. */
  async function submitAll (jobs: NewJob[]): Promise<WithId<SubmitOutcome>[]> {
    const outcomes = await (runner() ?? store).submit(jobs, { maxQueued })
    const records = outcomes.flatMap((outcome) => 'job' in outcome ? [outcome.job] : [])
    const encoded = ids.encodeAll(records)
    const idOf = new Map(records.map((record, index) => [record, encoded[index]!]))
    return outcomes.map((outcome) => 'job' in outcome ? { ...outcome, id: idOf.get(outcome.job)! } : outcome)
  }

  function onEnd (number: number): void {
    for (const wake of waits.get(number) ?? []) wake()
  }

  /** Resolves when the job ends here, or after `ms`. */
  function nextNews (number: number, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const set = waits.get(number) ?? new Set()
      waits.set(number, set.add(wake))
      const cancel = clock.after(ms, wake)
      function wake (): void {
        cancel()
        set.delete(wake)
        if (set.size === 0) waits.delete(number)
        resolve()
      }
    })
  }

  async function end (job: JobRecord, jobEnd: JobEnd): Promise<{ ended: boolean, job: JobRecord } | undefined> {
    const answer = await store.end(job.number, owingCallback(jobEnd, job, operations.get(job.operation) ?? { callbackDelayMs: 0 }))
    if (answer?.ended === true) {
      onEndedOutside(job.number, jobEnd.status)
      onOwed?.()
    }
    return answer
  }

  function onEndedOutside (number: number, status: JobStatus): void {
    runner()?.abort(number, new JobEndedReason(`the job ended as ${status}`))
    onEnd(number)
  }

  function canceled (operationId: string): JobEnd {
    const operation = operations.get(operationId) ?? defaults
    return {
      status: 'canceled',
      failure: { code: 'JobCanceled', message: 'The job was canceled.', statusCode: operation.failureStatusCode },
      ...jobEnd(operation, clock.now())
    }
  }

  async function endById (id: string, toEnd: (operation: RunnableOperation) => JobEnd): Promise<void> {
    const job = await findById(id)
    const operation = operations.get(job.operation)
    if (operation === undefined) throw new OperationNotFoundError(job.operation)
    const answer = await end(job, toEnd(operation))
    if (answer === undefined) throw new JobNotFoundError()
    if (!answer.ended) throw new JobAlreadyEndedError(id, answer.job.status)
  }

  async function lookUp (id: string): Promise<JobRecord | undefined> {
    const name = typeof id === 'string' ? ids.decode(id) : undefined
    const job = name === undefined ? undefined : await find(name.number)
    return job?.createdAt === name?.createdAt ? job : undefined
  }

  async function findById (id: string): Promise<JobRecord> {
    const job = await lookUp(id)
    if (job === undefined) throw new JobNotFoundError()
    return job
  }

  async function cancelJob (job: JobRecord): Promise<{ canceled: boolean, job: JobRecord } | undefined> {
    const answer = await end(job, canceled(job.operation))
    return answer === undefined ? undefined : { canceled: answer.job.status === 'canceled', job: answer.job }
  }

  return {
    find,
    onEnd,
    onEndedOutside,
    canceled,
    cancelJob,

    async accept (job) {
      const answer = await submit(job)
      if (answer.outcome === 'conflict') throw new IdempotencyKeyReusedError()
      if (answer.outcome === 'full') throw new QueueFullError()
      return { job: answer.job, id: answer.id, repeated: answer.outcome === 'repeated' }
    },

    async waitForEnd (job, ms) {
      const until = clock.monotonic() + ms
      let latest = job
      try {
        while (latest.endedAt === null && !stop.signal.aborted && clock.monotonic() < until) {
          await nextNews(job.number, Math.min(until - clock.monotonic(), waitPollMs))
          latest = await find(job.number) ?? latest
        }
      } catch (error) {
        log.warn({ err: error, jobId: ids.encode(job) }, 'cannot read the job that a start waits for; answering 202')
      }
      return latest
    },

    stop () {
      stop.abort()
      for (const set of waits.values()) for (const wake of set) wake()
    },

    async get (id) {
      const job = await lookUp(id)
      return job === undefined ? undefined : viewOf(job, id)
    },

    async list ({ operationId, owner, status, before, limit = 100 } = {}) {
      if (!Number.isInteger(limit) || limit < 1) throw new TypeError('jobs.list({ limit }): limit must be a whole number, 1 or more')
      const name = before === undefined ? undefined : ids.decode(before)
      if (before !== undefined && name === undefined) throw new JobNotFoundError()
      const records = await store.list({ operation: operationId, owner, status, before: name?.number, limit })
      return records.map((record) => viewOf(record, ids.encode(record)))
    },

    async cancel (id) {
      const answer = await cancelJob(await findById(id))
      if (answer === undefined) throw new JobNotFoundError()
      if (!answer.canceled) throw new JobAlreadyEndedError(id, answer.job.status)
    },

    complete: (id, result) => endById(id, (operation) =>
      ({ status: 'succeeded', result: operation.encodeResult(result), ...jobEnd(operation, clock.now()) })),

    async fail (id, error) {
      if (!(error instanceof JobError)) throw new TypeError('jobs.fail(id, error): error must be a JobError')
      await endById(id, (operation) => failed(operation, clock.now(), failureOf(error, log)))
    }
  }
}

function viewOf (job: JobRecord, id: string): JobView {
  const { operation, owner, status, attempt, percentComplete, message, createdAt, startedAt, endedAt, result, failure } = job
  return {
    id,
    operationId: operation,
    owner,
    status,
    attempt,
    percentComplete,
    message,
    createdAt,
    startedAt,
    endedAt,
    ...(result === null ? {} : { result: JSON.parse(result) as unknown }),
    ...(failure === null ? {} : { error: failure })
  }
}
