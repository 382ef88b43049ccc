/*
 * The least that keeps the promise of a row, written by hand for that row alone: no repeats are recognised, nothing is
 * leased, retried, canceled, limited or swept, and nobody but this process may work on the store. What this costs no
 * implementation can save.
 */
import { createHmac, createSecretKey, randomBytes, timingSafeEqual } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import pg from 'pg'
import { Type } from 'typebox'
import { createBatcher } from '../../src/work/batch.ts'
import { newOrder, orderSchema, type Order } from './order.ts'
import { serve, type Drained } from './subject.ts'

/** Each resolves when what it was given is on disk. */
interface Tables {
  addOrders (inputs: string[]): Promise<number[]>
  findOrders (numbers: number[]): Promise<{ status: string, result: string | null }[]>
  /** Marks orders as running. */
  takeOrders (limit: number): Promise<{ number: number, input: string }[]>
  endOrders (numbers: number[]): Promise<unknown>
  /** The newest number of a log. */
  lastEvents (asked: number[]): Promise<number[]>
  close (): unknown
}

const schema = `
  CREATE TABLE orders (number INTEGER PRIMARY KEY, status TEXT NOT NULL, input TEXT NOT NULL, result TEXT);
  CREATE INDEX queued ON orders (number) WHERE status = 'queued';
  CREATE TABLE events (number INTEGER PRIMARY KEY)`

function openSqlite (file: string): Tables {
  const database = new DatabaseSync(file)
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; ${schema}; INSERT INTO events VALUES (1)`)
  const statements = {
    addOrder: database.prepare("INSERT INTO orders (status, input) VALUES ('queued', ?)"),
    take: database.prepare("UPDATE orders SET status = 'running' WHERE number IN (SELECT number FROM orders WHERE status = 'queued' ORDER BY number LIMIT ?) RETURNING number, input"),
    find: database.prepare('SELECT status, result FROM orders WHERE number = ?'),
    end: database.prepare("UPDATE orders SET status = 'succeeded', result = '{\"ok\":true}' WHERE number = ?"),
    last: database.prepare('SELECT max(number) AS last FROM events')
  }
  const write = async <T>(work: () => T): Promise<T> => {
    database.exec('BEGIN IMMEDIATE')
    const result = work()
    database.exec('COMMIT')
    return result
  }
  const all = (statement: 'addOrder' | 'end', values: (string | number)[]): Promise<number[]> =>
    write(() => values.map((value) => Number(statements[statement].run(value).lastInsertRowid)))
  return {
    addOrders: (inputs) => all('addOrder', inputs),
    findOrders: async (numbers) => numbers.map((number) => statements.find.get(number) as { status: string, result: string | null }),
    takeOrders: (limit) => write(() => statements.take.all(limit) as { number: number, input: string }[]),
    endOrders: (numbers) => all('end', numbers),
    async lastEvents (asked) {
      const last = statements.last.get()!.last as number
      return asked.map(() => last)
    },
    close: () => { database.close() }
  }
}

async function openPostgres (url: string, name: string): Promise<Tables> {
  const pool = new pg.Pool({ connectionString: url, max: 4, options: `-c search_path=${name}` })
  await pool.query(`CREATE SCHEMA ${name}; ${schema.replaceAll('number INTEGER PRIMARY KEY', 'number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY')}`)
  const ask = async <T>(statement: string, text: string, value: unknown): Promise<T[]> => (await pool.query<T & pg.QueryResultRow>({ name: statement, text, values: [value] })).rows
  const numbers = async (statement: string, text: string, value: unknown): Promise<number[]> => (await ask<{ number: string }>(statement, text, value)).map(({ number }) => Number(number))
  return {
    addOrders: (inputs) => numbers('add', "INSERT INTO orders (status, input) SELECT 'queued', unnest($1::text[]) RETURNING number", inputs),
    findOrders: () => { throw new Error('not measured') },
    takeOrders: (limit) => ask('take', "UPDATE orders SET status = 'running' WHERE number IN (SELECT number FROM orders WHERE status = 'queued' ORDER BY number LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING number, input", limit),
    endOrders: (ended) => ask('end', "UPDATE orders SET status = 'succeeded', result = '{\"ok\":true}' WHERE number = ANY ($1::bigint[])", ended),
    lastEvents: () => { throw new Error('not measured') },
    close: () => pool.end()
  }
}

await serve<{ file?: string, url?: string, schema?: string }>(async ({ file, url, schema: name }) => {
  const tables = file === undefined ? await openPostgres(url!, name!) : openSqlite(file)
  const key = createSecretKey(randomBytes(32))
  const mac = (text: string): string => createHmac('sha256', key).update(text).digest('base64url').slice(0, 22)
  const base = 'http://127.0.0.1:3000'
  const app = Fastify({ logger: false }).withTypeProvider<TypeBoxTypeProvider>()

  const addOrder = createBatcher(tables.addOrders)
  app.post('/orders', { schema: { body: orderSchema } }, async (request, reply) => {
    const number = await addOrder(JSON.stringify({ input: request.body, params: request.params, query: request.query }))
    const token = `${number}.${mac(String(number))}`
    reply.code(202).headers({ location: `${base}/orders/jobs/${token}`, 'retry-after': '15', 'operation-location': `${base}/orders/operations/${token}`, 'cache-control': 'no-store' })
    return reply.send({ id: String(number), status: 'Running' })
  })

  const isGenuine = (text: string, signature = ''): boolean => signature.length === 22 && timingSafeEqual(Buffer.from(signature), Buffer.from(mac(text)))

  const findOrder = createBatcher(tables.findOrders)
  app.get('/orders/jobs/:token', { schema: { params: Type.Object({ token: Type.String() }) } }, async (request, reply) => {
    const { token } = request.params
    const [number, signature] = token.split('.') as [string, string | undefined]
    if (!isGenuine(number, signature)) return reply.code(404).send({})
    const { status, result } = await findOrder(Number(number))
    reply.header('cache-control', 'no-store')
    if (result !== null) return reply.type('application/json; charset=utf-8').serializer((text: unknown) => text as string).send(result)
    reply.code(202).headers({ location: `${base}/orders/jobs/${token}`, 'retry-after': '15', 'operation-location': `${base}/orders/operations/${token}` })
    return reply.send({ id: number, status })
  })

  const lastEvent = createBatcher(tables.lastEvents)
  app.get('/readings', { schema: { querystring: Type.Object({ state: Type.String() }) } }, async (request, reply) => {
    const [number, signature] = request.query.state.split('.') as [string, string | undefined]
    if (!isGenuine(number, signature)) return reply.code(400).send({})
    if (await lastEvent(Number(number)) > Number(number)) return reply.code(500).send({})
    return reply.code(202).headers({ location: `${base}${request.url}`, 'retry-after': '15', 'cache-control': 'no-store' }).send()
  })

  let ended = 0
  let onEnded = (): void => {}
  let draining: Promise<unknown> | undefined
  let closing = false

  /** Groups of 500, and a call for each of them. Two of these go at a time. */
  async function drainGroups (): Promise<void> {
    const handle = async (order: Order): Promise<boolean> => order.kind === 'ends'
    const take = async (): Promise<Awaited<ReturnType<Tables['takeOrders']>>> => closing ? [] : await tables.takeOrders(500)
    for (let taken = await take(); taken.length > 0; taken = await take()) {
      await Promise.all(taken.map(({ input }) => handle(JSON.parse(input) as Order)))
      await tables.endOrders(taken.map(({ number }) => number))
      ended += taken.length
      onEnded()
    }
  }

  return {
    app,
    async close () {
      closing = true
      await draining
      await tables.close()
    },
    methods: {
      triggerPath: () => `/readings?state=1.${mac('1')}`,
      /** Every other one has ended. */
      async jobPaths (count: number) {
        const numbers = await tables.addOrders(Array.from({ length: count }, () => JSON.stringify(newOrder())))
        await tables.endOrders(numbers.filter((_, index) => index % 2 === 0))
        return numbers.map((number) => `/orders/jobs/${number}.${mac(String(number))}`)
      },
      async prepareQueued (count: number) { for (let made = 0; made < count; made += 1000) await tables.addOrders(Array.from({ length: 1000 }, () => JSON.stringify(newOrder()))) },
      /** Resolves when so many at least are recorded. It goes on with the others. */
      async drain (count: number): Promise<Drained> {
        draining ??= Promise.all([drainGroups(), drainGroups()])
        const enough = new Promise<void>((resolve) => {
          onEnded = () => { if (ended >= count) resolve() }
          onEnded()
        })
        await Promise.race([enough, draining])
        return { done: ended, at: performance.now() }
      }
    }
  }
})
