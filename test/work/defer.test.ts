import { test } from 'tap'
import { JobError } from '../../src/errors.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import type { Job } from '../../src/work/job.ts'
import { leaseMs } from '../../src/work/job-runner.ts'
import { createFailingStore } from '../helpers/failing-store.ts'
import { createLatch } from '../helpers/latch.ts'
import { createSharedFile, createWorker, linesOf, until, warn } from '../helpers/runner.ts'

const minuteMs = 60_000
const defer = async (job: Job): Promise<unknown> => job.defer()

test('a deferred job runs on without a worker until it is completed', async (t) => {
  const store = createFailingStore(sqliteStore({ file: ':memory:' }))
  const worker = await createWorker(t, { Wait: defer, Work: () => 'done' }, { store, concurrency: 1 })
  const id = await worker.accept('Wait')
  await worker.clock.advance(0)
  t.match(await worker.get(id), { status: 'running', attempt: 1, endedAt: null })

  const next = await worker.accept('Work')
  await until(async () => (await worker.get(next)).status === 'succeeded')
  t.pass('it holds no place')
  await worker.clock.advance(minuteMs)
  t.equal(store.calls('heartbeat'), 0, 'and no lease')
  t.match(await worker.get(id), { status: 'running', attempt: 1 })

  await worker.jobs.complete(id, { signed: true })
  t.match(await worker.get(id), { status: 'succeeded', result: { signed: true }, attempt: 1, percentComplete: 100 })
  t.same(linesOf(worker.logs, warn), [])
})

test('a deferred job is completed without a result', async (t) => {
  const worker = await createWorker(t, { Wait: defer })
  const id = await worker.accept('Wait')
  await worker.clock.advance(0)
  await worker.jobs.complete(id)
  t.notOk('result' in await worker.get(id))
})

test('a deferred job is failed, or canceled', async (t) => {
  const worker = await createWorker(t, { Wait: defer })
  const [failed, canceled] = [await worker.accept('Wait'), await worker.accept('Wait')]
  await worker.clock.advance(0)
  await worker.jobs.fail(failed, new JobError('Refused', 'The boss said no.'))
  await worker.jobs.cancel(canceled)
  t.match(await worker.get(failed), { status: 'failed', error: { code: 'Refused', message: 'The boss said no.', statusCode: 422 } })
  t.match(await worker.get(canceled), { status: 'canceled' })
})

test('a deferred job that nobody completes ends as JobTimedOut at its deadline', async (t) => {
  const worker = await createWorker(t, { Wait: { handler: defer, deferTimeoutMs: 5 * minuteMs, timeoutMs: 1000 } })
  const id = await worker.accept('Wait')
  await worker.clock.advance(0)
  await worker.clock.advance(5 * minuteMs - 1)
  t.match(await worker.get(id), { status: 'running' })
  await worker.clock.advance(1)
  t.match(await worker.get(id), { status: 'failed', error: { code: 'JobTimedOut', message: 'Nobody completed the job in time.', statusCode: 422 } })
  await t.rejects(worker.jobs.complete(id, 'late'), { code: 'FST_LOGIC_APPS_JOB_ALREADY_ENDED', message: `job ${id} has already ended as failed` })
  t.match(worker.logs.find(({ msg }) => msg === 'job failed: nobody completed it in time'), { level: 40, jobId: id })
})

test('a short deadline is kept to the millisecond', async (t) => {
  const worker = await createWorker(t, { Wait: { handler: defer, deferTimeoutMs: 1234 } })
  const id = await worker.accept('Wait')
  await worker.clock.advance(1233)
  t.match(await worker.get(id), { status: 'running' })
  await worker.clock.advance(1)
  t.match(await worker.get(id), { status: 'failed', error: { code: 'JobTimedOut' } })
})

test('a deadline that is never, or no whole number, harms no other job', async (t) => {
  const worker = await createWorker(t, {
    Never: { handler: defer, deferTimeoutMs: Number.MAX_SAFE_INTEGER * 1000 },
    Odd: { handler: defer, deferTimeoutMs: 1000.4999, retentionMs: 60_000.1 },
    Work: { handler: () => 'done', retentionMs: Number.MAX_SAFE_INTEGER * 1000 }
  })
  const never = await worker.accept('Never')
  const odd = await worker.accept('Odd')
  await worker.clock.advance(0)
  const id = await worker.accept('Work')
  await worker.clock.advance(5000)
  t.match(await worker.get(never), { status: 'running' })
  t.match(await worker.get(odd), { status: 'failed', error: { code: 'JobTimedOut' } })
  t.match(await worker.get(id), { status: 'succeeded' })
  await worker.clock.advance(2 * 60_000)
  t.equal(await worker.jobs.get(odd), undefined)
})

test('a job completed before its handler returned keeps that result', async (t) => {
  const worker = await createWorker(t, {
    Wait: async (job) => {
      await worker.jobs.complete(job.id, 'quick')
      return job.defer()
    }
  })
  const id = await worker.accept('Wait')
  await until(async () => (await worker.get(id)).endedAt !== null)
  await worker.clock.advance(60_000)
  t.match(await worker.get(id), { status: 'succeeded', result: 'quick', attempt: 1 })
})

test('a job completed by another process before its handler returned keeps that result', async (t) => {
  const file = createSharedFile(t)
  const started = createLatch()
  const go = createLatch()
  const one = await createWorker(t, { Wait: async (job) => { started.open(); await go.promise; return job.defer() } }, { file })
  const two = await createWorker(t, { Wait: defer }, { file })
  const id = await one.accept('Wait')
  await started.promise
  await two.jobs.complete(id, 'quick')
  go.open()
  await one.clock.advance(60_000)
  t.match(await one.get(id), { status: 'succeeded', result: 'quick', attempt: 1 })
})

test('a deferred job outlives its process, and another one completes it', async (t) => {
  const file = createSharedFile(t)
  let runs = 0
  const operations = { Wait: async (job: Job) => { runs++; return job.defer() } }
  const first = await createWorker(t, operations, { file })
  const id = await first.accept('Wait')
  await first.clock.advance(0)
  await first.close()
  const second = await createWorker(t, operations, { file })
  await second.clock.advance(3 * leaseMs)
  t.match(await second.get(id), { status: 'running', attempt: 1 })
  t.equal(runs, 1, 'it does not run again')
  await second.jobs.complete(id, 'signed')
  t.match(await second.get(id), { status: 'succeeded', result: 'signed' })
})

test('a deferred job outlives a crash, and its deadline does too', async (t) => {
  const file = createSharedFile(t)
  const operations = { Wait: { handler: defer, deferTimeoutMs: 60_000 } }
  const first = await createWorker(t, operations, { file })
  const id = await first.accept('Wait')
  await first.clock.advance(0)
  await first.crash()
  const second = await createWorker(t, operations, { file })
  await second.clock.advance(59_999)
  t.match(await second.get(id), { status: 'running' })
  t.match((await second.store.get([second.ids.decode(id)!.number]))[0], { crashes: 0 })
  await second.clock.advance(1)
  t.match(await second.get(id), { status: 'failed', error: { code: 'JobTimedOut' } })
})

test('a completion from a process that runs nothing is enough', async (t) => {
  const file = createSharedFile(t)
  const runs = await createWorker(t, { Wait: defer }, { file })
  const id = await runs.accept('Wait')
  await runs.clock.advance(0)
  const serves = await createWorker(t, { Wait: defer }, { file })
  await serves.runner.stop(0)
  await serves.jobs.complete(id, 'signed')
  t.match(await runs.get(id), { status: 'succeeded', result: 'signed' })
})

test('of completions by two processes one counts', async (t) => {
  const file = createSharedFile(t)
  const workers = [await createWorker(t, { Wait: defer }, { file }), await createWorker(t, { Wait: defer }, { file })]
  const id = await workers[0]!.accept('Wait')
  await workers[0]!.clock.advance(0)
  const outcomes = await Promise.allSettled(workers.map(({ jobs }, index) => jobs.complete(id, index)))
  t.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
  const winner = outcomes.findIndex(({ status }) => status === 'fulfilled')
  t.equal((await workers[0]!.get(id)).result, winner)
  t.equal((await workers[1]!.get(id)).result, winner)
})

test('the mark of a deferral is known only to job.defer()', async (t) => {
  const worker = await createWorker(t, { Fake: async () => ({ deferred: true }) })
  const id = await worker.accept('Fake')
  await until(async () => (await worker.get(id)).endedAt !== null)
  t.same((await worker.get(id)).result, { deferred: true })
})

test('a handler that calls defer() but returns something else has not deferred', async (t) => {
  const worker = await createWorker(t, { Work: async (job) => { job.defer(); return 'done' } })
  const id = await worker.accept('Work')
  await until(async () => (await worker.get(id)).result === 'done')
})
