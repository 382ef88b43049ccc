import { test } from 'tap'
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
  const room = (maxQueued: number, wanted = 1): Promise<number> => limit.room({ sql, prepared: sql }, clock, maxQueued, wanted)
  return { clock, limit, counts, room }
}

/** What of several promises is settled without anything else happening. */
const isSettled = async (promise: Promise<unknown>): Promise<boolean> =>
  await Promise.race([promise.then(() => true), new Promise<false>((resolve) => { setImmediate(resolve, false) })])

test('submits that come while the queue is counted share the count', async (t) => {
  const { counts, room } = createCounting()
  const rooms = [room(10), room(10), room(10)]
  t.equal(counts.length, 1)
  counts[0]!.open(4)
  t.same(await Promise.all(rooms), [6, 6, 6])
})

test('a count is good for a second, and what is accepted meanwhile is added to it', async (t) => {
  const { clock, limit, counts, room } = createCounting()
  const first = room(100)
  counts[0]!.open(4)
  t.equal(await first, 96)
  limit.add(10)
  await clock.advance(999)
  t.equal(await room(100), 86)
  t.equal(counts.length, 1)
})

test('where half of it is free nobody waits for the next count, and it holds from then on', async (t) => {
  const { clock, limit, counts, room } = createCounting()
  const first = room(100)
  counts[0]!.open(4)
  await first
  await clock.advance(1000)
  t.equal(await room(100), 96)
  t.equal(counts.length, 2)
  limit.add(5)
  t.equal(await room(100), 91, 'the count that is under way is shared')
  counts[1]!.open(30)
  await clock.advance(0)
  t.equal(await room(100), 65, 'what was accepted meanwhile is not in it')
  t.equal(counts.length, 2)
})

test('where less than half of it is free the next count is waited for', async (t) => {
  const { clock, counts, room } = createCounting()
  const first = room(100)
  counts[0]!.open(40)
  await first
  await clock.advance(1000)
  t.equal(await room(100, 10), 60)
  counts[1]!.open(41)
  await clock.advance(1000)
  const waiting = room(100, 10)
  t.notOk(await isSettled(waiting))
  counts[2]!.open(95)
  t.equal(await waiting, 5)
})

test('a count that took long is good for twenty times as long', async (t) => {
  const { clock, counts, room } = createCounting()
  const first = room(1_000_000)
  await clock.advance(200)
  counts[0]!.open(400_000)
  t.equal(await first, 600_000)
  await clock.advance(3999)
  await room(1_000_000)
  t.equal(counts.length, 1)
  await clock.advance(1)
  t.equal(await room(1_000_000), 600_000)
  t.equal(counts.length, 2)
})

test('a full queue that jobs have left is counted at once', async (t) => {
  const { limit, counts, room } = createCounting()
  const first = room(10)
  counts[0]!.open(10)
  t.equal(await first, 0)
  t.equal(await room(10), 0)
  t.equal(counts.length, 1)
  limit.forget()
  const second = room(10)
  counts[1]!.open(9)
  t.equal(await second, 1)
})

test('a count that fails while nobody waits for it is made again by the next submit, which is told why it fails', async (t) => {
  const { clock, counts, room } = createCounting()
  const first = room(100)
  counts[0]!.open(4)
  await first
  await clock.advance(1000)
  t.equal(await room(100), 96)
  counts[1]!.fail(new Error('no'))
  await clock.advance(0)
  const next = room(100)
  counts[2]!.fail(new Error('still no'))
  await t.rejects(next, { message: 'still no' })
})
