import { getEventListeners } from 'node:events'
import { test } from 'tap'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import type { Job } from '../../src/work/job.ts'
import { createFailingStore } from '../helpers/failing-store.ts'
import { createLatch } from '../helpers/latch.ts'
import { watchRejections } from '../helpers/rejections.ts'
import { createSharedFile, createWorker, linesOf, until, warn } from '../helpers/runner.ts'

type Test = Parameters<typeof createWorker>[0]

/** A worker with one running job, in the hands of the test. */
async function createRunning (t: Test, options: Parameters<typeof createWorker>[2] = {}) {
  const started = createLatch<Job>()
  const end = createLatch<unknown>()
  const worker = await createWorker(t, { Work: async (job) => { started.open(job); return await end.promise } }, options)
  const id = await worker.accept('Work')
  return { worker, id, job: await started.promise, end }
}

test('progress is shown, and a later one replaces it', async (t) => {
  const { worker, id, job } = await createRunning(t)
  t.match(await worker.get(id), { percentComplete: 0, message: '' })
  for (const [percent, message, shown] of [[0, 'began', 'began'], [33.3, 'mixing', 'mixing'], [50, undefined, ''], [20, 'going back is allowed', 'going back is allowed'], [100, 'nearly', 'nearly']] as const) {
    await job.progress(percent, message)
    t.match(await worker.get(id), { status: 'running', percentComplete: percent, message: shown })
  }
})

test('a succeeded job is complete, whatever it reported', async (t) => {
  const { worker, id, job, end } = await createRunning(t)
  await job.progress(40, 'mixing')
  end.open('done')
  await until(async () => (await worker.get(id)).endedAt !== null)
  t.match(await worker.get(id), { percentComplete: 100, message: 'mixing' })
})

test('a failed job keeps what it reported', async (t) => {
  const { worker, id, job, end } = await createRunning(t)
  await job.progress(40, 'mixing')
  end.fail(new Error('no'))
  await until(async () => (await worker.get(id)).endedAt !== null)
  t.match(await worker.get(id), { status: 'failed', percentComplete: 40, message: 'mixing' })
})

test('a percentage that is none is a TypeError, and nothing is stored', async (t) => {
  const { worker, id, job } = await createRunning(t)
  for (const percent of [-1, -0.001, 100.001, 101, NaN, Infinity, -Infinity, '50', null, undefined, 5n, {}, [50]]) {
    await t.rejects(job.progress(percent as number), { name: 'TypeError', message: /percent must be a number from 0 to 100; got / })
  }
  t.match(await worker.get(id), { status: 'running', percentComplete: 0 })
})

test('any message can be shown', async (t) => {
  const { worker, id, job } = await createRunning(t)
  for (const [message, shown] of [[42, '42'], [null, 'null'], ['"quoted"\nline', '"quoted"\nline'], ['nul\u0000byte', 'nul\ufffdbyte'], ['🍰', '🍰'], ['x'.repeat(100_000), 'x'.repeat(100_000)]]) {
    await job.progress(1, message as string)
    t.equal((await worker.get(id)).message, shown)
  }
})

test('what many jobs report in one turn shares a commit', async (t) => {
  const store = createFailingStore(sqliteStore({ file: ':memory:' }))
  const jobs: Job[] = []
  const worker = await createWorker(t, { Work: async (job) => { jobs.push(job); await job.sleep(1000) } }, { store })
  await Promise.all(Array.from({ length: 40 }, () => worker.accept('Work')))
  await until(() => jobs.length === 40)
  await Promise.all(jobs.map((job, index) => job.progress(index)))
  t.equal(store.calls('progress'), 1)
  for (const [index, job] of jobs.entries()) t.equal((await worker.get(job.id)).percentComplete, index)
})

test('reports of one job are stored in their order', async (t) => {
  const { worker, id, job } = await createRunning(t)
  await Promise.all([10, 20, 30].map((percent) => job.progress(percent)))
  t.equal((await worker.get(id)).percentComplete, 30)
})

test('a report of an attempt that has lost its job is refused, and its signal aborts', async (t) => {
  const file = createSharedFile(t)
  const { worker, id, job, end } = await createRunning(t, { file })
  const other = await createWorker(t, {}, { file })
  await other.jobs.cancel(id)
  await t.rejects(job.progress(50), { code: 'FST_LOGIC_APPS_LEASE_LOST', message: new RegExp(`^job ${id} no longer belongs to this attempt`) })
  t.match(job.signal, { aborted: true, reason: { code: 'FST_LOGIC_APPS_LEASE_LOST' } })
  await t.rejects(job.progress(51), { code: 'FST_LOGIC_APPS_LEASE_LOST' }, 'and so is every further one')
  end.open('too late')
  await worker.clock.advance(0)
  t.match(await worker.get(id), { status: 'canceled', percentComplete: 0 })
})

test('a report after the end of its attempt rejects with the reason', async (t) => {
  const { worker, id, job } = await createRunning(t)
  await worker.jobs.cancel(id)
  await t.rejects(job.progress(50), { name: 'JobEndedReason', message: 'the job ended as canceled' })
})

test('a report that the store cannot take does not fail the job', async (t) => {
  const store = createFailingStore(sqliteStore({ file: ':memory:' }))
  const { worker, id, job, end } = await createRunning(t, { store })
  store.fail('progress', 1)
  await job.progress(50)
  t.equal((await worker.get(id)).percentComplete, 0)
  t.equal(linesOf(worker.logs, warn).length, 1)
  await job.progress(60)
  t.equal((await worker.get(id)).percentComplete, 60)
  end.open('done')
  await until(async () => (await worker.get(id)).result === 'done')
})

test('a report or sleep that nobody waits for harms nobody when the attempt ends', async (t) => {
  const rejections = watchRejections(t)
  const { worker, id, job } = await createRunning(t)
  job.sleep(60_000)
  await worker.store.end(worker.ids.decode(id)!.number, { status: 'canceled', failure: { code: 'X', message: '', statusCode: 422 }, endedAt: 0, expiresAt: 0 })
  job.progress(50)
  await worker.clock.advance(0)
  t.ok(job.signal.aborted)
  job.progress(60)
  job.sleep(1)
  await worker.clock.advance(0)
  t.same(rejections, [])
})

test('sleep ends when its time has passed on the clock', async (t) => {
  const { worker, job } = await createRunning(t)
  let awake = false
  const slept = job.sleep(7000).then(() => { awake = true })
  await worker.clock.advance(6999)
  t.notOk(awake)
  await worker.clock.advance(1)
  t.ok(awake)
  await slept
})

test('sleep ends at once, with the reason, when the attempt does, and leaves nothing behind', async (t) => {
  const { worker, id, job } = await createRunning(t)
  const { pending } = worker.clock
  const listeners = getEventListeners(job.signal, 'abort').length
  const slept = job.sleep(3_600_000)
  const expected = t.rejects(slept, { name: 'JobEndedReason' })
  t.equal(worker.clock.pending, pending + 1)
  await worker.jobs.cancel(id)
  await expected
  t.ok(worker.clock.pending <= pending)
  t.ok(getEventListeners(job.signal, 'abort').length <= listeners)
  await t.rejects(job.sleep(1), { name: 'JobEndedReason' }, 'and one begun later does not even begin')
})

test('a thousand sleeps leave no listeners behind', async (t) => {
  const { worker, job } = await createRunning(t)
  const listeners = getEventListeners(job.signal, 'abort').length
  for (let count = 0; count < 10; count++) {
    const slept = job.sleep(10)
    await worker.clock.advance(10)
    await slept
  }
  t.equal(getEventListeners(job.signal, 'abort').length, listeners)
})
