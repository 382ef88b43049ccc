import type { DeliveryOutcome, DeliverySettlement } from '../../work/store.ts'
import type { Transaction } from './connection.ts'
import { keepAttempts } from './deliveries.ts'
import { confirmSubscription, leaveRow, lockOperationsOf, readPlace, removeSubscription } from './subscriptions.ts'

interface Sent {
  number: number
  claim: number
  worker: string | null
  /** Whom it was sent to: it may be owed to another by now. */
  sentTo: number
  job: number | null
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
  const [unproved] = await Promise.all([
    findUnproved(transaction, held.flatMap((delivery) => delivery?.sentTo ?? [])),
    keepAttempts(transaction, settlements.flatMap(({ lease, attempt }, index) =>
      attempt === undefined || held[index] === undefined ? [] : [{ delivery: lease.number, attempt }]))
  ])
  let plain: number[] = []
  const flush = async (): Promise<void> => {
    for (const [index, outcome] of await settlePlain(transaction, settlements, held, plain, now)) outcomes[index] = outcome
    plain = []
  }
  for (const [index, delivery] of held.entries()) {
    if (delivery === undefined) continue
    const { to, subscription } = settlements[index]!
    const changesMore = subscription === 'suspended' || subscription === 'retired' ||
      (subscription === 'confirmed' && delivery.job !== null) ||
      (unproved.has(delivery.sentTo) && (subscription === 'confirmed' || to.status === 'dead'))
    if (!changesMore) {
      plain.push(index)
      continue
    }
    await flush()
    outcomes[index] = await settleOne(transaction, settlements[index]!, delivery, now)
  }
  await flush()
  return outcomes
}

async function lockSent (transaction: Transaction, settlements: DeliverySettlement[]): Promise<Map<number, Sent>> {
  const { prepared } = transaction
  const numbers = settlements.map(({ lease }) => lease.number)
  const [, rows] = await Promise.all([
    lockOperationsOf(transaction, numbers),
    prepared('SELECT number, claim, worker, sent_to AS "sentTo", job FROM @.deliveries WHERE number = ANY ($1) ORDER BY number FOR UPDATE', numbers)
  ])
  return new Map(rows.map((row) => [row.number as number, row as unknown as Sent]))
}

/** Those that took another's place and have not been answered with a yes. */
async function findUnproved ({ prepared }: Transaction, subscriptions: number[]): Promise<Set<number>> {
  const rows = await prepared('SELECT number FROM @.subscriptions WHERE number = ANY ($1) AND predecessor IS NOT NULL', subscriptions)
  return new Set(rows.map(({ number }) => number as number))
}

/** Settlements that say no more of a subscription than since when it has failed. */
async function settlePlain ({ sql, prepared }: Transaction, settlements: DeliverySettlement[], held: (Sent | undefined)[], indexes: number[], now: number): Promise<[number, DeliveryOutcome][]> {
  if (indexes.length === 0) return []
  const sentToOf = (effect: string): number[] => indexes.filter((index) => settlements[index]!.subscription === effect).map((index) => held[index]!.sentTo)
  const [failing, confirmed] = [sentToOf('failing'), sentToOf('confirmed')]
  const effects = [
    ...(failing.length === 0 ? [] : [sql('UPDATE @.subscriptions SET failing_since = $2 WHERE number = ANY ($1) AND failing_since IS NULL', failing, now)]),
    // Behind it, since of several answers of one moment a yes says more.
    ...(confirmed.length === 0 ? [] : [prepared('UPDATE @.subscriptions SET failing_since = NULL WHERE number = ANY ($1) AND failing_since IS NOT NULL', confirmed)])
  ]
  const settling = prepared(`
    UPDATE @.deliveries SET worker = NULL,
      status = settled.to_status,
      due_at = CASE WHEN settled.to_status = 'pending' THEN settled.to_due_at END,
      ended_at = CASE WHEN settled.to_status = 'pending' THEN NULL ELSE $5::bigint END,
      attempts = CASE WHEN settled.moved THEN 0 ELSE deliveries.attempts + settled.tries END
    FROM (
      SELECT number, tries, moved, CASE WHEN to_status = 'delivered' THEN 'delivered' WHEN NOT wanted THEN 'dead' WHEN moved THEN 'pending' ELSE to_status END AS to_status,
        CASE WHEN moved THEN $5::bigint ELSE to_due_at END AS to_due_at
      FROM (
        SELECT owed.number, asked.tries, asked.to_status, asked.to_due_at, asked.to_status <> 'delivered' AND owed.subscription <> owed.sent_to AS moved,
          EXISTS (SELECT 1 FROM @.subscriptions WHERE subscriptions.number = owed.subscription AND subscriptions.status <> 'suspended') AS wanted
        FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::int[]) AS asked (number, to_status, to_due_at, tries)
          JOIN @.deliveries AS owed ON owed.number = asked.number) AS looked) AS settled
    WHERE deliveries.number = settled.number
    RETURNING deliveries.number, settled.moved AND deliveries.status = 'pending' AS moved`,
  indexes.map((index) => settlements[index]!.lease.number),
  indexes.map((index) => settlements[index]!.to.status),
  indexes.map((index) => dueAtOf(settlements[index]!, now)),
  indexes.map((index) => triesOf(settlements[index]!)),
  now)
  const [rows] = await Promise.all([settling, ...effects])
  const moved = new Set(rows.filter((row) => row.moved === true).map(({ number }) => number))
  return indexes.map((index) => [index, moved.has(settlements[index]!.lease.number) ? 'moved' : 'kept'])
}

const triesOf = ({ attempt }: DeliverySettlement): number => attempt === undefined ? 0 : 1
const dueAtOf = ({ to }: DeliverySettlement, now: number): number => to.status === 'pending' ? to.dueAt : now

async function settleOne (transaction: Transaction, settlement: DeliverySettlement, { number, sentTo, job }: Sent, now: number): Promise<DeliveryOutcome> {
  const { sql, change } = transaction
  const { to, subscription: effect } = settlement
  const tries = triesOf(settlement)
  if (to.status === 'delivered') await sql("UPDATE @.deliveries SET worker = NULL, status = 'delivered', ended_at = $2, attempts = attempts + $3 WHERE number = $1", number, now, tries)
  else await sql('UPDATE @.deliveries SET worker = NULL, due_at = $2, attempts = attempts + $3 WHERE number = $1', number, dueAtOf(settlement, now), tries)
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
