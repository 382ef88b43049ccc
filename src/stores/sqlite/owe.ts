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

/** A subscription, as far as a delivery to it is concerned. */
type Wanting = [number: number, status: string, owner: string, versionlessDigest: string | null, createdAt: number, urlHint: string, sealedUrl: Uint8Array, failingSince: number | null]

/** @returns what begins with it. */
function oweEvent (transaction: Transaction, step: FanOutStep, worker: string): ClaimedDelivery[] {
  const { sql, lists } = transaction
  const { event, operation, now } = step
  const rows = readWanting(transaction, step)
  // They may have been forgotten or suspended since they were looked at.
  for (const [number, status] of rows.values()) if (status === 'suspended') skip(transaction, number)
  const entries = chooseVersions(step, rows)
  // An event is owed once: not to whom it was, nor to another version of its workflow, since a save may come in the midst
  // of a fan-out.
  const inserted = new Map(lists(`
    INSERT OR IGNORE INTO deliveries (operation, owner, subscription, subscription_created_at, url_hint, host, status, due_at, worker, claim, sent_to, created_at, event)
    SELECT operation, owner, number, created_at, url_hint, host, 'pending', iif(begins, NULL, owed_at), iif(begins, ?2, NULL), begins, iif(begins, number, NULL), ?3, ?4
    FROM (SELECT value ->> 0 AS owed, value ->> 1 AS owed_at, value ->> 2 AS begins FROM json_each(?1)) CROSS JOIN subscriptions ON number = owed
    WHERE versionless_digest IS NULL OR NOT EXISTS (
      SELECT 1 FROM subscriptions AS versions JOIN deliveries ON deliveries.event = ?4 AND deliveries.subscription = versions.number
      WHERE versions.versionless_digest = subscriptions.versionless_digest AND versions.operation = subscriptions.operation
        AND versions.owner = subscriptions.owner AND versions.number <> subscriptions.number AND deliveries.status <> 'dead')
    RETURNING subscription, number`
  ).all(JSON.stringify(entries.map(({ owed }) => [owed.subscription, owed.dueAt, owed.begins === true ? 1 : 0])), worker, now, event) as unknown as [number, number][])
  const begins = entries.filter(({ owed }) => owed.begins === true && inserted.has(owed.subscription))
  if (begins.length === 0) return []
  const body = sql('SELECT body FROM events WHERE number = ?').get(event)!.body as string
  return begins.map(({ row: [subscription, , owner, , subscriptionCreatedAt, urlHint, sealedUrl, failingSince] }) =>
    toBegun(step, body, { number: inserted.get(subscription)!, operation, owner, subscription, subscriptionCreatedAt, urlHint, sealedUrl, failingSince }))
}

/** Those to whom it is owed, by their numbers: some may be gone. */
function readWanting ({ lists }: Transaction, { owed }: FanOutStep): Map<number, Wanting> {
  const rows = lists(`
    SELECT number, status, owner, versionless_digest, created_at, url_hint, sealed_url, failing_since
    FROM json_each(?) CROSS JOIN subscriptions ON subscriptions.number = value`
  ).all(JSON.stringify(owed.map(({ subscription }) => subscription))) as unknown as Wanting[]
  return new Map(rows.map((row) => [row[0], row]))
}

/** Of each workflow the first version that is not suspended. */
function chooseVersions ({ owed }: FanOutStep, rows: Map<number, Wanting>): { owed: OwedCallback, row: Wanting }[] {
  const seen = new Set<unknown>()
  return owed.flatMap((entry) => {
    const row = rows.get(entry.subscription)
    if (row === undefined) return []
    const [number, status, owner, versionlessDigest] = row
    const workflow = versionlessDigest === null ? number : `${owner} ${versionlessDigest}`
    if (status === 'suspended' || seen.has(workflow)) return []
    seen.add(workflow)
    return [{ owed: entry, row }]
  })
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
