import assert from 'node:assert/strict'
import { accept, acceptAndClaim, alone, canceled, claim, failed, getOne, leaseOf, settle, start, succeeded, together } from './bench.ts'

export const endCases = [
  alone('a queued job that is ended never runs', async ({ open }) => {
    const { store } = await open()
    const [job] = await accept(store, {})
    const answer = await store.end(job!.number, canceled('Not wanted.'))
    assert.deepEqual(answer, {
      ended: true,
      job: { ...job, status: 'canceled', endedAt: start + 60, failure: { code: 'JobCanceled', message: 'Not wanted.', statusCode: 409 } }
    })
    assert.deepEqual(await store.get([job!.number]), [answer.job])
    assert.deepEqual(await claim(store), [])
  }),

  alone('a job that waits for a time and is ended never runs', async ({ open }) => {
    const { store } = await open()
    const job = await acceptAndClaim(store)
    await settle(store, job, { status: 'queued', dueAt: start + 100, failures: 1 })
    assert.equal((await store.end(job.number, failed()))?.ended, true)
    assert.deepEqual(await store.claim({ operations: [{ operation: 'Bake', limit: 1 }], limit: 1, now: start }), { jobs: [], nextDueAt: null })
    assert.deepEqual(await claim(store, { now: start + 100 }), [])
  }),

  together('a running job is ended by any instance, and its attempt has lost the lease', async ({ open }) => {
    const worker = await open()
    const other = await open()
    const job = await acceptAndClaim(worker.store)
    const answer = await other.store.end(job.number, canceled())
    assert.equal(answer?.ended, true)
    assert.deepEqual(await worker.store.heartbeat([leaseOf(job)]), [leaseOf(job)])
    assert.deepEqual(await worker.store.progress([{ lease: leaseOf(job), percentComplete: 99, message: 'late' }]), [false])
    assert.equal(await settle(worker.store, job, succeeded()), false)
    assert.equal(await settle(worker.store, job, { status: 'queued', dueAt: 0, failures: 1 }), false)
    assert.deepEqual(await getOne(worker.store, job.number), answer.job)
    assert.deepEqual(await claim(worker.store), [])
  }),

  alone('ending an ended job changes nothing and tells how it is', async ({ open }) => {
    const { store } = await open()
    const job = await acceptAndClaim(store)
    await settle(store, job, succeeded('"cake"'))
    const before = await getOne(store, job.number)
    assert.deepEqual(await store.end(job.number, canceled()), { ended: false, job: before })
    const [other] = await accept(store, {})
    const first = await store.end(other!.number, canceled('First.'))
    assert.deepEqual(await store.end(other!.number, succeeded()), { ended: false, job: first?.job })
    assert.deepEqual(await store.get([job.number, other!.number]), [before, first?.job])
  }),

  together('of several instances one ends the job', async ({ open }) => {
    const instances = await Promise.all([open(), open(), open()])
    const [job] = await accept(instances[0].store, {})
    const answers = await Promise.all(instances.map(({ store }, index) => store.end(job!.number, canceled(`By ${index}.`))))
    assert.equal(answers.filter((answer) => answer?.ended).length, 1)
    const winner = answers.findIndex((answer) => answer?.ended)
    assert.deepEqual(answers.map((answer) => answer?.job.failure?.message), Array(3).fill(`By ${winner}.`))
  }),

  together('an attempt and an end from outside: one of them counts', async ({ open }) => {
    const worker = await open()
    const other = await open()
    for (let round = 0; round < 10; round++) {
      const job = await acceptAndClaim(worker.store)
      const [settled, answer] = await Promise.all([settle(worker.store, job, succeeded()), other.store.end(job.number, canceled())])
      assert.notEqual(settled, answer?.ended)
      assert.equal((await getOne(other.store, job.number)).status, settled ? 'succeeded' : 'canceled')
    }
  }),

  alone('ending a job that is not there resolves to undefined', async ({ open }) => {
    const { store } = await open()
    assert.equal(await store.end(999_999, canceled()), undefined)
  })
]
