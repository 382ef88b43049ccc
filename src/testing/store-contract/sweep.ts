import assert from 'node:assert/strict'
import { accept, acceptAndClaim, alone, canceled, claim, hourMs, leaseOf, newJob, numbersOf, plenty, settle, start, succeeded, together } from './bench.ts'

export const sweepCases = [
  alone('a job is forgotten when it expired before now, not earlier', async ({ open }) => {
    const { store } = await open()
    const job = await acceptAndClaim(store)
    await settle(store, job, succeeded('"cake"', start + 100))
    assert.equal(await store.sweep(start + 100, plenty), 0)
    assert.equal((await store.get([job.number]))[0]?.result, '"cake"')
    assert.equal(await store.sweep(start + 101, plenty), 1)
    assert.deepEqual(await store.get([job.number]), [undefined])
  }),

  alone('jobs that have not ended are never forgotten', async ({ open }) => {
    const { store } = await open()
    await settle(store, await acceptAndClaim(store), { status: 'running', deadline: start + 10 })
    await settle(store, await acceptAndClaim(store), { status: 'queued', dueAt: start + 10, failures: 1 })
    await acceptAndClaim(store)
    await accept(store, {})
    assert.equal(await store.sweep(start + 1_000_000 * hourMs, plenty), 0)
    assert.equal((await store.list({ limit: plenty })).length, 4)
  }),

  alone('no more jobs than the limit are forgotten at once', async ({ open }) => {
    const { store } = await open()
    await accept(store, {}, {}, {}, {}, {})
    for (const job of await claim(store)) await settle(store, job, succeeded('"cake"', start + 100))
    const counts: number[] = []
    do counts.push(await store.sweep(start + 200, 2)); while (counts.at(-1)! > 0)
    assert.deepEqual(counts, [2, 2, 1, 0])
  }),

  together('all that belongs to a job is gone, for every instance', async ({ open }) => {
    const sweeper = await open()
    const other = await open()
    const idempotency = { key: 'k', fingerprint: 'f' }
    const job = await acceptAndClaim(sweeper.store, { idempotency, input: '{"secret":1}' })
    await settle(sweeper.store, job, succeeded('"cake"', start + 100))
    const [kept] = await accept(sweeper.store, {})
    await other.store.get([job.number])
    assert.equal(await sweeper.store.sweep(start + 200, plenty), 1)
    for (const { store } of [other, sweeper]) {
      assert.deepEqual(await store.get([job.number]), [undefined])
      assert.deepEqual(numbersOf(await store.list({ limit: plenty })), [kept!.number])
      assert.equal(await store.end(job.number, canceled()), undefined)
      assert.deepEqual(await store.heartbeat([leaseOf(job)]), [leaseOf(job)])
      assert.equal(await settle(store, job, succeeded()), false)
    }
    const [outcome] = await other.store.submit([newJob({ idempotency })], { maxQueued: plenty })
    assert.equal(outcome?.outcome, 'accepted')
  }),

  together('instances that sweep at once forget each job once', async ({ open }) => {
    const instances = await Promise.all([open(), open()])
    await accept(instances[0].store, ...Array.from({ length: 10 }, () => ({})))
    for (const job of await claim(instances[0].store)) await settle(instances[0].store, job, succeeded('"cake"', start + 100))
    const counts = await Promise.all(instances.flatMap(({ store }) => [store.sweep(start + 200, 4), store.sweep(start + 200, 4)]))
    assert.equal(counts.reduce((sum, count) => sum + count), 10)
  })
]
