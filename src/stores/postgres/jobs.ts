import type { JobEnd, JobFilter, JobRecord, Lease, ProgressReport, Settlement } from '../../work/store.ts'
import { jobConditions } from '../filters.ts'
import { toJob } from '../records.ts'
import type { Row, Statements, Transaction } from './connection.ts'
import { oweJobEnds } from './owe.ts'
import { numberedWhereOf } from './where.ts'

const columns = `number, operation, owner, status, attempt, failures, crashes, percent_complete, message,
  created_at, started_at, ended_at, result, failure`

/** One statement, so that all are of one moment. */
export async function readJobs ({ prepared }: Statements, numbers: number[]): Promise<(JobRecord | undefined)[]> {
  if (numbers.length === 0) return []
  const rows = await prepared(`SELECT ${columns} FROM @.jobs WHERE number = ANY ($1)`, numbers)
  const records = new Map(rows.map((row) => [row.number as number, toJob(row)]))
  return numbers.map((number) => records.get(number))
}

export async function listJobs ({ sql }: Statements, filter: JobFilter): Promise<JobRecord[]> {
  const { where, values } = numberedWhereOf(jobConditions(filter))
  return (await sql(`SELECT ${columns} FROM @.jobs ${where} ORDER BY number DESC LIMIT ${filter.limit}`, ...values)).map(toJob)
}

/** Those of these leases that are lost. */
export async function findLost ({ sql }: Statements, leases: Lease[], worker: string): Promise<Lease[]> {
  const rows = await sql(`
    SELECT place FROM unnest($1::bigint[], $2::int[]) WITH ORDINALITY AS lease (number, attempt, place)
    WHERE NOT EXISTS (SELECT 1 FROM @.jobs WHERE jobs.number = lease.number AND jobs.attempt = lease.attempt AND worker = $3)`,
  leases.map(({ number }) => number), leases.map(({ attempt }) => attempt), worker)
  const lost = new Set(rows.map(({ place }) => place as number))
  return leases.filter((_, index) => lost.has(index + 1))
}

interface Held { attempt: number, worker: string | null, endedAt: number | null }

/** Those that are there. In the order of their numbers, as all do, so that no two wait for each other. */
async function lockJobs ({ prepared }: Statements, numbers: number[]): Promise<Map<number, Held>> {
  const rows = await prepared('SELECT number, attempt, worker, ended_at AS "endedAt" FROM @.jobs WHERE number = ANY ($1) ORDER BY number FOR UPDATE', numbers)
  return new Map(rows.map((row) => [row.number as number, row as unknown as Held]))
}

export async function reportProgress (transaction: Transaction, reports: ProgressReport[], worker: string): Promise<boolean[]> {
  const jobs = await lockJobs(transaction, reports.map(({ lease }) => lease.number))
  const held = reports.map(({ lease: { number, attempt } }) => {
    const job = jobs.get(number)
    return job?.attempt === attempt && job.worker === worker
  })
  // Of several of one job the last is what remains.
  const last = new Map(reports.filter((_, index) => held[index]).map((report) => [report.lease.number, report]))
  if (last.size > 0) {
    transaction.commitWith(1)
    await transaction.sql(`
      UPDATE @.jobs SET percent_complete = report.percent_complete, message = report.message
      FROM unnest($1::bigint[], $2::double precision[], $3::text[]) AS report (number, percent_complete, message)
      WHERE jobs.number = report.number`,
    [...last.keys()], [...last.values()].map(({ percentComplete }) => percentComplete), [...last.values()].map(({ message }) => message))
  }
  return held
}

interface Ended { lease: Lease, end: JobEnd }
interface Queued { lease: Lease, dueAt: number, failures: number }
interface Deferred { lease: Lease, deadline: number }

export async function settleJobs (transaction: Transaction, settlements: Settlement[], worker: string): Promise<boolean[]> {
  const ended: Ended[] = []
  const queued: Queued[] = []
  const deferred: Deferred[] = []
  const first = new Map<string, number>()
  for (const [index, { lease, to }] of settlements.entries()) {
    // An attempt ends once, also within a call.
    if (first.has(keyOf(lease))) continue
    first.set(keyOf(lease), index)
    if ('endedAt' in to) ended.push({ lease, end: to })
    else if (to.status === 'queued') queued.push({ lease, dueAt: to.dueAt, failures: to.failures })
    else deferred.push({ lease, deadline: to.deadline })
  }
  const owing = ended.some(({ end }) => end.callback !== undefined)
  // Of ends there is news only where a callback is owed.
  if (queued.length > 0 || owing) transaction.tell()
  if (!owing) transaction.commitWith(1 + [ended, queued, deferred].filter(({ length }) => length > 0).length)
  // Before anything else, since no UPDATE has an order.
  const locking = transaction.prepared('SELECT count(*) FROM (SELECT 1 FROM @.jobs WHERE number = ANY ($1) ORDER BY number FOR UPDATE) AS locked', settlements.map(({ lease }) => lease.number))
  const kept = new Map((await Promise.all([
    locking.then(() => []),
    recordEnds(transaction, ended, worker),
    requeue(transaction, queued, worker),
    defer(transaction, deferred, worker)
  ])).flat().map(({ number, attempt }) => [number, attempt]))
  if (owing) await oweEnds(transaction, ended.filter(({ lease }) => kept.get(lease.number) === lease.attempt))
  return settlements.map(({ lease: { number, attempt } }, index) => first.get(keyOf({ number, attempt })) === index && kept.get(number) === attempt)
}

const keyOf = ({ number, attempt }: Lease): string => `${number} ${attempt}`

/** Resolves to those that this worker had; the others stay as they are. Of no worker: to those that none had. */
async function recordEnds ({ prepared }: Transaction, ended: Ended[], worker: string | null): Promise<Row[]> {
  if (ended.length === 0) return []
  const ends = ended.map(({ end }) => end)
  return await prepared(`
    UPDATE @.jobs SET status = ended.status, due_at = NULL, worker = NULL, ended_at = ended.ended_at, expires_at = ended.expires_at,
      input = CASE WHEN ended.status = 'failed' THEN input ELSE '' END, result = ended.result, failure = ended.failure, percent_complete = CASE WHEN ended.status = 'succeeded' THEN 100 ELSE percent_complete END
    FROM unnest($1::bigint[], $2::int[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[]) AS ended (number, attempt, status, ended_at, expires_at, result, failure)
    WHERE jobs.number = ended.number AND jobs.attempt = ended.attempt AND worker IS NOT DISTINCT FROM $8
    RETURNING jobs.number, jobs.attempt`,
  ...leaseLists(ended),
  ends.map(({ status }) => status),
  ends.map(({ endedAt }) => endedAt),
  ends.map(({ expiresAt }) => expiresAt),
  ends.map((end) => end.status === 'succeeded' ? end.result : null),
  // As text: a failure may hold what no text of PostgreSQL can, such as NUL, which JSON spells out.
  ends.map((end) => end.status === 'succeeded' ? null : JSON.stringify(end.failure)),
  worker)
}

/** With the place in the queue that its number gives it, or later. */
async function requeue ({ prepared }: Transaction, queued: Queued[], worker: string): Promise<Row[]> {
  if (queued.length === 0) return []
  return await prepared(`
    UPDATE @.jobs SET status = 'queued', worker = NULL, due_at = settled.due_at, failures = settled.failures
    FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::int[]) AS settled (number, attempt, due_at, failures)
    WHERE jobs.number = settled.number AND jobs.attempt = settled.attempt AND worker = $5
    RETURNING jobs.number, jobs.attempt`,
  ...leaseLists(queued), queued.map(({ dueAt }) => dueAt), queued.map(({ failures }) => failures), worker)
}

async function defer ({ prepared }: Transaction, deferred: Deferred[], worker: string): Promise<Row[]> {
  if (deferred.length === 0) return []
  return await prepared(`
    UPDATE @.jobs SET due_at = settled.deadline, worker = NULL
    FROM unnest($1::bigint[], $2::int[], $3::bigint[]) AS settled (number, attempt, deadline)
    WHERE jobs.number = settled.number AND jobs.attempt = settled.attempt AND worker = $4
    RETURNING jobs.number, jobs.attempt`,
  ...leaseLists(deferred), deferred.map(({ deadline }) => deadline), worker)
}

const leaseLists = (entries: { lease: Lease }[]): [number[], number[]] => [entries.map(({ lease }) => lease.number), entries.map(({ lease }) => lease.attempt)]

async function oweEnds (transaction: Transaction, ended: Ended[]): Promise<void> {
  await oweJobEnds(transaction, ended.flatMap(({ lease, end: { callback, endedAt } }) =>
    callback === undefined ? [] : [{ job: lease.number, callback, now: endedAt }]))
}

/** Ends a job from outside, whoever has it. */
export async function endJob (transaction: Transaction, number: number, end: JobEnd): Promise<{ ended: boolean, job: JobRecord } | undefined> {
  const held = (await lockJobs(transaction, [number])).get(number)
  if (held === undefined) return undefined
  const ended = held.endedAt === null
  if (ended) {
    const entry = { lease: { number, attempt: held.attempt }, end }
    await recordEnds(transaction, [entry], held.worker)
    await oweEnds(transaction, [entry])
  }
  const [record] = await readJobs(transaction, [number])
  return { ended, job: record! }
}

/** Forgets jobs that expired before `now`, with their subscriptions. A callback that is still owed needs its job's. */
export async function sweepJobs ({ sql, change }: Transaction, now: number, limit: number): Promise<number> {
  const rows = await sql(`
    SELECT number FROM @.jobs WHERE expires_at < $1 AND NOT EXISTS (
      SELECT 1 FROM @.subscriptions JOIN @.deliveries ON deliveries.subscription = subscriptions.number AND deliveries.status = 'pending' WHERE subscriptions.job = jobs.number)
    ORDER BY expires_at LIMIT ${limit} FOR UPDATE SKIP LOCKED`, now)
  const numbers = rows.map(({ number }) => number)
  if (numbers.length === 0) return 0
  await change('DELETE FROM @.subscriptions WHERE job = ANY ($1)', numbers)
  return await change('DELETE FROM @.jobs WHERE number = ANY ($1)', numbers)
}
