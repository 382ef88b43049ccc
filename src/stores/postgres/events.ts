import type { FanOut, FanOutRequest, HostTransaction, NewEvent, SeenSubscription, Subscriber, SubscriptionStatus } from '../../work/store.ts'
import type { Row, Statements } from './connection.ts'

/*
 * The log. A later event must never show before an earlier one, or a cursor that has passed the later one would skip the
 * earlier. Numbers of a sequence do not do: they are taken in one order, and committed in another. So:
 *
 * - Numbers are counted in a row of their own, whose lock is held until the commit: when one is visible, every lower one
 *   is, or never will be. The lock is taken and let go within one statement (the function append_events), so that no
 *   round trip, and no replica that is frozen between two, holds up the others.
 * - A transaction of the host's may last for minutes, so it takes no lock and no number. What it publishes goes to an
 *   inbox, and gets its number after the commit from whoever publishes or reads next.
 *
 * The price: publishes of all replicas commit one after the other (those of one turn share a commit), and an event of a
 * host's transaction is written twice.
 */

/** How other replicas are told. */
export interface News { channel: string, worker: string }

export async function appendEvents ({ prepared }: Statements, events: NewEvent[], { channel, worker }: News, timeoutMs: number): Promise<number[]> {
  // One that waits for the lock longer than we wait for the answer would publish what was said to have failed. Set in the
  // statement itself: a transaction would hold the lock over round trips, and no pooler takes it as a parameter of the start.
  const [row] = await prepared(`
    SELECT @.append_events($1, $2, $3, $4, $5)::text[] AS numbers, pg_notify($6, $7)
    FROM (SELECT set_config('lock_timeout', $8, true) AS set OFFSET 0) AS limited WHERE set IS NOT NULL`, ...listsOf(events), channel, worker, String(timeoutMs))
  return (row!.numbers as string[]).map(Number)
}

const listsOf = (events: NewEvent[]): unknown[][] => [
  events.map(({ topic }) => topic),
  events.map(({ body }) => body),
  events.map(({ createdAt }) => createdAt),
  events.map(({ expiresAt }) => expiresAt),
  events.map(({ maxEvents }) => maxEvents ?? null)
]

/** Publishes in a transaction of the host's: rolled back means never happened. */
export async function putIntoInbox (db: HostTransaction, schema: string, channel: string, events: NewEvent[]): Promise<void> {
  // An error in it is the host's to see as its driver gives it: its transaction is over.
  // Told with an empty name: our own replica, too, learns of the commit no other way.
  // One text as its only value, which every driver and adapter can carry.
  const text = `
    WITH arrived AS (
      INSERT INTO ${schema}.event_inbox (topic, body, created_at, expires_at, max_entries)
      SELECT topic, body, "createdAt", "expiresAt", "maxEvents"
      FROM json_to_recordset($1::text::json) AS event (topic text, body text, "createdAt" bigint, "expiresAt" bigint, "maxEvents" bigint)
      RETURNING 1)
    SELECT pg_notify('${channel}', '') FROM (SELECT count(*) FROM arrived) AS counted`
  const values = [JSON.stringify(events)]
  await ('executeSql' in db ? db.executeSql(text, values) : db.query(text, values))
}

/** Before a read: places in the log for what host transactions have committed. Without any, it costs one look. */
export async function takeInbox ({ prepared }: Statements): Promise<void> {
  await prepared('SELECT @.take_inbox() WHERE EXISTS (SELECT 1 FROM @.event_inbox)')
}

export async function findFanOuts ({ sql }: Statements, { operations, strangersBefore, limit }: FanOutRequest): Promise<FanOut[]> {
  // Operation by operation, since no index gives the oldest of several: no find reads more than it may give back of each.
  const rows = await sql(`
    WITH RECURSIVE owing (operation) AS (
      SELECT min(operation) FROM @.fan_outs
      UNION ALL
      SELECT (SELECT min(operation) FROM @.fan_outs WHERE operation > owing.operation) FROM owing WHERE owing.operation IS NOT NULL)
    SELECT debt.*, topic, body FROM owing
      CROSS JOIN LATERAL (SELECT event, operation, cursor, round FROM @.fan_outs WHERE fan_outs.operation = owing.operation ORDER BY event LIMIT ${limit}) AS debt
      JOIN @.events ON events.number = debt.event
    WHERE debt.operation = ANY ($1) OR created_at < $2
    ORDER BY debt.operation = ANY ($1) DESC, event, debt.operation LIMIT ${limit}`, operations, Math.min(strangersBefore, Number.MAX_SAFE_INTEGER))
  return rows.map((row) => ({
    event: row.event as number,
    topic: row.topic as string,
    operation: row.operation as string,
    body: row.body as string,
    cursor: row.cursor as number,
    round: row.round as number
  }))
}

/** What `toSeen` takes, of a table or a list of that name. */
const seenColumns = ['number', 'status', 'host', 'url_hint', 'created_at', 'input'].map((name) => `subscriptions.${name}`).join(', ')

function toSeen (row: Row): SeenSubscription {
  return {
    number: row.number as number,
    status: row.status as SubscriptionStatus,
    host: row.host as string,
    urlHint: row.url_hint as string,
    createdAt: row.created_at as number,
    input: row.input as string
  }
}

export async function findSubscribers ({ sql }: Statements, { topic, operation, event, cursor }: FanOut, limit: number): Promise<Subscriber[]> {
  // The ones behind are found in the same statement, so that all are of one moment. All versions of a workflow have the
  // same place in the log: it goes from one to the next.
  const rows = await sql(`
    WITH RECURSIVE found AS (
      SELECT ${seenColumns}, predecessor FROM @.subscriptions
      WHERE topic = $1 AND operation = $2 AND number > $3 AND after_event < $4 AND status <> 'superseded' ORDER BY number LIMIT ${limit}),
    chain (front, number, place) AS (
      SELECT number, predecessor, 1 FROM found WHERE predecessor IS NOT NULL
      UNION ALL
      SELECT front, subscriptions.predecessor, place + 1 FROM chain JOIN @.subscriptions ON subscriptions.number = chain.number
      WHERE subscriptions.predecessor IS NOT NULL)
    SELECT number AS front, 0 AS place, ${seenColumns} FROM found AS subscriptions
    UNION ALL
    SELECT front, place, ${seenColumns} FROM chain JOIN @.subscriptions ON subscriptions.number = chain.number
    ORDER BY front, place`, topic, operation, cursor, event)
  const found = new Map<number, { front: SeenSubscription | undefined, behind: SeenSubscription[] }>()
  for (const row of rows as (Row & { front: number, place: number })[]) {
    if (row.place === 0) found.set(row.front, { front: toSeen(row), behind: [] })
    else found.get(row.front)!.behind.push(toSeen(row))
  }
  return [...found.values()].map(({ front, behind }) => ({ ...front!, behind }))
}
