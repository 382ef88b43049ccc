import { test, type Test } from 'tap'
import { createManualClock } from '../../src/testing/manual-clock.ts'
import type { Statements } from '../../src/stores/postgres/connection.ts'
import { createQueueLimit } from '../../src/stores/postgres/queue-limit.ts'
import { createLatch, type Latch } from '../helpers/latch.ts'

/** A queue limit whose counts are answered by hand. */
function createCounting () {
  const clock = createManualClock()
  const limit = createQueueLimit()
  const counts: Latch<number>[] = []
  const sql: Statements['sql'] = async () => {
    const count = createLatch<number>()
    counts.push(count)
    return [{ count: await count.promise }]
  }
  const reserve = (maxQueued: number, wanted: number): Promise<number> => limit.reserve({ sql, prepared: sql }, clock, maxQueued, wanted)
  /** A submit of which all that may be queued are. Resolves to how many. */
  const submit = async (maxQueued: number, wanted: number): Promise<number> => {
    const places = await reserve(maxQueued, wanted)
    limit.free(places, places)
    return places
  }
  return { clock, limit, counts, reserve, submit }
}

/** Whether it is, without anything else happening. */
const isSettled = async (promise: Promise<unknown>): Promise<boolean> =>
  await Promise.race([promise.then(() => true), new Promise<false>((resolve) => { setImmediate(resolve, false) })])

test('submits that come while the queue is counted share the count, and have no place twice', async (t) => {
  const { counts, limit, reserve } = createCounting()
  const [first, second] = [reserve(10, 8), reserve(10, 8)]
  t.equal(counts.length, 1)
  counts[0]!.open(4)
  t.equal(await first, 6)
  limit.free(6, 6)
  t.equal(await second, 0)
})

test('where only the places of others are in the way, a submit waits for what becomes of them', async (t) => {
  const { clock, counts, limit, reserve } = createCounting()
  const first = reserve(10, 6)
  counts[0]!.open(0)
  t.equal(await first, 6)
  const [second, third] = [reserve(10, 6), reserve(10, 6)]
  await clock.advance(0)
  t.notOk(await isSettled(second))
  // Most of them began at once.
  limit.free(6, 1)
  t.equal(await second, 6)
  t.notOk(await isSettled(third))
  limit.free(6, 6)
  t.equal(await third, 3, 'there is not room for all of them any more')
})

test('one that wants more than there ever is waits, too: those before it may leave it something', async (t) => {
  const { counts, limit, reserve } = createCounting()
  const first = reserve(10, 10)
  counts[0]!.open(0)
  t.equal(await first, 10)
  const second = reserve(10, 11)
  t.notOk(await isSettled(second))
  limit.free(10, 2)
  t.equal(await second, 8)
})

test('whoever waits for the places of others has them before those who come later, however few these want', async (t) => {
  const { counts, limit, reserve } = createCounting()
  const first = reserve(10, 5)
  counts[0]!.open(0)
  t.equal(await first, 5)
  const large = reserve(10, 10)
  const small = reserve(10, 5)
  t.notOk(await isSettled(small), 'though there is room for it')
  limit.free(5, 0)
  t.equal(await large, 10)
  t.notOk(await isSettled(small))
  limit.free(10, 0)
  t.equal(await small, 5)
})

test('nobody waits for the places of others where the queue is full without them', async (t) => {
  const { clock, counts, limit, reserve } = createCounting()
  const first = reserve(10, 1)
  counts[0]!.open(5)
  await first
  await clock.advance(1000)
  const [large, small] = [reserve(10, 9), reserve(10, 1)]
  counts[1]!.open(10)
  // The second shared that count, and a place was held meanwhile: it is counted anew before it is refused.
  await clock.advance(0)
  counts[2]!.open(10)
  t.same(await Promise.all([large, small]), [0, 0])
  limit.free(1, 1)
})

test('whoever waited is not refused by what was known before', async (t) => {
  const { clock, counts, limit, reserve } = createCounting()
  const first = reserve(10, 10)
  counts[0]!.open(0)
  t.equal(await first, 10)
  const second = reserve(10, 10)
  await clock.advance(0)
  // It failed, and may have been committed all the same.
  limit.forget()
  limit.free(10, 10)
  await clock.advance(0)
  t.equal(counts.length, 2)
  counts[1]!.open(0)
  t.equal(await second, 10)
})

test('whoever waits takes the room of jobs that leave', async (t) => {
  const { counts, limit, reserve } = createCounting()
  const first = reserve(10, 5)
  counts[0]!.open(5)
  t.equal(await first, 5)
  const second = reserve(10, 4)
  t.notOk(await isSettled(second))
  limit.leaving()(4)
  t.equal(await second, 4)
})

test('jobs that leave before they are known to have been queued make the count doubtful', async (t) => {
  const { counts, limit, reserve, submit } = createCounting()
  const first = reserve(10, 10)
  counts[0]!.open(0)
  await first
  limit.leaving()(10)
  limit.free(10, 10)
  const second = submit(10, 5)
  t.equal(counts.length, 2)
  counts[1]!.open(0)
  t.equal(await second, 5)
})

test('jobs that we claimed leave room, without a count', async (t) => {
  const { counts, limit, submit } = createCounting()
  const first = submit(10, 8)
  counts[0]!.open(2)
  t.equal(await first, 8)
  limit.leaving()(3)
  t.equal(await submit(10, 3), 3)
  t.equal(counts.length, 1)
})

test('more cannot leave than were known: others were queued meanwhile', async (t) => {
  const { counts, limit, submit } = createCounting()
  const first = submit(10, 1)
  counts[0]!.open(2)
  await first
  limit.leaving()(5)
  t.equal(await submit(10, 10), 10)
  t.equal(counts.length, 1)
  const last = submit(10, 1)
  t.equal(counts.length, 2, 'and there is none left that is believed')
  counts[1]!.open(10)
  t.equal(await last, 0)
})

for (const [when, leave] of [
  ['began', async (t, { limit, counts, clock, reserve }) => {
    await clock.advance(1000)
    const counted = reserve(10, 6)
    const left = limit.leaving()
    counts[1]!.open(8)
    t.equal(await counted, 2)
    left(4)
  }],
  ['ended', async (t, { limit, counts, clock, reserve }) => {
    const left = limit.leaving()
    await clock.advance(1000)
    const counted = reserve(10, 6)
    left(4)
    counts[1]!.open(8)
    t.equal(await counted, 2)
  }]
] as [string, (t: Test, counting: ReturnType<typeof createCounting>) => Promise<void>][]) {
  test(`jobs that left while a count ${when} may have been gone for it already: a full queue is counted anew`, async (t) => {
    const counting = createCounting()
    const { limit, counts, submit } = counting
    const first = submit(10, 1)
    counts[0]!.open(7)
    await first
    await leave(t, counting)
    limit.free(2, 2)
    const next = submit(10, 1)
    t.equal(counts.length, 3)
    counts[2]!.open(9)
    t.equal(await next, 1)
  })
}

test('of a queue that is longer than the limit nobody knows how long it is: what leaves it leaves no room', async (t) => {
  const { counts, limit, submit } = createCounting()
  const first = submit(10, 1)
  counts[0]!.open(10)
  t.equal(await first, 0)
  limit.leaving()(5)
  const second = submit(10, 1)
  t.equal(counts.length, 2)
  counts[1]!.open(10)
  t.equal(await second, 0)
})

test('jobs that come back to the queue count, and perhaps twice', async (t) => {
  const { counts, limit, submit } = createCounting()
  const first = submit(10, 1)
  counts[0]!.open(4)
  await first
  limit.add(3)
  t.equal(await submit(10, 2), 2)
  const second = submit(10, 1)
  t.equal(counts.length, 2)
  counts[1]!.open(7)
  t.equal(await second, 1)
})

test('a count is good for a second, and what is accepted meanwhile is added to it', async (t) => {
  const { clock, counts, submit } = createCounting()
  const first = submit(100, 10)
  counts[0]!.open(4)
  t.equal(await first, 10)
  await clock.advance(999)
  t.equal(await submit(100, 100), 86)
  t.equal(counts.length, 1)
})

test('where half of it stays free nobody waits for the next count, and it holds from then on', async (t) => {
  const { clock, counts, submit } = createCounting()
  const first = submit(100, 10)
  counts[0]!.open(0)
  await first
  await clock.advance(1000)
  t.equal(await submit(100, 10), 10)
  t.equal(counts.length, 2)
  t.equal(await submit(100, 10), 10, 'the count that is under way is shared')
  counts[1]!.open(50)
  await clock.advance(0)
  t.equal(await submit(100, 30), 30)
  t.equal(counts.length, 2)
  const last = submit(100, 1)
  t.equal(counts.length, 3, '50 were counted, 20 accepted meanwhile, which may be in it, and 30 after it')
  counts[2]!.open(80)
  t.equal(await last, 1)
})

test('where less than half of it would stay free the next count is waited for', async (t) => {
  const { clock, counts, submit } = createCounting()
  const first = submit(100, 1)
  counts[0]!.open(49)
  await first
  await clock.advance(1000)
  const second = submit(100, 10)
  t.notOk(await isSettled(second))
  counts[1]!.open(95)
  t.equal(await second, 5)
})

test('a replica that was idle waits for its count: others may have filled the queue', async (t) => {
  const { clock, counts, submit } = createCounting()
  const first = submit(100, 1)
  counts[0]!.open(0)
  await first
  await clock.advance(2000)
  const second = submit(100, 1)
  t.notOk(await isSettled(second))
  counts[1]!.open(100)
  t.equal(await second, 0)
})

test('a count that took long is good for a hundred times as long, ten seconds at most', async (t) => {
  const { clock, counts, submit } = createCounting()
  const first = submit(1_000_000, 1)
  await clock.advance(50)
  counts[0]!.open(0)
  await first
  await clock.advance(4999)
  await submit(1_000_000, 1)
  t.equal(counts.length, 1)
  await clock.advance(1)
  await submit(1_000_000, 1)
  t.equal(counts.length, 2)
  await clock.advance(2000)
  counts[1]!.open(0)
  await clock.advance(9999)
  await submit(1_000_000, 1)
  t.equal(counts.length, 2)
  await clock.advance(1)
  await submit(1_000_000, 1)
  t.equal(counts.length, 3)
})

test('where less than half of it is free a count is good for twenty times as long: others fill the rest sooner', async (t) => {
  const { clock, counts, submit } = createCounting()
  const first = submit(1_000_000, 1)
  await clock.advance(100)
  counts[0]!.open(500_000)
  await first
  await clock.advance(1999)
  await submit(1_000_000, 1)
  t.equal(counts.length, 1)
  await clock.advance(1)
  const second = submit(1_000_000, 1)
  t.equal(counts.length, 2)
  counts[1]!.open(500_000)
  t.equal(await second, 1)
})

test('that the queue is full is believed for a second, however long the count took', async (t) => {
  const { clock, counts, submit } = createCounting()
  const first = submit(10, 1)
  await clock.advance(5000)
  counts[0]!.open(10)
  t.equal(await first, 0)
  await clock.advance(999)
  t.equal(await submit(10, 1), 0)
  t.equal(counts.length, 1)
  await clock.advance(1)
  const second = submit(10, 1)
  counts[1]!.open(9)
  t.equal(await second, 1)
})

test('a full queue that jobs have left is counted at once', async (t) => {
  const { limit, counts, submit } = createCounting()
  const first = submit(10, 1)
  counts[0]!.open(10)
  t.equal(await first, 0)
  t.equal(await submit(10, 1), 0)
  t.equal(counts.length, 1)
  limit.forget()
  const second = submit(10, 1)
  counts[1]!.open(9)
  t.equal(await second, 1)
})

test('whoever comes after jobs have left is not refused by a count that began before', async (t) => {
  const { clock, limit, counts, submit } = createCounting()
  const first = submit(10, 1)
  limit.forget()
  const second = submit(10, 1)
  counts[0]!.open(10)
  t.equal(await first, 0)
  await clock.advance(0)
  t.equal(counts.length, 2)
  counts[1]!.open(9)
  t.equal(await second, 1)
})

test('a full queue of which some may have been counted twice is counted again', async (t) => {
  const { clock, limit, counts, reserve, submit } = createCounting()
  const first = reserve(10, 5)
  counts[0]!.open(0)
  await first
  await clock.advance(1000)
  const second = submit(10, 6)
  // They were committed before the count, which tells of them too.
  limit.free(5, 5)
  counts[1]!.open(5)
  t.equal(await second, 0)
  const third = submit(10, 1)
  counts[2]!.open(5)
  t.equal(await third, 1)
})

test('all who wait for a count are told why it fails', async (t) => {
  const { counts, submit } = createCounting()
  const submits = [submit(10, 1), submit(10, 1)]
  counts[0]!.fail(new Error('no'))
  for (const submitted of submits) await t.rejects(submitted, { message: 'no' })
})

test('a count that fails while nobody waits for it is made again by the next submit, which is told why it fails', async (t) => {
  const { clock, counts, submit } = createCounting()
  const first = submit(100, 1)
  counts[0]!.open(4)
  await first
  await clock.advance(1000)
  t.equal(await submit(100, 1), 1)
  counts[1]!.fail(new Error('no'))
  await clock.advance(0)
  const next = submit(100, 1)
  counts[2]!.fail(new Error('still no'))
  await t.rejects(next, { message: 'still no' })
})
