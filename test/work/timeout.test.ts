import { test } from 'tap'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import type { Job } from '../../src/work/job.ts'
import { createFailingStore } from '../helpers/failing-store.ts'
import { createLatch } from '../helpers/latch.ts'
import { watchRejections } from '../helpers/rejections.ts'
import { createWorker, linesOf, until, warn } from '../helpers/runner.ts'

test('an attempt that takes longer than its timeout fails the job as JobTimedOut, not a millisecond earlier', async (t) => {
  const worker = await createWorker(t, { Slow: { timeoutMs: 10_000, handler: async (job) => { await job.sleep(60_000) } } })
  const id = await worker.accept('Slow')
  await worker.clock.advance(9999)
  t.equal((await worker.get(id)).status, 'running')
  await worker.clock.advance(1)
  t.match(await worker.get(id), { status: 'failed', error: { code: 'JobTimedOut', message: 'The job took longer than it may.', statusCode: 422 } })
  t.match(worker.logs.find(({ msg }) => msg === 'job failed'), { jobId: id, err: { type: 'JobTimedOutReason' } })
})

test('the signal says that it is a timeout', async (t) => {
  let reason: unknown
  const worker = await createWorker(t, {
    Slow: {
      timeoutMs: 10_000,
      handler: async ({ signal }) => {
        await new Promise((resolve) => { signal.addEventListener('abort', resolve) })
        reason = signal.reason
      }
    }
  })
  await worker.accept('Slow')
  await worker.clock.advance(10_000)
  t.match(reason, { name: 'JobTimedOutReason', message: 'the attempt took longer than 10000 ms' })
})

test('a handler that ignores its signal loses the job all the same, and its late result is not recorded', async (t) => {
  const rejections = watchRejections(t)
  const latch = createLatch<string>()
  const store = createFailingStore(sqliteStore({ file: ':memory:' }))
  const worker = await createWorker(t, { Deaf: { timeoutMs: 1000, handler: async () => await latch.promise } }, { store })
  const id = await worker.accept('Deaf')
  await worker.clock.advance(1000)
  t.match(await worker.get(id), { status: 'failed', error: { code: 'JobTimedOut' } })
  const settles = store.calls('settle')
  latch.open('too late')
  await worker.clock.advance(10_000)
  t.equal(store.calls('settle'), settles, 'it was not even tried')
  t.same(rejections, [])
  t.match(await worker.get(id), { status: 'failed', error: { code: 'JobTimedOut' } })
})

test('the late rejection of such a handler harms nobody', async (t) => {
  const rejections = watchRejections(t)
  const latch = createLatch()
  const worker = await createWorker(t, { Deaf: { timeoutMs: 1000, handler: async () => await latch.promise } })
  const id = await worker.accept('Deaf')
  await worker.clock.advance(1000)
  latch.fail(new Error('late'))
  await worker.clock.advance(10_000)
  t.same(rejections, [])
  t.match(await worker.get(id), { status: 'failed', error: { code: 'JobTimedOut' } })
})

test('what a handler throws because of its signal does not hide the timeout', async (t) => {
  const worker = await createWorker(t, {
    Fetch: {
      timeoutMs: 1000,
      handler: async ({ signal }) => await new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => { reject(new DOMException('This operation was aborted', 'AbortError')) })
      })
    }
  })
  const id = await worker.accept('Fetch')
  await worker.clock.advance(1000)
  t.match(await worker.get(id), { status: 'failed', error: { code: 'JobTimedOut' } })
})

test('the timeout is for each attempt, and a timeout is retried like an error', async (t) => {
  const attempts: number[] = []
  const worker = await createWorker(t, {
    Slow: {
      timeoutMs: 10_000,
      retries: 1,
      backoffMs: 2000,
      handler: async (job) => {
        attempts.push(job.attempt)
        await job.sleep(job.attempt === 1 ? 60_000 : 9000)
        return 'in time'
      }
    }
  })
  const id = await worker.accept('Slow')
  await worker.clock.advance(10_000)
  t.equal((await worker.get(id)).status, 'queued')
  await worker.clock.advance(2000 + 9000)
  t.match(await worker.get(id), { status: 'succeeded', result: 'in time', attempt: 2 })
  t.same(attempts, [1, 2])
})

test('a handler that ends in time leaves no timer behind', async (t) => {
  const worker = await createWorker(t, { Quick: { timeoutMs: 10_000, handler: async () => 'done' } })
  const before = worker.clock.pending
  const id = await worker.accept('Quick')
  await until(async () => (await worker.get(id)).status === 'succeeded')
  t.equal(worker.clock.pending, before)
  await worker.clock.advance(20_000)
  t.equal((await worker.get(id)).status, 'succeeded')
})

test('the timeout does not run on while the result waits for the store', async (t) => {
  const store = createFailingStore(sqliteStore({ file: ':memory:' }))
  const worker = await createWorker(t, { Quick: { timeoutMs: 2000, handler: async () => 'done' } }, { store })
  store.fail('settle', 10)
  const id = await worker.accept('Quick')
  await worker.clock.advance(10_000)
  t.match(await worker.get(id), { status: 'succeeded', result: 'done' })
})

test('a job that timed out does not hold its place', async (t) => {
  const never = createLatch()
  const worker = await createWorker(t, { Deaf: { timeoutMs: 1000, handler: async ({ input }: Job) => { if (input === 'hang') await never.promise } } }, { concurrency: 1 })
  await worker.accept('Deaf', 'hang')
  const next = await worker.accept('Deaf', 'fine')
  await worker.clock.advance(1000)
  t.equal((await worker.get(next)).status, 'succeeded')
  t.same(linesOf(worker.logs, warn), ['job failed'])
})
