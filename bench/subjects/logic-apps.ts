/* Ours, on either store. */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, StatementSync } from 'node:sqlite'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import pg from 'pg'
import { Type } from 'typebox'
import logicApps from '../../src/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { systemClock } from '../../src/work/clock.ts'
import type { Store, StoreHost } from '../../src/work/store.ts'
import { multiplyEvents, multiplyJobs } from './multiply.ts'
import { engineHeaders, newOrder, newRunId, orderSchema, type Order } from './order.ts'
import { serve, type Drained } from './subject.ts'

export interface LogicAppsConfig {
  /** A SQLite file, or a schema on `url`. */
  file?: string
  url?: string
  schema?: string
  /** @default true */
  runners?: boolean
  concurrency?: number
  /** Whether statements are counted. */
  counting?: boolean
  /** Whether no job is handed out before `drain`. */
  held?: boolean
}

const log: StoreHost['log'] = { debug () {}, info () {}, warn (...values: unknown[]) { console.error(...values) }, error (...values: unknown[]) { console.error(...values) }, child: () => log }
const batch = 1000

await serve<LogicAppsConfig>(async ({ file, url, schema = 'bench', runners = true, concurrency = 500, counting = false, held = false }) => {
  const statements = counting ? countStatements() : new Map<string, number>()
  class CountingClient extends pg.Client {
    override query (...values: unknown[]): never {
      statements.set('query', (statements.get('query') ?? 0) + 1)
      return (super.query as (...values: unknown[]) => unknown)(...values) as never
    }
  }
  const pool = counting && url !== undefined ? new pg.Pool({ connectionString: url, max: 10, Client: CountingClient }) : undefined
  if (file !== undefined) mkdirSync(dirname(file), { recursive: true })
  const makeStore = (): Store => file !== undefined ? sqliteStore({ file }) : postgresStore({ schema, ...(pool === undefined ? { connectionString: url! } : { pool }) })

  const inner = makeStore()
  let ended = 0
  let onEnded = (): void => {}
  let isHeld = held
  let wake = (): void => {}
  /** How a start of an order is kept, as the plugin itself wrote it. */
  let sample: string | undefined
  const store: Store = {
    ...inner,
    open (host) {
      wake = host.wake
      return inner.open(host)
    },
    submit (jobs, limits) {
      sample ??= jobs[0]!.input
      return inner.submit(jobs, limits)
    },
    claim: async (request) => isHeld ? { jobs: [], nextDueAt: null } : await inner.claim(request),
    async settle (settlements) {
      const held = await inner.settle(settlements)
      for (const [index, { to }] of settlements.entries()) if (held[index] === true && to.status === 'succeeded') ended++
      onEnded()
      return held
    }
  }
  const latencies: number[] = []

  const app = Fastify({ logger: false }).withTypeProvider<TypeBoxTypeProvider>()
  await app.register(logicApps, {
    store,
    secret: 'a secret of the benchmark, of 32 bytes and more',
    connector: false,
    runners,
    concurrency,
    maxQueued: 10_000_000,
    callbacks: { allowedHosts: ['*'], allowHttp: true, networks: ['127.0.0.0/8'], delaySeconds: 0 }
  })
  app.asyncAction('/orders', { schema: { operationId: 'PlaceOrder', body: orderSchema }, result: Type.Object({ ok: Type.Boolean() }) }, (job) => {
    const { kind, sentAt } = job.input
    if (sentAt > 0) latencies.push(performance.now() - sentAt)
    return kind === 'waits' ? job.defer() : { ok: true }
  })
  const topic = app.logicApps.topic('readings', { event: Type.Object({ sensor: Type.String(), celsius: Type.Number(), note: Type.String() }) })
  app.pollingTrigger('/triggers/readings', { schema: { operationId: 'PollReadings' }, topic })
  app.webhookTrigger('/hooks/readings', { schema: { operationId: 'OnReading' }, topic })

  const start = async (order: Order): Promise<string> => {
    const answer = await app.inject({ method: 'POST', url: '/orders', payload: order, headers: engineHeaders(newRunId()) })
    if (answer.statusCode !== 202) throw new Error(`${answer.statusCode} ${answer.body}`)
    return new URL(answer.headers.location as string).pathname
  }
  const reading = (index: number): string => JSON.stringify({ sensor: `oven ${index % 7}`, celsius: 180 + index % 40, note: 'x'.repeat(40) })
  const until = (done: () => boolean): Promise<void> => new Promise((resolve) => {
    const check = (): void => { if (done()) { onEnded = () => {}; resolve() } }
    onEnded = check
    check()
  })
  /** Straight into the store, thousands at a time. */
  const withStore = async (work: (store: Store) => Promise<void>): Promise<void> => {
    const prepared = makeStore()
    await prepared.open({ clock: systemClock, log, leaseMs: 600_000, deliveryRetentionMs: 1e9, wake () {} })
    try {
      await work(prepared)
    } finally {
      await prepared.close()
    }
  }
  const submitTo = async (prepared: Store, count: number): Promise<void> => {
    if (sample === undefined) await start(newOrder())
    const jobs = Array.from({ length: count }, () => ({ operation: 'PlaceOrder', owner: 'default', input: sample!, createdAt: Date.now() }))
    await prepared.submit(jobs, { maxQueued: 1e9 })
  }

  return {
    app,
    async close () { await pool?.end() },
    methods: {
      ended: () => ended,
      untilEnded: (count: number) => until(() => ended >= count),
      /** Into a file that holds nothing else. */
      async prepareEnded (count: number) {
        await start(newOrder())
        await withStore((prepared) => submitTo(prepared, batch - 1))
        wake()
        await until(() => ended === batch)
        multiplyJobs(file!, count)
      },
      async prepareQueued (count: number) {
        await withStore(async (prepared) => { for (let made = 0; made < count; made += batch) await submitTo(prepared, batch) })
      },
      async prepareEvents (count: number) {
        await withStore(async (prepared) => {
          const now = Date.now()
          await prepared.publish(Array.from({ length: Math.min(batch, count) }, (_, index) => ({ topic: 'readings', body: reading(index), createdAt: now, expiresAt: now + 1e9, maxEvents: 2_000_000 })))
        })
        if (count > batch) multiplyEvents(file!, count)
      },
      /** So many a second, evenly. @returns milliseconds from the call to the start of the handler, sorted */
      async latency (perSecond: number, seconds: number) {
        latencies.length = 0
        const began = performance.now()
        const starts: Promise<string>[] = []
        for (let index = 0; index < perSecond * seconds; index++) {
          const wait = began + index / perSecond * 1000 - performance.now()
          if (wait > 0) await new Promise((resolve) => { setTimeout(resolve, wait) })
          starts.push(start(newOrder('ends', performance.now())))
        }
        await Promise.all(starts)
        while (latencies.length < starts.length) await new Promise((resolve) => { setTimeout(resolve, 20) })
        return latencies.toSorted((a, b) => a - b)
      },
      /** Resolves when so many at least are recorded. It goes on with the others. */
      async drain (count: number): Promise<Drained> {
        isHeld = false
        wake()
        await until(() => ended >= count)
        return { done: ended, at: performance.now() }
      },
      async subscribe (urls: string[]) {
        for (let index = 0; index < urls.length; index += 50) {
          await Promise.all(urls.slice(index, index + 50).map(async (callbackUrl) => {
            const { statusCode, body } = await app.inject({ method: 'POST', url: '/hooks/readings', payload: { callbackUrl } })
            if (statusCode !== 201) throw new Error(body)
          }))
        }
      },
      async publish (count = 1) {
        await Promise.all(Array.from({ length: count }, (_, index) => topic.publish(JSON.parse(reading(index)) as { sensor: string, celsius: number, note: string })))
      },
      async pending () {
        const database = new DatabaseSync(file!, { readOnly: true, timeout: 5000 })
        try {
          // All but those that ended: to count those that are pending would take a good part of the time, where they are a million.
          return database.prepare('SELECT coalesce(max(number), 0) - (SELECT count(*) FROM deliveries WHERE ended_at IS NOT NULL) AS count FROM deliveries').get()!.count
        } finally {
          database.close()
        }
      },
      rss: () => {
        globalThis.gc?.()
        return process.memoryUsage.rss()
      },
      statements: () => {
        const counts = Object.fromEntries(statements)
        statements.clear()
        return counts
      }
    }
  }
})

function countStatements (): Map<string, number> {
  const counts = new Map<string, number>()
  const note = (text: string): void => { counts.set(text, (counts.get(text) ?? 0) + 1) }
  for (const name of ['run', 'get', 'all', 'iterate'] as const) {
    const original = StatementSync.prototype[name] as (...values: unknown[]) => unknown
    StatementSync.prototype[name] = function (this: StatementSync, ...values: unknown[]) {
      note(this.sourceSQL)
      return original.apply(this, values)
    } as never
  }
  const { exec } = DatabaseSync.prototype
  DatabaseSync.prototype.exec = function (text) {
    note(text)
    return exec.call(this, text)
  }
  return counts
}
