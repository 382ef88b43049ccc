import type { SQLOutputValue } from 'node:sqlite'
import type { FanOut, FanOutRequest, NewEvent, SeenSubscription, Subscriber, SubscriptionStatus } from '../../work/store.ts'
import type { Transaction } from './connection.ts'
import { findPast } from './subscriptions.ts'
import { appendEntry } from './topic-log.ts'

type Row = Record<string, SQLOutputValue>

export function appendEvent (transaction: Transaction, event: NewEvent): number {
  const { sql } = transaction
  const number = appendEntry(transaction, event)
  // From one operation to the next in the index: a publish costs the same with one subscription and with 100,000.
  sql(`
    WITH RECURSIVE subscribing (operation) AS (
      SELECT min(operation) FROM subscriptions WHERE topic = ?2
      UNION ALL
      SELECT (SELECT min(operation) FROM subscriptions WHERE topic = ?2 AND operation > subscribing.operation) FROM subscribing
      WHERE subscribing.operation IS NOT NULL)
    INSERT INTO fan_outs (event, operation) SELECT ?1, operation FROM subscribing WHERE operation IS NOT NULL`
  ).run(number, event.topic)
  return number
}

export function findFanOuts ({ sql }: Transaction, { operations, strangersBefore, limit }: FanOutRequest): FanOut[] {
  // Operation by operation, since no index gives the oldest of several: no find reads more than it may give back of each.
  const debtsOf = (operation: string, before: number): Row[] => sql(`
    SELECT event, operation, cursor, round FROM fan_outs WHERE operation = ?1 ORDER BY event LIMIT ?2`
  ).all(operation, limit).filter(({ event }) => sql('SELECT 1 FROM events WHERE number = ? AND created_at < ?').get(event!, before) !== undefined)
  const oldest = (of: string[], before: number): Row[] => of.flatMap((operation) => debtsOf(operation, before)).sort((a, b) => (a.event as number) - (b.event as number))
  const strangers = owingOperations({ sql }).filter((operation) => !operations.includes(operation))
  return [...oldest(operations, Infinity), ...oldest(strangers, strangersBefore)].slice(0, limit).map((row) => {
    const event = sql('SELECT topic, body FROM events WHERE number = ?').get(row.event!)!
    return {
      event: row.event as number,
      topic: event.topic as string,
      operation: row.operation as string,
      body: event.body as string,
      cursor: row.cursor as number,
      round: row.round as number
    }
  })
}

function owingOperations ({ sql }: Pick<Transaction, 'sql'>): string[] {
  return sql(`
    WITH RECURSIVE owing (operation) AS (
      SELECT min(operation) FROM fan_outs
      UNION ALL
      SELECT (SELECT min(operation) FROM fan_outs WHERE operation > owing.operation) FROM owing WHERE owing.operation IS NOT NULL)
    SELECT operation FROM owing WHERE operation IS NOT NULL`
  ).all().map(({ operation }) => operation as string)
}

export function findSubscribers (transaction: Transaction, { topic, operation, event, cursor }: FanOut, limit: number): Subscriber[] {
  const { lists } = transaction
  return (lists(`
    SELECT ${seenColumns}, predecessor FROM subscriptions WHERE topic = ? AND operation = ? AND number > ? AND after_event < ? AND status <> 'superseded'
    ORDER BY number LIMIT ?`
  ).all(topic, operation, cursor, event, limit) as unknown as [...SeenRow, predecessor: number | null][]).map(([number, status, host, urlHint, createdAt, input, predecessor]) => ({
    number,
    status,
    host,
    urlHint,
    createdAt,
    input,
    // All versions of a workflow have the same place in the log: it goes from one to the next.
    behind: predecessor === null ? [] : findPast(transaction, number).map((past) => seenOf(lists(`SELECT ${seenColumns} FROM subscriptions WHERE number = ?`).get(past) as unknown as SeenRow))
  }))
}

const seenColumns = 'number, status, host, url_hint, created_at, input'
type SeenRow = [number: number, status: SubscriptionStatus, host: string, urlHint: string, createdAt: number, input: string]
const seenOf = ([number, status, host, urlHint, createdAt, input]: SeenRow): SeenSubscription => ({ number, status, host, urlHint, createdAt, input })
