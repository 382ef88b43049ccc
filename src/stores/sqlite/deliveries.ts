import type {
  ClaimedDelivery, DeliveryAttempt, DeliveryClaimRequest, DeliveryFilter, DeliveryOutcome, DeliveryRecord, DeliverySettlement
} from '../../work/store.ts'
import { deliveryConditions, whereOf } from '../filters.ts'
import { attemptLogOf, deliveryColumns, maxAttemptsKept, toAttempts, toDelivery } from '../records.ts'
import type { Transaction } from './connection.ts'
import { undelivered } from './migrations.ts'
import { confirmSubscription, leaveRow, readPlace, removeSubscription } from './subscriptions.ts'

/** Part of a WHERE, for two lists as JSON. */
const claimable = 'operation IN (SELECT value FROM json_each(?)) AND host NOT IN (SELECT value FROM json_each(?))'
const claimableValues = ({ operations, exceptHosts }: DeliveryClaimRequest): [string, string] => [JSON.stringify(operations), JSON.stringify(exceptHosts)]
/** So many are looked through in the order they are due. When none of them can be had, hosts are gone through instead. */
const frontSize = 1000

export function findDueDeliveries (transaction: Transaction, request: DeliveryClaimRequest): number[] {
  const { sql } = transaction
  const { now, limit } = request
  const front = sql(`
    SELECT number FROM (SELECT number, operation, host FROM deliveries WHERE due_at <= ? ORDER BY due_at, number LIMIT ${frontSize})
    WHERE ${claimable} LIMIT ?`
  ).all(now, ...claimableValues(request), limit)
  const isBlocked = front.length === 0 && sql(`SELECT 1 FROM deliveries WHERE due_at <= ? ORDER BY due_at, number LIMIT 1 OFFSET ${frontSize}`).get(now) !== undefined
  if (!isBlocked) return front.map(({ number }) => number as number)
  return placesOf(transaction, request)
    .flatMap(({ operation, host }) => sql('SELECT number, due_at FROM deliveries WHERE operation = ? AND host = ? AND due_at <= ? ORDER BY due_at, number LIMIT ?')
      .all(operation, host, now, limit) as { number: number, due_at: number }[])
    .sort((one, other) => one.due_at - other.due_at || one.number - other.number)
    .slice(0, limit)
    .map(({ number }) => number)
}

export function nextDeliveryDueAt (transaction: Transaction, request: DeliveryClaimRequest): number | null {
  const { sql } = transaction
  const { now } = request
  const front = sql(`
    SELECT min(due_at) AS due FROM (SELECT due_at, operation, host FROM deliveries WHERE due_at > ? ORDER BY due_at, number LIMIT ${frontSize})
    WHERE ${claimable}`
  ).get(now, ...claimableValues(request))!.due as number | null
  if (front !== null || sql(`SELECT 1 FROM deliveries WHERE due_at > ? ORDER BY due_at, number LIMIT 1 OFFSET ${frontSize}`).get(now) === undefined) return front
  const times = placesOf(transaction, request).map(({ operation, host }) =>
    sql('SELECT min(due_at) AS due FROM deliveries WHERE operation = ? AND host = ? AND due_at > ?').get(operation, host, now)!.due as number | null)
  return times.reduce((first, time) => time === null || (first !== null && first < time) ? first : time, null)
}

/** Where something is owed that may be claimed. From one host to the next in the index: what is owed to closed ones is passed over. */
function placesOf ({ sql }: Transaction, request: DeliveryClaimRequest): { operation: string, host: string }[] {
  return sql(`
    WITH RECURSIVE places (operation, host) AS (
      SELECT value, (SELECT min(host) FROM deliveries WHERE operation = value AND due_at IS NOT NULL) FROM json_each(?1)
      UNION ALL
      SELECT operation, (SELECT min(host) FROM deliveries WHERE operation = places.operation AND host > places.host AND due_at IS NOT NULL)
      FROM places WHERE host IS NOT NULL)
    SELECT operation, host FROM places WHERE host IS NOT NULL AND host NOT IN (SELECT value FROM json_each(?2))`
  ).all(...claimableValues(request)) as { operation: string, host: string }[]
}

export function claimDeliveries (transaction: Transaction, request: DeliveryClaimRequest, worker: string): ClaimedDelivery[] {
  const { sql } = transaction
  const due = JSON.stringify(findDueDeliveries(transaction, request))
  // Its subscription is gone, or was suspended: that came while the delivery was under way. A superseded one may be owed
  // what its successor does not want.
  sql(`
    UPDATE deliveries SET status = 'dead', due_at = NULL, ended_at = ?2 WHERE number IN (SELECT value FROM json_each(?1))
      AND NOT EXISTS (SELECT 1 FROM subscriptions WHERE subscriptions.number = subscription AND subscriptions.status <> 'suspended')`
  ).run(due, request.now)
  sql(`
    UPDATE deliveries SET due_at = NULL, worker = ?2, claim = claim + 1, sent_to = subscription
    WHERE number IN (SELECT value FROM json_each(?1)) AND status = 'pending'`
  ).run(due, worker)
  const bodies = new Map<number, string>()
  const bodyOf = (event: number): string => {
    if (!bodies.has(event)) bodies.set(event, sql('SELECT body FROM events WHERE number = ?').get(event)!.body as string)
    return bodies.get(event)!
  }
  return sql(`
    SELECT ${deliveryColumns}, claim, body, sealed_url, failing_since FROM json_each(?1) CROSS JOIN deliveries ON deliveries.number = json_each.value
      JOIN subscriptions ON subscriptions.number = subscription
    WHERE deliveries.status = 'pending'`
  ).all(due).map((row) => {
    const delivery = toDelivery(row)
    return {
      ...delivery,
      claim: row.claim as number,
      sealedUrl: row.sealed_url as Uint8Array,
      // What many are owed is one text, however large.
      body: row.body as string | null ?? bodyOf(delivery.event!),
      failingSince: row.failing_since as number | null
    }
  })
}

/** Part of an UPDATE, whose first value is the attempt. It stands in the row of its delivery, which changes anyway. */
const withAttempt = `attempts = attempts + 1, attempt_log = CASE WHEN attempt_log IS NULL THEN ?1 ELSE
  json_insert(iif(json_array_length(attempt_log) < ${maxAttemptsKept}, attempt_log, json_remove(attempt_log, '$[0]')), '$[#]', json_extract(?1, '$[0]')) END`

/**
 * Most answers are a yes of somebody who said nothing else before: nothing changes but the delivery itself. Says whether
 * this was one; it is settled then.
 */
function settleYes (transaction: Transaction, { lease, attempt, to, subscription: effect }: DeliverySettlement, now: number, worker: string): boolean {
  if (to.status !== 'delivered' || effect !== 'confirmed' || attempt === undefined) return false
  const { changes } = transaction.sql(`
    UPDATE deliveries SET worker = NULL, status = 'delivered', ended_at = ?2, ${withAttempt}
    WHERE number = ?3 AND claim = ?4 AND worker = ?5 AND job IS NULL
      AND NOT EXISTS (SELECT 1 FROM subscriptions WHERE subscriptions.number = sent_to AND (failing_since IS NOT NULL OR predecessor IS NOT NULL))`
  ).run(attemptLogOf(attempt), now, lease.number, lease.claim, worker)
  return changes === 1
}

export function settleDelivery (transaction: Transaction, settlement: DeliverySettlement, now: number, worker: string): DeliveryOutcome {
  if (settleYes(transaction, settlement, now, worker)) return 'kept'
  const { sql } = transaction
  const { lease, attempt, to, subscription: effect } = settlement
  const delivery = sql('SELECT sent_to, job FROM deliveries WHERE number = ? AND claim = ? AND worker = ?').get(lease.number, lease.claim, worker)
  if (delivery === undefined) return 'lost'
  const subscription = delivery.sent_to as number
  if (attempt !== undefined) countAttempt(transaction, lease.number, attempt)
  if (to.status === 'delivered') sql("UPDATE deliveries SET worker = NULL, status = 'delivered', ended_at = ? WHERE number = ?").run(now, lease.number)
  else sql('UPDATE deliveries SET worker = NULL, due_at = ? WHERE number = ?').run(to.status === 'pending' ? to.dueAt : now, lease.number)
  if (effect === 'confirmed') {
    confirmSubscription(transaction, subscription)
    // Nothing more will ever be owed to the subscription of a job.
    if (delivery.job !== null) removeSubscription(transaction, subscription, now)
  }
  if (effect === 'failing') sql('UPDATE subscriptions SET failing_since = coalesce(failing_since, ?) WHERE number = ?').run(now, subscription)
  if (effect === 'suspended' || effect === 'retired') giveUp(transaction, subscription, effect, now)
  // Whatever the answer: a URL that took another's place and was never answered with a yes does not keep it.
  else if (to.status === 'dead' && readPlace(transaction, subscription).predecessor !== null) giveUp(transaction, subscription, 'retired', now)
  if (to.status === 'delivered') return 'kept'
  // Another URL that it is owed to by now, a successor's or a predecessor's, has not been tried yet.
  const moved = sql("UPDATE deliveries SET attempts = 0, due_at = ? WHERE number = ? AND status = 'pending' AND subscription <> ?").run(now, lease.number, subscription)
  sql(`
    UPDATE deliveries SET status = 'dead', due_at = NULL, ended_at = ?1 WHERE number = ?2 AND status = 'pending'
      AND (?3 OR NOT EXISTS (SELECT * FROM subscriptions WHERE subscriptions.number = subscription AND status <> 'suspended'))`
  ).run(now, lease.number, to.status === 'dead' && moved.changes === 0 ? 1 : 0)
  return sql("SELECT 1 FROM deliveries WHERE number = ? AND status = 'pending' AND subscription <> ?").get(lease.number, subscription) === undefined ? 'kept' : 'moved'
}

/** A subscription that is refused: the one before it has what it is owed, this callback included, and its place, if it had that. */
function giveUp (transaction: Transaction, subscription: number, effect: 'suspended' | 'retired', now: number): void {
  const { sql } = transaction
  const { status, predecessor } = readPlace(transaction, subscription)
  // Another has its place already, and it may yet be asked to take it back: if it is the true one, it is the only one left.
  if (status === 'superseded' && predecessor === null && effect === 'suspended') return
  leaveRow(transaction, subscription, now)
  // What is then left is owed to it will not be sent.
  sql(`UPDATE deliveries SET status = 'dead', due_at = NULL, ended_at = ? WHERE subscription = ? AND status = 'pending' AND ${undelivered} AND worker IS NULL`).run(now, subscription)
  if (effect === 'suspended') sql("UPDATE subscriptions SET status = 'suspended' WHERE number = ?").run(subscription)
  else sql('DELETE FROM subscriptions WHERE number = ?').run(subscription)
}

function countAttempt ({ sql }: Transaction, delivery: number, attempt: DeliveryAttempt): void {
  sql(`UPDATE deliveries SET ${withAttempt} WHERE number = ?2`).run(attemptLogOf(attempt), delivery)
}

export function listDeliveries ({ sql }: Transaction, filter: DeliveryFilter): DeliveryRecord[] {
  const { where, values } = whereOf(deliveryConditions(filter))
  const isOfFew = filter.status === 'pending' || filter.status === 'dead'
  return sql(`SELECT ${deliveryColumns} FROM deliveries ${where} ${isOfFew ? `AND ${undelivered}` : ''} ORDER BY number DESC LIMIT ?`).all(...values, filter.limit).map(toDelivery)
}

export function readAttempts ({ sql }: Transaction, delivery: number): DeliveryAttempt[] | undefined {
  const row = sql('SELECT attempt_log FROM deliveries WHERE number = ?').get(delivery)
  return row === undefined ? undefined : toAttempts(row.attempt_log)
}

export function redeliver ({ sql }: Transaction, filter: Omit<DeliveryFilter, 'status'> & { number?: number | undefined }, now: number): number {
  const { where, values } = whereOf(deliveryConditions({ ...filter, status: 'dead' }))
  return Number(sql(`
    UPDATE deliveries SET status = 'pending', due_at = ?, ended_at = NULL, attempts = 0
    WHERE number IN (SELECT number FROM deliveries ${where} AND ${undelivered}
      AND EXISTS (SELECT * FROM subscriptions WHERE subscriptions.number = subscription AND subscriptions.status = 'active')
      ORDER BY number LIMIT ?)`
  ).run(now, ...values, filter.limit).changes)
}

/** What a vanished worker was sending is sent again: it cannot be known whether it arrived. */
export function releaseDeliveries ({ sql }: Transaction, worker: string): number {
  return Number(sql('UPDATE deliveries SET worker = NULL, due_at = 0 WHERE worker = ?').run(worker).changes)
}

export function sweepDeliveries ({ sql }: Transaction, endedBefore: number, limit: number): number {
  return Number(sql('DELETE FROM deliveries WHERE number IN (SELECT number FROM deliveries WHERE ended_at < ? ORDER BY ended_at LIMIT ?)').run(endedBefore, limit).changes)
}
