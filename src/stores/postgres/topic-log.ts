import type { LogPage, LogRequest } from '../../work/store.ts'
import type { Row, Statements, Transaction } from './connection.ts'

/** One statement, so that all is of one moment. */
export async function readLog ({ prepared }: Statements, requests: LogRequest[]): Promise<LogPage[]> {
  const rows = await prepared(`
    SELECT asked.place::int, last, forgotten_to, forgotten_at, start.number AS start, entry.number, entry.reached_at, entry.body
    FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::int[]) WITH ORDINALITY AS asked (topic, after, not_before, size, place)
      CROSS JOIN @.log LEFT JOIN @.topics ON topics.name = asked.topic
      CROSS JOIN LATERAL (SELECT @.place_in_log(asked.topic, greatest(asked.after, forgotten_to), asked.not_before, last) AS number) AS start
      LEFT JOIN LATERAL (
        SELECT number, reached_at, body FROM @.events WHERE events.topic = asked.topic AND events.number > start.number ORDER BY number LIMIT asked.size) AS entry ON true
    ORDER BY asked.place, entry.number`,
  requests.map(({ topic }) => topic), requests.map(({ after }) => after), requests.map(({ notBefore }) => notBefore ?? null), requests.map(({ limit }) => limit))
  const pages = new Map<number, Row[]>()
  for (const row of rows) {
    const page = pages.get(row.place as number)
    if (page === undefined) pages.set(row.place as number, [row])
    else page.push(row)
  }
  return requests.map(({ after, notBefore }, index) => {
    const page = pages.get(index + 1)!
    const { last, start, forgotten_to: forgottenTo, forgotten_at: forgottenAt } = page[0] as Record<string, number | null>
    return {
      entries: page.filter(({ number }) => number !== null).map((row) => ({ number: row.number as number, reachedAt: row.reached_at as number, body: row.body as string })),
      from: start!,
      missed: (forgottenTo ?? 0) > after && (notBefore === undefined || forgottenAt! >= notBefore),
      last: last!
    }
  })
}

/** Lets entries leave their logs, and deletes the events that have left and of which nothing is owed any more, as letters live or dead. */
export async function sweepEvents (transaction: Transaction, now: number, limit: number): Promise<number> {
  const { sql, change } = transaction
  // One at a time. Not by the rows of the topics: those are locked as late as can be, since a publish waits for them.
  await sql("SELECT pg_advisory_xact_lock(hashtextextended('@.sweep of the log', 0))")
  let deleted = 0
  for (const { name } of await sql('SELECT name FROM @.topics ORDER BY name')) {
    await shorten(transaction, name as string, now, limit)
    if (deleted === limit) continue
    deleted += await change(`
      DELETE FROM @.events WHERE number IN (
        SELECT number FROM @.events WHERE topic = $1 AND number <= (SELECT forgotten_to FROM @.topics WHERE name = $1)
          AND NOT EXISTS (SELECT 1 FROM @.fan_outs WHERE fan_outs.event = events.number)
          AND NOT EXISTS (SELECT 1 FROM @.deliveries WHERE deliveries.event = events.number)
        ORDER BY number LIMIT ${limit - deleted})`, name)
  }
  return deleted
}

interface Entry { number: number, created_at: number, reached_at: number, expires_at: number }

/** Only from its beginning: a log with a hole could not tell a reader that it missed something. */
async function shorten ({ sql }: Transaction, topic: string, now: number, limit: number): Promise<void> {
  const [log] = await sql('SELECT entries, max_entries, forgotten_to FROM @.topics WHERE name = $1', topic) as unknown as { entries: number, max_entries: number | null, forgotten_to: number }[]
  const tooMany = log!.max_entries === null ? 0 : log!.entries - log!.max_entries
  const oldest = async (count: number): Promise<Entry[]> => await sql(`
    SELECT number, created_at, reached_at, expires_at FROM @.events WHERE topic = $1 AND number > $2 ORDER BY number LIMIT ${count}`, topic, log!.forgotten_to) as unknown as Entry[]
  // A date that is still to come is a clock's mistake, and must not keep what follows from ever leaving.
  const isKept = ({ created_at: createdAt, expires_at: expiresAt }: Entry): boolean => expiresAt >= now && createdAt <= now
  // Most sweeps find nothing, and then look at one row.
  if (tooMany <= 0 && (await oldest(1)).every(isKept)) return
  const entries = await oldest(limit)
  const end = entries.findIndex((entry, index) => index >= tooMany && isKept(entry))
  const count = entries.slice(0, end === -1 ? entries.length : end).findLastIndex((entry, index) => index < tooMany || entry.expires_at < now) + 1
  if (count === 0) return
  const { number, reached_at: reachedAt } = entries[count - 1]!
  await sql('UPDATE @.topics SET entries = entries - $2, forgotten_to = $3, forgotten_at = $4 WHERE name = $1', topic, count, number, reachedAt)
}
