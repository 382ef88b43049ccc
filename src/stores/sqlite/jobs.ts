import type {
  ClaimRequest, ClaimResult, JobEnd, JobFilter, JobRecord, Lease, NewJob, ProgressReport, Settlement, SubmitOutcome
} from '../../work/store.ts'
import { jobConditions, whereOf } from '../filters.ts'
import { claimedColumns, toClaimed, toJob } from '../records.ts'
import type { Transaction } from './connection.ts'
import { releaseDeliveries } from './deliveries.ts'
import { undelivered } from './migrations.ts'
import { oweJobEnd } from './owe.ts'
import { insertSubscription, renewJobSubscription } from './subscriptions.ts'

const columns = `jobs.number, operation, owner, status, attempt, failures, crashes, percent_complete, message,
  created_at, started_at, ended_at, result, failure`
const selectJob = `SELECT ${columns} FROM jobs LEFT JOIN job_results USING (number) WHERE number = ?`

export function readJob ({ sql }: Transaction, number: number): JobRecord | undefined {
  const row = sql(selectJob).get(number)
  return row === undefined ? undefined : toJob(row)
}

export function listJobs ({ sql }: Transaction, filter: JobFilter): JobRecord[] {
  const { where, values } = whereOf(jobConditions(filter))
  return sql(`SELECT ${columns} FROM jobs LEFT JOIN job_results USING (number) ${where} ORDER BY jobs.number DESC LIMIT ?`)
    .all(...values, filter.limit).map(toJob)
}

export function countQueued ({ sql }: Transaction): number {
  return sql("SELECT count(*) AS count FROM jobs WHERE status = 'queued'").get()!.count as number
}

/** The newest number that was ever given, whether or not its job is still there. */
export function lastJob ({ sql }: Pick<Transaction, 'sql'>): number {
  return sql('SELECT max(last_job, (SELECT coalesce(max(number), 0) FROM jobs)) AS last FROM store').get()!.last as number
}

/** @param number What it gets if it is a new one. */
export function submitJob (transaction: Transaction, job: NewJob, number: number): SubmitOutcome {
  const { sql } = transaction
  const { changes } = sql(`
    INSERT INTO jobs (number, operation, owner, status, due_at, created_at, idempotency_key, fingerprint)
    VALUES (?, ?, ?, 'queued', 0, ?, ?, ?)
    ON CONFLICT (idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING`
  ).run(number, job.operation, job.owner, job.createdAt, job.idempotency?.key ?? null, job.idempotency?.fingerprint ?? null)
  if (changes === 0) return findRepeated(transaction, job)!
  sql('INSERT INTO job_inputs (number, input) VALUES (?, ?)').run(number, job.input)
  if (job.subscription !== undefined) insertSubscription(transaction, job.subscription, { job: number, afterEvent: 0, predecessor: null })
  return {
    outcome: 'accepted',
    job: {
      number,
      operation: job.operation,
      owner: job.owner,
      status: 'queued',
      attempt: 0,
      failures: 0,
      crashes: 0,
      percentComplete: 0,
      message: '',
      createdAt: job.createdAt,
      startedAt: null,
      endedAt: null,
      result: null,
      failure: null
    }
  }
}

/** The outcome for a job whose idempotency key is known, or `undefined` for a new one. */
export function findRepeated (transaction: Transaction, { idempotency, subscription }: NewJob): SubmitOutcome | undefined {
  if (idempotency === undefined) return undefined
  const { sql } = transaction
  const first = sql('SELECT number, fingerprint FROM jobs WHERE idempotency_key = ?').get(idempotency.key)
  if (first === undefined) return undefined
  if (first.fingerprint !== idempotency.fingerprint) return { outcome: 'conflict' }
  if (subscription !== undefined) renewJobSubscription(transaction, first.number as number, subscription)
  return { outcome: 'repeated', job: readJob(transaction, first.number as number)! }
}

/** Numbers of due jobs, best first: a deferred one past its deadline, one whose wait is over, the oldest. */
export function findDue ({ sql }: Transaction, { operations, limit, now }: ClaimRequest): number[] {
  const due: number[] = []
  for (const { operation, limit: operationLimit } of operations) {
    let room = Math.min(operationLimit, limit - due.length)
    const take = (text: string, ...values: (string | number)[]): void => {
      if (room <= 0) return
      const rows = sql(`SELECT number FROM jobs WHERE operation = ? AND ${text} LIMIT ?`).all(operation, ...values, room)
      room -= rows.length
      due.push(...rows.map((row) => row.number as number))
    }
    take("status = 'running' AND worker IS NULL AND due_at <= ? ORDER BY due_at", now)
    take("status = 'queued' AND due_at > 0 AND due_at <= ? ORDER BY due_at, number", now)
    take("status = 'queued' AND due_at = 0 ORDER BY number")
  }
  return due
}

export function findNextDueAt ({ sql }: Transaction, { operations, now }: ClaimRequest): number | null {
  const times = operations.flatMap(({ operation }) => ["status = 'queued'", "status = 'running' AND worker IS NULL"].map((waits) =>
    sql(`SELECT min(due_at) AS due FROM jobs WHERE operation = ? AND ${waits} AND due_at > ?`).get(operation, now)!.due as number | null))
  return times.reduce((least, time) => time === null ? least : Math.min(least ?? time, time), null)
}

export function claimJobs (transaction: Transaction, request: ClaimRequest, worker: string): ClaimResult {
  const { sql } = transaction
  keepWorker(transaction, worker)
  const jobs = findDue(transaction, request).map((number) => {
    const before = sql(`SELECT ${claimedColumns}, status, input FROM jobs JOIN job_inputs USING (number) WHERE number = ?`).get(number)!
    // A deadline stays, so that it outlives the worker that now takes it.
    sql(`
      UPDATE jobs SET status = 'running', due_at = iif(status = 'queued', NULL, due_at), worker = ?, attempt = attempt + 1,
        started_at = coalesce(started_at, ?)
      WHERE number = ?`
    ).run(worker, request.now, number)
    const job = toClaimed(before, before.status === 'queued' ? 'run' : 'deadline')
    return { ...job, attempt: job.attempt + 1 }
  })
  return { jobs, nextDueAt: findNextDueAt(transaction, request) }
}

/** Shows the others that the worker moves. Whoever took it for dead removed its row, so it is put back. */
export function keepWorker ({ sql }: Transaction, worker: string): void {
  sql('INSERT INTO workers (id) VALUES (?) ON CONFLICT DO UPDATE SET beat = beat + 1').run(worker)
}

/** Part of an UPDATE: only the attempt that holds the lease. */
const held = 'WHERE number = ? AND attempt = ? AND worker = ?'

export function isHeld ({ sql }: Transaction, { number, attempt }: Lease, worker: string): boolean {
  return sql(`SELECT 1 FROM jobs ${held}`).get(number, attempt, worker) !== undefined
}

export function reportProgress ({ sql }: Transaction, { lease, percentComplete, message }: ProgressReport, worker: string): boolean {
  return sql(`UPDATE jobs SET percent_complete = ?, message = ? ${held}`)
    .run(percentComplete, message, lease.number, lease.attempt, worker).changes === 1
}

export function settleJob (transaction: Transaction, { lease, to }: Settlement, worker: string): boolean {
  const { sql } = transaction
  if ('endedAt' in to) {
    if (!isHeld(transaction, lease, worker)) return false
    endJob(transaction, lease.number, to)
    return true
  }
  const changed = to.status === 'queued'
    ? sql(`UPDATE jobs SET status = 'queued', due_at = ?, failures = ?, worker = NULL ${held}`)
      .run(to.dueAt, to.failures, lease.number, lease.attempt, worker)
    : sql(`UPDATE jobs SET due_at = ?, worker = NULL ${held}`)
      .run(to.deadline, lease.number, lease.attempt, worker)
  return changed.changes === 1
}

export function endJob (transaction: Transaction, number: number, end: JobEnd): void {
  const { sql } = transaction
  sql(`
    UPDATE jobs SET status = ?, due_at = NULL, worker = NULL, ended_at = ?, expires_at = ?, failure = ?,
      percent_complete = CASE WHEN ? = 'succeeded' THEN 100 ELSE percent_complete END
    WHERE number = ?`
  ).run(end.status, end.endedAt, end.expiresAt, end.status === 'succeeded' ? null : JSON.stringify(end.failure), end.status, number)
  if (end.status === 'succeeded' && end.result !== null) {
    sql('INSERT INTO job_results (number, result) VALUES (?, ?)').run(number, end.result)
  }
  if (end.callback !== undefined) oweJobEnd(transaction, number, end.callback, end.endedAt)
}

/** Takes everything from a worker. Resolves to how many jobs that were. */
export function releaseWorker (transaction: Transaction, worker: string): number {
  const { sql } = transaction
  sql('DELETE FROM workers WHERE id = ?').run(worker)
  return releaseDeliveries(transaction, worker) + Number(sql(`
    UPDATE jobs SET status = iif(due_at IS NULL, 'queued', 'running'), due_at = coalesce(due_at, 0), worker = NULL, crashes = crashes + 1
    WHERE worker = ?`
  ).run(worker).changes)
}

export function sweepJobs (transaction: Transaction, now: number, limit: number): number[] {
  const { sql } = transaction
  // A callback that is still owed needs the job's subscription.
  const expired = sql(`
    SELECT number FROM jobs WHERE expires_at < ? AND NOT EXISTS (
      SELECT * FROM subscriptions JOIN deliveries ON subscription = subscriptions.number AND deliveries.status = 'pending' AND deliveries.${undelivered}
      WHERE subscriptions.job = jobs.number)
    ORDER BY expires_at LIMIT ?`
  ).all(now, limit)
  if (expired.length > 0) sql('UPDATE store SET last_job = ?').run(lastJob(transaction))
  return expired.map((row) => {
    const number = row.number as number
    for (const table of ['jobs', 'job_inputs', 'job_results']) sql(`DELETE FROM ${table} WHERE number = ?`).run(number)
    sql('DELETE FROM subscriptions WHERE job = ?').run(number)
    return number
  })
}
