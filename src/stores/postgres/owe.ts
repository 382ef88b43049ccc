import type { Callback, FanOutOutcome, FanOutStep } from '../../work/store.ts'
import { attemptLogOf, toBegun, toBytes } from '../records.ts'
import type { Row, Statements, Transaction } from './connection.ts'
import { lockOperations } from './subscriptions.ts'
import { keepWorker } from './workers.ts'

export async function fanOut (transaction: Transaction, step: FanOutStep, worker: string): Promise<FanOutOutcome> {
  const { change } = transaction
  const here = [step.event, step.operation, step.from, step.round]
  const mayBegin = step.owed.some(({ begins }) => begins)
  // Asked for at once, these are one round trip.
  const [,, moved] = await Promise.all([
    lockOperations(transaction, [step.operation]),
    mayBegin ? keepWorker(transaction, worker) : undefined,
    step.to === null
      ? change('DELETE FROM @.fan_outs WHERE event = $1 AND operation = $2 AND cursor = $3 AND round = $4', ...here)
      : change('UPDATE @.fan_outs SET cursor = $5 WHERE event = $1 AND operation = $2 AND cursor = $3 AND round = $4', ...here, step.to)
  ])
  if (moved === 0) return { done: false, begun: [] }
  if (step.owed.some(({ begins }) => begins !== true)) transaction.tell()
  const owes = step.owed.length + step.skipped.length > 0
  const statements = (owes ? 1 : 0) + (mayBegin ? 1 : 0) + (step.failed.length > 0 ? 1 : 0)
  if (statements > 0) transaction.commitWith(statements)
  const [begun, [event]] = await Promise.all([
    owes ? oweEvent(transaction, step, worker) : [],
    mayBegin ? transaction.prepared('SELECT body FROM @.events WHERE number = $1', step.event) : [],
    step.failed.length > 0 ? keepLetters(transaction, step) : undefined
  ])
  return {
    done: true,
    begun: begun.map((row) => toBegun(step, event!.body as string, {
      number: row.number as number,
      operation: row.operation as string,
      owner: row.owner as string,
      subscription: row.subscription as number,
      subscriptionCreatedAt: row.created_at as number,
      urlHint: row.url_hint as string,
      sealedUrl: toBytes(row.sealed_url),
      failingSince: row.failing_since as number | null
    }))
  }
}

/** Resolves to those that begin, in their order. */
async function oweEvent ({ prepared }: Statements, { owed, skipped, event, now }: FanOutStep, worker: string): Promise<Row[]> {
  // They may have been forgotten or suspended since they were looked at. An event is owed once: not to whom it was, and to
  // one version of a workflow, though a save may come in the midst of a fan-out; one that is suspended takes no other's turn.
  // Each row is looked up by itself (OFFSET 0 keeps it so) and what is counted is one list: the plan, made once for all, may
  // come from a time when the tables were small, and does not know how few of many subscriptions it is about.
  return await prepared(`
    WITH looked AS MATERIALIZED (
      SELECT wanted.*, due_at, begins, place, CASE WHEN versionless_digest IS NULL THEN 1 ELSE
        row_number() OVER (PARTITION BY versionless_digest, operation, owner, status = 'suspended' ORDER BY place) END AS version
      FROM unnest($1::bigint[], $2::bigint[], $6::bool[]) WITH ORDINALITY AS owed (subscription, due_at, begins, place) CROSS JOIN LATERAL (
        SELECT number, operation, owner, created_at, url_hint, host, status, versionless_digest FROM @.subscriptions WHERE number = owed.subscription OFFSET 0) AS wanted),
    wanting AS MATERIALIZED (
      SELECT * FROM looked WHERE version = 1 AND status <> 'suspended' AND (versionless_digest IS NULL OR NOT EXISTS (
        SELECT 1 FROM @.subscriptions AS versions JOIN @.deliveries ON deliveries.event = $3 AND deliveries.subscription = versions.number
        WHERE versions.versionless_digest = looked.versionless_digest AND versions.operation = looked.operation AND versions.owner = looked.owner
          AND versions.number <> looked.number AND deliveries.status <> 'dead'))),
    inserted AS (
      INSERT INTO @.deliveries (operation, owner, subscription, subscription_created_at, url_hint, host, status, due_at, worker, claim, sent_to, created_at, event)
      SELECT operation, owner, number, created_at, url_hint, host, 'pending', CASE WHEN NOT begins THEN due_at END, CASE WHEN begins THEN $5 END,
        begins::int, CASE WHEN begins THEN number END, $4, $3
      FROM wanting ORDER BY place ON CONFLICT DO NOTHING RETURNING number, subscription, claim),
    counted AS (
      UPDATE @.subscriptions SET skipped = skipped + 1
      WHERE number = ANY (ARRAY(SELECT number FROM looked WHERE status = 'suspended' UNION ALL SELECT unnest($7::bigint[]))))
    SELECT inserted.number, begun.* FROM inserted CROSS JOIN LATERAL (
      SELECT number AS subscription, operation, owner, created_at, url_hint, sealed_url, failing_since
      FROM @.subscriptions WHERE subscriptions.number = inserted.subscription OFFSET 0) AS begun
    WHERE claim = 1 ORDER BY inserted.number`,
  owed.map(({ subscription }) => subscription), owed.map(({ dueAt }) => dueAt), event, now, worker, owed.map(({ begins }) => begins ?? false), skipped)
}

/** Filters failed: dead from the start. */
async function keepLetters ({ sql }: Statements, { event, now, failed }: FanOutStep): Promise<void> {
  await sql(`
    INSERT INTO @.deliveries (operation, owner, subscription, subscription_created_at, url_hint, host, status, attempts, attempt_log, ended_at, created_at, event)
    SELECT operation, owner, number, created_at, url_hint, host, 'dead', 1, attempt_log, $4, $4, $3
    FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY AS failed (subscription, attempt_log, place)
      JOIN @.subscriptions ON subscriptions.number = failed.subscription
    ORDER BY place ON CONFLICT DO NOTHING`,
  failed.map(({ subscription }) => subscription),
  failed.map(({ reason }) => attemptLogOf({ at: now, durationMs: 0, statusCode: null, answer: reason })),
  event, now)
}

/** The end of a job is owed to its subscription. A suspended one gets a dead letter, which can be sent when it is resumed. */
export async function oweJobEnds ({ sql }: Statements, ends: { job: number, callback: Callback, now: number }[]): Promise<void> {
  if (ends.length === 0) return
  await sql(`
    INSERT INTO @.deliveries (operation, owner, subscription, subscription_created_at, url_hint, host, status, due_at, ended_at, created_at, job, body)
    SELECT operation, owner, number, created_at, url_hint, host, CASE WHEN status = 'active' THEN 'pending' ELSE 'dead' END,
      CASE WHEN status = 'active' THEN ended.due_at END, CASE WHEN status = 'active' THEN NULL ELSE ended.now END, ended.now, ended.job, ended.body
    FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[]) AS ended (job, body, due_at, now)
      JOIN @.subscriptions ON subscriptions.job = ended.job`,
  ends.map(({ job }) => job), ends.map(({ callback }) => callback.body), ends.map(({ callback }) => callback.dueAt), ends.map(({ now }) => now))
}
