import type { Callback, ClaimedDelivery, FanOutOutcome, FanOutStep, OwedCallback } from '../../work/store.ts'
import { attemptLogOf, toBegun } from '../records.ts'
import type { Transaction } from './connection.ts'
import { readPlace } from './subscriptions.ts'

export function fanOut (transaction: Transaction, step: FanOutStep, worker: string): FanOutOutcome {
  const { sql } = transaction
  const here = [step.event, step.operation, step.from, step.round]
  const { changes } = step.to === null
    ? sql('DELETE FROM fan_outs WHERE event = ? AND operation = ? AND cursor = ? AND round = ?').run(...here)
    : sql('UPDATE fan_outs SET cursor = ? WHERE event = ? AND operation = ? AND cursor = ? AND round = ?').run(step.to, ...here)
  if (changes === 0) return { done: false, begun: [] }
  const begun = oweEvent(transaction, step, worker)
  for (const subscription of step.skipped) skip(transaction, subscription)
  for (const letter of step.failed) keepLetter(transaction, step, letter)
  return { done: true, begun }
}

interface Wanting extends Pick<ClaimedDelivery, 'owner' | 'urlHint' | 'failingSince'> {
  number: number
  createdAt: number
  status: string
  host: string
  sealedUrl: Uint8Array
  versionlessDigest: string | null
}

/** @returns what begins with it. */
function oweEvent (transaction: Transaction, step: FanOutStep, worker: string): ClaimedDelivery[] {
  const { sql } = transaction
  const { event, operation, owed, now } = step
  const wanting = new Map((sql(`
    SELECT number, owner, url_hint AS urlHint, failing_since AS failingSince, created_at AS createdAt, status, host, sealed_url AS sealedUrl,
      versionless_digest AS versionlessDigest
    FROM json_each(?) CROSS JOIN subscriptions ON subscriptions.number = value`
  ).all(JSON.stringify(owed.map(({ subscription }) => subscription))) as unknown as Wanting[]).map((row) => [row.number, row]))
  // They may have been forgotten or suspended since they were looked at.
  for (const { subscription } of owed) if (wanting.get(subscription)?.status === 'suspended') skip(transaction, subscription)
  const entries = owed.filter(isFirstVersion(wanting))
  const begins = new Set(entries.filter(({ begins }) => begins).map(({ subscription }) => subscription))
  // An event is owed once: not to whom it was, nor to another version of its workflow, since a save may come in the midst
  // of a fan-out.
  const inserted = sql(`
    INSERT OR IGNORE INTO deliveries (operation, owner, subscription, subscription_created_at, url_hint, host, status, due_at, worker, claim, sent_to, created_at, event)
    SELECT operation, owner, number, created_at, url_hint, host, 'pending', iif(begins, NULL, owed_at), iif(begins, ?2, NULL), begins, iif(begins, number, NULL), ?3, ?4
    FROM (SELECT value ->> 0 AS owed, value ->> 1 AS owed_at, value ->> 2 AS begins FROM json_each(?1)) CROSS JOIN subscriptions ON number = owed
    WHERE versionless_digest IS NULL OR NOT EXISTS (
      SELECT 1 FROM subscriptions AS versions JOIN deliveries ON deliveries.event = ?4 AND deliveries.subscription = versions.number
      WHERE versions.versionless_digest = subscriptions.versionless_digest AND versions.operation = subscriptions.operation
        AND versions.owner = subscriptions.owner AND versions.number <> subscriptions.number AND deliveries.status <> 'dead')
    RETURNING number, subscription`
  ).all(JSON.stringify(entries.map(({ subscription, dueAt }) => [subscription, dueAt, begins.has(subscription) ? 1 : 0])), worker, now, event)
  if (begins.size === 0) return []
  const body = sql('SELECT body FROM events WHERE number = ?').get(event)!.body as string
  const numbers = new Map(inserted.map(({ number, subscription }) => [subscription as number, number as number]))
  return [...begins].flatMap((subscription) => {
    const number = numbers.get(subscription)
    const { owner, createdAt, urlHint, sealedUrl, failingSince } = wanting.get(subscription)!
    return number === undefined ? [] : [toBegun(step, body, { number, operation, owner, subscription, subscriptionCreatedAt: createdAt, urlHint, sealedUrl, failingSince })]
  })
}

/** Whether somebody is there for it, for the first time. */
function isFirstVersion (wanting: Map<number, Wanting>): (entry: OwedCallback) => boolean {
  const seen = new Set<unknown>()
  return ({ subscription }) => {
    const row = wanting.get(subscription)
    if (row === undefined || row.status === 'suspended') return false
    const key = row.versionlessDigest === null ? row.number : `${row.owner} ${row.versionlessDigest}`
    if (seen.has(key)) return false
    seen.add(key)
    return true
  }
}

function skip ({ sql }: Transaction, subscription: number): void {
  sql('UPDATE subscriptions SET skipped = skipped + 1 WHERE number = ?').run(subscription)
}

/** A filter failed: dead from the start. */
function keepLetter ({ sql }: Transaction, { event, now }: FanOutStep, { subscription, reason }: FanOutStep['failed'][number]): void {
  sql(`
    INSERT OR IGNORE INTO deliveries (operation, owner, subscription, subscription_created_at, url_hint, host, status, attempts, attempt_log, ended_at, created_at, event)
    SELECT operation, owner, number, created_at, url_hint, host, 'dead', 1, ?2, ?3, ?3, ?4 FROM subscriptions WHERE number = ?1`
  ).run(subscription, attemptLogOf({ at: now, durationMs: 0, statusCode: null, answer: reason }), now, event)
}

/** The end of a job is owed to its subscription. A suspended one gets a dead letter, which can be sent when it is resumed. */
export function oweJobEnd (transaction: Transaction, job: number, { body, dueAt }: Callback, now: number): void {
  const { sql } = transaction
  const number = sql('SELECT number FROM subscriptions WHERE job = ?').get(job)?.number as number | undefined
  if (number === undefined) return
  const isActive = readPlace(transaction, number).status === 'active'
  sql(`
    INSERT INTO deliveries (operation, owner, subscription, subscription_created_at, url_hint, host, status, due_at, ended_at, created_at, job, body)
    SELECT operation, owner, number, created_at, url_hint, host, ?2, ?3, ?4, ?5, ?6, ?7 FROM subscriptions WHERE number = ?1`
  ).run(number, isActive ? 'pending' : 'dead', isActive ? dueAt : null, isActive ? null : now, now, job, body)
}
