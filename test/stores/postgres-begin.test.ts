import pg from 'pg'
import t, { test, type Test } from 'tap'
import type { PostgresPool } from '../../src/stores/postgres/dependencies.ts'
import { answer, beginning, claimDeliveries, publishOne, step, subscribe } from '../../src/testing/store-contract/webhook-bench.ts'
import type { ClaimRequest, FanOutOutcome, JobRecord, NewJob, Settlement, Store } from '../../src/work/store.ts'
import { createLatch } from '../helpers/latch.ts'
import { createPool } from '../helpers/postgres.ts'
import { createReplicas } from '../helpers/replicas.ts'

// A server of its own: a busy machine takes its time.
t.setTimeout(300_000)

const start = Date.UTC(2026, 0, 1)
const away = { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE' }
const newJob: NewJob = { operation: 'Bake', owner: '', input: '{}', createdAt: start }
const bake: ClaimRequest = { operations: [{ operation: 'Bake', limit: 9 }], limit: 9, now: start }
const settlement = ({ number, attempt }: { number: number, attempt: number }, to: Settlement['to']): Settlement => ({ lease: { number, attempt }, to })
const succeeded: Settlement['to'] = { status: 'succeeded', result: null, endedAt: start, expiresAt: start }

/** Submits as many jobs of `Bake`, with room for all of them. */
async function submit (store: Store, count = 1, begin = bake): Promise<JobRecord[]> {
  const outcomes = await store.submit(Array.from({ length: count }, () => newJob), { maxQueued: 100, begin })
  return outcomes.map((outcome) => (outcome as { job: JobRecord }).job)
}

/** A pool that loses the answers to COMMIT while `losing` runs: all is committed. */
async function createLossyPool (t: Test): Promise<{ pool: PostgresPool, losing (work: () => Promise<unknown>): Promise<void> }> {
  let loses = false
  class Client extends pg.Client {
    override query (...values: unknown[]): never {
      const answer = (super.query as (...values: unknown[]) => unknown)(...values) as Promise<unknown>
      if (!loses || !(values[0] as { text: string }).text.endsWith('COMMIT')) return answer as never
      return answer.then(() => { throw new Error('Connection terminated unexpectedly') }) as never
    }
  }
  const pool = await createPool(t, { max: 6, Client })
  return {
    pool: pool as unknown as PostgresPool,
    async losing (work) {
      loses = true
      await work()
      loses = false
    }
  }
}

const statusesOf = (jobs: JobRecord[]): string[] => jobs.map(({ status }) => status)

test('a job that began as it was accepted goes the way of every other afterwards', async (t) => {
  const { open } = await createReplicas(t)
  const { store } = await open()
  const jobs = await submit(store, 5)
  await store.settle([
    settlement(jobs[0]!, succeeded),
    settlement(jobs[1]!, { status: 'queued', dueAt: 0, failures: 1 }),
    settlement(jobs[2]!, { status: 'queued', dueAt: start + 1000, failures: 1 }),
    settlement(jobs[3]!, { status: 'running', deadline: start + 2000 })
  ])
  t.same((await store.list({ limit: 5 })).map(({ number, status }) => [number, status]), [[5, 'running'], [4, 'running'], [3, 'queued'], [2, 'queued'], [1, 'succeeded']])
  await store.close()
  const { store: next } = await open()
  t.same((await next.claim({ ...bake, now: start + 2000 })).jobs.map(({ number, due, crashes }) => [number, due, crashes]), [[2, 'run', 0], [3, 'run', 0], [4, 'deadline', 0], [5, 'run', 1]])
})

test('jobs that begin at once take no place in the queue from those that come at the same time', async (t) => {
  const { open } = await createReplicas(t)
  const { store } = await open()
  const begin = { ...bake, operations: [{ operation: 'Bake', limit: 50 }], limit: 50 }
  const submitOf = (count: number): ReturnType<Store['submit']> => store.submit(Array.from({ length: count }, () => newJob), { maxQueued: 10, begin })
  const [ten, eleven] = await Promise.all([submitOf(10), submitOf(11)])
  t.equal(ten.filter(({ outcome }) => outcome === 'accepted').length, 10)
  t.equal(eleven.filter(({ outcome }) => outcome === 'accepted').length, 10, 'as many as there may be, since all might have been queued')
})

test('the input of a job that succeeded or was canceled is forgotten, that of every other one is kept', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const { store } = await open()
  const [ends, again, canceled, fails] = await submit(store, 5)
  await store.settle([settlement(ends!, succeeded), settlement(again!, { status: 'queued', dueAt: 0, failures: 1 }), settlement(fails!, { status: 'failed', failure: { code: 'JobFailed', message: '', statusCode: 422 }, endedAt: start, expiresAt: start })])
  await store.end(canceled!.number, { status: 'canceled', failure: { code: 'JobCanceled', message: '', statusCode: 422 }, endedAt: start, expiresAt: start })
  t.same((await server.pool.query(`SELECT input FROM ${schema}.jobs ORDER BY number`)).rows, [{ input: '' }, { input: '{}' }, { input: '' }, { input: '{}' }, { input: '{}' }])
})

test('a job of an operation that is limited in all replicas together waits for a claim, which counts', async (t) => {
  const { open } = await createReplicas(t)
  const { store } = await open({ concurrency: { Bake: 1 } })
  t.same(statusesOf(await submit(store, 2)), ['queued', 'queued'])
  t.equal((await store.claim(bake)).jobs.length, 1)
  t.match(await store.claim(bake), { jobs: [], waits: true }, 'and the other is not forgotten')
})

test('a worker that the others took for dead begins nothing that they would not see', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const { store } = await open()
  t.same(statusesOf(await submit(store)), ['running'])
  await server.pool.query(`DELETE FROM ${schema}.workers`)
  t.same(statusesOf(await submit(store)), ['queued'], 'its row is not written more than once a second')
  t.same((await server.pool.query(`SELECT count(*)::int AS jobs FROM ${schema}.jobs`)).rows, [{ jobs: 2 }], 'accepted once')
  const { jobs } = await store.claim(bake)
  t.equal(jobs.length, 1)
  t.same(statusesOf(await submit(store)), ['running'])
})

test('whoever takes a worker for dead waits for what it is about to begin, and takes that too', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const committing = createLatch()
  const goOn = createLatch()
  let holds = false
  class Client extends pg.Client {
    override query (...values: unknown[]): never {
      const run = (): never => (super.query as (...values: unknown[]) => unknown)(...values) as never
      if (!holds || (values[0] as { text: string }).text !== 'COMMIT') return run()
      committing.open()
      return goOn.promise.then(run) as never
    }
  }
  const pool = await createPool(t, { max: 6, Client })
  const { store } = await open({ pool: pool as unknown as PostgresPool })
  const [first] = await submit(store)
  holds = true
  const second = submit(store)
  await committing.promise
  // What a replica does that saw no beat for the time of a lease, in its order.
  const other = await server.pool.connect()
  await other.query('BEGIN')
  let isDropped = false
  const dropping = other.query(`DELETE FROM ${schema}.workers`).then(() => { isDropped = true })
  await server.pool.query('SELECT pg_sleep(0.1)')
  t.equal(isDropped, false)
  goOn.open()
  const [begun] = await second
  await dropping
  t.same((await other.query(`SELECT number::int FROM ${schema}.jobs WHERE worker IS NOT NULL ORDER BY number`)).rows, [first, begun].map((job) => ({ number: job!.number })))
  await other.query('ROLLBACK')
  other.release()
  await store.close()
})

test('a submit whose answer was lost gives back what it began, and nothing that is under way', async (t) => {
  const { pool, losing } = await createLossyPool(t)
  const { open } = await createReplicas(t)
  const { store, logs } = await open({ pool })
  const [running] = await submit(store)
  await losing(() => t.rejects(submit(store), away))
  t.match(await store.list({ limit: 9, status: 'running' }), [{ number: 2, attempt: 1 }, { number: running!.number }])
  t.same(statusesOf(await submit(store)), ['queued'], 'none begins before that is settled')
  const { jobs } = await store.claim(bake)
  t.match(jobs.map(({ number, attempt, crashes }) => [number, attempt, crashes]), [[2, 2, 0], [3, 1, 0]])
  t.same(await store.settle([running!, ...jobs].map((job) => settlement(job, succeeded))), [true, true, true])
  t.equal(logs.filter(({ msg }) => msg.startsWith('gave back')).length, 1)
  t.same(statusesOf(await submit(store)), ['running'])
  await store.close()
})

test('what a submit began whose commit is still under way is given back after that', async (t) => {
  const { pool, losing } = await createLossyPool(t)
  const { server, schema, open } = await createReplicas(t)
  const { store } = await open({ pool })
  await submit(store)
  await losing(() => t.rejects(submit(store), away))
  // What the server still does for a connection that we have given up.
  const late = await server.pool.connect()
  await late.query(`BEGIN; SELECT 1 FROM ${schema}.workers FOR KEY SHARE;
    INSERT INTO ${schema}.jobs (operation, owner, status, worker, attempt, created_at, input)
    SELECT 'Bake', '', 'running', id, 1, 0, '{}' FROM ${schema}.workers`)
  const claiming = store.claim(bake)
  await server.pool.query('SELECT pg_sleep(0.2)')
  await late.query('COMMIT')
  late.release()
  t.match((await claiming).jobs.map(({ number, attempt }) => [number, attempt]), [[2, 2], [3, 2]])
  await store.close()
})

test('a claim that gives back what is in doubt waits for submits that are under way', async (t) => {
  const held = createLatch()
  let mode: 'lose' | 'hold' | undefined
  class Client extends pg.Client {
    override query (...values: unknown[]): never {
      const answer = (super.query as (...values: unknown[]) => unknown)(...values) as Promise<unknown>
      if (mode === undefined || !(values[0] as { text: string }).text.endsWith('COMMIT')) return answer as never
      const then = mode
      mode = undefined
      return (then === 'hold' ? answer.then(() => held.promise) : answer.then(() => { throw new Error('Connection terminated unexpectedly') })) as never
    }
  }
  const pool = await createPool(t, { max: 6, Client })
  const { open } = await createReplicas(t)
  const { store } = await open({ pool: pool as unknown as PostgresPool })
  await submit(store)
  mode = 'hold'
  const slow = submit(store)
  await new Promise((resolve) => { setTimeout(resolve, 100) })
  mode = 'lose'
  await t.rejects(submit(store), away)
  const claiming = store.claim(bake)
  held.open()
  const [begun] = await slow
  t.match((await claiming).jobs.map(({ number, attempt }) => [number, attempt]), [[3, 2]])
  t.same(await store.settle([settlement(begun!, succeeded)]), [true], 'it was not given back')
  await store.close()
})

test('a fan-out whose answer was lost gives back what it began, and nothing begins before that', async (t) => {
  const { pool, losing } = await createLossyPool(t)
  const { open } = await createReplicas(t)
  const { store, logs } = await open({ pool })
  const subscriptions = await subscribe(store, { url: 'a' }, { url: 'b' }, { url: 'c' })
  const owe = (event: number, index: number): Promise<FanOutOutcome> =>
    store.fanOut(beginning(step(event, { from: index, to: index + 1, owed: [subscriptions[index]!] })))
  const event = await publishOne(store)
  const { begun } = await owe(event, 0)
  t.equal(begun.length, 1)
  await losing(() => t.rejects(owe(event, 1), away))
  t.same(await owe(event, 2), { done: true, begun: [] })
  t.match((await claimDeliveries(store)).map(({ subscription, claim }) => [subscription, claim]), [[subscriptions[1]!.number, 2], [subscriptions[2]!.number, 1]])
  t.equal(await answer(store, begun[0]!, 'delivered'), 'kept')
  t.equal(logs.filter(({ msg }) => msg.startsWith('gave back')).length, 1)
  await store.close()
})

test('whoever takes a worker for dead takes what it began with a fan-out', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const { store } = await open()
  const [subscription] = await subscribe(store, { url: 'a' })
  await server.pool.query(`DELETE FROM ${schema}.workers`)
  const { begun } = await store.fanOut(beginning(step(await publishOne(store), { owed: [subscription!] })))
  t.equal(begun.length, 1)
  t.same((await server.pool.query(`SELECT count(*)::int AS seen FROM ${schema}.deliveries JOIN ${schema}.workers ON workers.id = worker`)).rows, [{ seen: 1 }])
})
