import type { NewSubscription, SubscribeOutcome, SubscriptionFilter, SubscriptionRecord, SubscriptionStatus, VersionLimits } from '../../work/store.ts'
import { subscriptionConditions } from '../filters.ts'
import { toSubscription } from '../records.ts'
import type { Statements, Transaction } from './connection.ts'
import { numberedWhereOf } from './where.ts'

export async function readSubscription ({ sql }: Statements, number: number): Promise<SubscriptionRecord | undefined> {
  const [row] = await sql('SELECT * FROM @.subscriptions WHERE number = $1', number)
  return row === undefined ? undefined : toSubscription(row)
}

export async function listSubscriptions ({ sql }: Statements, filter: SubscriptionFilter): Promise<SubscriptionRecord[]> {
  const { where, values } = numberedWhereOf(subscriptionConditions(filter))
  return (await sql(`SELECT * FROM @.subscriptions ${where} ORDER BY number DESC LIMIT ${filter.limit}`, ...values)).map(toSubscription)
}

/**
 * Who is called back for an operation, and what for, is changed by one transaction at a time: what supersedes what, and
 * what is owed to whom, is spread over several rows. To be taken before any row is.
 */
export async function lockOperations ({ prepared }: Statements, operations: string[]): Promise<void> {
  await prepared(locksOf('unnest($1::text[]) AS asked (operation)'), operations)
}

/** The same for the operations of these deliveries. */
export async function lockOperationsOf ({ prepared }: Statements, deliveries: number[]): Promise<void> {
  await prepared(locksOf('@.deliveries WHERE number = ANY ($1)'), deliveries)
}

/** In one order for all, so that no two wait for each other. */
const locksOf = (from: string): string => `
  SELECT pg_advisory_xact_lock(key) FROM (
    SELECT DISTINCT hashtextextended('@.operations: ' || operation, 0) AS key FROM ${from} ORDER BY key) AS keys`

interface Place { job: number | null, afterEvent: number, predecessor: number | null }

export async function insertSubscriptions ({ sql }: Statements, entries: { subscription: NewSubscription, place: Place }[]): Promise<number[]> {
  if (entries.length === 0) return []
  const rows = entries.map(({ subscription, place }) => ({
    operation: subscription.operation,
    owner: subscription.owner,
    topic: subscription.topic,
    job: place.job,
    status: 'active',
    after_event: place.afterEvent,
    predecessor: place.predecessor,
    url_digest: subscription.urlDigest,
    versionless_digest: subscription.versionlessDigest,
    sealed_url: Buffer.from(subscription.sealedUrl),
    url_hint: subscription.urlHint,
    host: subscription.host,
    client_tracking_id: subscription.tracking.clientTrackingId ?? null,
    operation_name: subscription.tracking.operationName ?? null,
    workflow_run_id: subscription.tracking.workflowRunId ?? null,
    workflow_id: subscription.tracking.workflowId ?? null,
    created_at: subscription.createdAt,
    input: subscription.input
  }))
  const types: Record<keyof typeof rows[number], string> = {
    operation: 'text',
    owner: 'text',
    topic: 'text',
    job: 'bigint',
    status: 'text',
    after_event: 'bigint',
    predecessor: 'bigint',
    url_digest: 'text',
    versionless_digest: 'text',
    sealed_url: 'bytea',
    url_hint: 'text',
    host: 'text',
    client_tracking_id: 'text',
    operation_name: 'text',
    workflow_run_id: 'text',
    workflow_id: 'text',
    created_at: 'bigint',
    input: 'text'
  }
  const names = Object.keys(types) as (keyof typeof types)[]
  const inserted = await sql(`
    INSERT INTO @.subscriptions (${names.join(', ')})
    SELECT * FROM unnest(${names.map((name, index) => `$${index + 1}::${types[name]}[]`).join(', ')}) RETURNING number`,
  ...names.map((name) => rows.map((row) => row[name])))
  return inserted.map(({ number }) => number as number)
}

export async function subscribe (transaction: Transaction, subscription: NewSubscription, limits?: VersionLimits): Promise<SubscribeOutcome> {
  const { sql } = transaction
  await lockOperations(transaction, [subscription.operation])
  const { operation, owner, urlDigest, createdAt } = subscription
  const [same] = await sql('SELECT number, status FROM @.subscriptions WHERE url_digest = $1 AND operation = $2 AND owner = $3', urlDigest, operation, owner) as unknown as { number: number, status: SubscriptionStatus }[]
  if (same?.status === 'active') {
    await renew(transaction, same.number, subscription)
    return { outcome: 'repeated', subscription: (await readSubscription(transaction, same.number))! }
  }
  const before = await versionBefore(transaction, subscription, same?.number)
  if (same === undefined && before !== undefined && limits !== undefined && await isCrowded(transaction, before, subscription, limits)) {
    return { outcome: 'crowded', subscription: before }
  }
  const predecessor = before?.number ?? null
  // Events that are on their way to the one before are owed to this one.
  const number = same?.number ?? (await insertSubscriptions(transaction, [{
    subscription: withoutTrackingOf(before, subscription),
    place: { job: null, afterEvent: before?.afterEvent ?? await lastEvent(transaction), predecessor }
  }]))[0]!
  if (same !== undefined) {
    // The engine repeats itself: it is there, so whatever suspended or superseded it is over.
    await unlink(transaction, number)
    await renew(transaction, number, subscription)
    await sql("UPDATE @.subscriptions SET status = 'active', failing_since = NULL, predecessor = $2 WHERE number = $1", number, predecessor)
  }
  if (before !== undefined) {
    await sql("UPDATE @.subscriptions SET status = 'superseded', status_before = status WHERE number = $1", before.number)
    // From all of them: the engine unsubscribes the old version now, and what that one is owed would go with it.
    const past = await findPast(transaction, number)
    await takeOver(transaction, past, number, createdAt)
    await dropOwed(transaction, past)
  }
  return { outcome: same === undefined ? 'created' : 'repeated', subscription: (await readSubscription(transaction, number))! }
}

/** The one in whose place a new version comes. */
async function versionBefore ({ sql }: Statements, { versionlessDigest, operation, owner }: NewSubscription, except?: number): Promise<SubscriptionRecord | undefined> {
  if (versionlessDigest === null) return undefined
  const [row] = await sql(`
    SELECT * FROM @.subscriptions
    WHERE versionless_digest = $1 AND operation = $2 AND owner = $3 AND status <> 'superseded' AND number IS DISTINCT FROM $4
    ORDER BY status LIMIT 1`, versionlessDigest, operation, owner, except ?? null)
  return row === undefined ? undefined : toSubscription(row)
}

async function isCrowded (transaction: Transaction, before: SubscriptionRecord, { createdAt }: NewSubscription, { maxUnproved, gapMs }: VersionLimits): Promise<boolean> {
  const unproved = (await findPast(transaction, before.number)).length
  // A clock that was put back must not keep a workflow out.
  return unproved >= maxUnproved || (unproved > 0 && createdAt >= before.createdAt && createdAt - before.createdAt < gapMs)
}

/** Where both came with the same headers, these name the old version: its late unsubscribe must not end the new one. */
function withoutTrackingOf (before: SubscriptionRecord | undefined, subscription: NewSubscription): NewSubscription {
  const { clientTrackingId, operationName } = subscription.tracking
  const isSame = clientTrackingId !== undefined && clientTrackingId === before?.tracking.clientTrackingId && operationName === before.tracking.operationName
  return isSame ? { ...subscription, tracking: {} } : subscription
}

/** The same URL again: what it says now counts, and it is sealed with the newest secret, so that a rotation comes to an end. */
async function renew ({ sql }: Statements, number: number, { sealedUrl, input, tracking }: NewSubscription): Promise<void> {
  await sql(`
    UPDATE @.subscriptions SET sealed_url = $2, input = $3, client_tracking_id = $4, operation_name = $5, workflow_run_id = $6, workflow_id = $7
    WHERE number = $1`,
  number, Buffer.from(sealedUrl), input, tracking.clientTrackingId ?? null, tracking.operationName ?? null, tracking.workflowRunId ?? null, tracking.workflowId ?? null)
}

/** The caller of a job subscribes again with the same URL: it is there, so whatever suspended it is over. */
export async function renewJobSubscription (transaction: Transaction, job: number, subscription: NewSubscription): Promise<void> {
  const [row] = await transaction.sql('SELECT number FROM @.subscriptions WHERE job = $1', job)
  if (row === undefined) return
  await renew(transaction, row.number as number, subscription)
  await resumeSubscription(transaction, row.number as number)
}

async function lastEvent ({ sql }: Statements): Promise<number> {
  const [row] = await sql('SELECT last FROM @.log')
  return row!.last as number
}

/**
 * What some subscriptions are owed, dead letters too, is owed to another; what waited for its next attempt is due at once,
 * since this URL has not been tried. An event that several are owed is so once, and is no dead letter if one may yet be sent.
 */
async function takeOver (transaction: Transaction, from: number[], to: number, now: number): Promise<void> {
  await transaction.sql(`
    DELETE FROM @.deliveries WHERE subscription = $1 AND status = 'dead' AND event IN (
      SELECT event FROM @.deliveries WHERE subscription = ANY ($2) AND status = 'pending')`, to, from)
  for (const status of ['pending', 'dead']) {
    await transaction.sql(`
      UPDATE @.deliveries SET subscription = successor.number, subscription_created_at = successor.created_at,
        host = successor.host, url_hint = successor.url_hint,
        attempts = CASE WHEN due_at IS NULL THEN attempts ELSE 0 END,
        due_at = CASE WHEN due_at IS NULL THEN NULL ELSE least(due_at, $3) END
      FROM @.subscriptions AS successor WHERE successor.number = $1 AND deliveries.number IN (
        SELECT DISTINCT ON (coalesce(event, -number)) number FROM @.deliveries AS owed WHERE subscription = ANY ($2) AND status = $4
          AND NOT EXISTS (SELECT 1 FROM @.deliveries AS known WHERE known.event = owed.event AND known.subscription = $1)
        ORDER BY coalesce(event, -number), number)`, to, from, now, status)
  }
  // Who is being fanned out to has changed: a step that was looked at before is void, and one that was passed by is
  // looked at again. What is owed already is not owed twice.
  await transaction.sql(`
    UPDATE @.fan_outs SET cursor = least(cursor, $1::bigint - 1), round = round + 1
    WHERE operation = (SELECT operation FROM @.subscriptions WHERE number = $1::bigint)`, to)
}

async function dropOwed ({ sql }: Transaction, subscriptions: number[]): Promise<void> {
  await sql("DELETE FROM @.deliveries WHERE subscription = ANY ($1) AND status = 'pending'", subscriptions)
}

/** The one that took its place, if any, has the one before it behind it. */
async function unlink ({ sql }: Statements, number: number): Promise<void> {
  await sql('UPDATE @.subscriptions SET predecessor = (SELECT predecessor FROM @.subscriptions WHERE number = $1) WHERE predecessor = $1', number)
}

/** The one before it, the one before that, and so on. */
async function findPast ({ sql }: Statements, number: number): Promise<number[]> {
  const rows = await sql(`
    WITH RECURSIVE past (number, place) AS (
      SELECT predecessor, 0 FROM @.subscriptions WHERE number = $1 AND predecessor IS NOT NULL
      UNION ALL
      SELECT subscriptions.predecessor, place + 1 FROM past JOIN @.subscriptions ON subscriptions.number = past.number
      WHERE subscriptions.predecessor IS NOT NULL)
    SELECT number FROM past ORDER BY place`, number)
  return rows.map((row) => row.number as number)
}

export async function resumeSubscription ({ change }: Transaction, number: number): Promise<boolean> {
  return await change("UPDATE @.subscriptions SET status = 'active', failing_since = NULL WHERE number = $1 AND status = 'suspended'", number) === 1
}

/**
 * Takes it out of the row of versions. The one before it, if there is one, has what it is owed, and its place if that was
 * the first.
 */
export async function leaveRow (transaction: Transaction, number: number, now: number): Promise<void> {
  const { sql } = transaction
  const { status, predecessor } = await readPlace(transaction, number)
  await unlink(transaction, number)
  if (predecessor === null) return
  await sql('UPDATE @.subscriptions SET predecessor = NULL WHERE number = $1', number)
  if (status !== 'superseded') await sql('UPDATE @.subscriptions SET status = status_before WHERE number = $1', predecessor)
  await takeOver(transaction, [number], predecessor, now)
  // It may be suspended as it was before: that is ended by a new subscribe alone, and this one was none.
  await sql(`
    UPDATE @.deliveries SET status = 'dead', due_at = NULL, ended_at = $1 WHERE subscription = $2 AND status = 'pending' AND worker IS NULL
      AND (SELECT status FROM @.subscriptions WHERE number = $2) = 'suspended'`, now, predecessor)
}

/** Its status, and which one it took the place of, if that one is still there. */
export async function readPlace ({ sql }: Statements, number: number): Promise<{ status: SubscriptionStatus | undefined, predecessor: number | null }> {
  const [row] = await sql('SELECT status, predecessor FROM @.subscriptions WHERE number = $1', number)
  return { status: row?.status as SubscriptionStatus | undefined, predecessor: row?.predecessor as number | null | undefined ?? null }
}

/** Its callback was answered: the ones before it are of the past, and what only they wanted is owed to nobody. */
export async function confirmSubscription (transaction: Transaction, number: number): Promise<void> {
  const { sql } = transaction
  await sql('UPDATE @.subscriptions SET failing_since = NULL WHERE number = $1 AND failing_since IS NOT NULL', number)
  const past = await findPast(transaction, number)
  if (past.length === 0) return
  await sql('DELETE FROM @.subscriptions WHERE number = ANY ($1)', past)
  await dropOwed(transaction, past)
  await sql('UPDATE @.subscriptions SET predecessor = NULL WHERE number = $1', number)
}

/** Forgets a subscription; what it is still owed goes to the one before it, or is dropped. A successor stays. */
export async function removeSubscription (transaction: Transaction, number: number, now: number): Promise<void> {
  await leaveRow(transaction, number, now)
  await transaction.sql('DELETE FROM @.subscriptions WHERE number = $1', number)
  await dropOwed(transaction, [number])
}
