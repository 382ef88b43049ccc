import type { ClaimedJob, ClaimRequest } from '../../work/store.ts'
import { toJob } from '../records.ts'
import type { Statements, Transaction } from './connection.ts'
import { columns } from './jobs.ts'
import { newTicket, type Ticket, type Tickets } from './tickets.ts'
import { keepWorker } from './workers.ts'

interface Due {
  operation: string
  /** Some may run now. */
  queued: boolean
  /** The time of some has come. */
  waited: boolean
}

/** What a claim would find, and when the next is due: one statement without locks, since most wake-ups find nothing. */
export async function findDue ({ prepared }: Statements, { operations, now }: ClaimRequest): Promise<{ due: Due[], nextDueAt: number | null }> {
  const rows = await prepared(`
    SELECT operation,
      EXISTS (SELECT 1 FROM @.jobs WHERE jobs.operation = asked.operation AND status = 'queued' AND ticket IS NOT NULL) AS queued,
      EXISTS (SELECT 1 FROM @.jobs WHERE jobs.operation = asked.operation AND ticket IS NULL AND due_at <= $2) AS waited,
      (SELECT min(due_at) FROM @.jobs WHERE jobs.operation = asked.operation AND ticket IS NULL AND due_at > $2) AS next
    FROM unnest($1::text[]) AS asked (operation)`, operations.map(({ operation }) => operation), now)
  const times = rows.flatMap(({ next }) => next === null ? [] : [next as number])
  return {
    due: rows.filter(({ queued, waited }) => queued === true || waited === true) as unknown as Due[],
    nextDueAt: times.length === 0 ? null : Math.min(...times)
  }
}

/** Claims of what `findDue` found. Resolves also to the tickets that it came across and could not use. */
export async function claimJobs (transaction: Transaction, tickets: Tickets, request: ClaimRequest, due: Due[], worker: string): Promise<{ jobs: ClaimedJob[], useless: Ticket[] }> {
  // Asked for at once, the first statements are one round trip.
  const [,, fetched] = await Promise.all([
    keepWorker(transaction, worker),
    // pg-boss's fetch joins what it picks to its table. While the planner believes that table to be small, right after a
    // burst, it would do so in a nested loop: seconds instead of milliseconds.
    transaction.sql('SET LOCAL enable_nestloop = off'),
    fetchEach(transaction, tickets, request, due)
  ])
  if (fetched.length === 0) return { jobs: [], useless: [] }
  transaction.commitWith(1)
  const begun = await begin(transaction, fetched, request.now, worker)
  return {
    jobs: fetched.flatMap(({ ticket }) => begun.get(ticket) ?? []),
    useless: fetched.filter(({ ticket }) => !begun.has(ticket))
  }
}

/** In the order in which their jobs are handed out. */
async function fetchEach (transaction: Transaction, tickets: Tickets, request: ClaimRequest, due: Due[]): Promise<Ticket[]> {
  const capRoom = await tickets.lockCapped(transaction, due.map(({ operation }) => operation))
  const all: Ticket[] = []
  for (const { operation, limit } of request.operations) {
    const found = due.find((entry) => entry.operation === operation)
    const room = Math.min(limit, request.limit - all.length, capRoom.get(operation) ?? Infinity)
    if (found === undefined || room <= 0) continue
    const waited = found.waited ? await admit(transaction, tickets, operation, request.now, room) : []
    const fetched = await tickets.fetch(transaction, operation, room)
    const left = waited.filter(({ ticket }) => !fetched.some((claimed) => claimed.ticket === ticket))
    if (left.length > 0) await sendBack(transaction, tickets, left)
    // Those that waited first, as they were admitted, then the oldest.
    const places = new Map(waited.map(({ number }, index) => [number, index - waited.length]))
    const place = ({ number }: Ticket): number => places.get(number) ?? number
    all.push(...fetched.sort((a, b) => place(a) - place(b)))
  }
  return all
}

/** Work whose time has come gets a ticket: what has waited longest first. */
async function admit (transaction: Transaction, tickets: Tickets, operation: string, now: number, limit: number): Promise<Ticket[]> {
  const rows = await transaction.sql(`
    SELECT number FROM @.jobs WHERE operation = $1 AND ticket IS NULL AND due_at <= $2
    ORDER BY due_at, number LIMIT ${limit} FOR UPDATE SKIP LOCKED`, operation, now)
  const admitted = rows.map(({ number }) => ({ number: number as number, operation, ticket: newTicket() }))
  const numbers = admitted.map(({ number }) => number)
  if (admitted.length === 0) return []
  await transaction.sql(`
    UPDATE @.jobs SET ticket = admitted.ticket FROM unnest($1::bigint[], $2::uuid[]) AS admitted (number, ticket)
    WHERE jobs.number = admitted.number AND jobs.number = ANY ($1)`, numbers, admitted.map(({ ticket }) => ticket))
  await tickets.write(transaction, admitted, true)
  return admitted
}

/** Others with a ticket had waited for longer. One that is deferred would be seen by nobody if it kept its ticket. */
async function sendBack (transaction: Transaction, tickets: Tickets, left: Ticket[]): Promise<void> {
  await transaction.sql('UPDATE @.jobs SET ticket = NULL WHERE number = ANY ($1)', left.map(({ number }) => number))
  await tickets.remove(transaction, left)
}

/** By their tickets. */
async function begin (transaction: Transaction, fetched: Ticket[], now: number, worker: string): Promise<Map<string, ClaimedJob>> {
  // By their numbers, so that tickets need no index of their own. A deadline stays, so that it outlives the worker that
  // now takes it.
  const rows = await transaction.prepared(`
    UPDATE @.jobs SET status = 'running', worker = $2, attempt = attempt + 1, started_at = coalesce(started_at, $3),
      due_at = CASE WHEN status = 'running' THEN due_at END
    WHERE number = ANY ($1) AND worker IS NULL AND (number, ticket) IN (SELECT * FROM unnest($1::bigint[], $4::uuid[]))
    RETURNING ${columns}, input, ticket, due_at`, fetched.map(({ number }) => number), worker, now, fetched.map(({ ticket }) => ticket))
  return new Map(rows.map((row) => [row.ticket as string, { ...toJob(row), input: row.input as string, due: row.due_at === null ? 'run' : 'deadline' }]))
}

/**
 * Tickets without work: pg-boss takes one whose job has run for a day for abandoned. That job has a worker, and its
 * ticket stays claimed until it ends. A ticket that no job knows is none.
 */
export async function sortOut (transaction: Transaction, tickets: Tickets, useless: Ticket[]): Promise<void> {
  const known = await transaction.sql('SELECT ticket FROM @.jobs WHERE number = ANY ($1)', useless.map(({ number }) => number))
  await tickets.remove(transaction, useless.filter(({ ticket }) => !known.some((row) => row.ticket === ticket)))
}
