import type { JobEnd, JobFilter, JobRecord, Lease, ProgressReport, Settlement } from '../../work/store.ts'
import { jobConditions } from '../filters.ts'
import { toJob } from '../records.ts'
import type { Row, Statements, Transaction } from './connection.ts'
import { oweJobEnds } from './owe.ts'
import { operationsOf, type Ticket, type Tickets } from './tickets.ts'
import { numberedWhereOf } from './where.ts'

export const columns = `number, operation, owner, status, attempt, failures, crashes, percent_complete, message,
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

/** Locks records in the order of their numbers, as all do, so that no two wait for each other. */
async function lockJobs ({ prepared }: Statements, numbers: number[]): Promise<Map<number, Row>> {
  const rows = await prepared(`
    SELECT number, operation, status, attempt, worker, ticket, ended_at FROM @.jobs WHERE number = ANY ($1) ORDER BY number FOR UPDATE`, numbers)
  return new Map(rows.map((row) => [row.number as number, row]))
}

export async function reportProgress (transaction: Transaction, reports: ProgressReport[], worker: string): Promise<boolean[]> {
  const jobs = await lockJobs(transaction, reports.map(({ lease }) => lease.number))
  const held = reports.map(({ lease }) => isHeld(jobs.get(lease.number), lease, worker))
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

interface Ended { job: Row, end: JobEnd }

const isHeld = (job: Row | undefined, { attempt }: Lease, worker: string): boolean => job?.attempt === attempt && job.worker === worker

export async function settleJobs (transaction: Transaction, tickets: Tickets, settlements: Settlement[], worker: string): Promise<boolean[]> {
  const jobs = await lockJobs(transaction, settlements.map(({ lease }) => lease.number))
  const ended: Ended[] = []
  const again: { job: Row, dueAt: number, failures: number }[] = []
  const deferred: { job: Row, deadline: number }[] = []
  const done = settlements.map(({ lease, to }) => {
    const job = jobs.get(lease.number)
    if (job === undefined || !isHeld(job, lease, worker)) return false
    // An attempt ends once, also within a call.
    jobs.delete(lease.number)
    if ('endedAt' in to) ended.push({ job, end: to })
    else if (to.status === 'queued') again.push({ job, dueAt: to.dueAt, failures: to.failures })
    else deferred.push({ job, deadline: to.deadline })
    return true
  })
  // Of ends there is news only where a callback is owed.
  if (again.length > 0 || ended.some(({ end }) => end.callback !== undefined)) transaction.tell()
  if (again.length === 0 && deferred.length === 0) transaction.commitWith(statementsOf(ended))
  await endLocked(transaction, tickets, ended)
  if (again.length > 0) await requeue(transaction, tickets, again)
  if (deferred.length > 0) {
    await transaction.sql(`
      UPDATE @.jobs SET due_at = settled.deadline, worker = NULL, ticket = NULL
      FROM unnest($1::bigint[], $2::bigint[]) AS settled (number, deadline) WHERE jobs.number = settled.number`,
    deferred.map(({ job }) => job.number), deferred.map(({ deadline }) => deadline))
    await tickets.remove(transaction, deferred.map(({ job }) => ticketOf(job)))
  }
  return done
}

const ticketOf = ({ ticket, operation, number }: Row): Ticket => ({ ticket: ticket as string, operation: operation as string, number: number as number })

/** At once: with the ticket it has, which keeps its place. Later: without one, until it is due. */
async function requeue (transaction: Transaction, tickets: Tickets, again: { job: Row, dueAt: number, failures: number }[]): Promise<void> {
  await transaction.sql(`
    UPDATE @.jobs SET status = 'queued', worker = NULL, failures = settled.failures,
      due_at = nullif(settled.due_at, 0), ticket = CASE WHEN settled.due_at = 0 THEN ticket END
    FROM unnest($1::bigint[], $2::bigint[], $3::int[]) AS settled (number, due_at, failures) WHERE jobs.number = settled.number`,
  again.map(({ job }) => job.number), again.map(({ dueAt }) => dueAt), again.map(({ failures }) => failures))
  await tickets.putBack(transaction, again.filter(({ dueAt }) => dueAt === 0).map(({ job }) => ticketOf(job)))
  await tickets.remove(transaction, again.filter(({ dueAt }) => dueAt !== 0).map(({ job }) => ticketOf(job)))
}

/** Ends jobs whose records are locked, with the callbacks they owe. */
export async function endLocked (transaction: Transaction, tickets: Tickets, ended: Ended[]): Promise<void> {
  if (ended.length === 0) return
  const ends = ended.map(({ end }) => end)
  const record = transaction.prepared(`
    UPDATE @.jobs SET status = ended.status, due_at = NULL, worker = NULL, ticket = NULL, ended_at = ended.ended_at, expires_at = ended.expires_at,
      result = ended.result, failure = ended.failure, percent_complete = CASE WHEN ended.status = 'succeeded' THEN 100 ELSE percent_complete END
    FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[]) AS ended (number, status, ended_at, expires_at, result, failure)
    WHERE jobs.number = ended.number`,
  ended.map(({ job }) => job.number),
  ends.map(({ status }) => status),
  ends.map(({ endedAt }) => endedAt),
  ends.map(({ expiresAt }) => expiresAt),
  ends.map((end) => end.status === 'succeeded' ? end.result : null),
  // As text: a failure may hold what no text of PostgreSQL can, such as NUL, which JSON spells out.
  ends.map((end) => end.status === 'succeeded' ? null : JSON.stringify(end.failure)))
  await Promise.all([
    record,
    tickets.remove(transaction, withTicket(ended)),
    oweJobEnds(transaction, owing(ended).map(({ job, end }) => ({ job: job.number as number, callback: end.callback!, now: end.endedAt })))
  ])
}

const withTicket = (ended: Ended[]): Ticket[] => ended.filter(({ job }) => job.ticket !== null).map(({ job }) => ticketOf(job))
const owing = (ended: Ended[]): Ended[] => ended.filter(({ end }) => end.callback !== undefined)

/** How many statements `endLocked` asks for. */
function statementsOf (ended: Ended[]): number {
  if (ended.length === 0) return 0
  return 1 + operationsOf(withTicket(ended)).size + Math.min(owing(ended).length, 1)
}

/**
 * Ends a job from outside. Its ticket is removed before its record is locked, in the order in which a claim takes them:
 * the other way round, a claim and an end could wait for each other.
 */
export async function endJob (transaction: Transaction, tickets: Tickets, number: number, end: JobEnd): Promise<{ ended: boolean, job: JobRecord } | undefined> {
  const { sql } = transaction
  const [seen] = await sql("SELECT operation, ticket FROM @.jobs WHERE number = $1 AND status = 'queued' AND ticket IS NOT NULL", number)
  if (seen !== undefined) await tickets.remove(transaction, [seen as { operation: string, ticket: string }])
  const job = (await lockJobs(transaction, [number])).get(number)
  if (job === undefined) return undefined
  const ended = job.ended_at === null
  if (ended) await endLocked(transaction, tickets, [{ job, end }])
  const [record] = await readJobs(transaction, [number])
  return { ended, job: record! }
}

/** Jobs that are queued without a ticket, which somebody deleted by hand, get another. */
export async function restoreTickets (transaction: Transaction, tickets: Tickets, bossSchema: string): Promise<number> {
  // For the reason given at claimJobs: right after a burst it would take a nested loop over both tables.
  await transaction.sql('SET LOCAL enable_nestloop = off')
  const lost = await transaction.sql(`
    SELECT number, operation, ticket FROM @.jobs WHERE status = 'queued' AND ticket IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM ${bossSchema}.job WHERE job.id = jobs.ticket) ORDER BY number FOR UPDATE SKIP LOCKED`)
  await tickets.write(transaction, lost.map(ticketOf))
  return lost.length
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
