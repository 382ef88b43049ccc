import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import pg from 'pg'
import t, { test } from 'tap'
import { createManualClock } from '../../src/testing/index.ts'
import { createDeployment, secret } from '../helpers/deployment.ts'
import { createLatch } from '../helpers/latch.ts'
import { createPool } from '../helpers/postgres.ts'
import { createReplicas } from '../helpers/replicas.ts'
import { until } from '../helpers/until.ts'

// A server of its own: a busy machine takes its time.
t.setTimeout(300_000)

/*
 * What only several replicas have: whole apps on one database, in real time, as in production.
 */

const start = Date.UTC(2026, 0, 1)

const bake = { schema: { operationId: 'Bake', summary: 'Bake', description: 'Bakes.' } }

test('a cancel reaches the handler on another replica within two seconds', async (t) => {
  const { replica } = await createDeployment(t)
  const began = createLatch<string>()
  const stopped = createLatch<number>()
  const worker = await replica()
  worker.asyncAction('/cakes', bake, async ({ id, signal }) => {
    signal.addEventListener('abort', () => { stopped.open(performance.now()) })
    began.open(id)
    await stopped.promise
  })
  await worker.ready()
  const api = await replica({ runners: false })
  api.asyncAction('/cakes', bake, () => {})
  await api.ready()
  const answer = await api.inject({ method: 'POST', url: '/cakes', payload: {} })
  t.equal(answer.statusCode, 202)
  const id = await began.promise
  const canceled = performance.now()
  await api.logicApps.jobs.cancel(id)
  const took = await stopped.promise - canceled
  t.ok(took < 2000, `${Math.round(took)} ms`)
  t.equal((await worker.logicApps.jobs.get(id))?.status, 'canceled')
})

test('a job that was deferred is completed by any replica, after any restart', async (t) => {
  const { replica } = await createDeployment(t)
  const deferred = createLatch<string>()
  const first = await replica()
  first.asyncAction('/cakes', bake, (job) => {
    deferred.open(job.id)
    return job.defer()
  })
  await first.ready()
  await first.inject({ method: 'POST', url: '/cakes', payload: {} })
  const id = await deferred.promise
  await first.close()
  const second = await replica()
  second.asyncAction('/cakes', bake, () => {})
  await second.ready()
  await second.logicApps.jobs.complete(id, { cake: 1 })
  t.match(await second.logicApps.jobs.get(id), { status: 'succeeded', result: { cake: 1 } })
})

test('a replica never takes jobs of operations that it lacks', async (t) => {
  const { replica } = await createDeployment(t)
  let wrong = 0
  const other = await replica()
  other.asyncAction('/ices', { schema: { operationId: 'Freeze', summary: 'Freeze', description: 'Freezes.' } }, () => { wrong++ })
  await other.ready()
  const api = await replica({ runners: false })
  api.asyncAction('/cakes', bake, () => {})
  await api.ready()
  for (let jobs = 0; jobs < 5; jobs++) await api.inject({ method: 'POST', url: '/cakes', payload: {} })
  const worker = await replica()
  worker.asyncAction('/cakes', bake, () => 'cake')
  await worker.ready()
  await until(async () => (await api.logicApps.jobs.list({ status: 'succeeded' })).length === 5)
  t.equal(wrong, 0)
})

test('an operation may be limited in all replicas together', async (t) => {
  const { replica } = await createDeployment(t)
  let running = 0
  let most = 0
  let done = 0
  for (let replicas = 0; replicas < 3; replicas++) {
    const app = await replica({}, { concurrency: { Bake: 2 } })
    app.asyncAction('/cakes', bake, async () => {
      most = Math.max(most, ++running)
      await new Promise((resolve) => { setTimeout(resolve, 30) })
      running--
      done++
    })
    await app.ready()
    await Promise.all(Array.from({ length: 4 }, () => app.inject({ method: 'POST', url: '/cakes', payload: {} })))
  }
  await until(() => done === 12)
  t.equal(most, 2)
})

test('work of a replica that is killed goes on elsewhere within 30 seconds', { timeout: 60_000 }, async (t) => {
  const { replica, url, schema } = await createDeployment(t)
  const child = fork(join(import.meta.dirname, '../helpers/postgres-child.ts'), [url, schema, secret], { execArgv: [] })
  t.teardown(() => { child.kill('SIGKILL') })
  await once(child, 'message')
  const attempt = createLatch<number>()
  const app = await replica()
  app.asyncAction('/cakes', bake, (job) => { attempt.open(job.attempt) })
  await app.ready()
  t.match(await app.logicApps.jobs.list({}), [{ status: 'running', attempt: 1 }])
  child.kill('SIGKILL')
  const killed = performance.now()
  t.equal(await attempt.promise, 2)
  const took = performance.now() - killed
  t.ok(took < 30_000, `${Math.round(took)} ms`)
})

test('right after a burst, before the planner knows of it, work is handed out fast', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const { store } = await open()
  // As on a server that has not come round to it yet.
  await server.pool.query(`ALTER TABLE ${schema}.jobs SET (autovacuum_enabled = false); ANALYZE ${schema}.jobs`)
  const job = { operation: 'Bake', owner: '', input: '{}', createdAt: start }
  for (let calls = 0; calls < 20; calls++) await store.submit(Array.from({ length: 500 }, () => job), { maxQueued: 100_000 })
  const began = performance.now()
  const { jobs } = await store.claim({ operations: [{ operation: 'Bake', limit: 500 }], limit: 500, now: start })
  const took = performance.now() - began
  t.equal(jobs.length, 500)
  t.ok(took < 800, `${Math.round(took)} ms`)
})

test('where the planner takes a table of ended jobs for one of jobs that wait, nobody goes through it', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const { store } = await open()
  const fill = (status: string, dueAt: string, count: number) => server.pool.query(`
    INSERT INTO ${schema}.jobs (operation, owner, status, due_at, created_at, input) SELECT 'Bake', '', '${status}', ${dueAt}, 1, '{}' FROM generate_series(1, ${count})`)
  await server.pool.query(`ALTER TABLE ${schema}.jobs SET (autovacuum_enabled = false)`)
  await fill('queued', '0', 5000)
  await server.pool.query(`ANALYZE ${schema}.jobs; UPDATE ${schema}.jobs SET status = 'succeeded', due_at = NULL, ended_at = 1`)
  await fill('succeeded', 'NULL', 50_000)
  // What these have read is counted by now, not later.
  await server.pool.query('SELECT pg_stat_force_next_flush()')
  const read = async (): Promise<number> => {
    const { rows: [row] } = await server.pool.query(`SELECT pg_stat_get_tuples_returned('${schema}.jobs'::regclass)::int AS count`)
    return row.count as number
  }
  const before = await read()
  // The sixth time a prepared statement has its plan for good.
  for (let rounds = 0; rounds < 8; rounds++) {
    await store.submit([{ operation: 'Bake', owner: '', input: '{}', createdAt: start }], { maxQueued: 10_000 })
    const { jobs } = await store.claim({ operations: [{ operation: 'Bake', limit: 500 }, { operation: 'Freeze', limit: 500 }], limit: 500, now: start })
    t.equal(jobs.length, 1)
    t.same(await store.settle(jobs.map((lease) => ({ lease, to: { status: 'succeeded', result: null, endedAt: start, expiresAt: start } }))), [true])
  }
  // What its connections have read is counted when they end, at the latest.
  await store.close()
  await server.disconnected()
  t.equal(await read() - before, 0, 'rows read but by an index')
})

test('of a long queue a claim reads what it takes, also where the planner believes that little of it is in memory', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const setting = async (how: string): Promise<unknown> => await server.pool.query(`ALTER ROLE CURRENT_USER ${how}`)
  t.teardown(() => setting('RESET effective_cache_size'))
  await setting("SET effective_cache_size = '1MB'")
  const { store } = await open()
  await server.pool.query(`
    INSERT INTO ${schema}.jobs (operation, owner, status, due_at, created_at, input)
    SELECT (ARRAY['Bake', 'Freeze', 'Box'])[1 + number % 3], '', 'queued', 0, 1, '{}' FROM generate_series(1, 60000) AS number`)
  await server.pool.query(`ANALYZE ${schema}.jobs`)
  // Of a table those are counted that no plain scan of an index has brought.
  const read = async (): Promise<number> => {
    await server.pool.query('SELECT pg_stat_force_next_flush()')
    return (await server.pool.query(`SELECT pg_stat_get_tuples_fetched('${schema}.jobs'::regclass)::int AS count`)).rows[0].count as number
  }
  const before = await read()
  for (let rounds = 0; rounds < 8; rounds++) {
    const { jobs } = await store.claim({ operations: [{ operation: 'Bake', limit: 50 }, { operation: 'Box', limit: 50 }], limit: 50, now: start })
    t.equal(jobs.length, 50)
  }
  await store.close()
  await server.disconnected()
  const count = await read() - before
  t.equal(count, 0, 'rows read to be sorted')
})

test('an idle replica asks the database at most 250 times a minute', async (t) => {
  let asked = 0
  let open = 0
  class CountingClient extends pg.Client {
    override query (...values: unknown[]): never {
      asked++
      open++
      const answer = (super.query as (...values: unknown[]) => Promise<unknown>)(...values)
      answer.then(() => { open-- }, () => { open-- })
      return answer as never
    }
  }
  const pool = await createPool(t, { max: 10, Client: CountingClient })
  const { replica } = await createDeployment(t)
  const clock = createManualClock()
  const app = await replica({ clock }, { connectionString: undefined, pool })
  app.asyncAction('/cakes', bake, () => {})
  app.webhookTrigger('/hooks/orders', { schema: { operationId: 'OnOrder', summary: 'Order', description: 'An order.' }, topic: app.logicApps.topic('orders') })
  await app.ready()
  await app.inject({ method: 'POST', url: '/cakes', payload: {} })
  const minute = async (): Promise<number> => {
    asked = 0
    for (let steps = 0; steps < 120; steps++) {
      await clock.advance(500)
      await until(() => open === 0)
    }
    return asked
  }
  await minute()
  const count = await minute()
  t.comment(`${count} queries a minute`)
  t.ok(count > 30 && count <= 250, `${count} queries`)
})
