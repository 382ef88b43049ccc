import t, { test } from 'tap'
import type { ClaimedJob, ClaimRequest, JobRecord, Settlement, Store } from '../../src/work/store.ts'
import type { PostgresServer } from '../helpers/postgres.ts'
import { createReplicas } from '../helpers/replicas.ts'
import { until } from '../helpers/until.ts'

// A server of its own: a busy machine takes its time.
t.setTimeout(300_000)

const start = Date.UTC(2026, 0, 1)
const bake = (limit = 10): ClaimRequest => ({ operations: [{ operation: 'Bake', limit }], limit, now: start })
const leaseOf = ({ number, attempt }: ClaimedJob): Settlement['lease'] => ({ number, attempt })
const succeeded = (job: ClaimedJob): Settlement => ({ lease: leaseOf(job), to: { status: 'succeeded', result: null, endedAt: start, expiresAt: start } })

async function accept (store: Store, operation = 'Bake'): Promise<number> {
  const [outcome] = await store.submit([{ operation, owner: '', input: '{}', createdAt: start }], { maxQueued: 1000 })
  return (outcome as { job: JobRecord }).job.number
}

/** Counts from now on, and closes the stores: the server counts when their connections end. */
async function createDeadlockCount ({ pool, disconnected }: PostgresServer, stores: Store[]): Promise<() => Promise<number>> {
  const read = async (): Promise<number> => Number((await pool.query('SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()')).rows[0].deadlocks)
  const before = await read()
  return async () => {
    for (const store of stores) await store.close()
    await disconnected()
    return await read() - before
  }
}

test('under a limit of all replicas together the oldest go first', async (t) => {
  const { open } = await createReplicas(t)
  const options = { concurrency: { Bake: 2 } }
  const [one, other] = [await open(options), await open(options)]
  const accepted: number[] = []
  for (let jobs = 0; jobs < 8; jobs++) accepted.push(await accept(one.store))
  for (let rounds = 0; rounds < 4; rounds++) {
    const { jobs } = await one.store.claim(bake())
    t.same(jobs.map(({ number }) => number), accepted.splice(0, 2))
    t.same((await other.store.claim(bake())).jobs, [], 'no more than two')
    await one.store.settle(jobs.map(succeeded))
  }
})

test('a deadline that passes while an operation is at its limit is kept afterwards', async (t) => {
  const { open } = await createReplicas(t)
  const { store } = await open({ concurrency: { Bake: 1 } })
  const deferred = await accept(store)
  const { jobs: [first] } = await store.claim(bake())
  await store.settle([{ lease: leaseOf(first!), to: { status: 'running', deadline: start } }])
  await accept(store)
  const { jobs: [running] } = await store.claim({ ...bake(), now: start - 1 })
  t.same((await store.claim(bake())).jobs, [])
  await store.settle([succeeded(running!)])
  t.match((await store.claim(bake())).jobs, [{ number: deferred, due: 'deadline' }])
})

test('of an operation the overdue come first, then those whose wait is over, in the order of their times, then the oldest', async (t) => {
  const { open } = await createReplicas(t)
  const { store } = await open()
  const [again, deferred, sooner, returned] = [await accept(store), await accept(store), await accept(store), await accept(store)]
  const { jobs: [one, two, three, four] } = await store.claim(bake())
  const oldest = await accept(store)
  await store.settle([
    { lease: leaseOf(four!), to: { status: 'queued', dueAt: 0, failures: 0 } },
    { lease: leaseOf(one!), to: { status: 'queued', dueAt: start + 1, failures: 1 } },
    { lease: leaseOf(three!), to: { status: 'queued', dueAt: start, failures: 1 } },
    { lease: leaseOf(two!), to: { status: 'running', deadline: start + 2 } }
  ])
  t.same(await store.claim({ ...bake(), now: start - 1, limit: 0 }), { jobs: [], nextDueAt: start })
  const jobs: ClaimedJob[] = []
  for (let claims = 0; claims < 5; claims++) jobs.push(...(await store.claim({ ...bake(), now: start + 2, limit: 1 })).jobs)
  t.same(jobs.map(({ number, due }) => [number, due]), [[deferred, 'deadline'], [sooner, 'run'], [again, 'run'], [returned, 'run'], [oldest, 'run']])
})

test('behind a full claim nobody waits for the lock of a limited operation of which nothing waits', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const { store } = await open({ concurrency: { Bake: 1 } })
  for (let jobs = 0; jobs < 3; jobs++) await accept(store, 'Freeze')
  const request = { operations: [{ operation: 'Bake', limit: 1 }, { operation: 'Freeze', limit: 1 }], limit: 1, now: start }
  t.equal((await store.claim(request)).jobs.length, 1)
  const client = await server.pool.connect()
  t.teardown(() => { client.release() })
  // As another replica does, until its commit.
  await client.query(`BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('${schema}.running: Bake', 0))`)
  t.equal((await store.claim(request)).jobs.length, 1)
  await client.query('COMMIT')
})

test('replicas that claim of several limited operations, each in another order, do not wait for each other', async (t) => {
  const { server, open } = await createReplicas(t)
  const options = { concurrency: { Bake: 100, Freeze: 100 } }
  const replicas = [await open(options), await open(options)]
  const deadlocks = await createDeadlockCount(server, replicas.map(({ store }) => store))
  const operations = [{ operation: 'Bake', limit: 1 }, { operation: 'Freeze', limit: 1 }]
  for (let rounds = 0; rounds < 15; rounds++) {
    for (const { operation } of [...operations, ...operations]) await accept(replicas[0]!.store, operation)
    await Promise.all(replicas.map(async ({ store }, index) => {
      const { jobs } = await store.claim({ operations: index === 0 ? operations : operations.toReversed(), limit: 2, now: start })
      await store.settle(jobs.map(succeeded))
    }))
  }
  t.equal(await deadlocks(), 0)
})

test('progress and results of the same jobs, in whatever order they are told, do not wait for each other', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const { store } = await open()
  const deadlocks = await createDeadlockCount(server, [store])
  for (let jobs = 0; jobs < 3; jobs++) await accept(store)
  const { jobs } = await store.claim(bake())
  const [one, two, three] = jobs as [ClaimedJob, ClaimedJob, ClaimedJob]
  const client = await server.pool.connect()
  t.teardown(() => { client.release() })
  const areWaiting = (count: number) => until(async () => (await server.pool.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")).rows.length === count)
  // The one waits in the midst of its rows, then the other for what it has.
  await client.query(`BEGIN; SELECT 1 FROM ${schema}.jobs WHERE number = ${two.number} FOR UPDATE`)
  const reported = store.progress(jobs.map((job) => ({ lease: leaseOf(job), percentComplete: 50, message: '' })))
  await areWaiting(1)
  const settled = store.settle([succeeded(three), { lease: leaseOf(one), to: { status: 'queued', dueAt: start + 1000, failures: 1 } }])
  await areWaiting(2)
  await client.query('COMMIT')
  t.same(await reported, [true, true, true])
  t.same(await settled, [true, true])
  t.equal(await deadlocks(), 0)
})
