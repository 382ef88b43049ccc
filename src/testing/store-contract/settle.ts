import assert from 'node:assert/strict'
import type { JobEnd, JobRecord } from '../../work/store.ts'
import { accept, acceptAndClaim, alone, canceled, claim, failed, getOne, hourMs, leaseMs, leaseOf, numbersOf, plenty, settle, start, succeeded, together } from './bench.ts'

/** What an end leaves in the record. */
const outcomeOf = ({ status, result, failure, endedAt }: JobRecord): unknown => ({ status, result, failure, endedAt })

export const settleCases = [
  alone('a job ends as succeeded, with a result or without', async ({ open }) => {
    const { store } = await open()
    for (const result of ['{"cakeId":"7"}', 'null', null]) {
      const job = await acceptAndClaim(store)
      assert.equal(await settle(store, job, succeeded(result)), true)
      assert.deepEqual(outcomeOf(await getOne(store, job.number)), { status: 'succeeded', result, failure: null, endedAt: start + 60 })
    }
  }),

  alone('a job ends as failed or canceled, with its failure', async ({ open }) => {
    const { store } = await open()
    const ends: (JobEnd & { failure: unknown })[] = [failed(), failed({ oven: [1, null] }), failed(null), failed('text'), canceled()]
      .map((end) => end as JobEnd & { failure: unknown })
    for (const end of ends) {
      const job = await acceptAndClaim(store)
      assert.equal(await settle(store, job, end), true)
      assert.deepEqual(outcomeOf(await getOne(store, job.number)), { status: end.status, result: null, failure: end.failure, endedAt: start + 60 })
    }
  }),

  alone('a job that is to run again is queued, with its failures, and its lease is gone', async ({ open }) => {
    const { store } = await open()
    const job = await acceptAndClaim(store)
    assert.equal(await settle(store, job, { status: 'queued', dueAt: start + 100, failures: 3 }), true)
    const { status, failures, attempt, crashes, endedAt } = await getOne(store, job.number)
    assert.deepEqual({ status, failures, attempt, crashes, endedAt }, { status: 'queued', failures: 3, attempt: 1, crashes: 0, endedAt: null })
    assert.deepEqual(await store.heartbeat([leaseOf(job)]), [leaseOf(job)])
    assert.deepEqual((await claim(store, { now: start + 100 })).map(({ number, attempt, failures, due }) => ({ number, attempt, failures, due })),
      [{ number: job.number, attempt: 2, failures: 3, due: 'run' }])
  }),

  alone('an attempt ends once', async ({ open }) => {
    const { store } = await open()
    const job = await acceptAndClaim(store)
    assert.equal(await settle(store, job, succeeded('"first"')), true)
    assert.equal(await settle(store, job, succeeded('"second"')), false)
    assert.equal(await settle(store, job, { status: 'queued', dueAt: 0, failures: 1 }), false)
    assert.deepEqual(outcomeOf(await getOne(store, job.number)), { status: 'succeeded', result: '"first"', failure: null, endedAt: start + 60 })
    assert.deepEqual(await claim(store), [])
  }),

  alone('several attempts end in one call, and each is told whether its lease held', async ({ open }) => {
    const { store } = await open()
    await accept(store, {}, {}, {}, {}, {})
    const [first, second, third, fourth, fifth] = await claim(store)
    await store.end(second!.number, canceled())
    const again = { status: 'queued', dueAt: 0, failures: 1 } as const
    assert.deepEqual(await store.settle([
      { lease: leaseOf(first!), to: succeeded() },
      { lease: leaseOf(second!), to: succeeded() },
      { lease: { number: third!.number, attempt: 2 }, to: succeeded() },
      { lease: leaseOf(fourth!), to: again },
      { lease: { number: 999_999, attempt: 1 }, to: again },
      { lease: leaseOf(fifth!), to: { status: 'running', deadline: start + hourMs } },
      { lease: leaseOf(first!), to: again }
    ]), [true, false, false, true, false, true, false])
    const jobs = await store.get(numbersOf([first!, second!, third!, fourth!, fifth!]))
    assert.deepEqual(jobs.map((job) => job?.status), ['succeeded', 'canceled', 'running', 'queued', 'running'])
    assert.deepEqual(await store.heartbeat([leaseOf(third!), leaseOf(fifth!)]), [leaseOf(fifth!)])
  }),

  together('all that one call ends is seen at once', async ({ open }) => {
    const worker = await open()
    const reader = await open()
    await accept(worker.store, ...Array.from({ length: 40 }, () => ({})))
    const jobs = await claim(worker.store)
    const read = async (): Promise<number> => {
      const records = await reader.store.get(numbersOf(jobs))
      return records.filter((job) => job?.status === 'succeeded').length
    }
    const seen: number[] = []
    const settled = worker.store.settle(jobs.map((job) => ({ lease: leaseOf(job), to: succeeded() })))
    for (let reads = 0; reads < 10; reads++) seen.push(await read())
    assert.deepEqual(await settled, Array(40).fill(true))
    seen.push(await read())
    assert.equal(seen.at(-1), 40)
    assert.deepEqual(seen.filter((count) => count !== 0 && count !== 40), [])
  }),

  alone('a deferred job runs on without a lease', async ({ open }) => {
    const { store } = await open()
    const job = await acceptAndClaim(store)
    assert.equal(await settle(store, job, { status: 'running', deadline: start + hourMs }), true)
    const { status, attempt, endedAt } = await getOne(store, job.number)
    assert.deepEqual({ status, attempt, endedAt }, { status: 'running', attempt: 1, endedAt: null })
    assert.deepEqual(await store.heartbeat([leaseOf(job)]), [leaseOf(job)])
    assert.deepEqual(await store.progress([{ lease: leaseOf(job), percentComplete: 1, message: '' }]), [false])
    assert.equal(await settle(store, job, succeeded()), false)
    assert.deepEqual(await claim(store, { now: start + hourMs - 1 }), [])
  }),

  together('a deferred job stays as it is when the worker that deferred it goes', async ({ open, clock }) => {
    const worker = await open()
    const other = await open()
    const job = await acceptAndClaim(worker.store)
    await settle(worker.store, job, { status: 'running', deadline: start + hourMs })
    const before = await getOne(other.store, job.number)
    await other.store.recover()
    await worker.store.close()
    await clock.advance(leaseMs)
    assert.equal(await other.store.recover(), 0)
    assert.deepEqual(await getOne(other.store, job.number), before)
    const ended = await other.store.end(job.number, succeeded('"from outside"'))
    assert.equal(ended?.ended, true)
    assert.equal(ended.job.result, '"from outside"')
    assert.deepEqual(await claim(other.store, { now: start + 2 * hourMs }), [])
  }),

  alone('a deferred job is due when its deadline has passed', async ({ open }) => {
    const { store } = await open()
    const job = await acceptAndClaim(store, { input: '[7]' })
    await settle(store, job, { status: 'running', deadline: start + hourMs })
    const request = { operations: [{ operation: 'Bake', limit: plenty }], limit: plenty }
    assert.deepEqual(await store.claim({ ...request, now: start + hourMs - 1 }), { jobs: [], nextDueAt: start + hourMs })
    const { jobs, nextDueAt } = await store.claim({ ...request, now: start + hourMs })
    assert.deepEqual({ jobs, nextDueAt }, { jobs: [{ ...job, attempt: 2, due: 'deadline' }], nextDueAt: null })
    assert.deepEqual(await claim(store, { now: start + 2 * hourMs }), [])
    assert.equal(await settle(store, jobs[0]!, failed()), true)
  }),

  together('a deadline stays one when the worker that took it goes', async ({ open }) => {
    const worker = await open()
    const other = await open()
    await settle(worker.store, await acceptAndClaim(worker.store), { status: 'running', deadline: start + hourMs })
    const [due] = await claim(worker.store, { now: start + hourMs })
    assert.equal(due?.due, 'deadline')
    await worker.store.close()
    await other.store.recover()
    const [again] = await claim(other.store, { now: start + hourMs })
    assert.deepEqual({ due: again?.due, number: again?.number, attempt: again?.attempt, crashes: again?.crashes },
      { due: 'deadline', number: due.number, attempt: 3, crashes: 1 })
  })
]
