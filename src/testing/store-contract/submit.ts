import assert from 'node:assert/strict'
import type { JobRecord, SubmitOutcome } from '../../work/store.ts'
import { accept, acceptAndClaim, alone, canceled, claim, getOne, hourMs, leaseOf, newJob, numbersOf, plenty, settle, start, succeeded, together } from './bench.ts'

const key = (key: string, fingerprint = 'same'): { idempotency: { key: string, fingerprint: string } } => ({ idempotency: { key, fingerprint } })
const outcomesOf = (outcomes: SubmitOutcome[]): string[] => outcomes.map(({ outcome }) => outcome)
const jobOf = (outcome: SubmitOutcome | undefined): JobRecord | undefined => (outcome as { job?: JobRecord } | undefined)?.job

export const submitCases = [
  alone('an accepted job is queued, as it was submitted', async ({ open }) => {
    const { store } = await open()
    const [job] = await accept(store, { operation: 'Bake', owner: 'anna', createdAt: start + 7 })
    const { number, ...rest } = job!
    assert.ok(Number.isSafeInteger(number) && number > 0)
    assert.deepEqual(rest, {
      operation: 'Bake',
      owner: 'anna',
      status: 'queued',
      attempt: 0,
      failures: 0,
      crashes: 0,
      percentComplete: 0,
      message: '',
      createdAt: start + 7,
      startedAt: null,
      endedAt: null,
      result: null,
      failure: null
    })
    assert.deepEqual(await store.get([number]), [job])
  }),

  together('an accepted job is there for another instance at once, and due at once', async ({ open }) => {
    const submitter = await open()
    const other = await open()
    const [job] = await accept(submitter.store, { input: '{"n":1}' })
    assert.deepEqual(await other.store.get([job!.number]), [job])
    assert.deepEqual((await claim(other.store)).map(({ number, input }) => ({ number, input })), [{ number: job!.number, input: '{"n":1}' }])
  }),

  alone('outcomes stand in the order of the jobs', async ({ open }) => {
    const { store } = await open()
    await accept(store, key('known'))
    const outcomes = await store.submit([
      newJob({ owner: 'first' }), newJob(key('known', 'other')), newJob({ owner: 'third' }), newJob(key('known')), newJob({ owner: 'fifth' })
    ], { maxQueued: plenty })
    assert.deepEqual(outcomesOf(outcomes), ['accepted', 'conflict', 'accepted', 'repeated', 'accepted'])
    assert.deepEqual(outcomes.map((outcome) => jobOf(outcome)?.owner), ['first', undefined, 'third', 'anna', 'fifth'])
  }),

  alone('jobs that are equal are jobs of their own', async ({ open }) => {
    const { store } = await open()
    const job = newJob()
    const outcomes = await store.submit([job, job, newJob()], { maxQueued: plenty })
    assert.deepEqual(outcomesOf(outcomes), ['accepted', 'accepted', 'accepted'])
    assert.equal(new Set(outcomes.map((outcome) => jobOf(outcome)?.number)).size, 3)
    assert.equal((await claim(store)).length, 3)
  }),

  alone('a number is given once', async ({ open }) => {
    const { store } = await open()
    const calls = await Promise.all([accept(store, {}, {}, {}), accept(store, {}), accept(store, {}, {})])
    assert.equal(new Set(numbersOf(calls.flat())).size, 6)
  }),

  alone('a number is not given again when its record is gone', async ({ open }) => {
    const { store } = await open()
    const jobs = await accept(store, {}, {})
    for (const { number } of jobs) await store.end(number, canceled())
    assert.equal(await store.sweep(start + 2 * hourMs, plenty), 2)
    const [next] = await accept(store, {})
    assert.ok(!numbersOf(jobs).includes(next!.number))
  }),

  together('a number is not given again when its record is gone and the store was opened anew', async ({ open }) => {
    const first = await open()
    const [job] = await accept(first.store, {})
    await first.store.end(job!.number, canceled())
    await first.store.sweep(start + 2 * hourMs, plenty)
    await first.store.close()
    const [next] = await accept((await open()).store, {})
    assert.notEqual(next!.number, job!.number)
  }),

  alone('a repeat is answered with the job of the first start, whatever its state', async ({ open }) => {
    const { store } = await open()
    const repeat = async (): Promise<SubmitOutcome[]> => store.submit([newJob({ ...key('k'), createdAt: start + 9 })], { maxQueued: plenty })
    const [queued] = await accept(store, key('k'))
    assert.deepEqual(await repeat(), [{ outcome: 'repeated', job: queued }])
    const [running] = await claim(store)
    assert.deepEqual(await repeat(), [{ outcome: 'repeated', job: await getOne(store, queued!.number) }])
    await settle(store, running!, succeeded())
    const [ended] = await repeat()
    assert.deepEqual(ended, { outcome: 'repeated', job: await getOne(store, queued!.number) })
    assert.equal(jobOf(ended)?.status, 'succeeded')
    assert.equal((await store.list({ limit: plenty })).length, 1)
  }),

  alone('a known key with another fingerprint is a conflict', async ({ open }) => {
    const { store } = await open()
    await accept(store, key('k'))
    assert.deepEqual(await store.submit([newJob(key('k', 'other'))], { maxQueued: plenty }), [{ outcome: 'conflict' }])
    assert.equal((await store.list({ limit: plenty })).length, 1)
  }),

  alone('repeats are recognised within a call', async ({ open }) => {
    const { store } = await open()
    const outcomes = await store.submit([newJob(key('k')), newJob(key('k')), newJob(key('k', 'other')), newJob()], { maxQueued: plenty })
    assert.deepEqual(outcomesOf(outcomes), ['accepted', 'repeated', 'conflict', 'accepted'])
    assert.equal(jobOf(outcomes[1])?.number, jobOf(outcomes[0])?.number)
  }),

  together('repeats are recognised by every instance, also at the same time', async ({ open }) => {
    const instances = await Promise.all([open(), open(), open()])
    const outcomes = (await Promise.all(instances.map(({ store }) => store.submit([newJob(key('k'))], { maxQueued: plenty })))).flat()
    assert.deepEqual(outcomesOf(outcomes).sort(), ['accepted', 'repeated', 'repeated'])
    assert.equal(new Set(outcomes.map((outcome) => jobOf(outcome)?.number)).size, 1)
  }),

  alone('a key is free again when the record is gone', async ({ open }) => {
    const { store } = await open()
    const [first] = await accept(store, key('k'))
    await store.end(first!.number, canceled())
    await store.sweep(start + 2 * hourMs, plenty)
    const [second] = await accept(store, key('k', 'other'))
    assert.notEqual(second!.number, first!.number)
  }),

  alone('jobs beyond maxQueued are refused, those before them accepted', async ({ open }) => {
    const { store } = await open()
    const outcomes = await store.submit([newJob(), newJob(), newJob()], { maxQueued: 2 })
    assert.deepEqual(outcomesOf(outcomes), ['accepted', 'accepted', 'full'])
    assert.deepEqual(await store.submit([newJob()], { maxQueued: 2 }), [{ outcome: 'full' }])
    assert.equal((await store.list({ limit: plenty })).length, 2)
  }),

  alone('repeats and conflicts are answered even when the queue is full', async ({ open }) => {
    const { store } = await open()
    await accept(store, key('k'))
    const outcomes = await store.submit([newJob(key('new')), newJob(key('k')), newJob(key('k', 'other'))], { maxQueued: 1 })
    assert.deepEqual(outcomesOf(outcomes), ['full', 'repeated', 'conflict'])
  }),

  alone('jobs that wait count as queued, those that run or ended do not', async ({ open }) => {
    const { store } = await open()
    /** Fills the queue up to 3 and tells how many it took. */
    const fill = async (): Promise<number> => {
      const outcomes = await store.submit([newJob(), newJob(), newJob()], { maxQueued: 3 })
      return outcomesOf(outcomes).filter((outcome) => outcome === 'accepted').length
    }
    assert.equal(await fill(), 3)
    const [first, second] = await claim(store, { limit: 2 })
    assert.equal(await fill(), 2)
    const [third] = await claim(store, { limit: 1 })
    await settle(store, first!, { status: 'queued', dueAt: start + hourMs, failures: 1 })
    assert.equal(await fill(), 0)
    await store.end(first!.number, canceled())
    assert.equal(await fill(), 1)
    await settle(store, second!, succeeded())
    await settle(store, third!, { status: 'running', deadline: start + hourMs })
    assert.equal(await fill(), 0)
    await store.end(third!.number, canceled())
    assert.equal(await fill(), 0)
  }),

  together('what other instances submitted counts too', async ({ open, clock }) => {
    const first = await open()
    const second = await open()
    assert.deepEqual(outcomesOf(await second.store.submit([newJob()], { maxQueued: 3 })), ['accepted'])
    await accept(first.store, {}, {})
    // The limit may be overrun shortly.
    await clock.advance(1000)
    assert.deepEqual(outcomesOf(await second.store.submit([newJob()], { maxQueued: 3 })), ['full'])
    await acceptAndClaim(first.store, { operation: 'Other' })
    await claim(first.store)
    await clock.advance(1000)
    assert.deepEqual(outcomesOf(await second.store.submit([newJob()], { maxQueued: 3 })), ['accepted'])
  }),

  together('where others have filled the queue while an instance was idle, it accepts nothing', async ({ open, clock }) => {
    const first = await open()
    const second = await open()
    await accept(second.store, {})
    await accept(first.store, ...Array.from({ length: 99 }, () => ({})))
    await clock.advance(20_000)
    const submits = await Promise.all([newJob(), newJob(), newJob()].map((job) => second.store.submit([job], { maxQueued: 100 })))
    assert.deepEqual(outcomesOf(submits.flat()), ['full', 'full', 'full'])
  }),

  alone('what is submitted at once is no more than may wait', async ({ open }) => {
    const { store } = await open()
    const submits = await Promise.all([3, 3, 3].map((count) => store.submit(Array.from({ length: count }, () => newJob()), { maxQueued: 5 })))
    assert.equal(outcomesOf(submits.flat()).filter((outcome) => outcome === 'accepted').length, 5)
  }),

  alone('jobs that come back to the queue count again', async ({ open }) => {
    const { store } = await open()
    await accept(store, {}, {}, {})
    for (const claimed of await claim(store)) await settle(store, claimed, { status: 'queued', dueAt: start + hourMs, failures: 1 })
    assert.deepEqual(outcomesOf(await store.submit([newJob(), newJob()], { maxQueued: 4 })), ['accepted', 'full'])
  }),

  alone('whoever submits while jobs come back to the queue finds each of them counted once', async ({ open }) => {
    const { store } = await open()
    await accept(store, {}, {}, {})
    const [claimed] = await claim(store, { limit: 1 })
    await Promise.all([settle(store, claimed!, { status: 'queued', dueAt: start + hourMs, failures: 1 }), store.submit([newJob()], { maxQueued: 10 })])
    assert.deepEqual(outcomesOf(await store.submit([newJob(), newJob()], { maxQueued: 5 })), ['accepted', 'full'])
  }),

  together('a job that begins as it is accepted is held like a claimed one; the others are queued', async ({ open }) => {
    const { store } = await open()
    const other = await open()
    const begin = { operations: [{ operation: 'Bake', limit: 2 }], limit: 2, now: start + 5 }
    const outcomes = await store.submit([newJob({ input: '1' }), newJob({ input: '2' }), newJob({ input: '3' }), newJob({ operation: 'Decorate' })], { maxQueued: plenty, begin })
    assert.deepEqual(outcomesOf(outcomes), ['accepted', 'accepted', 'accepted', 'accepted'])
    const jobs = outcomes.map((outcome) => jobOf(outcome)!)
    assert.deepEqual(await other.store.get(numbersOf(jobs)), jobs)
    const begun = jobs.filter(({ status }) => status === 'running')
    assert.ok(begun.length <= 2, 'no more than there is room for')
    for (const { operation, attempt, startedAt } of begun) assert.deepEqual({ operation, attempt, startedAt }, { operation: 'Bake', attempt: 1, startedAt: start + 5 })
    const claimed = await claim(other.store)
    assert.deepEqual(numbersOf([...begun, ...claimed]).sort((a, b) => a - b), numbersOf(jobs.slice(0, 3)))
    assert.deepEqual(await store.heartbeat(begun.map(leaseOf)), [])
    assert.deepEqual(await other.store.findLost(begun.map(leaseOf)), begun.map(leaseOf))
    for (const [index, job] of begun.entries()) {
      assert.equal(await settle(other.store, job, succeeded()), false)
      assert.equal(await settle(store, job, index === 0 ? { status: 'queued', dueAt: 0, failures: 1 } : succeeded()), true)
    }
    const again = await claim(other.store)
    assert.deepEqual(again.map(({ number, attempt, failures }) => ({ number, attempt, failures })), begun.slice(0, 1).map(({ number }) => ({ number, attempt: 2, failures: 1 })))
  }),

  alone('no more begin in all than there is room for', async ({ open }) => {
    const { store } = await open()
    const begin = { operations: [{ operation: 'Bake', limit: 2 }, { operation: 'Decorate', limit: 2 }], limit: 3, now: start }
    const jobs = ['Bake', 'Bake', 'Bake', 'Decorate', 'Decorate'].map((operation) => newJob({ operation }))
    const begun = (await store.submit(jobs, { maxQueued: plenty, begin })).filter((outcome) => jobOf(outcome)!.status === 'running')
    assert.ok(begun.length <= 3)
  }),
  alone('a repeated start does not begin, whatever room there is', async ({ open }) => {
    const { store } = await open()
    const [first] = await accept(store, key('known'))
    const begin = { operations: [{ operation: 'Bake', limit: 9 }], limit: 9, now: start }
    const [outcome] = await store.submit([newJob(key('known'))], { maxQueued: plenty, begin })
    assert.deepEqual(outcome, { outcome: 'repeated', job: first })
  })
]
