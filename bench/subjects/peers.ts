/* What else one could take, each written as its own documentation advises, with batching and pooling where it offers them. */
import { DatabaseSync } from 'node:sqlite'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { Queue, Worker } from 'bullmq'
import Fastify from 'fastify'
import pg from 'pg'
import { PgBoss } from 'pg-boss'
import { defineQueue, defineWorker, JobStatus } from 'plainjob'
import { Type } from 'typebox'
import { newOrder, orderSchema, type Order } from './order.ts'
import { serve, type Drained, type SubjectParts } from './subject.ts'

export interface PeerConfig { kind: 'insert' | 'pg-boss' | 'pg-query' | 'bullmq' | 'plainjob', file?: string, url?: string, port?: number, name?: string }

/** A queue, as rows 5 and 6 use it. `onStart` and `onEnd` are told of each job. */
interface JobQueue {
  add (order: Order): Promise<unknown>
  addMany (orders: Order[]): Promise<unknown>
  start (): Promise<void>
  /** How many are recorded as done. */
  done (): Promise<number>
  close (): Promise<void>
}

type Handler = (order: Order) => void

const makers: Record<string, (config: PeerConfig, handle: Handler) => Promise<JobQueue>> = {
  async 'pg-boss' ({ url, name = 'bench' }, handle) {
    const boss = new PgBoss({ connectionString: url!, schema: `${name}_boss`, max: 10, useListenNotify: true })
    boss.on('error', (error) => { console.error(error) })
    await boss.start()
    await boss.createQueue('orders', { notify: true })
    const pool = new pg.Pool({ connectionString: url! })
    return {
      add: (order) => boss.send('orders', order),
      addMany: (orders) => boss.insert('orders', orders.map((data) => ({ data }))),
      async start () {
        // Its best by measurement: two workers that fetch 500 at a time.
        for (let index = 0; index < 2; index++) await boss.work<Order>('orders', { batchSize: 500, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 }, async (jobs) => { for (const { data } of jobs) handle(data) })
      },
      done: async () => (await pool.query(`SELECT count(*)::int AS count FROM ${name}_boss.job WHERE name = 'orders' AND state = 'completed'`)).rows[0].count as number,
      async close () {
        await boss.stop({ graceful: false })
        await pool.end()
      }
    }
  },

  async bullmq ({ port }, handle) {
    const connection = { host: '127.0.0.1', port: port! }
    const queue = new Queue<Order>('orders', { connection })
    let done = 0
    let worker: Worker<Order> | undefined
    return {
      add: (order) => queue.add('order', order),
      addMany: (orders) => queue.addBulk(orders.map((data) => ({ name: 'order', data }))),
      async start () {
        worker = new Worker<Order>('orders', async ({ data }) => { handle(data) }, { connection, concurrency: 100 })
        worker.on('completed', () => { done++ })
        await worker.waitUntilReady()
      },
      done: async () => done,
      async close () {
        await worker?.close()
        await queue.close()
      }
    }
  },

  async plainjob ({ file }, handle) {
    // Its driver is better-sqlite3; this is Node's SQLite in its shape, so that no compiler is needed.
    const database = new DatabaseSync(file!)
    const quiet = { error: console.error, warn: console.warn, info () {}, debug () {} }
    const connection = {
      driver: 'better-sqlite3' as const,
      filename: file!,
      pragma: (text: string) => { database.exec(`PRAGMA ${text}`) },
      exec: (text: string) => { database.exec(text) },
      prepare: (text: string) => database.prepare(text),
      close: () => { database.close() },
      transaction: (work: (...values: unknown[]) => unknown) => {
        const run = (begin: string) => (...values: unknown[]): unknown => {
          database.exec(begin)
          try {
            const result = work(...values)
            database.exec('COMMIT')
            return result
          } catch (error) {
            database.exec('ROLLBACK')
            throw error
          }
        }
        return Object.assign(run('BEGIN'), { default: run('BEGIN'), deferred: run('BEGIN'), immediate: run('BEGIN IMMEDIATE'), exclusive: run('BEGIN EXCLUSIVE') })
      }
    }
    const queue = defineQueue({ connection: connection as never, logger: quiet })
    // Its own default loses commits when the power goes: the same promise as ours, or the comparison says nothing.
    database.exec('PRAGMA synchronous = FULL')
    let worker: ReturnType<typeof defineWorker> | undefined
    return {
      add: async (order) => queue.add('order', order),
      addMany: async (orders) => queue.addMany('order', orders),
      async start () {
        worker = defineWorker('order', async ({ data }) => { handle(JSON.parse(data) as Order) }, { queue, logger: quiet, pollIntervall: 5 } as never)
        worker.start().catch((error: unknown) => { console.error(error) })
      },
      done: async () => queue.countJobs({ status: JobStatus.Done }),
      async close () {
        await worker?.stop()
        queue.close()
      }
    }
  }
}

async function createQueueSubject (config: PeerConfig): Promise<SubjectParts> {
  const latencies: number[] = []
  let handled = 0
  const queue = await makers[config.kind]!(config, ({ sentAt }) => {
    handled++
    if (sentAt > 0) latencies.push(performance.now() - sentAt)
  })
  const app = Fastify({ logger: false }).withTypeProvider<TypeBoxTypeProvider>()
  app.post('/orders', { schema: { body: orderSchema } }, async (request, reply) => reply.code(202).send({ id: await queue.add(request.body) }))
  const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms) })
  /** The last of them: to count what is recorded costs its database a scan, which is not its work. */
  const untilDone = async (count: number): Promise<void> => {
    await untilHandled(count)
    while (await queue.done() < count) await pause(5)
  }
  const untilHandled = async (count: number): Promise<void> => {
    const isHandled = (): boolean => handled >= count
    while (!isHandled()) await pause(1)
  }
  let started: Promise<void> | undefined
  return {
    app,
    close: () => queue.close(),
    methods: {
      startWorking: () => queue.start(),
      ended: () => handled,
      untilEnded: untilDone,
      async prepareQueued (count: number) { for (let made = 0; made < count; made += 1000) await queue.addMany(Array.from({ length: 1000 }, () => newOrder())) },
      /** Resolves when so many at least are handled: to count those that are recorded costs its database a scan each time. It goes on with the others. */
      async drain (count: number): Promise<Drained> {
        await (started ??= queue.start())
        await untilHandled(count)
        return { done: handled, at: performance.now() }
      },
      async latency (perSecond: number, seconds: number) {
        latencies.length = 0
        const began = performance.now()
        const added: Promise<unknown>[] = []
        for (let index = 0; index < perSecond * seconds; index++) {
          const wait = began + index / perSecond * 1000 - performance.now()
          if (wait > 0) await pause(wait)
          added.push(queue.add(newOrder('ends', performance.now())))
        }
        await Promise.all(added)
        while (latencies.length < added.length) await pause(20)
        return latencies.toSorted((a, b) => a - b)
      }
    }
  }
}

/** A route that does one fsynced INSERT for each request. */
async function createInsertSubject ({ file }: PeerConfig): Promise<SubjectParts> {
  const database = new DatabaseSync(file!)
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE orders (id INTEGER PRIMARY KEY, body TEXT NOT NULL, created_at INTEGER NOT NULL) STRICT')
  const insert = database.prepare('INSERT INTO orders (body, created_at) VALUES (?, ?)')
  const app = Fastify({ logger: false }).withTypeProvider<TypeBoxTypeProvider>()
  app.post('/orders', { schema: { body: orderSchema } }, (request, reply) => {
    const { lastInsertRowid } = insert.run(JSON.stringify(request.body), Date.now())
    return reply.code(202).headers({ location: `http://127.0.0.1:3000/orders/${lastInsertRowid}`, 'retry-after': '15' }).send({ id: Number(lastInsertRowid) })
  })
  return { app, close: () => { database.close() } }
}

/** A route with one indexed query for each request, as polls would be written by hand. */
async function createQuerySubject ({ url }: PeerConfig): Promise<SubjectParts> {
  const pool = new pg.Pool({ connectionString: url!, max: 10 })
  const app = Fastify({ logger: false }).withTypeProvider<TypeBoxTypeProvider>()
  app.get('/orders/:id', { schema: { params: Type.Object({ id: Type.Integer() }) } }, async (request, reply) => {
    const { rows: [order] } = await pool.query({ name: 'order', text: 'SELECT id, status, result FROM bench_orders WHERE id = $1', values: [request.params.id] })
    if (order.status === 'succeeded') return reply.send(order.result)
    return reply.code(202).headers({ location: `http://127.0.0.1:3000/orders/${order.id}`, 'retry-after': '15' }).send({ status: 'Running' })
  })
  return {
    app,
    close: () => pool.end(),
    methods: {
      async prepare (count: number) {
        await pool.query(`DROP TABLE IF EXISTS bench_orders;
          CREATE TABLE bench_orders (id bigint PRIMARY KEY, status text NOT NULL, result jsonb);
          INSERT INTO bench_orders SELECT n, CASE WHEN n % 2 = 0 THEN 'succeeded' ELSE 'running' END, CASE WHEN n % 2 = 0 THEN '{"ok":true}'::jsonb END FROM generate_series(1, ${count}) AS n;
          ANALYZE bench_orders`)
      }
    }
  }
}

await serve<PeerConfig>((config) => config.kind === 'insert' ? createInsertSubject(config) : config.kind === 'pg-query' ? createQuerySubject(config) : createQueueSubject(config))
