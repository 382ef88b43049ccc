import type { ClaimedDelivery, DeliveryAttempt, DeliveryClaimRequest, DeliveryFilter, DeliveryRecord } from '../../work/store.ts'
import { deliveryConditions } from '../filters.ts'
import { deliveryColumns, toAttempts, toBytes, toDelivery } from '../records.ts'
import type { Row, Statements, Transaction } from './connection.ts'
import { numberedWhereOf } from './where.ts'
import { keepWorker } from './workers.ts'

/*
 * Callbacks owed. They are claimed in a way of their own: which of them may be sent depends on their host and their
 * subscription, and they move from one subscription to another.
 */

/** So many are looked through in the order they are due. When none of them can be had, hosts are gone through instead. */
const frontSize = 1000
const isClaimable = 'operation = ANY ($2) AND host <> ALL ($3)'

/** Where something is owed that may be claimed. From one host to the next in the index: what is owed to closed ones is passed over. */
const places = `
  WITH RECURSIVE hosts (operation, host) AS (
    SELECT name, (SELECT min(host) FROM @.deliveries WHERE deliveries.operation = name AND due_at IS NOT NULL) FROM unnest($2::text[]) AS asked (name)
    UNION ALL
    SELECT operation, (SELECT min(host) FROM @.deliveries WHERE deliveries.operation = hosts.operation AND deliveries.host > hosts.host AND due_at IS NOT NULL)
    FROM hosts WHERE host IS NOT NULL),
  places AS (SELECT operation, host FROM hosts WHERE host IS NOT NULL AND host <> ALL ($3))`

/** Whether some are due, and when the next is. */
export async function findDueDeliveries ({ sql }: Statements, { operations, exceptHosts, limit, now }: DeliveryClaimRequest): Promise<{ found: boolean, nextDueAt: number | null }> {
  const [front] = await sql(`
    WITH due AS MATERIALIZED (SELECT operation, host FROM @.deliveries WHERE due_at <= $1 ORDER BY due_at, number LIMIT ${frontSize}),
      later AS MATERIALIZED (SELECT due_at, operation, host FROM @.deliveries WHERE due_at > $1 ORDER BY due_at, number LIMIT ${frontSize})
    SELECT found, CASE WHEN found THEN 0 ELSE (SELECT count(*) FROM due) END AS due,
      (SELECT min(due_at) FROM later WHERE ${isClaimable}) AS next, (SELECT count(*) FROM later) AS later
    FROM (SELECT EXISTS (SELECT 1 FROM due WHERE ${isClaimable}) AS found OFFSET 0) AS looked`, now, operations, exceptHosts)
  let { found, next } = front as { found: boolean, next: number | null }
  if ((!found && front!.due === frontSize) || (next === null && front!.later === frontSize)) {
    const [all] = await sql(`${places}
      SELECT EXISTS (SELECT 1 FROM places JOIN @.deliveries USING (operation, host) WHERE due_at <= $1) AS found,
        (SELECT min(first.due_at) FROM places CROSS JOIN LATERAL (
          SELECT min(due_at) AS due_at FROM @.deliveries WHERE deliveries.operation = places.operation AND deliveries.host = places.host AND due_at > $1) AS first) AS next`,
    now, operations, exceptHosts)
    found ||= all!.found as boolean
    next ??= all!.next as number | null
  }
  return { found: found && limit > 0, nextDueAt: next }
}

async function pickDue ({ sql }: Statements, { operations, exceptHosts, limit, now }: DeliveryClaimRequest): Promise<number[]> {
  // One after the other, in the order of the front: no more rows are looked up and locked than are taken, whatever the
  // planner thinks of the table.
  const pick = `
    CROSS JOIN LATERAL (SELECT number FROM @.deliveries WHERE deliveries.number = front.number AND due_at <= $1 FOR UPDATE SKIP LOCKED) AS free
    ORDER BY front.due_at, front.number LIMIT ${limit}`
  const rows = await sql(`
    SELECT free.number FROM (
      SELECT number, due_at FROM (SELECT number, due_at, operation, host FROM @.deliveries WHERE due_at <= $1 ORDER BY due_at, number LIMIT ${frontSize}) AS due
      WHERE ${isClaimable}) AS front ${pick}`, now, operations, exceptHosts)
  const picked = rows.length > 0
    ? rows
    : await sql(`${places}
        SELECT free.number FROM (
          SELECT owed.number, owed.due_at FROM places CROSS JOIN LATERAL (
            SELECT number, due_at FROM @.deliveries WHERE deliveries.operation = places.operation AND deliveries.host = places.host AND due_at <= $1
            ORDER BY due_at, number LIMIT ${frontSize}) AS owed
          ORDER BY owed.due_at, owed.number LIMIT ${frontSize}) AS front ${pick}`, now, operations, exceptHosts)
  return picked.map(({ number }) => number as number)
}

export async function claimDeliveries (transaction: Transaction, request: DeliveryClaimRequest, worker: string): Promise<ClaimedDelivery[]> {
  const { prepared } = transaction
  const { now } = request
  const [, picked] = await Promise.all([keepWorker(transaction, worker), pickDue(transaction, request)])
  if (picked.length === 0) return []
  // Its subscription is gone, or was suspended: that came while the delivery was under way. A superseded one may be owed
  // what its successor does not want.
  const burying = prepared(`
    UPDATE @.deliveries SET status = 'dead', due_at = NULL, ended_at = $2 WHERE number = ANY ($1)
      AND NOT EXISTS (SELECT 1 FROM @.subscriptions WHERE subscriptions.number = subscription AND subscriptions.status <> 'suspended')`, picked, now)
  const claiming = prepared(`
    UPDATE @.deliveries SET due_at = NULL, worker = $2, claim = claim + 1, sent_to = subscription
    FROM @.subscriptions WHERE deliveries.number = ANY ($1) AND deliveries.status = 'pending' AND subscriptions.number = deliveries.subscription
    RETURNING ${deliveryColumns}, claim, sealed_url, failing_since, coalesce(deliveries.body, (SELECT body FROM @.events WHERE events.number = deliveries.event)) AS sent`, picked, worker)
  const [rows] = await Promise.all([claiming, burying])
  const places = new Map(picked.map((number, place) => [number, place]))
  const placeOf = ({ number }: Row): number => places.get(number as number)!
  return rows.sort((a, b) => placeOf(a) - placeOf(b)).map((row) => ({
    ...toDelivery(row),
    claim: row.claim as number,
    sealedUrl: toBytes(row.sealed_url),
    body: row.sent as string,
    failingSince: row.failing_since as number | null
  }))
}

export async function listDeliveries ({ sql }: Statements, filter: DeliveryFilter): Promise<DeliveryRecord[]> {
  const { where, values } = numberedWhereOf(deliveryConditions(filter))
  return (await sql(`SELECT ${deliveryColumns} FROM @.deliveries ${where} ORDER BY number DESC LIMIT ${filter.limit}`, ...values)).map(toDelivery)
}

export async function readAttempts ({ sql }: Statements, delivery: number): Promise<DeliveryAttempt[] | undefined> {
  const [row] = await sql('SELECT attempt_log FROM @.deliveries WHERE number = $1', delivery)
  return row === undefined ? undefined : toAttempts(row.attempt_log)
}

export async function redeliver ({ change }: Transaction, filter: Omit<DeliveryFilter, 'status'> & { number?: number | undefined }, now: number): Promise<number> {
  const { where, values } = numberedWhereOf(deliveryConditions({ ...filter, status: 'dead' }))
  return await change(`
    UPDATE @.deliveries SET status = 'pending', due_at = $${values.length + 1}, ended_at = NULL, attempts = 0
    WHERE number IN (SELECT number FROM @.deliveries ${where}
      AND EXISTS (SELECT 1 FROM @.subscriptions WHERE subscriptions.number = subscription AND subscriptions.status = 'active')
      ORDER BY number LIMIT ${filter.limit} FOR UPDATE)`, ...values, now)
}

export async function sweepDeliveries ({ change }: Transaction, endedBefore: number, limit: number): Promise<number> {
  return await change(`
    DELETE FROM @.deliveries WHERE number IN (
      SELECT number FROM @.deliveries WHERE ended_at < $1 ORDER BY ended_at LIMIT ${limit} FOR UPDATE SKIP LOCKED)`, endedBefore)
}
