import { test } from 'tap'
import { createManualClock, type ManualClock } from '../../src/testing/index.ts'
import type { Job } from '../../src/work/job.ts'
import { leaseMs } from '../../src/work/job-runner.ts'
import { createLatch, type Latch } from '../helpers/latch.ts'
import { createSharedFile, createWorker, linesOf, until, warn, type TestWorker } from '../helpers/runner.ts'

type Test = Parameters<typeof createWorker>[0]

const hourMs = 3_600_000
const heartbeatMs = 5000

interface Run { worker: string, job: Job, latch: Latch<unknown>, over: boolean }

/** Processes on one file. Their handlers wait for the test, and it is seen when a job runs twice at the same time. */
function createDeployment (t: Test) {
  const file = createSharedFile(t)
  const runs: Run[] = []
  return {
    file,
    runs,
    runsOf: (id: string) => runs.filter(({ job }) => job.id === id),
    start: async (name: string, clock: ManualClock = createManualClock()): Promise<TestWorker> => await createWorker(t, {
      Work: async (job) => {
        const run: Run = { worker: name, job, latch: createLatch<unknown>(), over: false }
        runs.push(run)
        job.signal.addEventListener('abort', () => { run.over = true })
        try {
          return await run.latch.promise
        } finally {
          run.over = true
        }
      }
    }, { file, clock })
  }
}

/** Lets the same time pass for several processes. */
async function advanceAll (clocks: ManualClock[], ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 1000) for (const clock of clocks) await clock.advance(1000)
}

test('heartbeats keep the jobs of a worker that lives, however long they take', async (t) => {
  const { start, runs } = createDeployment(t)
  const one = await start('one')
  const id = await one.accept('Work')
  await until(() => runs.length === 1)
  const two = await start('two')
  await advanceAll([one.clock, two.clock], 3 * leaseMs)
  t.same(runs.map(({ worker, over }) => [worker, over]), [['one', false]])
  t.match(await two.get(id), { status: 'running', attempt: 1 })
  runs[0]!.latch.open('done')
  await until(async () => (await two.get(id)).result === 'done')
  t.same(linesOf([...one.logs, ...two.logs], warn), [])
})

test('a frozen worker loses its job after the lease; the job runs elsewhere and the late result is refused', async (t) => {
  const { start, runs } = createDeployment(t)
  const frozen = await start('frozen')
  const id = await frozen.accept('Work')
  await until(() => runs.length === 1)
  const other = await start('other')

  await other.clock.advance(leaseMs - 1)
  t.equal(runs.length, 1, 'not before the lease is over')
  await other.clock.advance(heartbeatMs + 1)
  t.same(runs.map(({ worker, job }) => [worker, job.attempt]), [['frozen', 1], ['other', 2]])
  t.ok(linesOf(other.logs, warn).includes('took over what a worker that vanished had in hand'))
  t.match(await other.get(id), { status: 'running', attempt: 2 })

  runs[0]!.latch.open('of the frozen one')
  await frozen.clock.advance(0)
  t.same(linesOf(frozen.logs, warn), ['the outcome of this attempt was not recorded: the job ended, or another worker has it'])
  t.match(await other.get(id), { status: 'running', attempt: 2 })

  runs[1]!.latch.open('of the other')
  await until(async () => (await other.get(id)).endedAt !== null)
  t.match(await frozen.get(id), { status: 'succeeded', result: 'of the other', attempt: 2 })
  const [record] = await other.store.get([other.ids.decode(id)!.number])
  t.match(record, { crashes: 1, failures: 0 })
})

test('a worker that thaws notices at its next heartbeat, aborts the handler and takes new work', async (t) => {
  const { start, runs } = createDeployment(t)
  const frozen = await start('frozen')
  const id = await frozen.accept('Work')
  await until(() => runs.length === 1)
  const other = await start('other')
  await other.clock.advance(leaseMs + heartbeatMs)
  t.equal(runs.length, 2)

  await frozen.clock.advance(heartbeatMs)
  t.match(runs[0]!.job.signal, { aborted: true, reason: { code: 'FST_LOGIC_APPS_LEASE_LOST', message: new RegExp(`^job ${id} no longer`) } })
  await t.rejects(runs[0]!.job.progress(50), { code: 'FST_LOGIC_APPS_LEASE_LOST' })
  t.notOk(runs[1]!.over, 'the other goes on')

  const next = await frozen.accept('Work')
  await until(() => runs.length === 3)
  t.match(runs[2], { worker: 'frozen', job: { id: next, attempt: 1 } })
  await advanceAll([frozen.clock, other.clock], 2 * leaseMs)
  t.match(runs.slice(1).map(({ over }) => over), [false, false], 'both live, both keep theirs')
})

test('what a worker that lost its job reports or settles changes nothing of the new attempt', async (t) => {
  const { start, runs } = createDeployment(t)
  const frozen = await start('frozen')
  const id = await frozen.accept('Work')
  await until(() => runs.length === 1)
  const other = await start('other')
  await other.clock.advance(leaseMs + heartbeatMs)
  await runs[1]!.job.progress(70, 'of the new attempt')
  await t.rejects(runs[0]!.job.progress(10, 'of the old one'), { code: 'FST_LOGIC_APPS_LEASE_LOST' })
  runs[0]!.latch.fail(new Error('of the old one'))
  await frozen.clock.advance(0)
  t.match(await other.get(id), { status: 'running', attempt: 2, percentComplete: 70, message: 'of the new attempt' })
})

test('a worker that vanished and was replaced leaves its jobs to the next at once', async (t) => {
  const { start, runs } = createDeployment(t)
  const first = await start('first')
  const id = await first.accept('Work')
  await until(() => runs.length === 1)
  await first.crash()
  const second = await start('second')
  await until(() => runs.length === 2)
  t.equal(second.clock.monotonic(), 0)
  runs[1]!.latch.open('done')
  await until(async () => (await second.get(id)).endedAt !== null)
  t.match(await second.get(id), { status: 'succeeded', attempt: 2 })
})

test('a job under which its worker vanishes again and again is given up as JobCrashed', async (t) => {
  const { start, runs } = createDeployment(t)
  let worker = await start('0')
  const id = await worker.accept('Work')
  for (let crashes = 1; crashes <= 5; crashes++) {
    await until(() => runs.length === crashes)
    await worker.crash()
    worker = await start(String(crashes))
  }
  await until(async () => (await worker.get(id)).endedAt !== null)
  t.equal(runs.length, 5)
  t.match(await worker.get(id), { status: 'failed', error: { code: 'JobCrashed', message: 'The server stopped 5 times while it worked on this job.', statusCode: 422 } })
  t.match(worker.logs.find(({ msg }) => msg === 'job failed: its worker vanished too often'), { level: 50, jobId: id, crashes: 5 })
})

test('a crash uses up no retry, and a retry no crash', async (t) => {
  const file = createSharedFile(t)
  const attempts: number[] = []
  const started: Latch[] = Array.from({ length: 3 }, () => createLatch())
  const start = async (): Promise<TestWorker> => await createWorker(t, {
    Work: {
      retries: 1,
      backoffMs: 0,
      handler: async (job) => {
        attempts.push(job.attempt)
        started[job.attempt - 1]!.open()
        if (job.attempt === 2) throw new Error('once')
        if (job.attempt === 1) await createLatch().promise
        return 'done'
      }
    }
  }, { file })
  const first = await start()
  const id = await first.accept('Work')
  await started[0]!.promise
  await first.crash()
  const second = await start()
  await started[2]!.promise
  await until(async () => (await second.get(id)).endedAt !== null)
  t.same(attempts, [1, 2, 3])
  t.match((await second.store.get([second.ids.decode(id)!.number]))[0], { status: 'succeeded', crashes: 1, failures: 1, attempt: 3 })
})

for (const jumpMs of [hourMs, -hourMs]) {
  const direction = jumpMs > 0 ? 'forward' : 'back'

  test(`a wall clock that jumps an hour ${direction} takes no job from a worker that lives`, async (t) => {
    const { start, runs, runsOf } = createDeployment(t)
    const one = await start('one')
    const two = await start('two')
    const ids: string[] = []
    for (let index = 0; index < 6; index++) ids.push(await (index % 2 === 0 ? one : two).accept('Work'))
    await advanceAll([one.clock, two.clock], 1000)
    t.equal(runs.length, 6)

    for (const jumping of [[one], [two], [one, two]]) {
      for (const { clock } of jumping) clock.jump(jumpMs)
      await advanceAll([one.clock, two.clock], leaseMs + heartbeatMs)
    }
    t.equal(runs.length, 6, 'no job began a second time')
    t.notOk(runs.some(({ over }) => over), 'and none was aborted')
    for (const { latch } of runs) latch.open('done')
    await until(async () => (await one.jobs.list({ status: 'succeeded' })).length === 6)
    for (const id of ids) t.equal(runsOf(id).length, 1)
    t.same(linesOf([...one.logs, ...two.logs], warn), [])
  })

  test(`after a jump an hour ${direction} accepted jobs still run at once`, async (t) => {
    const { start, runs } = createDeployment(t)
    const one = await start('one')
    await one.clock.advance(1000)
    one.clock.jump(jumpMs)
    const id = await one.accept('Work')
    await until(() => runs.length === 1)
    runs[0]!.latch.open('done')
    await until(async () => (await one.get(id)).result === 'done')
  })

  test(`after a jump an hour ${direction} a released job still runs at once`, async (t) => {
    const { start, runs } = createDeployment(t)
    const one = await start('one')
    const id = await one.accept('Work')
    await until(() => runs.length === 1)
    const two = await start('two')
    two.clock.jump(jumpMs)
    await one.close()
    await two.clock.advance(500)
    t.match(runs[1], { worker: 'two', job: { id, attempt: 2 } })
  })

  test(`a timeout and a sleep last as long as they should when the clock jumps an hour ${direction}`, async (t) => {
    const slept = createLatch()
    const worker = await createWorker(t, {
      Sleep: { timeoutMs: 30_000, handler: async (job) => { await job.sleep(20_000); slept.open(); await createLatch().promise } }
    })
    const id = await worker.accept('Sleep')
    await worker.clock.advance(10_000)
    worker.clock.jump(jumpMs)
    await worker.clock.advance(9999)
    t.equal((await worker.get(id)).status, 'running')
    await worker.clock.advance(1)
    await slept.promise
    await worker.clock.advance(9999)
    t.equal((await worker.get(id)).status, 'running')
    await worker.clock.advance(1)
    t.match(await worker.get(id), { status: 'failed', error: { code: 'JobTimedOut' } })
  })
}

test('a handler that blocks the event loop past its lease keeps its job and its result', async (t) => {
  // While the loop is blocked time passes, but no timer fires.
  const base = createManualClock()
  let blockedMs = 0
  const clock: ManualClock = { ...base, now: () => base.now() + blockedMs, monotonic: () => base.monotonic() + blockedMs }
  const file = createSharedFile(t)
  const held = createLatch<string>()
  let blockings = 0
  const worker = await createWorker(t, {
    Block: async () => {
      blockings++
      blockedMs += 10 * leaseMs
      return 'blocked'
    },
    Wait: async () => await held.promise
  }, { file, clock })
  const waiting = await worker.accept('Wait')
  await base.advance(0)
  const id = await worker.accept('Block')
  await until(async () => (await worker.get(id)).endedAt !== null)
  t.match(await worker.get(id), { status: 'succeeded', result: 'blocked', attempt: 1 })
  await base.advance(3 * leaseMs)
  t.match(await worker.get(waiting), { status: 'running', attempt: 1 }, 'nor do the jobs beside it lose theirs')
  held.open('waited')
  await until(async () => (await worker.get(waiting)).endedAt !== null)
  t.match(await worker.get(waiting), { status: 'succeeded', result: 'waited', attempt: 1 })
  t.equal(blockings, 1)
  t.same(linesOf(worker.logs, warn), [])
})

test('two workers share the jobs, and none runs twice', async (t) => {
  const { start, runs } = createDeployment(t)
  const [one, two] = [await start('one'), await start('two')]
  const ids = (await Promise.all(Array.from({ length: 150 }, (_, index) => (index % 2 === 0 ? one : two).accept('Work'))))
  for (let steps = 0; steps < 200 && (await one.jobs.list({ status: 'succeeded', limit: 200 })).length < 150; steps++) {
    for (const { latch } of runs) latch.open('done')
    await advanceAll([one.clock, two.clock], 1000)
  }
  t.equal(runs.length, 150)
  t.equal(new Set(runs.map(({ job }) => job.id)).size, 150)
  t.equal((await two.jobs.list({ status: 'succeeded', limit: 200 })).length, ids.length)
  t.ok(new Set(runs.map(({ worker }) => worker)).size === 2, 'both took part')
})
