import assert from 'node:assert/strict'
import type { ClaimRequest } from '../../work/store.ts'
import { accept, acceptAndClaim, alone, claim, getOne, hourMs, numbersOf, plenty, settle, start, succeeded, together } from './bench.ts'

const bake = (now = start): ClaimRequest => ({ operations: [{ operation: 'Bake', limit: plenty }], limit: plenty, now })

export const claimCases = [
  alone('a claimed job is running, one attempt higher, with its input', async ({ open }) => {
    const { store } = await open()
    const [job] = await accept(store, { input: '{"flavour":"lemon"}' })
    const [claimed] = await claim(store, { now: start + 5 })
    assert.deepEqual(claimed, { number: job!.number, operation: 'Bake', attempt: 1, failures: 0, crashes: 0, createdAt: start, input: '{"flavour":"lemon"}', due: 'run' })
    assert.deepEqual(await store.get([job!.number]), [{ ...job, status: 'running', attempt: 1, startedAt: start + 5 }])
  }),

  alone('each claim of a job is one attempt higher', async ({ open }) => {
    const { store } = await open()
    await accept(store, {})
    for (const attempt of [1, 2, 3]) {
      const [claimed] = await claim(store)
      assert.equal(claimed?.attempt, attempt)
      await settle(store, claimed!, { status: 'queued', dueAt: 0, failures: attempt })
    }
  }),

  alone('a running job and an ended one are not given again, whatever the time', async ({ open }) => {
    const { store } = await open()
    await acceptAndClaim(store)
    await settle(store, await acceptAndClaim(store), succeeded())
    assert.deepEqual(await store.claim(bake(start + 1000 * hourMs)), { jobs: [], nextDueAt: null })
  }),

  together('two instances never get the same job', async ({ open }) => {
    const instances = await Promise.all([open(), open()])
    const jobs = await accept(instances[0].store, ...Array.from({ length: 60 }, () => ({})))
    const claimed = await Promise.all(instances.flatMap(({ store }) => Array.from({ length: 6 }, () => claim(store, { limit: 7 }))))
    assert.deepEqual(numbersOf(claimed.flat()).sort((a, b) => a - b), numbersOf(jobs).sort((a, b) => a - b))
  }),

  alone('limits hold, of each operation and in all', async ({ open }) => {
    const { store } = await open()
    for (const operation of ['Bake', 'Ice', 'Box']) await accept(store, ...Array.from({ length: 5 }, () => ({ operation })))
    const operations = [{ operation: 'Bake', limit: 2 }, { operation: 'Ice', limit: 0 }, { operation: 'Box', limit: 4 }]
    const first = await claim(store, { operations, limit: 3 })
    assert.equal(first.length, 3)
    assert.ok(first.filter(({ operation }) => operation === 'Bake').length <= 2)
    const second = await claim(store, { operations })
    const count = (wanted: string): number => second.filter(({ operation }) => operation === wanted).length
    assert.deepEqual([count('Bake') <= 2, count('Ice'), count('Box') <= 4], [true, 0, true])
    assert.deepEqual(await claim(store, { operations, limit: 0 }), [])
  }),

  alone('an operation need not have a limit of its own', async ({ open }) => {
    const { store } = await open()
    await accept(store, {}, {}, {})
    const operations = [{ operation: 'Bake', limit: Infinity }]
    assert.equal((await claim(store, { operations, limit: 2 })).length, 2)
    assert.equal((await claim(store, { operations })).length, 1)
  }),

  alone('jobs of operations that were not named are never taken', async ({ open }) => {
    const { store } = await open()
    const [, other] = await accept(store, { operation: 'Bake' }, { operation: 'Unregistered' })
    await accept(store, { operation: 'bake' })
    assert.deepEqual((await claim(store)).map(({ operation }) => operation), ['Bake'])
    assert.deepEqual(await claim(store, { operations: [] }), [])
    assert.equal((await getOne(store, other!.number)).status, 'queued')
  }),

  alone('jobs that waited for a time come first, then the oldest', async ({ open }) => {
    const { store } = await open()
    const [early, late] = await accept(store, {}, {})
    const [first, second] = await claim(store)
    const jobs = await accept(store, {}, {}, {})
    await settle(store, second!, { status: 'queued', dueAt: start + 10, failures: 1 })
    await settle(store, first!, { status: 'queued', dueAt: start + 20, failures: 1 })
    const order: number[] = []
    for (let claims = 0; claims < 5; claims++) order.push(...numbersOf(await claim(store, { limit: 1, now: start + 30 })))
    assert.deepEqual(order, [late!.number, early!.number, ...numbersOf(jobs)])
  }),

  alone('a job that waits for a time is given from then on, and nextDueAt tells when', async ({ open }) => {
    const { store } = await open()
    const waiting = await acceptAndClaim(store)
    await settle(store, waiting, { status: 'queued', dueAt: start + 500, failures: 1 })
    assert.deepEqual(await store.claim(bake(start + 499)), { jobs: [], nextDueAt: start + 500 })
    const { jobs, nextDueAt } = await store.claim(bake(start + 500))
    assert.deepEqual(numbersOf(jobs), [waiting.number])
    assert.equal(nextDueAt, null)
  }),

  alone('nextDueAt is the earliest of the named operations, deadlines of deferred jobs included', async ({ open }) => {
    const { store } = await open()
    const next = async (...operations: string[]): Promise<number | null> => {
      const { jobs, nextDueAt } = await store.claim({ operations: operations.map((operation) => ({ operation, limit: plenty })), limit: plenty, now: start })
      assert.deepEqual(jobs, [])
      return nextDueAt
    }
    assert.equal(await next('Bake', 'Ice', 'Box'), null)
    await settle(store, await acceptAndClaim(store, { operation: 'Bake' }), { status: 'queued', dueAt: start + 300, failures: 1 })
    await settle(store, await acceptAndClaim(store, { operation: 'Bake' }), { status: 'queued', dueAt: start + 400, failures: 1 })
    await settle(store, await acceptAndClaim(store, { operation: 'Ice' }), { status: 'running', deadline: start + 200 })
    await settle(store, await acceptAndClaim(store, { operation: 'Box' }), { status: 'queued', dueAt: start + 100, failures: 1 })
    assert.equal(await next('Bake', 'Ice'), start + 200)
    assert.equal(await next('Bake'), start + 300)
    assert.equal(await next('Box', 'Bake', 'Ice'), start + 100)
    assert.equal(await next('Unregistered'), null)
  }),

  alone('nextDueAt is told beside claimed jobs too', async ({ open }) => {
    const { store } = await open()
    await settle(store, await acceptAndClaim(store), { status: 'queued', dueAt: start + 300, failures: 1 })
    const [job] = await accept(store, {})
    const { jobs, nextDueAt } = await store.claim(bake())
    assert.deepEqual({ numbers: numbersOf(jobs), nextDueAt }, { numbers: [job!.number], nextDueAt: start + 300 })
  }),

  alone('behind claims that were full every operation is seen, and the one that finds nothing tells nextDueAt', async ({ open }) => {
    const { store } = await open()
    await settle(store, await acceptAndClaim(store), { status: 'queued', dueAt: start + 300, failures: 1 })
    await accept(store, {}, {}, { operation: 'Ice' })
    const one = { ...bake(), operations: [{ operation: 'Bake', limit: 1 }, { operation: 'Ice', limit: 1 }], limit: 1 }
    assert.equal((await store.claim(one)).jobs.length, 1)
    assert.deepEqual((await store.claim({ ...one, operations: one.operations.toReversed() })).jobs.map(({ operation }) => operation), ['Ice'])
    assert.equal((await store.claim(one)).jobs.length, 1)
    assert.deepEqual(await store.claim(one), { jobs: [], nextDueAt: start + 300 })
  }),

  alone('an accepted job is due at once, also when the wall clock jumped back', async ({ open, clock }) => {
    const { store } = await open()
    const [job] = await accept(store, { createdAt: clock.now() })
    clock.jump(-hourMs)
    assert.deepEqual(numbersOf(await claim(store, { now: clock.now() })), [job!.number])
  }),

  alone('dueAt 0 is at once, also when the wall clock jumped back', async ({ open, clock }) => {
    const { store } = await open()
    const job = await acceptAndClaim(store)
    await settle(store, job, { status: 'queued', dueAt: 0, failures: 0 })
    clock.jump(-hourMs)
    assert.deepEqual(numbersOf(await claim(store, { now: clock.now() })), [job.number])
  })
]
