import { test } from 'tap'
import { JobError } from '../../src/errors.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import type { Job } from '../../src/work/job.ts'
import { leaseMs } from '../../src/work/job-runner.ts'
import { closeApp, createApp } from '../helpers/app.ts'
import { createFailingStore } from '../helpers/failing-store.ts'
import { createLatch } from '../helpers/latch.ts'
import { watchRejections } from '../helpers/rejections.ts'
import { createSharedFile, createWorker, linesOf, passTime, until, warn, type TestOperation, type TestWorker } from '../helpers/runner.ts'

const drainMs = 10_000

test('handlers that end in time are waited for, and no longer', async (t) => {
  const worker = await createWorker(t, { Work: async (job) => { await job.sleep(4000); return 'done' } })
  const ids = await Promise.all([1, 2, 3].map(() => worker.accept('Work')))
  await worker.clock.advance(1000)
  const before = worker.clock.monotonic()
  await passTime(worker.clock, worker.runner.stop(drainMs), 500)
  t.equal(worker.clock.monotonic() - before, 3000)
  t.equal(worker.clock.pending, 0, 'nor is a timer left')
  for (const id of ids) t.match(await worker.get(id), { status: 'succeeded', result: 'done', attempt: 1 })
  t.same(linesOf(worker.logs, warn), [])
})

test('with nothing running, stopping takes no time', async (t) => {
  const worker = await createWorker(t, { Work: () => 'done' })
  await worker.runner.stop(drainMs)
  t.equal(worker.clock.monotonic(), 0)
})

test('while it drains, a worker takes no more work and keeps its leases', async (t) => {
  const file = createSharedFile(t)
  const gate = createLatch()
  const worker = await createWorker(t, { Work: async ({ input }: Job) => { if (input === 'slow') await gate.promise; return input } }, { file, concurrency: 2 })
  const slow = await worker.accept('Work', 'slow')
  await until(async () => (await worker.get(slow)).status === 'running')
  const stopped = worker.runner.stop(10 * leaseMs)
  const later = await worker.accept('Work', 'later')
  const other = await createWorker(t, {}, { file })
  for (let passed = 0; passed < 5 * leaseMs; passed += 5000) {
    await worker.clock.advance(5000)
    await other.clock.advance(5000)
  }
  t.match(await worker.get(slow), { status: 'running', attempt: 1 })
  t.match(await worker.get(later), { status: 'queued', attempt: 0 })
  gate.open()
  await stopped
  t.match(await worker.get(slow), { status: 'succeeded', attempt: 1 })
})

const stubborn: Record<string, (job: Job) => Promise<unknown>> = {
  'sleeps on': async (job) => { await job.sleep(3_600_000) },
  'ignores its signal': async () => { await createLatch().promise },
  'throws when it is told': async ({ signal }) => await new Promise((resolve, reject) => { signal.addEventListener('abort', () => { reject(new JobError('Interrupted', 'no')) }) }),
  'returns when it is told': async ({ signal }) => await new Promise((resolve) => { signal.addEventListener('abort', () => { resolve('half a cake') }) })
}
for (const [what, handler] of Object.entries(stubborn)) {
  test(`a handler that ${what} is left to another process at once when the time is over`, async (t) => {
    const rejections = watchRejections(t)
    const file = createSharedFile(t)
    const reason = createLatch<unknown>()
    const one = await createWorker(t, { Work: async (job) => { job.signal.addEventListener('abort', () => { reason.open(job.signal.reason) }); return await handler(job) } }, { file })
    const id = await one.accept('Work')
    await until(async () => (await one.get(id)).status === 'running')
    const two = await createWorker(t, { Work: async ({ attempt }) => `attempt ${attempt}` }, { file })

    const stopped = one.runner.stop(drainMs)
    await one.clock.advance(drainMs - 1)
    t.match(await one.get(id), { status: 'running', attempt: 1 }, 'it has its time')
    await one.clock.advance(1)
    await stopped
    t.match(await reason.promise, { name: 'ShutdownReason', message: 'the server is shutting down' })
    t.match((await one.store.get([one.ids.decode(id)!.number]))[0], { status: 'queued', attempt: 1, crashes: 0, failures: 0 })
    await two.clock.advance(500)
    t.match(await two.get(id), { status: 'succeeded', result: 'attempt 2', attempt: 2 })
    t.match((await two.store.get([one.ids.decode(id)!.number]))[0], { crashes: 0, failures: 0 })
    t.ok(one.logs.some(({ level, msg, jobId }) => level === 30 && msg === 'job handed back to the queue: the server is shutting down' && jobId === id))
    t.same(rejections, [])
  })
}

test('many stubborn handlers are released in one commit', async (t) => {
  const store = createFailingStore(sqliteStore({ file: ':memory:' }))
  const worker = await createWorker(t, { Work: async () => { await createLatch().promise } }, { store })
  await Promise.all(Array.from({ length: 50 }, () => worker.accept('Work')))
  await until(async () => (await worker.jobs.list({ status: 'running' })).length === 50)
  await passTime(worker.clock, worker.runner.stop(0))
  t.equal((await worker.jobs.list({ status: 'queued' })).length, 50)
  t.equal(store.calls('settle'), 1)
})

test('a deferral, a failure and a retry in the drain are recorded as such', async (t) => {
  const operations: Record<string, TestOperation> = {
    Defer: async (job) => { await job.sleep(1000); return job.defer() },
    Fail: async (job) => { await job.sleep(1000); throw new JobError('No', 'no') },
    Retry: { retries: 1, handler: async (job) => { await job.sleep(1000); throw new Error('once more') } }
  }
  const worker = await createWorker(t, operations)
  const ids = await Promise.all(Object.keys(operations).map((operation) => worker.accept(operation)))
  await until(async () => (await worker.jobs.list({ status: 'running' })).length === 3)
  await passTime(worker.clock, worker.runner.stop(drainMs))
  t.same(await Promise.all(ids.map(async (id) => (await worker.get(id)).status)), ['running', 'failed', 'queued'])
})

test('a claim under way when it stops brings work that is drained too', async (t) => {
  const store = createFailingStore(sqliteStore({ file: ':memory:' }))
  const worker = await createWorker(t, { Work: () => 'done' }, { store })
  const gate = createLatch()
  store.hold('claim', gate.promise)
  const claims = store.calls('claim')
  const id = await worker.accept('Work')
  await until(() => store.calls('claim') > claims)
  const stopped = worker.runner.stop(drainMs)
  gate.open()
  await stopped
  t.match(await worker.get(id), { status: 'succeeded', attempt: 1 })
})

test('a claim that fails while it stops does not keep it from stopping', async (t) => {
  const store = createFailingStore(sqliteStore({ file: ':memory:' }))
  const worker = await createWorker(t, { Work: async (job) => { await job.sleep(1000); return 'done' } }, { store })
  const id = await worker.accept('Work')
  await until(async () => (await worker.get(id)).status === 'running')
  const gate = createLatch()
  store.hold('claim', gate.promise)
  store.fail('claim', 1)
  const claims = store.calls('claim')
  await worker.accept('Work')
  await until(() => store.calls('claim') > claims)
  const stopped = worker.runner.stop(drainMs)
  gate.open()
  await passTime(worker.clock, stopped)
  t.match(await worker.get(id), { status: 'succeeded' })
})

test('a stopped worker leaves no timer behind', async (t) => {
  const store = createFailingStore(sqliteStore({ file: ':memory:' }))
  const worker = await createWorker(t, { Work: { retries: 1, backoffMs: 4000, handler: async () => { throw new Error('once more') } } }, { store })
  await worker.accept('Work')
  await worker.clock.advance(0)
  // A claim under way learns of work that is due soon.
  const gate = createLatch()
  store.hold('claim', gate.promise)
  const claims = store.calls('claim')
  worker.runner.wake()
  await until(() => store.calls('claim') > claims)
  const stopped = worker.runner.stop(drainMs)
  gate.open()
  await stopped
  await worker.clock.advance(0)
  t.equal(worker.clock.pending, 0)
})

test('a sweep under way ends with the worker, quietly', async (t) => {
  const store = createFailingStore(sqliteStore({ file: ':memory:' }))
  const worker = await createWorker(t, { Work: { retentionMs: 1000, handler: () => 'done' } }, { store, concurrency: 1000 })
  await Promise.all(Array.from({ length: 1001 }, () => worker.accept('Work')))
  await until(async () => (await worker.jobs.list({ status: 'succeeded', limit: 2000 })).length === 1001)
  const gate = createLatch()
  store.hold('sweep', gate.promise)
  await worker.clock.advance(60_000)
  const sweeps = store.calls('sweep')
  await worker.runner.stop(0)
  gate.open()
  await worker.clock.advance(0)
  t.equal(store.calls('sweep'), sweeps, 'no further chunk')
  t.same(linesOf(worker.logs, warn), [])
})

test('a release that the store cannot take does not keep it from closing, and the job runs again', async (t) => {
  const file = createSharedFile(t)
  const store = createFailingStore(sqliteStore({ file }))
  const one = await createWorker(t, { Work: async () => { await createLatch().promise } }, { store })
  const id = await one.accept('Work')
  await until(async () => (await one.get(id)).status === 'running')
  store.fail('settle', 1000)
  await one.close()
  t.same(one.logs.filter(({ level }) => level === 50).map(({ msg, jobId }) => [msg, jobId]), [['the outcome of this attempt could not be recorded before the server closed: the job will run again', id]])
  const two = await createWorker(t, { Work: () => 'done' }, { file })
  await until(async () => (await two.get(id)).endedAt !== null)
  t.match(await two.get(id), { status: 'succeeded', attempt: 2 })
})

test('a result that waits for the store is waited for as long as a handler', async (t) => {
  const store = createFailingStore(sqliteStore({ file: ':memory:' }))
  const worker = await createWorker(t, { Work: () => 'done' }, { store })
  store.fail('settle', 3)
  const id = await worker.accept('Work')
  await until(() => store.calls('settle') === 1)
  await passTime(worker.clock, worker.runner.stop(drainMs))
  t.match(await worker.get(id), { status: 'succeeded', result: 'done' })
})

test('stopping what never started is fine, and so is stopping twice', async (t) => {
  const worker = await createWorker(t, { Work: () => 'done' })
  await worker.runner.stop(drainMs)
  await worker.runner.stop(drainMs)
  const id = await worker.accept('Work')
  await worker.clock.advance(60_000)
  t.match(await worker.get(id), { status: 'queued' })
})

test('starts that wait for their job are let go when the server closes', async (t) => {
  const worker = await createWorker(t, { Work: async (job) => { await job.sleep(3_600_000) } })
  const { job } = await worker.jobs.accept({ operation: 'Work', owner: 'o', input: '{"tracking":{}}', createdAt: worker.clock.now() })
  const waits = [worker.jobs.waitForEnd(job, 100_000), worker.jobs.waitForEnd(job, 100_000)]
  await worker.clock.advance(0)
  worker.jobs.stop()
  for (const latest of await Promise.all(waits)) t.equal(latest.endedAt, null)
  t.equal((await worker.jobs.waitForEnd(job, 100_000)).endedAt, null, 'and later ones do not wait')
  t.equal(worker.clock.monotonic(), 0)
})

test('app.close() drains for drainSeconds, and waiting starts are answered 202', async (t) => {
  const { app, clock, logs } = await createApp(t, { drainSeconds: 3, waitSeconds: 100 })
  let reason: unknown
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' } }, async (job) => {
    job.signal.addEventListener('abort', () => { reason = job.signal.reason })
    await job.sleep(60_000)
  })
  await app.ready()
  const start = app.inject({ method: 'POST', url: '/cakes' })
  await clock.advance(1000)
  const before = clock.monotonic()
  await closeApp(app, clock)
  t.equal((await start).statusCode, 202)
  t.ok(clock.monotonic() - before >= 3000)
  t.match(reason, { name: 'ShutdownReason' })
  t.ok(logs.some(({ msg, count, drainMs }) => msg === 'waiting for running jobs to end' && count === 1 && drainMs === 3000))
})

test('app.close() before the app was ready is fine', async (t) => {
  const { app, clock } = await createApp(t)
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' } }, async () => {})
  await closeApp(app, clock)
  t.equal(clock.pending, 0)
})

test('rolling restarts lose nothing: each process hands over to the next', async (t) => {
  const file = createSharedFile(t)
  const ended = new Set<unknown>()
  const start = async (): Promise<TestWorker> => await createWorker(t, {
    Work: async (job) => {
      await job.sleep((job.input as number) % 7 * 1000)
      ended.add(job.input)
      return job.input
    }
  }, { file, concurrency: 10 })
  let worker = await start()
  await Promise.all(Array.from({ length: 60 }, (_, index) => worker.accept('Work', index)))
  for (let restarts = 0; restarts < 8; restarts++) {
    await worker.clock.advance(2000)
    const next = await start()
    await worker.close(1000)
    worker = next
  }
  await passTime(worker.clock, until(async () => (await worker.jobs.list({ status: 'succeeded', limit: 100 })).length === 60))
  t.equal(ended.size, 60)
  for (const { id, result } of await worker.jobs.list({ limit: 100 })) {
    t.type(result, 'number')
    t.match((await worker.store.get([worker.ids.decode(id)!.number]))[0], { crashes: 0 })
  }
})
