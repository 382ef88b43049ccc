import type { ClaimedJob, ClaimRequest } from '../../work/store.ts'
import { toJob } from '../records.ts'
import type { Statements, Transaction } from './connection.ts'
import { columns } from './jobs.ts'
import { keepWorker } from './workers.ts'

/*
 * Jobs are handed out by their own rows: FOR UPDATE SKIP LOCKED passes over those that another replica is taking at this
 * moment. Of an operation those that waited for a time come first, then the oldest.
 */

/** Why a job may be taken, in the order in which they are. */
const kinds = {
  /** Deferred, and nobody ended it in time. */
  overdue: "status = 'running' AND worker IS NULL AND due_at <= $2",
  /** Another attempt, whose time has come. */
  waited: "status = 'queued' AND due_at > 0 AND due_at <= $2",
  queued: "status = 'queued' AND due_at <= 0"
}
type Kind = keyof typeof kinds
const kindNames = Object.keys(kinds) as Kind[]

type Due = { operation: string } & Record<Kind, boolean>

/** What a claim would find, and when the next is due: one statement without locks, since most wake-ups find nothing. */
export async function findDue ({ prepared }: Statements, { operations, now }: ClaimRequest): Promise<{ due: Due[], nextDueAt: number | null }> {
  // Not by EXISTS: a planner that believes the table to be full of such rows would look for the first of them in all of it.
  const first = (condition: string): string => `(SELECT min(due_at) FROM @.jobs WHERE jobs.operation = asked.operation AND ${condition})`
  const rows = await prepared(`
    SELECT operation, ${kindNames.map((kind) => `${first(kinds[kind])} IS NOT NULL AS ${kind}`).join(', ')},
      least(${first("status = 'queued' AND due_at > greatest($2, 0)")}, ${first("status = 'running' AND worker IS NULL AND due_at > $2")}) AS next
    FROM unnest($1::text[]) AS asked (operation)`, operations.map(({ operation }) => operation), now)
  const times = rows.flatMap(({ next }) => next === null ? [] : [next as number])
  return {
    due: (rows as unknown as Due[]).filter((row) => kindNames.some((kind) => row[kind])),
    nextDueAt: times.length === 0 ? null : Math.min(...times)
  }
}

/**
 * Claims of what `findDue` found.
 *
 * @param limits How many of an operation may run in all replicas together.
 */
export async function claimJobs (transaction: Transaction, request: ClaimRequest, due: Due[], worker: string, limits: ReadonlyMap<string, number>): Promise<ClaimedJob[]> {
  const [, numbers] = await Promise.all([keepWorker(transaction, worker), lockDue(transaction, request, due, limits)])
  if (numbers.length === 0) return []
  transaction.commitWith(1)
  // A deadline stays, so that it outlives the worker that now takes it.
  const rows = await transaction.prepared(`
    UPDATE @.jobs SET status = 'running', worker = $2, attempt = attempt + 1, started_at = coalesce(started_at, $3),
      due_at = CASE WHEN status = 'running' THEN due_at END
    WHERE number = ANY ($1) RETURNING ${columns}, input, due_at`, numbers, worker, request.now)
  const places = new Map(numbers.map((number, place) => [number, place]))
  return rows
    .map((row): ClaimedJob => ({ ...toJob(row), input: row.input as string, due: row.due_at === null ? 'run' : 'deadline' }))
    .sort((a, b) => places.get(a.number)! - places.get(b.number)!)
}

/** Their numbers, in the order in which they are handed out. */
async function lockDue (transaction: Transaction, { operations, limit, now }: ClaimRequest, due: Due[], limits: ReadonlyMap<string, number>): Promise<number[]> {
  const room = await roomUnder(limits, transaction, due.map(({ operation }) => operation))
  const numbers: number[] = []
  for (const { operation, limit: most } of operations) {
    const found = due.find((entry) => entry.operation === operation)
    if (found === undefined) continue
    const end = Math.min(limit, numbers.length + Math.min(most, room.get(operation) ?? Infinity))
    for (const kind of kindNames) {
      if (!found[kind] || numbers.length >= end) continue
      // In this order, which no other index has, the index of the kind is taken whatever the planner believes.
      const rows = await transaction.prepared(`
        SELECT number FROM @.jobs WHERE operation = $1 AND ${kinds[kind]} ORDER BY due_at, number LIMIT $${kind === 'queued' ? 2 : 3} FOR UPDATE SKIP LOCKED`,
      operation, ...(kind === 'queued' ? [] : [now]), end - numbers.length)
      for (const { number } of rows) numbers.push(number as number)
    }
  }
  return numbers
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
