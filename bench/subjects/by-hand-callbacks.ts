/*
 * Callbacks written by hand, with the least that their promises need: URLs sealed at rest, an event owed once to each
 * subscription and recorded before it is sent, the attempt recorded afterwards, and what is pending found again. Nothing is
 * leased, retried, limited or superseded, no host is spared or suspected, and nobody else may work on the store.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'
import { Agent } from 'undici'
import { createBatcher } from '../../src/work/batch.ts'
import { serve } from './subject.ts'

interface Subscription { number: number, host: string, url: Uint8Array }
interface Attempt { number: number, at: number, durationMs: number, statusCode: number }

/** Each resolves when what it was given is on disk. */
interface Tables {
  subscribe (entries: Omit<Subscription, 'number'>[]): Promise<unknown>
  readPage (after: number): Promise<Subscription[]>
  /** Resolves to the numbers of the deliveries, in the order of the subscriptions. */
  owe (event: number, to: Subscription[]): Promise<number[]>
  record (attempts: Attempt[]): Promise<unknown>
  close (): unknown
}

const pageSize = 500
const logOf = ({ at, durationMs, statusCode }: Attempt): string => JSON.stringify([{ at, durationMs, statusCode, answer: '' }])

const indexes = `
  CREATE UNIQUE INDEX owed_once ON deliveries (event, subscription);
  CREATE INDEX of_subscription ON deliveries (subscription);
  CREATE INDEX pending ON deliveries (number) WHERE status = 'pending';
  CREATE INDEX ended ON deliveries (ended_at) WHERE ended_at IS NOT NULL;`

function openSqlite (file: string): Tables {
  const database = new DatabaseSync(file)
  database.exec(`
    PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE subscriptions (number INTEGER PRIMARY KEY, host TEXT NOT NULL, url BLOB NOT NULL);
    CREATE TABLE deliveries (number INTEGER PRIMARY KEY, event INTEGER NOT NULL, subscription INTEGER NOT NULL, host TEXT NOT NULL, status TEXT NOT NULL, ended_at INTEGER, attempts TEXT);
    ${indexes}`)
  const subscribe = database.prepare('INSERT INTO subscriptions (host, url) VALUES (?, ?)')
  const page = database.prepare(`SELECT number, host, url FROM subscriptions WHERE number > ? ORDER BY number LIMIT ${pageSize}`)
  const owe = database.prepare("INSERT INTO deliveries (event, subscription, host, status) VALUES (?, ?, ?, 'pending')")
  const record = database.prepare("UPDATE deliveries SET status = 'delivered', ended_at = ?, attempts = ? WHERE number = ?")
  const write = async <T>(work: () => T): Promise<T> => {
    database.exec('BEGIN IMMEDIATE')
    const result = work()
    database.exec('COMMIT')
    return result
  }
  return {
    subscribe: (entries) => write(() => { for (const { host, url } of entries) subscribe.run(host, url) }),
    readPage: async (after) => page.all(after) as unknown as Subscription[],
    owe: (event, to) => write(() => to.map(({ number, host }) => Number(owe.run(event, number, host).lastInsertRowid))),
    record: (attempts) => write(() => { for (const attempt of attempts) record.run(attempt.at, logOf(attempt), attempt.number) }),
    close: () => { database.close() }
  }
}

async function openPostgres (connectionString: string, schema: string): Promise<Tables> {
  const pool = new pg.Pool({ connectionString, max: 4, options: `-c search_path=${schema}` })
  await pool.query(`
    CREATE SCHEMA ${schema};
    CREATE TABLE subscriptions (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, host text NOT NULL, url bytea NOT NULL);
    CREATE TABLE deliveries (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event bigint NOT NULL, subscription bigint NOT NULL, host text NOT NULL, status text NOT NULL, ended_at bigint, attempts text);
    ${indexes}`)
  const ask = async (name: string, text: string, ...values: unknown[]): Promise<Record<string, unknown>[]> => (await pool.query({ name, text, values })).rows
  return {
    subscribe: (entries) => ask('subscribe', 'INSERT INTO subscriptions (host, url) SELECT * FROM unnest($1::text[], $2::bytea[])', entries.map(({ host }) => host), entries.map(({ url }) => url)),
    async readPage (after) {
      const rows = await ask('page', `SELECT number, host, url FROM subscriptions WHERE number > $1 ORDER BY number LIMIT ${pageSize}`, after)
      return rows.map((row) => ({ number: Number(row.number), host: row.host as string, url: row.url as Uint8Array }))
    },
    async owe (event, to) {
      const rows = await ask('owe', `
        INSERT INTO deliveries (event, subscription, host, status) SELECT $1, subscription, host, 'pending'
        FROM unnest($2::bigint[], $3::text[]) WITH ORDINALITY AS owed (subscription, host, place) ORDER BY place RETURNING number`,
      event, to.map(({ number }) => number), to.map(({ host }) => host))
      return rows.map(({ number }) => Number(number))
    },
    record: (attempts) => ask('record', `
      UPDATE deliveries SET status = 'delivered', ended_at = made.at, attempts = made.log
      FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS made (number, at, log) WHERE deliveries.number = made.number`,
    attempts.map(({ number }) => number), attempts.map(({ at }) => at), attempts.map(logOf)),
    close: () => pool.end()
  }
}

await serve<{ file?: string, url?: string, schema?: string }>(async ({ file, url, schema }) => {
  const tables = file === undefined ? await openPostgres(url!, schema!) : openSqlite(file)
  const key = randomBytes(32)
  const agent = new Agent({ connections: 64, pipelining: 1 })
  const opened = new Map<number, URL>()
  let events = 0

  function seal (text: string): Uint8Array {
    const iv = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', key, iv)
    return Buffer.concat([iv, cipher.update(text), cipher.final(), cipher.getAuthTag()])
  }

  function open ({ number, url }: Subscription): URL {
    const known = opened.get(number)
    if (known !== undefined) return known
    const decipher = createDecipheriv('aes-256-gcm', key, url.subarray(0, 12))
    decipher.setAuthTag(url.subarray(-16))
    const text = decipher.update(url.subarray(12, -16), undefined, 'utf8') + decipher.final('utf8')
    opened.set(number, new URL(text))
    return opened.get(number)!
  }

  /** Not answered yet, or not recorded. */
  let underWay = 0
  const record = createBatcher(async (attempts: Attempt[]) => {
    await tables.record(attempts)
    return attempts
  }, { enough: () => underWay / 2 })

  /** Resolves once it is answered, to what resolves once that is recorded: others are sent meanwhile. */
  async function send (to: Subscription, number: number, body: string): Promise<{ recorded: Promise<unknown> }> {
    const { origin, pathname } = open(to)
    const at = Date.now()
    const headers = { 'content-type': 'application/json', 'webhook-id': String(number), 'webhook-timestamp': String(Math.floor(at / 1000)) }
    underWay++
    const answer = await agent.request({ origin, path: pathname, method: 'POST', headers, body })
    await answer.body.dump()
    return { recorded: record({ number, at, durationMs: Date.now() - at, statusCode: answer.statusCode }).then(() => { underWay-- }) }
  }

  return {
    async close () {
      await agent.close()
      await tables.close()
    },
    methods: {
      async subscribe (urls: string[]) {
        for (let from = 0; from < urls.length; from += pageSize) await tables.subscribe(urls.slice(from, from + pageSize).map((url) => ({ host: new URL(url).host, url: seal(url) })))
      },
      /** The next page is read and recorded while one is sent. */
      async publish (concurrency: number) {
        const body = JSON.stringify({ sensor: 'oven 1', celsius: 181, note: 'x'.repeat(40) })
        const event = ++events
        const owePage = async (after: number): Promise<{ page: Subscription[], numbers: number[] }> => {
          const page = await tables.readPage(after)
          return { page, numbers: page.length === 0 ? [] : await tables.owe(event, page) }
        }
        const records: Promise<unknown>[] = []
        let last = 0
        for (let next = owePage(last); ;) {
          const { page, numbers } = await next
          if (page.length === 0) break
          last = page.at(-1)!.number
          next = owePage(last)
          let sent = 0
          await Promise.all(Array.from({ length: concurrency }, async () => {
            while (sent < page.length) {
              const place = sent++
              records.push((await send(page[place]!, numbers[place]!, body)).recorded)
            }
          }))
        }
        await Promise.all(records)
      }
    }
  }
})
