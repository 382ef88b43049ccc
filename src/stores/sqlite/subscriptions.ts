import type { SQLInputValue } from 'node:sqlite'
import type { NewSubscription, SubscribeOutcome, SubscriptionFilter, SubscriptionRecord, SubscriptionStatus, VersionLimits } from '../../work/store.ts'
import { subscriptionConditions, whereOf } from '../filters.ts'
import { toSubscription } from '../records.ts'
import type { Transaction } from './connection.ts'
import { undelivered } from './migrations.ts'
import { lastEvent } from './topic-log.ts'

export function readSubscription ({ sql }: Transaction, number: number): SubscriptionRecord | undefined {
  const row = sql('SELECT * FROM subscriptions WHERE number = ?').get(number)
  return row === undefined ? undefined : toSubscription(row)
}

export function listSubscriptions ({ sql }: Transaction, filter: SubscriptionFilter): SubscriptionRecord[] {
  const { where, values } = whereOf(subscriptionConditions(filter))
  return sql(`SELECT * FROM subscriptions ${where} ORDER BY number DESC LIMIT ?`).all(...values, filter.limit).map(toSubscription)
}

export function insertSubscription ({ sql }: Transaction, subscription: NewSubscription, place: { job: number | null, afterEvent: number, predecessor: number | null }): number {
  const { tracking } = subscription
  const values: Record<string, SQLInputValue> = {
    operation: subscription.operation,
    owner: subscription.owner,
    topic: subscription.topic,
    job: place.job,
    status: 'active',
    after_event: place.afterEvent,
    predecessor: place.predecessor,
    url_digest: subscription.urlDigest,
    versionless_digest: subscription.versionlessDigest,
    sealed_url: subscription.sealedUrl,
    url_hint: subscription.urlHint,
    host: subscription.host,
    client_tracking_id: tracking.clientTrackingId ?? null,
    operation_name: tracking.operationName ?? null,
    workflow_run_id: tracking.workflowRunId ?? null,
    workflow_id: tracking.workflowId ?? null,
    created_at: subscription.createdAt,
    input: subscription.input
  }
  const names = Object.keys(values)
  return Number(sql(`INSERT INTO subscriptions (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`)
    .run(...Object.values(values)).lastInsertRowid)
}

export function subscribe (transaction: Transaction, subscription: NewSubscription, limits?: VersionLimits): SubscribeOutcome {
  const { sql } = transaction
  const same = sql('SELECT number, status FROM subscriptions WHERE url_digest = ? AND operation = ? AND owner = ?')
    .get(subscription.urlDigest, subscription.operation, subscription.owner) as { number: number, status: SubscriptionStatus } | undefined
  if (same?.status === 'active') {
    renew(transaction, same.number, subscription)
    return { outcome: 'repeated', subscription: readSubscription(transaction, same.number)! }
  }
  const before = versionBefore(transaction, subscription, same?.number)
  if (same === undefined && before !== undefined && limits !== undefined && isCrowded(transaction, before, subscription, limits)) {
    return { outcome: 'crowded', subscription: before }
  }
  const predecessor = before?.number ?? null
  // Events that are on their way to the one before are owed to this one.
  const number = same?.number ??
    insertSubscription(transaction, withoutTrackingOf(before, subscription), { job: null, afterEvent: before?.afterEvent ?? lastEvent(transaction), predecessor })
  if (same !== undefined) {
    // The engine repeats itself: it is there, so whatever suspended or superseded it is over.
    unlink(transaction, number)
    renew(transaction, number, subscription)
    sql("UPDATE subscriptions SET status = 'active', failing_since = NULL, predecessor = ? WHERE number = ?").run(predecessor, number)
  }
  if (before !== undefined) {
    sql("UPDATE subscriptions SET status = 'superseded', status_before = status WHERE number = ?").run(before.number)
    // From all of them: the engine unsubscribes the old version now, and what that one is owed would go with it.
    const past = findPast(transaction, number)
    takeOver(transaction, past, number, subscription.createdAt)
    dropOwed(transaction, past)
  }
  return { outcome: same === undefined ? 'created' : 'repeated', subscription: readSubscription(transaction, number)! }
}

/** The one in whose place a new version comes. */
function versionBefore ({ sql }: Transaction, { versionlessDigest, operation, owner }: NewSubscription, except?: number): SubscriptionRecord | undefined {
  if (versionlessDigest === null) return undefined
  const row = sql(`
    SELECT * FROM subscriptions WHERE versionless_digest = ? AND operation = ? AND owner = ? AND status <> 'superseded' AND number IS NOT ?
    ORDER BY status LIMIT 1`
  ).get(versionlessDigest, operation, owner, except ?? null)
  return row === undefined ? undefined : toSubscription(row)
}

function isCrowded (transaction: Transaction, before: SubscriptionRecord, { createdAt }: NewSubscription, { maxUnproved, gapMs }: VersionLimits): boolean {
  const unproved = findPast(transaction, before.number).length
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
function renew ({ sql }: Transaction, number: number, { sealedUrl, input, tracking }: NewSubscription): void {
  sql('UPDATE subscriptions SET sealed_url = ?, input = ?, client_tracking_id = ?, operation_name = ?, workflow_run_id = ?, workflow_id = ? WHERE number = ?')
    .run(sealedUrl, input, tracking.clientTrackingId ?? null, tracking.operationName ?? null, tracking.workflowRunId ?? null, tracking.workflowId ?? null, number)
}

/** The caller of a job subscribes again with the same URL: it is there, so whatever suspended it is over. */
export function renewJobSubscription (transaction: Transaction, job: number, subscription: NewSubscription): void {
  const number = transaction.sql('SELECT number FROM subscriptions WHERE job = ?').get(job)?.number as number | undefined
  if (number === undefined) return
  renew(transaction, number, subscription)
  resumeSubscription(transaction, number)
}

/**
 * What some subscriptions are owed, dead letters too, is owed to another; what waited for its next attempt is due at once,
 * since this URL has not been tried. An event that several are owed is so once, and is no dead letter if one may yet be sent.
 */
function takeOver (transaction: Transaction, from: number[], to: number, now: number): void {
  const { sql } = transaction
  const past = JSON.stringify(from)
  sql(`
    DELETE FROM deliveries WHERE subscription = ?1 AND status = 'dead' AND ${undelivered} AND event IN (
      SELECT event FROM deliveries WHERE subscription IN (SELECT value FROM json_each(?2)) AND status = 'pending' AND ${undelivered})`
  ).run(to, past)
  const move = sql(`
    UPDATE OR IGNORE deliveries SET subscription = ?1,
      (subscription_created_at, host, url_hint) = (SELECT created_at, host, url_hint FROM subscriptions WHERE number = ?1),
      attempts = CASE WHEN due_at IS NULL THEN attempts ELSE 0 END,
      due_at = min(due_at, ?3)
    WHERE subscription IN (SELECT value FROM json_each(?2)) AND status = ?4 AND ${undelivered}`)
  for (const status of ['pending', 'dead']) move.run(to, past, now, status)
  // Who is being fanned out to has changed: a step that was looked at before is void, and one that was passed by is
  // looked at again. What is owed already is not owed twice.
  sql('UPDATE fan_outs SET cursor = min(cursor, ?1 - 1), round = round + 1 WHERE operation = (SELECT operation FROM subscriptions WHERE number = ?1)').run(to)
}

function dropOwed ({ sql }: Transaction, subscriptions: number[]): void {
  sql(`DELETE FROM deliveries WHERE subscription IN (SELECT value FROM json_each(?)) AND status = 'pending' AND ${undelivered}`).run(JSON.stringify(subscriptions))
}

/** The one that took its place, if any, has the one before it behind it. */
function unlink ({ sql }: Transaction, number: number): void {
  sql('UPDATE subscriptions SET predecessor = (SELECT predecessor FROM subscriptions WHERE number = ?1) WHERE predecessor = ?1').run(number)
}

/** The one before it, the one before that, and so on. */
export function findPast ({ sql }: Transaction, number: number): number[] {
  return sql(`
    WITH RECURSIVE past (number, place) AS (
      SELECT predecessor, 0 FROM subscriptions WHERE number = ? AND predecessor IS NOT NULL
      UNION ALL
      SELECT predecessor, place + 1 FROM past JOIN subscriptions USING (number) WHERE predecessor IS NOT NULL)
    SELECT number FROM past ORDER BY place`
  ).all(number).map((row) => row.number as number)
}

export function resumeSubscription ({ sql }: Transaction, number: number): boolean {
  return sql("UPDATE subscriptions SET status = 'active', failing_since = NULL WHERE number = ? AND status = 'suspended'").run(number).changes === 1
}

/**
 * Takes it out of the row of versions. The one before it, if there is one, has what it is owed, and its place if that was
 * the first.
 */
export function leaveRow (transaction: Transaction, number: number, now: number): void {
  const { sql } = transaction
  const { status, predecessor } = readPlace(transaction, number)
  unlink(transaction, number)
  if (predecessor === null) return
  sql('UPDATE subscriptions SET predecessor = NULL WHERE number = ?').run(number)
  if (status !== 'superseded') sql('UPDATE subscriptions SET status = status_before WHERE number = ?').run(predecessor)
  takeOver(transaction, [number], predecessor, now)
  // It may be suspended as it was before: that is ended by a new subscribe alone, and this one was none.
  sql(`
    UPDATE deliveries SET status = 'dead', due_at = NULL, ended_at = ?1 WHERE subscription = ?2 AND status = 'pending' AND ${undelivered} AND worker IS NULL
      AND (SELECT status FROM subscriptions WHERE number = ?2) = 'suspended'`
  ).run(now, predecessor)
}

/** Its status, and which one it took the place of, if that one is still there. */
export function readPlace ({ sql }: Transaction, number: number): { status: SubscriptionStatus | undefined, predecessor: number | null } {
  const row = sql('SELECT status, predecessor FROM subscriptions WHERE number = ?').get(number)
  return { status: row?.status as SubscriptionStatus | undefined, predecessor: row?.predecessor as number | null | undefined ?? null }
}

/** Its callback was answered: the ones before it are of the past, and what only they wanted is owed to nobody. */
export function confirmSubscription (transaction: Transaction, number: number): void {
  const { sql } = transaction
  sql('UPDATE subscriptions SET failing_since = NULL WHERE number = ? AND failing_since IS NOT NULL').run(number)
  const past = findPast(transaction, number)
  if (past.length === 0) return
  sql('DELETE FROM subscriptions WHERE number IN (SELECT value FROM json_each(?))').run(JSON.stringify(past))
  dropOwed(transaction, past)
  sql('UPDATE subscriptions SET predecessor = NULL WHERE number = ?').run(number)
}

/** Forgets a subscription; what it is still owed goes to the one before it, or is dropped. A successor stays. */
export function removeSubscription (transaction: Transaction, number: number, now: number): void {
  leaveRow(transaction, number, now)
  transaction.sql('DELETE FROM subscriptions WHERE number = ?').run(number)
  dropOwed(transaction, [number])
}
