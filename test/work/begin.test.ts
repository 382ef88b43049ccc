import { test } from 'tap'
import { StoreUnavailableError } from '../../src/errors.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import type { Store } from '../../src/work/store.ts'
import { createFailingStore } from '../helpers/failing-store.ts'
import { createLatch, type Latch } from '../helpers/latch.ts'
import { createWorker, until } from '../helpers/runner.ts'

/** A store that begins what it may. `given` counts those jobs. */
function createBeginningStore () {
  const inner = sqliteStore({ file: ':memory:' })
  const counts = { given: 0 }
  const store: Store = {
    ...inner,
    async submit (jobs, { begin, ...limits }) {
      const outcomes = await inner.submit(jobs, limits)
      const claimed = begin === undefined ? [] : (await inner.claim(begin)).jobs
      counts.given += claimed.length
      const attempts = new Map(claimed.map(({ number, attempt }) => [number, attempt]))
      return outcomes.map((outcome) => {
        const attempt = outcome.outcome === 'accepted' ? attempts.get(outcome.job.number) : undefined
        return outcome.outcome === 'accepted' && attempt !== undefined ? { ...outcome, job: { ...outcome.job, status: 'running' as const, attempt } } : outcome
      })
    }
  }
  return { store: createFailingStore(store), counts }
}

/** A handler whose jobs end when their latches open. */
function createOven () {
  const latches: Latch<unknown>[] = []
  const started: unknown[] = []
  return {
    started,
    handler: async ({ input }: { input: unknown }) => {
      started.push(input)
      const latch = createLatch<unknown>()
      latches.push(latch)
      await latch.promise
    },
    next: () => { latches.shift()!.open(undefined) }
  }
}

test('a job that the store begins runs without a claim', async (t) => {
  const { store, counts } = createBeginningStore()
  const worker = await createWorker(t, { Double: ({ input }) => 2 * (input as number) }, { store })
  await until(() => store.calls('claim') > 0)
  const before = store.calls('claim')
  const ids = await Promise.all([1, 2, 3].map((input) => worker.accept('Double', input)))
  for (const [index, id] of ids.entries()) {
    await until(async () => (await worker.get(id)).status === 'succeeded')
    t.match(await worker.get(id), { attempt: 1, result: 2 * (index + 1) })
  }
  t.equal(counts.given, 3)
  t.equal(store.calls('claim'), before, 'nor is one made behind them: nothing waits')
})

test('no more jobs begin than there is room for, and what waits comes before what is submitted later', async (t) => {
  const { store, counts } = createBeginningStore()
  const oven = createOven()
  const worker = await createWorker(t, { Bake: { handler: oven.handler, concurrency: 3 }, Decorate: oven.handler }, { store, concurrency: 4 })
  await until(() => store.calls('claim') > 0)
  await Promise.all(['a', 'b'].map((input) => worker.accept('Bake', input)))
  await until(() => oven.started.length === 2)
  t.equal(counts.given, 2)
  // One place in all, for three.
  await Promise.all(['c', 'd', 'e'].map((input) => worker.accept('Bake', input)))
  await until(() => oven.started.length === 3)
  t.equal(counts.given, 3)
  // There is a place for it, but not before those that wait are known to have none.
  await worker.accept('Decorate', 'x')
  await until(() => oven.started.length === 4)
  t.same(oven.started, ['a', 'b', 'c', 'x'])
  oven.next()
  await until(() => oven.started.length === 5)
  await worker.accept('Bake', 'f')
  for (const count of [6, 7]) {
    oven.next()
    await until(() => oven.started.length === count)
  }
  t.same(oven.started.slice(4), ['d', 'e', 'f'])
  t.equal(counts.given, 3)
})

test('a submit that fails leaves its places to others, and asks what was accepted all the same', async (t) => {
  const { store } = createBeginningStore()
  const oven = createOven()
  const worker = await createWorker(t, { Bake: oven.handler }, { store, concurrency: 1 })
  await until(() => store.calls('claim') > 0)
  const before = store.calls('claim')
  store.fail('submit', 1)
  await t.rejects(worker.accept('Bake', 'lost'), StoreUnavailableError)
  await until(() => store.calls('claim') > before)
  await worker.accept('Bake', 'next')
  await until(() => oven.started.length === 1)
})

test('a shutdown waits for a submit that is under way, and for what it begins', async (t) => {
  const { store, counts } = createBeginningStore()
  const oven = createOven()
  const worker = await createWorker(t, { Bake: oven.handler }, { store })
  await until(() => store.calls('claim') > 0)
  const gate = createLatch<unknown>()
  store.hold('submit', gate.promise)
  const accepted = worker.accept('Bake', 'late')
  await until(() => store.calls('submit') === 1)
  const stopped = worker.runner.stop(1000)
  gate.open(undefined)
  const id = await accepted
  await until(() => oven.started.length === 1)
  oven.next()
  await stopped
  t.equal(counts.given, 1)
  t.equal((await worker.get(id)).status, 'succeeded')
})

test('a retry that comes due is looked for, although nothing waited before', async (t) => {
  const { store } = createBeginningStore()
  let failures = 0
  const worker = await createWorker(t, {
    Bake: {
      retries: 1,
      backoffMs: 1000,
      handler: () => {
        if (failures++ === 0) throw new Error('the oven is cold')
      }
    }
  }, { store })
  await until(() => store.calls('claim') > 0)
  const id = await worker.accept('Bake')
  await until(async () => (await worker.get(id)).status === 'queued' && failures === 1)
  await until(async () => {
    await worker.clock.advance(100)
    return (await worker.get(id)).status === 'succeeded'
  })
  t.ok(worker.clock.monotonic() < 5000, 'before the next poll')
})

test('what the store could not hand out is looked for as soon as a place is free, not at the next poll', async (t) => {
  const inner = sqliteStore({ file: ':memory:' })
  let running = 0
  // As with a limit for all replicas together.
  const store = createFailingStore({
    ...inner,
    async claim (request) {
      if (running > 0) return { jobs: [], nextDueAt: null, waits: true }
      const result = await inner.claim({ ...request, limit: 1 })
      running += result.jobs.length
      return result
    },
    async settle (settlements) {
      const held = await inner.settle(settlements)
      running -= settlements.length
      return held
    }
  })
  const oven = createOven()
  const worker = await createWorker(t, { Bake: oven.handler }, { store })
  await until(() => store.calls('claim') > 0)
  const began = worker.clock.monotonic()
  for (const input of [1, 2, 3]) await worker.accept('Bake', input)
  for (const count of [1, 2, 3]) {
    await until(() => oven.started.length === count)
    // Whoever looks meanwhile is told that two wait for the one.
    await worker.runner.storeChanged()
    await worker.clock.advance(0)
    oven.next()
  }
  t.same(oven.started, [1, 2, 3])
  t.equal(worker.clock.monotonic(), began)
})

test('where a look had no room, what is submitted next does not overtake what may wait', async (t) => {
  const { store, counts } = createBeginningStore()
  const oven = createOven()
  const worker = await createWorker(t, { Bake: oven.handler }, { store, concurrency: 1 })
  await until(() => store.calls('claim') > 0)
  await worker.accept('Bake', 'first')
  await until(() => oven.started.length === 1)
  // Of another process, whose news was lost.
  await store.submit([{ operation: 'Bake', owner: 'default', input: JSON.stringify({ input: 'theirs', params: {}, query: {}, tracking: {} }), createdAt: worker.clock.now() }], { maxQueued: 10 })
  // Time for the poll, which finds no room.
  await worker.clock.advance(6000)
  oven.next()
  await until(() => oven.started.length === 2)
  t.same(oven.started, ['first', 'theirs'])
  t.equal(counts.given, 1)
})
