import { test } from 'tap'
import { InvalidResultError, JobError } from '../../src/errors.ts'
import type { Job } from '../../src/work/job.ts'
import { createLatch } from '../helpers/latch.ts'
import { watchRejections } from '../helpers/rejections.ts'
import { createSharedFile, createWorker, linesOf, until, warn, type TestWorkerOptions } from '../helpers/runner.ts'

type Test = Parameters<typeof createWorker>[0]

const heartbeatMs = 5000

/** A worker with one running job whose handler ignores its signal, in the hands of the test. */
async function createRunning (t: Test, options: TestWorkerOptions = {}) {
  const started = createLatch<Job>()
  const end = createLatch<unknown>()
  const worker = await createWorker(t, {
    Work: async (job) => {
      started.open(job)
      return await end.promise
    }
  }, options)
  const id = await worker.accept('Work')
  return { worker, id, job: await started.promise, end }
}

test('a canceled job ends at once and its signal says so; a late result is not recorded', async (t) => {
  const { worker, id, job, end } = await createRunning(t)
  await worker.jobs.cancel(id)
  t.match(job.signal, { aborted: true, reason: { name: 'JobEndedReason', message: 'the job ended as canceled' } })
  const ended = await worker.get(id)
  t.match(ended, { status: 'canceled', error: { code: 'JobCanceled', message: 'The job was canceled.', statusCode: 422 } })
  await worker.clock.advance(1000)
  end.open('too late')
  await worker.clock.advance(10_000)
  t.same(await worker.get(id), ended)
})

test('the late rejection of a canceled handler is nobody\'s business', async (t) => {
  const rejections = watchRejections(t)
  const { worker, id, end } = await createRunning(t)
  await worker.jobs.cancel(id)
  end.fail(new JobError('Late', 'too late'))
  await worker.clock.advance(10_000)
  t.same(rejections, [])
  t.match(await worker.get(id), { status: 'canceled', error: { code: 'JobCanceled' } })
  t.same(linesOf(worker.logs, warn), [])
})

test('a canceled job does not hold its place', async (t) => {
  const { worker, id } = await createRunning(t, { concurrency: 1 })
  const next = await worker.accept('Work')
  await worker.jobs.cancel(id)
  await until(async () => (await worker.get(next)).status === 'running')
})

test('a queued job can be canceled, and never runs', async (t) => {
  const { worker, id, end } = await createRunning(t, { concurrency: 1 })
  const next = await worker.accept('Work')
  await worker.jobs.cancel(next)
  end.open('done')
  await worker.clock.advance(10_000)
  t.match(await worker.get(id), { status: 'succeeded' })
  t.match(await worker.get(next), { status: 'canceled', attempt: 0, startedAt: null })
})

test('canceling twice is fine, and canceling what ended otherwise is told', async (t) => {
  const { worker, id, end } = await createRunning(t)
  end.open('done')
  await until(async () => (await worker.get(id)).endedAt !== null)
  await t.rejects(worker.jobs.cancel(id), { code: 'FST_LOGIC_APPS_JOB_ALREADY_ENDED', statusCode: 409, message: `job ${id} has already ended as succeeded` })
  const other = await worker.accept('Work')
  await worker.jobs.cancel(other)
  const canceled = await worker.get(other)
  await worker.clock.advance(1000)
  await worker.jobs.cancel(other)
  t.same(await worker.get(other), canceled)
})

test('a running job can be completed from outside: the result is the given one', async (t) => {
  const { worker, id, job, end } = await createRunning(t)
  await worker.jobs.complete(id, { by: 'hand' })
  t.match(job.signal, { aborted: true, reason: { name: 'JobEndedReason', message: 'the job ended as succeeded' } })
  end.open({ by: 'handler' })
  await worker.clock.advance(10_000)
  t.match(await worker.get(id), { status: 'succeeded', result: { by: 'hand' }, percentComplete: 100 })
})

test('a running job can be failed from outside', async (t) => {
  const { worker, id, job } = await createRunning(t)
  await worker.jobs.fail(id, new JobError('CakeBurnt', 'It burnt.', { statusCode: 409, details: { oven: 3 } }))
  t.match(job.signal, { aborted: true, reason: { name: 'JobEndedReason', message: 'the job ended as failed' } })
  t.same((await worker.get(id)).error, { code: 'CakeBurnt', message: 'It burnt.', statusCode: 409, details: { oven: 3 } })
})

test('a queued job can be completed before it ever ran', async (t) => {
  const { worker } = await createRunning(t, { concurrency: 1 })
  const next = await worker.accept('Work')
  await worker.jobs.complete(next, 'by hand')
  t.match(await worker.get(next), { status: 'succeeded', attempt: 0, result: 'by hand' })
})

test('what has ended can neither be completed nor failed', async (t) => {
  const { worker, id } = await createRunning(t)
  await worker.jobs.complete(id, 'first')
  const ended = await worker.get(id)
  await t.rejects(worker.jobs.complete(id, 'second'), { code: 'FST_LOGIC_APPS_JOB_ALREADY_ENDED', message: `job ${id} has already ended as succeeded` })
  await t.rejects(worker.jobs.fail(id, new JobError('Late', 'late')), { code: 'FST_LOGIC_APPS_JOB_ALREADY_ENDED' })
  t.same(await worker.get(id), ended)
})

test('of many ends at the same time one counts', async (t) => {
  const { worker, id } = await createRunning(t)
  const outcomes = await Promise.allSettled([...Array.from({ length: 10 }, (_, index) => worker.jobs.complete(id, index)), worker.jobs.fail(id, new JobError('Late', 'late'))])
  t.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
  const winner = outcomes.findIndex(({ status }) => status === 'fulfilled')
  t.equal((await worker.get(id)).result, winner)
})

test('what is not there is told', async (t) => {
  const { worker, id } = await createRunning(t)
  for (const unknown of ['', 'nonsense', `${id}x`, id.slice(1), 'A'.repeat(22), worker.ids.encode({ number: 999, createdAt: 0 })]) {
    await t.rejects(worker.jobs.complete(unknown), { code: 'FST_LOGIC_APPS_JOB_NOT_FOUND', statusCode: 404 })
    await t.rejects(worker.jobs.fail(unknown, new JobError('X', 'x')), { code: 'FST_LOGIC_APPS_JOB_NOT_FOUND' })
    await t.rejects(worker.jobs.cancel(unknown), { code: 'FST_LOGIC_APPS_JOB_NOT_FOUND' })
    t.equal(await worker.jobs.get(unknown), undefined)
  }
})

test('the id of a record that took the number later is another one', async (t) => {
  const { worker, id } = await createRunning(t)
  const { number, createdAt } = worker.ids.decode(id)!
  t.equal(await worker.jobs.get(worker.ids.encode({ number, createdAt: createdAt - 1 })), undefined)
  await t.rejects(worker.jobs.cancel(worker.ids.encode({ number, createdAt: createdAt + 1 })), { code: 'FST_LOGIC_APPS_JOB_NOT_FOUND' })
})

test('completing needs the operation, failing needs a JobError, and a result must fit; the job goes on', async (t) => {
  const worker = await createWorker(t, {
    Work: {
      handler: async (job) => { await job.sleep(60_000) },
      encodeResult: () => { throw new InvalidResultError('Work', 'no cake') }
    }
  })
  const id = await worker.accept('Work')
  const foreign = await worker.accept('Elsewhere')
  await t.rejects(worker.jobs.complete(id, 1), { code: 'FST_LOGIC_APPS_INVALID_RESULT', message: 'the result of Work does not fit its schema: no cake' })
  await t.rejects(worker.jobs.complete(foreign, 1), { code: 'FST_LOGIC_APPS_OPERATION_NOT_FOUND', message: 'operation "Elsewhere" is not declared in this process' })
  await t.rejects(worker.jobs.fail(foreign, new JobError('X', 'x')), { code: 'FST_LOGIC_APPS_OPERATION_NOT_FOUND' })
  await t.rejects(worker.jobs.fail(id, new Error('no') as JobError), { name: 'TypeError', message: 'jobs.fail(id, error): error must be a JobError' })
  t.match(await worker.get(id), { endedAt: null })
  t.match(await worker.get(foreign), { endedAt: null })
  await worker.jobs.cancel(foreign)
  t.match(await worker.get(foreign), { status: 'canceled' }, 'canceling does not')
})

test('a job that another process ended aborts the signal at the next heartbeat, and its result is not recorded', async (t) => {
  const file = createSharedFile(t)
  const { worker, id, job, end } = await createRunning(t, { file })
  const other = await createWorker(t, {}, { file })
  await other.jobs.cancel(id)
  t.notOk(job.signal.aborted)
  await worker.clock.advance(heartbeatMs)
  t.match(job.signal, { aborted: true, reason: { code: 'FST_LOGIC_APPS_LEASE_LOST', message: new RegExp(`^job ${id} no longer`) } })
  end.open('too late')
  await worker.clock.advance(heartbeatMs)
  t.match(await worker.get(id), { status: 'canceled' })
})

test('a result that comes before that heartbeat is refused with a warning', async (t) => {
  const file = createSharedFile(t)
  const { worker, id, end } = await createRunning(t, { file })
  const other = await createWorker(t, {}, { file })
  await other.jobs.cancel(id)
  end.open('too late')
  await worker.clock.advance(0)
  t.same(linesOf(worker.logs, warn), ['the outcome of this attempt was not recorded: the job ended, or another worker has it'])
  t.match(await worker.get(id), { status: 'canceled' })
})

test('jobs are listed, the newest first, by page and by filter', async (t) => {
  const worker = await createWorker(t, { A: async () => 'a', B: async () => { throw new JobError('No', 'no') } })
  const ids: string[] = []
  for (let index = 0; index < 10; index++) ids.push(await worker.accept(index % 2 === 0 ? 'A' : 'B'))
  await worker.clock.advance(0)
  const newest = [...ids].reverse()
  const listed = async (...filter: Parameters<typeof worker.jobs.list>): Promise<string[]> => (await worker.jobs.list(...filter)).map(({ id }) => id)
  t.same(await listed(), newest)
  t.same(await listed({ limit: 3 }), newest.slice(0, 3))
  t.same(await listed({ limit: 3, before: newest[2]! }), newest.slice(3, 6))
  t.same(await listed({ before: newest[9]! }), [])
  t.equal((await listed({ operationId: 'A' })).length, 5)
  t.equal((await listed({ status: 'failed' })).length, 5)
  t.same(await listed({ status: 'failed', operationId: 'A' }), [])
  t.same(await listed({ owner: 'somebody else' }), [])
  await t.rejects(listed({ before: 'nonsense' }), { code: 'FST_LOGIC_APPS_JOB_NOT_FOUND' })
})
