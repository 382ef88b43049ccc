import type { ClaimedJob, ClaimRequest } from '../../work/store.ts'
import { claimedColumns, toClaimed } from '../records.ts'
import type { Statements, Transaction } from './connection.ts'
import { keepWorker } from './workers.ts'

/*
 * Jobs are handed out by their own rows: FOR UPDATE SKIP LOCKED passes over those that another replica is taking at this
 * moment. Of an operation those that waited for a time come first, then the oldest.
 */

/** Why a job may be taken, in the order in which they are. `$1` is the time. */
const kinds = [
  // Deferred, and nobody ended it in time.
  "status = 'running' AND worker IS NULL AND due_at <= $1",
  // Another attempt, whose time has come.
  "status = 'queued' AND due_at > 0 AND due_at <= $1",
  "status = 'queued' AND due_at <= 0"
]

/** Operations of which a claim would find some, and when the next is due: one statement without locks, since most wake-ups find nothing. */
export async function findDue ({ prepared }: Statements, { operations, now }: ClaimRequest): Promise<{ due: string[], nextDueAt: number | null }> {
  // Not by EXISTS: a planner that believes the table to be full of such rows would look for the first of them in all of it.
  const first = (condition: string): string => `(SELECT min(due_at) FROM @.jobs WHERE jobs.operation = asked.operation AND ${condition})`
  const rows = await prepared(`
    SELECT operation, coalesce(${kinds.map(first).join(', ')}) IS NOT NULL AS is_due,
      least(${first("status = 'queued' AND due_at > greatest($1, 0)")}, ${first("status = 'running' AND worker IS NULL AND due_at > $1")}) AS next
    FROM unnest($2::text[]) AS asked (operation)`, now, operations.map(({ operation }) => operation))
  const times = rows.flatMap(({ next }) => next === null ? [] : [next as number])
  return {
    due: rows.flatMap(({ operation, is_due: isDue }) => isDue === true ? [operation as string] : []),
    nextDueAt: times.length === 0 ? null : Math.min(...times)
  }
}

/**
 * Of each operation the first, as long as there is room: nothing behind the last of them is looked at, nor locked. The
 * planner knows none of these limits. That it goes along the index of the kind all the same is a setting of the transaction.
 */
const pick = `
  SELECT number FROM unnest($2::text[], $3::int[]) AS asked (operation, most) CROSS JOIN LATERAL (
    ${kinds.map((kind) => `SELECT number FROM (
      SELECT number FROM @.jobs WHERE jobs.operation = asked.operation AND ${kind} ORDER BY due_at, number LIMIT asked.most FOR UPDATE SKIP LOCKED) AS of_kind`).join(' UNION ALL ')}
    LIMIT asked.most) AS of_operation
  LIMIT $4`

/**
 * Claims of what `findDue` found, in one round trip.
 *
 * @param limits How many of an operation may run in all replicas together.
 */
export async function claimJobs (transaction: Transaction, { operations, limit, now }: ClaimRequest, due: string[], worker: string, limits: ReadonlyMap<string, number>): Promise<ClaimedJob[]> {
  const room = await roomUnder(limits, transaction, due)
  const asked = operations.filter(({ operation }) => due.includes(operation))
    .map(({ operation, limit: ofIt }) => ({ operation, most: Math.min(ofIt, limit, room.get(operation) ?? Infinity) }))
    .filter(({ most }) => most > 0)
  if (asked.length === 0) return []
  transaction.commitWith(2)
  const [, rows] = await Promise.all([
    keepWorker(transaction, worker),
    // A deadline stays, so that it outlives the worker that now takes it.
    transaction.prepared(`
      UPDATE @.jobs SET status = 'running', worker = $5, attempt = attempt + 1, started_at = coalesce(started_at, $1),
        due_at = CASE WHEN status = 'running' THEN due_at END
      WHERE number = ANY (ARRAY(${pick})) RETURNING ${claimedColumns}, input, due_at`,
    now, asked.map(({ operation }) => operation), asked.map(({ most }) => most), limit, worker)
  ])
  // An order of the server's own would cost it a copy of each.
  return rows.map((row) => toClaimed(row, row.due_at === null ? 'run' : 'deadline')).sort((a, b) => a.number - b.number)
}

/** How many more of those that are limited in all replicas together may run. Until the end of the transaction nobody else claims of them. */
async function roomUnder (limits: ReadonlyMap<string, number>, { sql }: Transaction, operations: string[]): Promise<Map<string, number>> {
  const limited = operations.filter((operation) => limits.has(operation)).sort()
  if (limited.length === 0) return new Map()
  // Two that count at the same time would both find room. All at once and in one order, so that no two wait for each other.
  await sql("SELECT pg_advisory_xact_lock(hashtextextended('@.running: ' || operation, 0)) FROM unnest($1::text[]) AS limited (operation)", limited)
  const running = await sql('SELECT operation, count(*) AS count FROM @.jobs WHERE worker IS NOT NULL AND operation = ANY ($1) GROUP BY operation', limited)
  const counts = new Map(running.map(({ operation, count }) => [operation, count as number]))
  return new Map(limited.map((operation) => [operation, limits.get(operation)! - (counts.get(operation) ?? 0)]))
}
