import type { LogPage, LogRequest, NewEvent } from '../../work/store.ts'
import type { Transaction } from './connection.ts'

export function appendEntry ({ sql }: Transaction, { topic, body, createdAt, expiresAt, maxEvents }: NewEvent): number {
  const { reached_at: reachedAt } = sql(`
    INSERT INTO topics (name, entries, max_entries, reached_at) VALUES (?, 1, ?, ?)
    ON CONFLICT (name) DO UPDATE SET entries = entries + 1, max_entries = excluded.max_entries, reached_at = max(reached_at, excluded.reached_at)
    RETURNING reached_at`
  ).get(topic, maxEvents ?? null, createdAt)!
  return Number(sql('INSERT INTO events (topic, body, created_at, reached_at, expires_at) VALUES (?, ?, ?, ?, ?)')
    .run(topic, body, createdAt, reachedAt!, expiresAt).lastInsertRowid)
}

/** The newest number ever given, of any topic. */
export function lastEvent ({ sql }: Transaction): number {
  return sql("SELECT coalesce(max(seq), 0) AS last FROM sqlite_sequence WHERE name = 'events'").get()!.last as number
}

export function readLog (transaction: Transaction, requests: LogRequest[]): LogPage[] {
  const { sql } = transaction
  const last = lastEvent(transaction)
  return requests.map((request) => {
    const { topic, after, notBefore, limit } = request
    const log = sql('SELECT forgotten_to, forgotten_at FROM topics WHERE name = ?').get(topic)
    const forgottenTo = (log?.forgotten_to ?? 0) as number
    const from = placeOf(transaction, { ...request, after: Math.max(after, forgottenTo) }, last)
    return {
      entries: sql('SELECT number, reached_at, body FROM events WHERE topic = ? AND number > ? ORDER BY number LIMIT ?')
        .all(topic, from, limit)
        .map(({ number, reached_at: reachedAt, body }) => ({ number: number as number, reachedAt: reachedAt as number, body: body as string })),
      from,
      missed: forgottenTo > after && (notBefore === undefined || log!.forgotten_at as number >= notBefore),
      last
    }
  })
}

/** By halves, since `reached_at` grows with the numbers: no index of dates has to be kept, and a long log costs no more than a short one. */
function placeOf ({ sql }: Transaction, { topic, after, notBefore }: LogRequest, last: number): number {
  if (notBefore === undefined) return after
  let [low, high] = [after, Math.max(after, last)]
  for (let middle = low; low < high; middle = Math.floor((low + high) / 2)) {
    const next = sql('SELECT number, reached_at FROM events WHERE topic = ? AND number > ? ORDER BY number LIMIT 1').get(topic, middle)
    // What follows `low` is too old, or not looked at yet; what follows `high` is not too old, or nothing.
    if (next === undefined || next.reached_at as number >= notBefore) high = middle
    else low = next.number as number
  }
  return low
}

/** Lets entries leave their logs, and deletes the events that have left and of which nothing is owed any more, as letters live or dead. */
export function sweepEvents (transaction: Transaction, now: number, limit: number): number {
  const { sql } = transaction
  let deleted = 0
  for (const { name } of sql('SELECT name FROM topics').all()) {
    shorten(transaction, name as string, now, limit)
    deleted += Number(sql(`
      DELETE FROM events WHERE number IN (
        SELECT number FROM events WHERE topic = ?1 AND number <= (SELECT forgotten_to FROM topics WHERE name = ?1)
          AND NOT EXISTS (SELECT * FROM fan_outs WHERE fan_outs.event = events.number)
          AND NOT EXISTS (SELECT * FROM deliveries WHERE deliveries.event = events.number)
        ORDER BY number LIMIT ?2)`
    ).run(name!, limit - deleted).changes)
  }
  return deleted
}

/** Only from its beginning: a log with a hole could not tell a reader that it missed something. */
function shorten ({ sql }: Transaction, topic: string, now: number, limit: number): void {
  const log = sql('SELECT entries, max_entries, forgotten_to FROM topics WHERE name = ?').get(topic)!
  const tooMany = log.max_entries === null ? 0 : log.entries as number - (log.max_entries as number)
  const oldest = (count: number): ReturnType<ReturnType<typeof sql>['all']> => sql(`
    SELECT number, created_at, reached_at, expires_at FROM events WHERE topic = ? AND number > ? ORDER BY number LIMIT ?`
  ).all(topic, log.forgotten_to!, count)
  // A date that is still to come is a clock's mistake, and must not keep what follows from ever leaving.
  const isKept = ({ created_at: createdAt, expires_at: expiresAt }: Record<string, unknown>): boolean => expiresAt as number >= now && createdAt as number <= now
  // Most sweeps find nothing, and then look at one row.
  if (tooMany <= 0 && oldest(1).every(isKept)) return
  const entries = oldest(limit)
  const end = entries.findIndex((entry, index) => index >= tooMany && isKept(entry))
  const count = entries.slice(0, end === -1 ? entries.length : end).findLastIndex((entry, index) => index < tooMany || entry.expires_at as number < now) + 1
  if (count === 0) return
  const { number, reached_at: reachedAt } = entries[count - 1]!
  sql('UPDATE topics SET entries = entries - ?, forgotten_to = ?, forgotten_at = ? WHERE name = ?').run(count, number!, reachedAt!, topic)
}
