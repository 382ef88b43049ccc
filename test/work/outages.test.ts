import { DatabaseSync } from 'node:sqlite'
import { test } from 'tap'
import { JobError } from '../../src/errors.ts'
import { createSqliteStore } from '../../src/stores/sqlite/store.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import type { Job } from '../../src/work/job.ts'
import { leaseMs } from '../../src/work/job-runner.ts'
import { createFailingStore, type FailingStore } from '../helpers/failing-store.ts'
import { createLatch } from '../helpers/latch.ts'
import { createSharedFile, createWorker, linesOf, until, warn, type TestOperation, type TestWorker } from '../helpers/runner.ts'

type Test = Parameters<typeof createWorker>[0]

const loopMs = 5000
const settleRetryMs = 1000
const cannotRecord = 'cannot record the outcome of this attempt, trying again in 1000 ms'

async function createShaky (t: Test, operations: Record<string, TestOperation>): Promise<TestWorker & { store: FailingStore }> {
  const store = createFailingStore(sqliteStore({ file: ':memory:' }))
  return { ...await createWorker(t, operations, { store }), store }
}

test('an outcome is tried until the store takes it, with one line each time', async (t) => {
  const { store, clock, logs, ...worker } = await createShaky(t, { Work: () => 'done' })
  store.fail('settle', 7)
  const id = await worker.accept('Work')
  await until(() => store.calls('settle') === 1)
  for (let failures = 1; failures < 8; failures++) {
    await clock.advance(settleRetryMs - 1)
    t.equal(store.calls('settle'), failures)
    t.match(await worker.get(id), { status: 'running' })
    await clock.advance(1)
  }
  t.match(await worker.get(id), { status: 'succeeded', result: 'done', attempt: 1 })
  t.equal(store.calls('settle'), 8)
  t.same(linesOf(logs, warn), Array.from({ length: 7 }, () => cannotRecord))
  t.match(logs.find(({ msg }) => msg === cannotRecord), { level: 40, jobId: id, err: { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE' } })
})

test('every kind of outcome outlasts an outage', async (t) => {
  let retried = 0
  const { store, clock, ...worker } = await createShaky(t, {
    Fail: () => { throw new JobError('CakeBurnt', 'It burnt.') },
    Break: () => { throw new Error('oh') },
    Retry: { retries: 1, backoffMs: 2000, handler: () => { if (retried++ === 0) throw new Error('once more'); return 'done' } },
    Defer: (job) => job.defer(),
    Slow: { timeoutMs: 100, handler: async (job) => { await job.sleep(60_000) } }
  })
  store.fail('settle', 3)
  const [fail, broken, retry, deferred, slow] = await Promise.all(['Fail', 'Break', 'Retry', 'Defer', 'Slow'].map((operation) => worker.accept(operation)))
  await clock.advance(10_000)
  t.match(await worker.get(fail!), { status: 'failed', error: { code: 'CakeBurnt' } })
  t.match(await worker.get(broken!), { status: 'failed', error: { code: 'JobFailed' } })
  t.match(await worker.get(retry!), { status: 'succeeded', attempt: 2 })
  t.match(await worker.get(deferred!), { status: 'running', attempt: 1 })
  t.match(await worker.get(slow!), { status: 'failed', error: { code: 'JobTimedOut' } })
  await worker.jobs.complete(deferred!, 'signed')
})

test('the handler does not run again while its outcome waits', async (t) => {
  let runs = 0
  const { store, clock, ...worker } = await createShaky(t, { Work: () => ++runs })
  store.fail('settle', 60)
  const id = await worker.accept('Work')
  await clock.advance(59_000)
  t.match(await worker.get(id), { status: 'running' })
  await clock.advance(2000)
  t.match(await worker.get(id), { status: 'succeeded', result: 1 })
  t.equal(runs, 1)
})

test('an outcome that waits keeps its lease; a job that was lost meanwhile is let go', async (t) => {
  const file = createSharedFile(t)
  const store = createFailingStore(sqliteStore({ file }))
  const one = await createWorker(t, { Work: () => 'of one' }, { store })
  store.fail('settle', Infinity)
  const id = await one.accept('Work')
  await until(() => store.calls('settle') === 1)
  const two = await createWorker(t, { Work: () => 'of two' }, { file })
  for (let passed = 0; passed < 2 * leaseMs; passed += loopMs) {
    await one.clock.advance(loopMs)
    await two.clock.advance(loopMs)
  }
  t.match(await two.get(id), { status: 'running', attempt: 1 }, 'the heartbeats get through')

  store.fail('heartbeat', Infinity)
  for (let passed = 0; passed < 2 * leaseMs; passed += loopMs) {
    await one.clock.advance(loopMs)
    await two.clock.advance(loopMs)
  }
  t.match(await two.get(id), { status: 'succeeded', result: 'of two', attempt: 2 })
  store.fail('settle', 0)
  await one.clock.advance(settleRetryMs)
  t.match(await two.get(id), { status: 'succeeded', result: 'of two', attempt: 2 })
  t.equal(one.logs.at(-1)!.msg, 'the outcome of this attempt was not recorded: the job ended, or another worker has it')
  const settles = store.calls('settle')
  await one.clock.advance(10 * settleRetryMs)
  t.equal(store.calls('settle'), settles, 'and it is not tried again')
})

test('a claim that fails is logged and made again', async (t) => {
  const { store, clock, logs, ...worker } = await createShaky(t, { Work: () => 'done' })
  store.fail('claim', 1)
  const id = await worker.accept('Work')
  await clock.advance(0)
  t.match(await worker.get(id), { status: 'queued' })
  t.match(logs.filter(({ level }) => level >= warn), [{ msg: `cannot claim work, trying again within ${loopMs} ms`, err: { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE' } }])
  await clock.advance(loopMs)
  t.match(await worker.get(id), { status: 'succeeded' })
})

test('while claims fail, each poll is one line, and wake-ups do not hammer the store', async (t) => {
  const { store, clock, logs, ...worker } = await createShaky(t, { Work: () => 'done' })
  store.fail('claim', 5)
  await clock.advance(5 * loopMs)
  t.same(linesOf(logs, warn), Array.from({ length: 5 }, () => `poll failed, trying again in ${loopMs} ms`))
  const id = await worker.accept('Work')
  await until(async () => (await worker.get(id)).status === 'succeeded')
})

test('a wake-up during a claim that fails is not lost', async (t) => {
  const { store, clock, ...worker } = await createShaky(t, { Work: () => 'done' })
  const gate = createLatch()
  store.hold('claim', gate.promise)
  store.fail('claim', 1)
  const claims = store.calls('claim')
  worker.runner.wake()
  await until(() => store.calls('claim') > claims)
  const id = await worker.accept('Work')
  gate.open()
  await clock.advance(loopMs)
  t.match(await worker.get(id), { status: 'succeeded' })
})

for (const [name, method, ms, retryMs] of [['heartbeat', 'heartbeat', 5000, 1000], ['recover', 'recover', 5000, 5000], ['sweep', 'sweep', 60_000, 60_000]] as const) {
  test(`a ${name} that fails is logged and made again`, async (t) => {
    const { store, clock, logs, ...worker } = await createShaky(t, { Work: async (job) => { await job.sleep(1_000_000) } })
    const id = await worker.accept('Work')
    await clock.advance(0)
    store.fail(method, 2)
    await clock.advance(2 * ms)
    t.match(logs.filter(({ level }) => level >= warn), [1, 2].map(() => ({ level: 40, msg: `${name} failed, trying again in ${retryMs} ms`, err: { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE' } })))
    const calls = store.calls(method)
    await clock.advance(ms)
    t.equal(store.calls(method), calls + 1)
    t.equal(logs.filter(({ level }) => level >= warn).length, 2)
    t.match(await worker.get(id), { status: 'running', attempt: 1 }, 'the job does not care')
  })
}

test('a failed chunk of a sweep is no end of sweeping', async (t) => {
  const { store, clock, ...worker } = await createShaky(t, { Work: { retentionMs: 1000, handler: () => 'done' } })
  const id = await worker.accept('Work')
  await clock.advance(30_000)
  store.fail('sweep', 1)
  await clock.advance(30_000)
  t.ok(await worker.jobs.get(id))
  await clock.advance(60_000)
  t.equal(await worker.jobs.get(id), undefined)
})

test('a store that is away altogether for a while costs no job', async (t) => {
  const { store, clock, ...worker } = await createShaky(t, { Work: async (job) => { await job.sleep(3000); return job.input } })
  const ids = await Promise.all(Array.from({ length: 20 }, (_, index) => worker.accept('Work', index)))
  await clock.advance(1000)
  for (const method of ['claim', 'heartbeat', 'progress', 'settle', 'recover', 'sweep'] as const) store.fail(method, Infinity)
  await clock.advance(40_000)
  for (const method of ['claim', 'heartbeat', 'progress', 'settle', 'recover', 'sweep'] as const) store.fail(method, 0)
  await clock.advance(loopMs)
  for (const [index, id] of ids.entries()) t.match(await worker.get(id), { status: 'succeeded', result: index, attempt: 1 })
})

test('a wait for the end of a job answers what it knows when the store goes away', async (t) => {
  const { store, clock, logs, ...worker } = await createShaky(t, { Work: async (job) => { await job.sleep(1_000_000) } })
  const { job } = await worker.jobs.accept({ operation: 'Work', owner: 'o', input: '{"tracking":{}}', createdAt: clock.now() })
  store.fail('get', 1)
  const waited = worker.jobs.waitForEnd(job, 100_000)
  await clock.advance(500)
  t.match(await waited, { number: job.number, endedAt: null })
  t.same(linesOf(logs, warn), ['cannot read the job that a start waits for; answering 202'])
})

test('a wait ends with the job, also one that another process ends, or with its time', async (t) => {
  const file = createSharedFile(t)
  const gate = createLatch()
  const one = await createWorker(t, { Work: async (job: Job) => { if (job.input === 'here') await gate.promise; else await job.sleep(1_000_000) } }, { file })
  const other = await createWorker(t, { Work: () => 'done' }, { file })
  const accept = async (input: string) => (await one.jobs.accept({ operation: 'Work', owner: 'o', input: JSON.stringify({ input, tracking: {} }), createdAt: one.clock.now() })).job

  const here = one.jobs.waitForEnd(await accept('here'), 100_000)
  await one.clock.advance(0)
  gate.open()
  t.match(await here, { status: 'succeeded' })
  t.equal(one.clock.monotonic(), 0, 'at once')

  const elsewhere = await accept('elsewhere')
  const waited = one.jobs.waitForEnd(elsewhere, 100_000)
  await one.clock.advance(0)
  await other.jobs.cancel(one.ids.encode(elsewhere))
  await one.clock.advance(500)
  t.match(await waited, { status: 'canceled' })

  const before = one.clock.monotonic()
  const never = one.jobs.waitForEnd(await accept('never'), 1250)
  await one.clock.advance(1250)
  t.match(await never, { status: 'running' })
  t.equal(one.clock.monotonic() - before, 1250)
})

test('a disk that is full when a job ends loses no result', async (t) => {
  const file = createSharedFile(t)
  let database!: DatabaseSync
  const store = createSqliteStore(file, 'worker', (name) => (database = new DatabaseSync(name)))
  const limit = (pages: number): void => { database.exec(`PRAGMA max_page_count = ${pages}`) }
  const go = createLatch()
  const worker = await createWorker(t, { Work: async () => { await go.promise; return 'x'.repeat(1_000_000) } }, { store })
  const id = await worker.accept('Work')
  await until(async () => (await worker.get(id)).status === 'running')

  // SQLite's own limit fails as a full disk does, with SQLITE_FULL.
  limit((database.prepare('PRAGMA page_count').get() as { page_count: number }).page_count)
  go.open()
  await worker.clock.advance(10 * settleRetryMs)
  t.match(await worker.get(id), { status: 'running', attempt: 1 }, 'polls go on')
  const lines = worker.logs.filter(({ level }) => level >= warn)
  t.ok(lines.length >= 10 && lines.every(({ msg }) => msg === cannotRecord))
  t.match(lines[0], { err: { message: /the disk that holds .* is full: free some space, the store goes on by itself/ } })
  await t.rejects(worker.accept('Work', 'x'.repeat(1_000_000)), { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE' })

  limit(1_000_000)
  await worker.clock.advance(settleRetryMs)
  t.equal((await worker.get(id)).status, 'succeeded')
  t.equal(((await worker.get(id)).result as string).length, 1_000_000)
  t.equal((await worker.jobs.list()).length, 1, 'and nothing of the refused start is left')
})
