import type { DeliveryOutcome, DeliverySettlement } from '../../work/store.ts'
import { attemptLogOf } from '../records.ts'
import type { Row, Transaction } from './connection.ts'
import { confirmSubscription, leaveRow, lockOperationsOf, readPlace, removeSubscription } from './subscriptions.ts'

interface Sent {
  number: number
  claim: number
  worker: string | null
  /** Whom it was sent to: it may be owed to another by now. */
  sentTo: number
  job: number | null
  /** That one took another's place and has not been answered with a yes. */
  isUnproved: boolean
  /** All callbacks to it have failed lately. */
  isFailing: boolean
}

/**
 * Settles in order, since the answer to one callback may change whom the next is owed to. Most answers do not: of those,
 * as many as follow each other go in one statement.
 */
export async function settleDeliveries (transaction: Transaction, settlements: DeliverySettlement[], now: number, worker: string): Promise<DeliveryOutcome[]> {
  const sent = await lockSent(transaction, settlements)
  const outcomes: DeliveryOutcome[] = []
  const held = settlements.map(({ lease }, index) => {
    const delivery = sent.get(lease.number)
    const holds = delivery?.claim === lease.claim && delivery.worker === worker
    // A claim is settled once, also within a call.
    if (holds) sent.delete(lease.number)
    outcomes[index] = 'lost'
    return holds ? delivery : undefined
  })
  const changesMore = held.map((delivery, index) => delivery !== undefined && saysMore(settlements[index]!, delivery))
  const failing = new Set(held.filter((_, index) => settlements[index]!.subscription === 'failing').map((delivery) => delivery?.sentTo))
  let plain: Held[] = []
  for (const [index, delivery] of held.entries()) {
    if (delivery === undefined) continue
    if (!changesMore[index]) {
      plain.push({ index, delivery, settlement: settlements[index]! })
      continue
    }
    for (const [place, outcome] of await settlePlain(transaction, plain, failing, now, false)) outcomes[place] = outcome
    plain = []
    outcomes[index] = await settleOne(transaction, settlements[index]!, delivery, now)
  }
  for (const [place, outcome] of await settlePlain(transaction, plain, failing, now, true)) outcomes[place] = outcome
  return outcomes
}

/** Whether an answer may change whom something is owed to. */
function saysMore ({ to, subscription }: DeliverySettlement, { job, isUnproved }: Sent): boolean {
  return subscription === 'suspended' || subscription === 'retired' || (subscription === 'confirmed' && job !== null) ||
    (isUnproved && (subscription === 'confirmed' || to.status === 'dead'))
}

/*
 * Plans are made once for all, and may come from a time when the tables were small. So each row is looked up by itself,
 * which OFFSET 0 keeps so, and what is changed is named by a list: nothing makes a plan go through a table.
 */

async function lockSent (transaction: Transaction, settlements: DeliverySettlement[]): Promise<Map<number, Sent>> {
  const { prepared } = transaction
  const numbers = settlements.map(({ lease }) => lease.number)
  const [, rows] = await Promise.all([
    lockOperationsOf(transaction, numbers),
    prepared(`
      SELECT deliveries.number, claim, worker, sent_to AS "sentTo", deliveries.job,
        predecessor IS NOT NULL AS "isUnproved", failing_since IS NOT NULL AS "isFailing"
      FROM @.deliveries LEFT JOIN LATERAL (SELECT predecessor, failing_since FROM @.subscriptions WHERE number = sent_to OFFSET 0) AS receiver ON true
      WHERE deliveries.number = ANY ($1) ORDER BY deliveries.number FOR UPDATE OF deliveries`, numbers)
  ])
  return new Map(rows.map((row) => [row.number as number, row as unknown as Sent]))
}

interface Held { index: number, delivery: Sent, settlement: DeliverySettlement }

/**
 * Settlements that say no more of a subscription than since when it has failed.
 * @param allFailing Whom a callback fails to in the whole call, also in settlements before these.
 * @param isLast Whether the commit goes with them.
 */
async function settlePlain (transaction: Transaction, held: Held[], allFailing: Set<number | undefined>, now: number, isLast: boolean): Promise<[number, DeliveryOutcome][]> {
  if (held.length === 0) return []
  const { prepared } = transaction
  const failing = held.filter(({ settlement }) => settlement.subscription === 'failing').map(({ delivery }) => delivery.sentTo)
  const confirmed = held.filter(({ settlement, delivery }) => settlement.subscription === 'confirmed' && (delivery.isFailing || allFailing.has(delivery.sentTo))).map(({ delivery }) => delivery.sentTo)
  const delivered = held.filter(({ settlement }) => settlement.to.status === 'delivered')
  const others = held.filter(({ settlement }) => settlement.to.status !== 'delivered')
  if (isLast) transaction.commitWith([failing, confirmed, delivered, others].filter(({ length }) => length > 0).length)
  const [,,, rows] = await Promise.all([
    failing.length === 0 ? [] : prepared('UPDATE @.subscriptions SET failing_since = $2 WHERE number = ANY ($1) AND failing_since IS NULL', failing, now),
    // Behind it, since of several answers of one moment a yes says more.
    confirmed.length === 0 ? [] : prepared('UPDATE @.subscriptions SET failing_since = NULL WHERE number = ANY ($1) AND failing_since IS NOT NULL', confirmed),
    delivered.length === 0 ? [] : keepDelivered(transaction, delivered, now),
    others.length === 0 ? [] : keepOthers(transaction, others, now)
  ])
  const moved = new Set(rows.filter((row) => row.moved === true).map(({ number }) => number))
  return held.map(({ index, delivery }) => [index, moved.has(delivery.number) ? 'moved' : 'kept'])
}

/** Parts of an UPDATE FROM `settled`, whose `attempt` is null where none was made. The attempts stand in the row of their delivery, which changes anyway. */
const withAttempt = `attempt_log = CASE WHEN settled.attempt IS NULL THEN attempt_log
  WHEN attempt_log IS NULL THEN settled.attempt ELSE @.with_attempt(attempt_log, settled.attempt) END`

const numbersOf = (held: Held[]): number[] => held.map(({ delivery }) => delivery.number)
const attemptsOf = (held: Held[]): (string | null)[] => held.map(({ settlement }) => attemptOf(settlement))

async function keepDelivered ({ prepared }: Transaction, held: Held[], now: number): Promise<void> {
  await prepared(`
    UPDATE @.deliveries SET worker = NULL, status = 'delivered', ended_at = $3, attempts = attempts + (settled.attempt IS NOT NULL)::int, ${withAttempt}
    FROM unnest($1::bigint[], $2::text[]) AS settled (number, attempt)
    WHERE deliveries.number = settled.number AND deliveries.number = ANY ($1)`, numbersOf(held), attemptsOf(held), now)
}

async function keepOthers ({ prepared }: Transaction, held: Held[], now: number): Promise<Row[]> {
  return await prepared(`
    UPDATE @.deliveries SET worker = NULL,
      status = settled.to_status,
      due_at = CASE WHEN settled.to_status = 'pending' THEN settled.to_due_at END,
      ended_at = CASE WHEN settled.to_status = 'pending' THEN NULL ELSE $5::bigint END,
      attempts = CASE WHEN settled.moved THEN 0 ELSE deliveries.attempts + (settled.attempt IS NOT NULL)::int END,
      ${withAttempt}
    FROM (
      SELECT number, attempt, moved, CASE WHEN NOT wanted THEN 'dead' WHEN moved THEN 'pending' ELSE to_status END AS to_status,
        CASE WHEN moved THEN $5::bigint ELSE to_due_at END AS to_due_at
      FROM (
        SELECT asked.*, subscription <> sent_to AS moved, receiver.status IS NOT NULL AND receiver.status <> 'suspended' AS wanted
        FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[]) AS asked (number, to_status, to_due_at, attempt)
          CROSS JOIN LATERAL (SELECT subscription, sent_to FROM @.deliveries WHERE number = asked.number OFFSET 0) AS owed
          LEFT JOIN LATERAL (SELECT status FROM @.subscriptions WHERE number = owed.subscription OFFSET 0) AS receiver ON true) AS looked) AS settled
    WHERE deliveries.number = settled.number AND deliveries.number = ANY ($1)
    RETURNING deliveries.number, settled.moved AND deliveries.status = 'pending' AS moved`,
  numbersOf(held),
  held.map(({ settlement }) => settlement.to.status),
  held.map(({ settlement }) => dueAtOf(settlement, now)),
  attemptsOf(held),
  now)
}

const attemptOf = ({ attempt }: DeliverySettlement): string | null => attempt === undefined ? null : attemptLogOf(attempt)
const dueAtOf = ({ to }: DeliverySettlement, now: number): number => to.status === 'pending' ? to.dueAt : now

async function settleOne (transaction: Transaction, settlement: DeliverySettlement, { number, sentTo, job }: Sent, now: number): Promise<DeliveryOutcome> {
  const { sql, change } = transaction
  const { to, subscription: effect } = settlement
  const isDelivered = to.status === 'delivered'
  await sql(`
    UPDATE @.deliveries SET worker = NULL, status = CASE WHEN $3 THEN 'delivered' ELSE status END, due_at = CASE WHEN NOT $3 THEN $4::bigint END,
      ended_at = CASE WHEN $3 THEN $5::bigint ELSE ended_at END, attempts = attempts + (settled.attempt IS NOT NULL)::int, ${withAttempt}
    FROM (SELECT $2::text AS attempt) AS settled WHERE number = $1`, number, attemptOf(settlement), isDelivered, dueAtOf(settlement, now), now)
  if (effect === 'confirmed') {
    await confirmSubscription(transaction, sentTo)
    // Nothing more will ever be owed to the subscription of a job.
    if (job !== null) await removeSubscription(transaction, sentTo, now)
  }
  if (effect === 'failing') await sql('UPDATE @.subscriptions SET failing_since = coalesce(failing_since, $2) WHERE number = $1', sentTo, now)
  if (effect === 'suspended' || effect === 'retired') await giveUp(transaction, sentTo, effect, now)
  // Whatever the answer: a URL that took another's place and was never answered with a yes does not keep it.
  else if (to.status === 'dead' && (await readPlace(transaction, sentTo)).predecessor !== null) await giveUp(transaction, sentTo, 'retired', now)
  if (to.status === 'delivered') return 'kept'
  // Another URL that it is owed to by now, a successor's or a predecessor's, has not been tried yet.
  const moved = await change(`
    UPDATE @.deliveries SET attempts = 0, due_at = $2 WHERE number = $1 AND status = 'pending' AND subscription <> $3`, number, now, sentTo)
  await sql(`
    UPDATE @.deliveries SET status = 'dead', due_at = NULL, ended_at = $2 WHERE number = $1 AND status = 'pending'
      AND ($3 OR NOT EXISTS (SELECT 1 FROM @.subscriptions WHERE subscriptions.number = subscription AND subscriptions.status <> 'suspended'))`,
  number, now, to.status === 'dead' && moved === 0)
  const [still] = await sql("SELECT 1 FROM @.deliveries WHERE number = $1 AND status = 'pending' AND subscription <> $2", number, sentTo)
  return still === undefined ? 'kept' : 'moved'
}

/** A subscription that is refused: the one before it has what it is owed, this callback included, and its place, if it had that. */
async function giveUp (transaction: Transaction, subscription: number, effect: 'suspended' | 'retired', now: number): Promise<void> {
  const { sql } = transaction
  const { status, predecessor } = await readPlace(transaction, subscription)
  // Another has its place already, and it may yet be asked to take it back: if it is the true one, it is the only one left.
  if (status === 'superseded' && predecessor === null && effect === 'suspended') return
  await leaveRow(transaction, subscription, now)
  // What is then left is owed to it will not be sent.
  await sql("UPDATE @.deliveries SET status = 'dead', due_at = NULL, ended_at = $2 WHERE subscription = $1 AND status = 'pending' AND worker IS NULL", subscription, now)
  if (effect === 'suspended') await sql("UPDATE @.subscriptions SET status = 'suspended' WHERE number = $1", subscription)
  else await sql('DELETE FROM @.subscriptions WHERE number = $1', subscription)
}
