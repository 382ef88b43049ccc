import assert from 'node:assert/strict'
import type { JobRecord, Store } from '../../work/store.ts'
import { accept, acceptAndClaim, alone, claim, getOne, hourMs, leaseMs, leaseOf, newJob, numbersOf, plenty, settle, start, succeeded, together } from './bench.ts'

export const recoverCases = [
  together('jobs of a closed instance are due at once, one crash higher', async ({ open }) => {
    const worker = await open()
    const other = await open()
    await accept(worker.store, {}, {})
    const [first, second] = await claim(worker.store)
    await settle(worker.store, second!, succeeded())
    await worker.store.close()
    await other.store.recover()
    const { status, crashes, failures, attempt } = await getOne(other.store, first!.number)
    assert.deepEqual({ status, crashes, failures, attempt }, { status: 'queued', crashes: 1, failures: 0, attempt: 1 })
    assert.deepEqual((await claim(other.store)).map(({ number, attempt, crashes }) => ({ number, attempt, crashes })),
      [{ number: first!.number, attempt: 2, crashes: 1 }])
  }),

  together('a job that began as it was accepted is due once its instance is gone or silent, one crash higher', async ({ open, clock }) => {
    const begin = { operations: [{ operation: 'Bake', limit: 9 }], limit: 9, now: start }
    const submitTo = async (store: Store): Promise<number> => {
      const [outcome] = await store.submit([newJob()], { maxQueued: plenty, begin })
      const { number, status } = (outcome as { job: JobRecord }).job
      // A store need not begin it.
      if (status === 'queued') await claim(store)
      return number
    }
    const closed = await open()
    const silent = await open()
    const other = await open()
    const numbers = [await submitTo(closed.store), await submitTo(silent.store)]
    await closed.store.close()
    await other.store.recover()
    await clock.advance(leaseMs)
    await other.store.recover()
    const jobs = await claim(other.store)
    assert.deepEqual(jobs.map(({ number, attempt, crashes }) => ({ number, attempt, crashes })), numbers.map((number) => ({ number, attempt: 2, crashes: 1 })))
    assert.equal(await settle(silent.store, { number: numbers[1]!, attempt: 1 }, succeeded()), false)
  }),

  together('jobs of an instance that is gone are due when another has opened', async ({ open, clock }) => {
    const worker = await open()
    const job = await acceptAndClaim(worker.store)
    await worker.store.close()
    clock.jump(-hourMs)
    assert.deepEqual(numbersOf(await claim((await open()).store, { now: clock.now() })), [job.number])
  }),

  together('jobs of a worker that was silent for the time of a lease are due, not earlier', async ({ open, clock }) => {
    const silent = await open()
    const other = await open()
    await accept(silent.store, {}, {}, {})
    const [job] = await claim(silent.store, { limit: 2 })
    assert.equal(await other.store.recover(), 0)
    await clock.advance(leaseMs - 1)
    assert.equal(await other.store.recover(), 0)
    assert.equal((await getOne(other.store, job!.number)).status, 'running')
    await clock.advance(1)
    assert.equal(await other.store.recover(), 2)
    const { status, crashes } = await getOne(other.store, job!.number)
    assert.deepEqual({ status, crashes }, { status: 'queued', crashes: 1 })
    assert.equal((await claim(other.store)).length, 3)
  }),

  together('jobs of a worker that beats are never taken', async ({ open, clock }) => {
    const worker = await open()
    const other = await open()
    const job = await acceptAndClaim(worker.store)
    for (let beats = 0; beats < 12; beats++) {
      assert.deepEqual(await worker.store.heartbeat([leaseOf(job)]), [])
      assert.equal(await other.store.recover(), 0)
      await clock.advance(leaseMs / 3)
    }
    assert.equal(await settle(worker.store, job, succeeded()), true)
  }),

  together('an instance that opens leaves the jobs of those that live alone', async ({ open }) => {
    const worker = await open()
    const job = await acceptAndClaim(worker.store)
    const other = await open()
    assert.deepEqual(await claim(other.store), [])
    assert.equal(await settle(worker.store, job, succeeded()), true)
  }),

  together('a claim is a sign of life', async ({ open, clock }) => {
    const worker = await open()
    const other = await open()
    await other.store.recover()
    await clock.advance(leaseMs - 1)
    const job = await acceptAndClaim(worker.store)
    await other.store.recover()
    await clock.advance(1)
    assert.equal(await other.store.recover(), 0)
    assert.deepEqual(await worker.store.heartbeat([leaseOf(job)]), [])
  }),

  ...[hourMs, -hourMs].map((jump) => together(`a wall clock that jumps by ${jump / hourMs} h takes no job away and keeps none`, async ({ open, clock }) => {
    const worker = await open()
    const other = await open()
    const job = await acceptAndClaim(worker.store)
    await other.store.recover()
    clock.jump(jump)
    assert.equal(await other.store.recover(), 0)
    assert.deepEqual(await worker.store.heartbeat([leaseOf(job)]), [])
    clock.jump(-jump)
    assert.equal(await other.store.recover(), 0)
    clock.jump(jump)
    await clock.advance(leaseMs)
    assert.equal(await other.store.recover(), 1)
  })),

  together('a worker that was taken for dead finds its leases lost and goes on with new ones', async ({ open, clock }) => {
    const worker = await open()
    const other = await open()
    const job = await acceptAndClaim(worker.store)
    await other.store.recover()
    await clock.advance(leaseMs)
    await other.store.recover()
    assert.deepEqual(await worker.store.heartbeat([leaseOf(job)]), [leaseOf(job)])
    const [again] = await claim(worker.store)
    assert.deepEqual({ number: again?.number, attempt: again?.attempt }, { number: job.number, attempt: 2 })
    for (let beats = 0; beats < 6; beats++) {
      assert.equal(await other.store.recover(), 0)
      assert.deepEqual(await worker.store.heartbeat([leaseOf(again!)]), [])
      await clock.advance(leaseMs / 2)
    }
    assert.equal(await settle(worker.store, again!, succeeded()), true)
  }),

  together('each time a worker vanishes counts, and several that look count it once', async ({ open, clock }) => {
    const observers = await Promise.all([open(), open()])
    await accept(observers[0].store, {})
    for (const crashes of [1, 2, 3]) {
      const worker = await open()
      const [job] = await claim(worker.store)
      await Promise.all(observers.map(({ store }) => store.recover()))
      await clock.advance(leaseMs)
      const counts = await Promise.all(observers.map(({ store }) => store.recover()))
      assert.equal(counts.reduce((sum, count) => sum + count), 1)
      assert.equal((await getOne(worker.store, job!.number)).crashes, crashes)
      await worker.store.close()
      assert.equal((await getOne(observers[0].store, job!.number)).crashes, crashes)
    }
  }),

  alone('a worker does not take its own jobs for those of a dead one', async ({ open, clock }) => {
    const { store } = await open()
    const job = await acceptAndClaim(store)
    assert.equal(await store.recover(), 0)
    await clock.advance(10 * leaseMs)
    assert.equal(await store.recover(), 0)
    assert.equal(await settle(store, job, succeeded()), true)
  })
]
