import type { JobRecord, NewJob, SubmitOutcome } from '../../work/store.ts'
import type { Row, Statements, Transaction } from './connection.ts'
import { readJobs } from './jobs.ts'
import { insertSubscriptions, renewJobSubscription } from './subscriptions.ts'

interface First { number: number, fingerprint: string }

/** Jobs that a replica works on from the start. */
export interface Beginning {
  worker: string
  startedAt: number
  /** How many of each operation, and of all of them. */
  limits: ReadonlyMap<string, number>
  limit: number
  /** Makes sure that the others see the worker until the commit, and afterwards what it has. Resolves to whether they do. */
  show: (transaction: Transaction) => Promise<boolean>
}

/** The others took the worker for dead: what it would begin now, nobody would take from it if it died. */
export class WorkerGoneError extends Error { override readonly name = 'WorkerGoneError' }

/** A key was taken when a job was inserted, and its job is gone when it is read: to be tried again. */
class KeyFreedError extends Error {
  override readonly name = 'KeyFreedError'
  readonly severity = 'ERROR'
  /** As PostgreSQL itself tells of what others have changed. */
  readonly code = '40001'
}

/** @param room How many more may be queued. */
export async function submitJobs (transaction: Transaction, jobs: NewJob[], room: number, beginning?: Beginning): Promise<SubmitOutcome[]> {
  // Where there is room for all of them, the insert finds the repeats.
  const firsts = room >= jobs.length ? new Map<string, First>() : await findFirsts(transaction, jobs)
  const wanted: number[] = []
  const keys = new Set(firsts.keys())
  for (const [index, { idempotency }] of jobs.entries()) {
    if (wanted.length >= room || (idempotency !== undefined && keys.has(idempotency.key))) continue
    if (idempotency !== undefined) keys.add(idempotency.key)
    wanted.push(index)
  }
  const isPlain = wanted.length === jobs.length && jobs.every(({ idempotency, subscription }) => idempotency === undefined && subscription === undefined)
  const inserted = await insertJobs(transaction, wanted.map((index) => jobs[index]!), isPlain, beginning)
  const accepted = new Map(wanted.map((index, place) => [index, inserted[place]]))
  if (isPlain) return inserted.map((job) => ({ outcome: 'accepted', job: job! }))
  const subscriptions = [...accepted].flatMap(([index, job]) => {
    const { subscription } = jobs[index]!
    return subscription === undefined || job === undefined ? [] : [{ subscription, place: { job: job.number, afterEvent: 0, predecessor: null } }]
  })
  // Known already, or from this call; or another replica was faster, whose commit the insert has waited for.
  const repeats = jobs.filter(({ idempotency }, index) => accepted.get(index) === undefined && idempotency !== undefined)
  if (repeats.length === 0) transaction.commitWith(Math.min(subscriptions.length, 1))
  await insertSubscriptions(transaction, subscriptions)

  const known = repeats.length === 0 ? firsts : await findFirsts(transaction, repeats)
  const repeated = new Map((await readJobs(transaction, [...known.values()].map(({ number }) => number))).map((record) => [record?.number, record]))
  const outcomes: SubmitOutcome[] = []
  for (const [index, { idempotency, subscription }] of jobs.entries()) {
    const record = accepted.get(index)
    const first = idempotency === undefined ? undefined : known.get(idempotency.key)
    if (record !== undefined) outcomes.push({ outcome: 'accepted', job: record })
    else if (first === undefined && accepted.has(index)) throw new KeyFreedError('the job that had this key was swept just now')
    else if (first === undefined) outcomes.push({ outcome: 'full' })
    else if (first.fingerprint !== idempotency!.fingerprint) outcomes.push({ outcome: 'conflict' })
    else {
      if (subscription !== undefined) await renewJobSubscription(transaction, first.number, subscription)
      const job = repeated.get(first.number)
      if (job === undefined) throw new KeyFreedError('the job that has this key was swept just now')
      outcomes.push({ outcome: 'repeated', job })
    }
  }
  return outcomes
}

async function findFirsts ({ prepared }: Transaction, jobs: NewJob[]): Promise<Map<string, First>> {
  const keys = jobs.flatMap(({ idempotency }) => idempotency === undefined ? [] : [idempotency.key])
  if (keys.length === 0) return new Map()
  const rows = await prepared('SELECT idempotency_key, number, fingerprint FROM @.jobs WHERE idempotency_key = ANY ($1)', keys)
  return new Map(rows.map((row) => [row.idempotency_key as string, row as unknown as First]))
}

/**
 * In the order of the jobs; `undefined` for one whose key another replica was faster with.
 *
 * @param isAll Whether the transaction has nothing else to do.
 */
async function insertJobs (transaction: Transaction, jobs: NewJob[], isAll: boolean, beginning: Beginning | undefined): Promise<(JobRecord | undefined)[]> {
  if (jobs.length === 0) return []
  const begins = chooseBeginning(jobs, beginning)
  const isBeginning = begins.includes(true)
  if (isAll && !isBeginning) {
    transaction.tell()
    transaction.commitWith(1)
  }
  const mayRepeat = jobs.some(({ idempotency }) => idempotency !== undefined)
  const inserting: Promise<Row[]> = transaction.prepared(`
    INSERT INTO @.jobs (operation, owner, created_at, idempotency_key, fingerprint, input, status, due_at, worker, attempt, started_at)
    SELECT operation, owner, created_at, idempotency_key, fingerprint, input, CASE WHEN begins THEN 'running' ELSE 'queued' END,
      CASE WHEN begins THEN NULL ELSE 0 END, CASE WHEN begins THEN $8 END, begins::int, CASE WHEN begins THEN $9::bigint END
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bool[]) WITH ORDINALITY
      AS job (operation, owner, created_at, idempotency_key, fingerprint, input, begins, place) ORDER BY place
    ${mayRepeat ? 'ON CONFLICT (idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING' : ''} RETURNING number, idempotency_key`,
  jobs.map(({ operation }) => operation),
  jobs.map(({ owner }) => owner),
  jobs.map(({ createdAt }) => createdAt),
  jobs.map(({ idempotency }) => idempotency?.key ?? null),
  jobs.map(({ idempotency }) => idempotency?.fingerprint ?? null),
  jobs.map(({ input }) => input),
  begins,
  beginning?.worker ?? null,
  beginning?.startedAt ?? null)
  // In their round trip, and behind them: the row of the worker is held for as short as may be.
  const [rows, isShown] = await Promise.all([inserting, isBeginning ? beginning!.show(transaction) : true])
  if (!isShown) throw new WorkerGoneError('the others took this worker for dead')
  const ofKeys = new Map(rows.map(({ number, idempotency_key: key }) => [key as string | null, number as number]))
  // Of those without a key none is left out, and they were numbered in their order.
  const others = rows.filter(({ idempotency_key: key }) => key === null).map(({ number }) => number as number).sort((a, b) => b - a)
  const accepted = jobs.map((job, index) => {
    const number = job.idempotency === undefined ? others.pop() : ofKeys.get(job.idempotency.key)
    return number === undefined ? undefined : newRecord(job, number, begins[index] ? beginning!.startedAt : null)
  })
  if (accepted.some((job) => job?.status === 'queued')) transaction.tell()
  return accepted
}

function chooseBeginning (jobs: NewJob[], beginning: Beginning | undefined): boolean[] {
  const leftOf = new Map(beginning?.limits)
  let left = beginning?.limit ?? 0
  return jobs.map(({ operation }) => {
    const room = Math.min(leftOf.get(operation) ?? 0, left)
    if (room <= 0) return false
    leftOf.set(operation, room - 1)
    left--
    return true
  })
}

function newRecord ({ operation, owner, createdAt }: NewJob, number: number, startedAt: number | null): JobRecord {
  return {
    number,
    operation,
    owner,
    status: startedAt === null ? 'queued' : 'running',
    attempt: startedAt === null ? 0 : 1,
    failures: 0,
    crashes: 0,
    percentComplete: 0,
    message: '',
    createdAt,
    startedAt,
    endedAt: null,
    result: null,
    failure: null
  }
}

/** How many jobs are queued, counted no further than `most`. */
export async function countQueued ({ sql }: Statements, most: number): Promise<number> {
  // In the order of the index, or a planner that believes most of the table to be queued would go through all of it.
  const [row] = await sql("SELECT count(*) AS count FROM (SELECT 1 FROM @.jobs WHERE status = 'queued' ORDER BY operation, due_at, number LIMIT $1) AS queued", most)
  return row!.count as number
}
