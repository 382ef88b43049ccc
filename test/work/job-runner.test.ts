import { test } from 'tap'
import { JobError } from '../../src/errors.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import type { Job } from '../../src/work/job.ts'
import { createFailingStore } from '../helpers/failing-store.ts'
import { createLatch } from '../helpers/latch.ts'
import { createSharedFile, createWorker, linesOf, until, warn, type TestWorker } from '../helpers/runner.ts'

const pollMs = 5000
const sweepMs = 60_000

/** A handler that holds its jobs until told, and counts. */
function createGate () {
  const waiting: { job: Job, open: () => void }[] = []
  const started: string[] = []
  const gate = {
    started,
    get running () { return waiting.length },
    most: 0,
    /** Lets the job that runs the longest end. */
    next: () => { waiting.shift()!.open() },
    handler: (name: string) => async (job: Job) => {
      const latch = createLatch()
      started.push(name)
      gate.most = Math.max(gate.most, waiting.push({ job, open: latch.open }))
      await latch.promise
      return job.input
    }
  }
  return gate
}

async function acceptMany (worker: TestWorker, operation: string, count: number): Promise<string[]> {
  return await Promise.all(Array.from({ length: count }, (_, index) => worker.accept(operation, index)))
}

test('a job runs as soon as it is accepted, and its result is recorded', async (t) => {
  const worker = await createWorker(t, { Double: async ({ input }) => 2 * (input as number) })
  const id = await worker.accept('Double', 21)
  await until(async () => (await worker.get(id)).status === 'succeeded')
  t.match(await worker.get(id), { result: 42, attempt: 1, percentComplete: 100, startedAt: worker.clock.now(), endedAt: worker.clock.now() })
  t.equal(worker.clock.monotonic(), 0, 'no time passed')
})

test('a handler that is no async function is fine', async (t) => {
  const worker = await createWorker(t, { Sync: () => 'done' })
  const id = await worker.accept('Sync')
  await until(async () => (await worker.get(id)).result === 'done')
})

test('a handler is given what the start left and nothing more', async (t) => {
  const seen = createLatch<Job>()
  const worker = await createWorker(t, { Look: async (job) => { seen.open(job) } })
  const input = JSON.stringify({ input: { a: 1 }, params: { shop: 'x' }, query: { q: '1' }, context: { tenant: 't' }, tracking: { workflowRunId: 'run-7' } })
  await worker.jobs.accept({ operation: 'Look', owner: 'o', input, createdAt: worker.clock.now() })
  const job = await seen.promise
  t.same({ ...job, log: undefined, signal: undefined, progress: undefined, defer: undefined, sleep: undefined }, {
    id: job.id, attempt: 1, input: { a: 1 }, params: { shop: 'x' }, query: { q: '1' }, context: { tenant: 't' }, log: undefined, signal: undefined, progress: undefined, defer: undefined, sleep: undefined
  })
  job.log.info({ oven: 3 }, 'hello from the handler')
  t.match(worker.logs.find(({ msg }) => msg === 'hello from the handler'), { jobId: job.id, operationId: 'Look', attempt: 1, workflowRunId: 'run-7', oven: 3 })
})

test('at most `concurrency` jobs of all operations run at once', async (t) => {
  const gate = createGate()
  const worker = await createWorker(t, { A: gate.handler('A'), B: gate.handler('B') }, { concurrency: 3 })
  await acceptMany(worker, 'A', 5)
  await acceptMany(worker, 'B', 5)
  await until(() => gate.running === 3)
  await worker.clock.advance(10 * pollMs)
  t.equal(gate.running, 3)
  for (let ended = 0; ended < 10; ended++) {
    await until(() => gate.running === Math.min(3, 10 - ended))
    gate.next()
  }
  await until(async () => (await worker.jobs.list({ status: 'succeeded' })).length === 10)
  t.equal(gate.most, 3)
})

test('at most its own `concurrency` jobs of an operation run at once, and others have the rest', async (t) => {
  const narrow = createGate()
  const wide = createGate()
  const worker = await createWorker(t, {
    Narrow: { handler: narrow.handler('Narrow'), concurrency: 2 },
    Wide: wide.handler('Wide')
  }, { concurrency: 6 })
  await acceptMany(worker, 'Narrow', 7)
  await acceptMany(worker, 'Wide', 7)
  await until(() => narrow.running === 2 && wide.running === 4)
  await worker.clock.advance(2 * pollMs)
  t.same([narrow.running, wide.running], [2, 4])
  for (let ended = 0; ended < 14; ended++) {
    await until(() => narrow.running + wide.running === Math.min(6, 14 - ended))
    if (narrow.running > 0) narrow.next()
    else wide.next()
  }
  await until(async () => (await worker.jobs.list({ status: 'succeeded' })).length === 14)
  t.equal(narrow.most, 2)
  t.equal(wide.most, 6, 'once Narrow had nothing left')
})

test('an operation with a long queue does not keep another one waiting', async (t) => {
  for (const [busy, quiet] of [['A', 'B'], ['B', 'A']] as const) {
    const gate = createGate()
    const worker = await createWorker(t, { A: gate.handler('A'), B: gate.handler('B') }, { concurrency: 1 })
    await acceptMany(worker, busy, 50)
    await until(() => gate.running === 1)
    await worker.accept(quiet)
    for (let ends = 0; ends < 2; ends++) {
      gate.next()
      await until(() => gate.running === 1)
    }
    t.ok(gate.started.slice(1, 3).includes(quiet), `a job of ${quiet} is among the next two`)
    for (let ends = 0; ends < 49; ends++) {
      gate.next()
      await until(() => gate.running === (ends === 48 ? 0 : 1))
    }
  }
})

test('three operations with long queues take turns', async (t) => {
  const gate = createGate()
  const worker = await createWorker(t, { A: gate.handler('A'), B: gate.handler('B'), C: gate.handler('C') }, { concurrency: 1 })
  for (const operation of ['A', 'B', 'C']) await acceptMany(worker, operation, 10)
  for (let ends = 0; ends < 30; ends++) {
    await until(() => gate.running === 1)
    gate.next()
  }
  await until(() => gate.running === 0)
  const firstTwelve = gate.started.slice(1, 13)
  for (const operation of ['A', 'B', 'C']) t.ok(firstTwelve.filter((one) => one === operation).length >= 3, `${operation} had its turns: ${firstTwelve.join('')}`)
})

test('a claim brings 500 jobs at most, and the next comes at once', async (t) => {
  const inner = sqliteStore({ file: ':memory:' })
  const claimed: number[] = []
  /** How many had begun when it was asked for. */
  const begun: number[] = []
  const gate = createGate()
  const store = {
    ...inner,
    async claim (request: Parameters<typeof inner.claim>[0]) {
      begun.push(gate.running)
      const result = await inner.claim(request)
      if (result.jobs.length > 0) claimed.push(result.jobs.length)
      else begun.pop()
      return result
    }
  }
  const worker = await createWorker(t, { Many: gate.handler('Many') }, { concurrency: 2000, store })
  await store.submit(Array.from({ length: 1200 }, () => ({ operation: 'Many', owner: 'o', input: '{"tracking":{}}', createdAt: worker.clock.now() })), { maxQueued: 2000 })
  worker.runner.wake()
  await until(() => gate.running === 1200)
  t.same(claimed, [500, 500, 200])
  t.same(begun.slice(0, 2), [0, 0], 'the second goes out before handlers of the first begin')
  while (gate.running > 0) gate.next()
})

test('jobs of one operation run in the order they were accepted', async (t) => {
  const order: unknown[] = []
  const worker = await createWorker(t, { One: async ({ input }) => { order.push(input) } }, { concurrency: 1 })
  await acceptMany(worker, 'One', 30)
  await until(() => order.length === 30)
  t.same(order, Array.from({ length: 30 }, (_, index) => index))
})

test('what is accepted, and what ends, in one turn shares a commit', async (t) => {
  const store = createFailingStore(sqliteStore({ file: ':memory:' }))
  const worker = await createWorker(t, { Fine: async () => 'done' }, { store, concurrency: 40 })
  await acceptMany(worker, 'Fine', 600)
  t.equal(store.calls('submit'), 2, 'at most 500 in one')
  await until(async () => (await worker.jobs.list({ status: 'succeeded', limit: 1000 })).length === 600)
  t.equal(store.calls('settle'), 15, 'all 40 that run at once')
})

test('hundreds of jobs all end, each run exactly once', async (t) => {
  const runs = new Map<string, number>()
  const worker = await createWorker(t, {
    Fine: async (job) => { runs.set(job.id, (runs.get(job.id) ?? 0) + 1) },
    Slow: async (job) => {
      runs.set(job.id, (runs.get(job.id) ?? 0) + 1)
      await job.sleep(10)
    },
    Bad: { handler: async (job) => { runs.set(job.id, (runs.get(job.id) ?? 0) + 1); throw new JobError('Bad', 'bad') }, concurrency: 7 }
  }, { concurrency: 40 })
  const ids = (await Promise.all(['Fine', 'Slow', 'Bad'].map((operation) => acceptMany(worker, operation, 300)))).flat()
  t.equal(new Set(ids).size, 900)
  for (let steps = 0; steps < 200 && (await worker.jobs.list({ limit: 1000 })).some(({ endedAt }) => endedAt === null); steps++) await worker.clock.advance(10)
  const ended = await worker.jobs.list({ limit: 1000 })
  t.equal(ended.length, 900)
  t.equal(ended.filter(({ status }) => status === 'succeeded').length, 600)
  t.equal(ended.filter(({ status }) => status === 'failed').length, 300)
  t.ok(ended.every(({ attempt }) => attempt === 1))
  t.equal(runs.size, 900)
  t.ok([...runs.values()].every((count) => count === 1))
})

test('a job that nobody told of is found by the poll floor', async (t) => {
  const file = createSharedFile(t)
  const { id, other } = await acceptUnseen(t, file)
  const ran = createLatch()
  const store = createFailingStore(sqliteStore({ file }))
  const worker = await createWorker(t, { Work: async () => { ran.open() } }, { store: deaf(store) })
  await until(async () => (await worker.get(id)).status === 'succeeded')
  t.pass('what waited from before is taken at the start')
  const claims = store.calls('claim')
  await other.store.submit([{ operation: 'Work', owner: 'default', input: '{"tracking":{}}', createdAt: worker.clock.now() }], { maxQueued: 10 })
  await worker.clock.advance(pollMs - 1)
  t.equal(store.calls('claim'), claims, 'idle: no claim between two polls')
  t.equal((await worker.jobs.list({ status: 'queued' })).length, 1)
  await worker.clock.advance(1)
  await until(async () => (await worker.jobs.list({ status: 'succeeded' })).length === 2)
  t.ok(store.calls('claim') > claims)
})

test('work that another process accepted is taken within half a second', async (t) => {
  const file = createSharedFile(t)
  const worker = await createWorker(t, { Work: async () => 'done' }, { file })
  const { id } = await acceptUnseen(t, file)
  await worker.clock.advance(500)
  t.equal((await worker.get(id)).status, 'succeeded')
})

test('a process leaves jobs of operations it does not declare to others', async (t) => {
  const file = createSharedFile(t)
  const one = await createWorker(t, { A: async () => 'a' }, { file })
  const id = await one.accept('B')
  await one.clock.advance(10 * pollMs)
  t.equal((await one.get(id)).status, 'queued')
  const two = await createWorker(t, { B: async () => 'b' }, { file })
  await until(async () => (await two.get(id)).status === 'succeeded')
  t.equal((await one.get(id)).result, 'b')
})

test('a worker without operations idles', async (t) => {
  const worker = await createWorker(t, {})
  await worker.clock.advance(10 * pollMs)
  t.same(linesOf(worker.logs, warn), [])
})

test('ended jobs are forgotten after retention, in chunks', async (t) => {
  const store = createFailingStore(sqliteStore({ file: ':memory:' }))
  const worker = await createWorker(t, {
    Short: { handler: async () => 'done', retentionMs: 100_000 },
    Long: { handler: async () => 'done', retentionMs: 1_000_000 },
    Never: async (job) => { await job.sleep(10_000_000) }
  }, { store, concurrency: 500 })
  const ids = await acceptMany(worker, 'Short', 1201)
  const long = await worker.accept('Long')
  const never = await worker.accept('Never')
  await until(async () => (await worker.jobs.list({ status: 'succeeded', limit: 2000 })).length === 1202)

  await worker.clock.advance(100_000)
  t.equal((await worker.get(ids[0]!)).status, 'succeeded', 'kept to the end of its time')
  const sweeps = store.calls('sweep')
  await worker.clock.advance(sweepMs)
  t.equal(await worker.jobs.get(ids[0]!), undefined)
  t.equal((await worker.jobs.list({ limit: 2000 })).length, 2)
  t.equal(store.calls('sweep') - sweeps, 3, '500, 500 and the rest')
  t.equal((await worker.get(long)).status, 'succeeded')
  t.equal((await worker.get(never)).status, 'running')
})

/** A job that was accepted by a process which runs none. */
async function acceptUnseen (t: Parameters<typeof createWorker>[0], file: string): Promise<{ id: string, other: TestWorker }> {
  const other = await createWorker(t, {}, { file })
  return { id: await other.accept('Work'), other }
}

/** The store without its wake-ups, as one that cannot tell. */
function deaf<S extends ReturnType<typeof createFailingStore>> (store: S): S {
  return new Proxy(store, {
    get: (target, name) => name === 'open'
      ? (host: Parameters<S['open']>[0]) => target.open({ ...host, wake: () => {} })
      : target[name as keyof S]
  })
}
