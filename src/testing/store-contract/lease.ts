import assert from 'node:assert/strict'
import { acceptAndClaim, alone, canceled, claim, getOne, leaseMs, leaseOf, settle, start, succeeded, together } from './bench.ts'

const report = (lease: { number: number, attempt: number }, percentComplete = 50, message = 'Half') =>
  ({ lease: leaseOf(lease), percentComplete, message })

export const leaseCases = [
  alone('a heartbeat, and a look, resolves to the leases that are lost', async ({ open }) => {
    const { store } = await open()
    const held = leaseOf(await acceptAndClaim(store))
    const ended = leaseOf(await acceptAndClaim(store))
    const earlier = leaseOf(await acceptAndClaim(store))
    await store.end(ended.number, canceled())
    await settle(store, earlier, { status: 'queued', dueAt: 0, failures: 1 })
    await claim(store)
    const unknown = { number: 999_999, attempt: 1 }
    for (const ask of [store.heartbeat, store.findLost]) {
      assert.deepEqual(await ask([held]), [])
      assert.deepEqual(await ask([ended, held, earlier, unknown]), [ended, earlier, unknown])
      assert.deepEqual(await ask([]), [])
    }
  }),

  together('a look at leases is no news to others, and keeps no lease alive', async ({ clock, open }) => {
    const one = await open()
    const other = await open()
    const lease = leaseOf(await acceptAndClaim(one.store))
    assert.equal(await other.store.recover(), 0)
    await clock.advance(1000)
    const wakes = other.wakes()
    for (let looks = 0; looks < 20; looks++) {
      await clock.advance(leaseMs / 10)
      assert.deepEqual(await one.store.findLost([lease]), [])
    }
    assert.equal(other.wakes(), wakes)
    assert.equal(await other.store.recover(), 1)
    assert.deepEqual(await one.store.findLost([lease]), [lease])
  }),

  alone('progress is kept', async ({ open }) => {
    const { store } = await open()
    const job = await acceptAndClaim(store)
    assert.deepEqual(await store.progress([report(job, 12.5, 'Kneading 😀')]), [true])
    const { status, percentComplete, message } = await getOne(store, job.number)
    assert.deepEqual({ status, percentComplete, message }, { status: 'running', percentComplete: 12.5, message: 'Kneading 😀' })
  }),

  alone('progress tells of each lease whether it held, and is not kept where it did not', async ({ open }) => {
    const { store } = await open()
    const first = await acceptAndClaim(store)
    const ended = await acceptAndClaim(store)
    const last = await acceptAndClaim(store)
    await store.end(ended.number, canceled())
    const unknown = { number: 999_999, attempt: 1 }
    assert.deepEqual(await store.progress([report(first), report(ended), report(unknown), report(last)]), [true, false, false, true])
    assert.deepEqual((await store.get([first.number, ended.number, last.number])).map((job) => job?.message), ['Half', '', 'Half'])
  }),

  alone('an earlier attempt has no say', async ({ open }) => {
    const { store } = await open()
    const first = await acceptAndClaim(store)
    await settle(store, first, { status: 'queued', dueAt: 0, failures: 1 })
    const [second] = await claim(store)
    const before = await getOne(store, first.number)
    assert.deepEqual(await store.progress([report(first)]), [false])
    assert.equal(await settle(store, first, succeeded('"of the first"')), false)
    assert.equal(await settle(store, first, { status: 'queued', dueAt: 0, failures: 9 }), false)
    assert.equal(await settle(store, first, { status: 'running', deadline: start }), false)
    assert.deepEqual(await getOne(store, first.number), before)
    assert.equal(await settle(store, second!, succeeded('"of the second"')), true)
    assert.equal((await getOne(store, first.number)).result, '"of the second"')
  }),

  together('a worker whose job was taken over has no say', async ({ open, clock }) => {
    const slow = await open()
    const other = await open()
    const lost = await acceptAndClaim(slow.store)
    await other.store.recover()
    await clock.advance(leaseMs)
    assert.equal(await other.store.recover(), 1)
    const lease = leaseOf(lost)
    assert.equal(await settle(slow.store, lease, succeeded('"while queued"')), false)

    const [taken] = await claim(other.store)
    const before = await getOne(other.store, lost.number)
    assert.deepEqual(await slow.store.heartbeat([lease]), [lease])
    assert.deepEqual(await slow.store.progress([report(lease)]), [false])
    assert.equal(await settle(slow.store, lease, succeeded('"late"')), false)
    assert.equal(await settle(slow.store, lease, { status: 'running', deadline: start }), false)
    assert.deepEqual(await getOne(other.store, lost.number), before)
    assert.deepEqual(await other.store.heartbeat([leaseOf(taken!)]), [])
    assert.equal(await settle(other.store, taken!, succeeded('"in time"')), true)
    assert.equal((await getOne(slow.store, lost.number)).result, '"in time"')
  })
]
