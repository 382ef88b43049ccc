import assert from 'node:assert/strict'
import type { LogPage, LogRequest, NewEvent, Store } from '../../work/store.ts'
import { alone, hourMs, plenty, start, together } from './bench.ts'
import { newEvent, operation, publishOne, subscribe, topic } from './webhook-bench.ts'

async function read (store: Store, request: Partial<LogRequest> = {}): Promise<LogPage> {
  const [page, ...others] = await store.readLog([{ topic, after: 0, limit: plenty, ...request }])
  assert.ok(page)
  assert.deepEqual(others, [])
  return page
}

const numbersOf = ({ entries }: LogPage): number[] => entries.map(({ number }) => number)

/** Publishes one after the other. */
async function publishAll (store: Store, ...events: Partial<NewEvent>[]): Promise<number[]> {
  const numbers: number[] = []
  for (const event of events) numbers.push(await publishOne(store, event))
  return numbers
}

const dated = (...offsets: number[]): Partial<NewEvent>[] => offsets.map((offset) => ({ createdAt: start + offset, expiresAt: start + hourMs }))
const expiring = (...offsets: number[]): Partial<NewEvent>[] => offsets.map((offset) => ({ expiresAt: start + offset }))

/** As often as it takes. Resolves to how much was forgotten. */
async function sweepAll (store: Store, now: number): Promise<number> {
  let sum = 0
  for (let count = -1; count !== 0; sum += count) count = await store.sweep(now, 3)
  return sum
}

/** As the core does when nobody wants it. */
async function payDebt (store: Store, event: number): Promise<void> {
  assert.equal((await store.fanOut({ event, operation, from: 0, round: 0, to: null, owed: [], skipped: [], failed: [], now: start })).done, true)
}

export const logCases = [
  alone('a log that nobody published to is empty', async ({ open }) => {
    const { store } = await open()
    assert.deepEqual(await read(store), { entries: [], from: 0, missed: false, last: 0 })
    assert.deepEqual(await read(store, { after: 7, notBefore: start }), { entries: [], from: 7, missed: false, last: 0 })
    assert.deepEqual(await store.readLog([]), [])
  }),

  together('the entries of a topic after a number, oldest first, no more than the limit, as last committed by any process', async ({ open }) => {
    const { store } = await open()
    const other = await open()
    const numbers = await publishAll(store, { body: '{"n":1}' }, { body: '{"n":2}' }, { body: '{"n":3}' })
    const stranger = await publishOne(store, { topic: 'pies' })
    const page = await read(other.store, { after: numbers[0]!, limit: 1 })
    assert.deepEqual(page, { entries: [{ number: numbers[1], reachedAt: start, body: '{"n":2}' }], from: numbers[0], missed: false, last: stranger })
    assert.deepEqual(numbersOf(await read(other.store)), numbers)
    assert.deepEqual(numbersOf(await read(other.store, { after: numbers[2]! })), [])
    assert.deepEqual((await read(other.store, { limit: 0 })).entries, [])
  }),

  alone('several logs are read at once, each in its place', async ({ open }) => {
    const { store } = await open()
    const [order] = await publishAll(store, {}, { topic: 'pies' })
    const pages = await store.readLog(['pies', topic, 'nothing'].map((name) => ({ topic: name, after: 0, limit: plenty })))
    assert.deepEqual(pages.map(numbersOf), [[order! + 1], [order], []])
    assert.deepEqual(pages.map(({ last }) => last), [order! + 1, order! + 1, order! + 1])
  }),

  together('a reader never sees a number and later a lower one, whoever publishes', async ({ open }) => {
    const instances = await Promise.all([open(), open(), open()])
    const seen: number[] = []
    const reader = (async () => {
      while (seen.length < 60) seen.push(...numbersOf(await read(instances[2].store, { after: seen.at(-1) ?? 0, limit: 7 })))
    })()
    const published = await Promise.all(instances.slice(0, 2).map(({ store }) => publishAll(store, ...Array.from({ length: 30 }, () => ({})))))
    await reader
    assert.deepEqual(seen, published.flat().sort((a, b) => a - b))
  }),

  alone('the newest number is that of any topic, also when all is forgotten', async ({ open }) => {
    const { store } = await open()
    const number = await publishOne(store, { topic: 'pies', expiresAt: start })
    await sweepAll(store, start + 1)
    const { last, missed } = await read(store)
    assert.deepEqual({ last, missed }, { last: number, missed: false })
  }),

  alone('from the first entry that is not older than a time', async ({ open }) => {
    const { store } = await open()
    const numbers = await publishAll(store, ...dated(0, 10, 10, 20, 30))
    const from = async (offset: number, after = 0): Promise<number[]> => numbersOf(await read(store, { after, notBefore: start + offset }))
    assert.deepEqual(await from(-1), numbers)
    assert.deepEqual(await from(0), numbers)
    assert.deepEqual(await from(1), numbers.slice(1))
    assert.deepEqual(await from(10), numbers.slice(1))
    assert.deepEqual(await from(11), numbers.slice(3))
    assert.deepEqual(await from(30), numbers.slice(4))
    assert.deepEqual(await from(31), [])
    assert.deepEqual(await from(10, numbers[2]), numbers.slice(3))
  }),

  alone('an entry that a clock set back dates before the time stays behind one that is not', async ({ open }) => {
    const { store } = await open()
    const numbers = await publishAll(store, ...dated(0, 50, 20, 10, 60, 40))
    assert.deepEqual(numbersOf(await read(store, { notBefore: start + 45 })), numbers.slice(1))
    assert.deepEqual(numbersOf(await read(store, { notBefore: start + 55 })), numbers.slice(4))
    assert.deepEqual((await read(store)).entries.map(({ reachedAt }) => reachedAt - start), [0, 50, 50, 50, 60, 60])
  }),

  alone('where it was read from goes on from, as far as was passed over', async ({ open }) => {
    const { store } = await open()
    const numbers = await publishAll(store, ...dated(0, 10))
    await publishOne(store, { topic: 'pies' })
    numbers.push(...await publishAll(store, ...dated(20)))
    for (const [offset, first] of [[5, 1], [15, 2], [25, 3]] as const) {
      const { from } = await read(store, { notBefore: start + offset, limit: 0 })
      assert.ok(from >= numbers[first - 1]!, 'all that is too old is behind it')
      assert.ok(from < (numbers[first] ?? Infinity), 'nothing else is')
    }
  }),

  alone('an expired entry leaves the log with a sweep, and who had not read it missed it', async ({ open }) => {
    const { store } = await open()
    const [first, second, third] = await publishAll(store, ...expiring(100, 100, 300))
    assert.equal(await sweepAll(store, start + 101), 2)
    for (const [after, missed] of [[0, true], [first!, true], [second!, false], [third!, false]] as const) {
      const page = await read(store, { after })
      assert.equal(page.missed, missed, `after ${after}`)
      assert.equal(page.from, Math.max(after, second!))
      assert.deepEqual(numbersOf(page), after < third! ? [third] : [])
    }
    assert.equal((await read(store, { topic: 'pies' })).missed, false)
  }),

  alone('what is forgotten and older than was asked for was not missed', async ({ open }) => {
    const { store } = await open()
    await publishAll(store, { createdAt: start + 5, expiresAt: start + 100 }, ...expiring(300))
    await sweepAll(store, start + 101)
    assert.equal((await read(store, { notBefore: start + 5 })).missed, true)
    assert.equal((await read(store, { notBefore: start + 6 })).missed, false)
  }),

  alone('the oldest entries of a log that has too many leave it with a sweep, those of others do not', async ({ open }) => {
    const { store } = await open()
    const others = await publishAll(store, ...Array.from({ length: 5 }, () => ({ topic: 'pies' })))
    const numbers = await publishAll(store, ...Array.from({ length: 9 }, () => ({ maxEvents: 4 })))
    assert.equal(await sweepAll(store, start), 5)
    assert.deepEqual(numbersOf(await read(store)), numbers.slice(5))
    assert.equal((await read(store, { after: numbers[3]! })).missed, true)
    assert.deepEqual(numbersOf(await read(store, { topic: 'pies' })), others)
    assert.equal(await sweepAll(store, start), 0)
    await publishOne(store, { maxEvents: 2 })
    assert.equal(await sweepAll(store, start), 3)
    assert.equal((await read(store)).entries.length, 2)
  }),

  together('no sweep forgets more than its limit, and several forget each entry once', async ({ open }) => {
    const instances = await Promise.all([open(), open()])
    await publishAll(instances[0].store, ...Array.from({ length: 10 }, (_, index) => ({ topic: index % 2 === 0 ? topic : 'pies', expiresAt: start })))
    const counts = await Promise.all(instances.flatMap(({ store }) => [store.sweep(start + 1, 3), store.sweep(start + 1, 3)]))
    assert.ok(counts.every((count) => count <= 3))
    assert.equal(counts.reduce((sum, count) => sum + count), 10)
  }),

  alone('a log has no hole: an entry that expired waits for those before it', async ({ open }) => {
    const { store } = await open()
    const numbers = await publishAll(store, ...expiring(300, 100, 300, 100))
    assert.equal(await sweepAll(store, start + 101), 0)
    assert.deepEqual(numbersOf(await read(store)), numbers)
    assert.equal(await sweepAll(store, start + 301), 4)
  }),

  alone('an entry that a fast clock dates in the future keeps nothing', async ({ open }) => {
    const { store } = await open()
    const year = 365 * 24 * hourMs
    const [early, future, late] = await publishAll(store, ...expiring(100), { createdAt: start + year, expiresAt: start + year + 100 }, ...expiring(200))
    assert.equal(await sweepAll(store, start + 101), 1)
    assert.deepEqual(numbersOf(await read(store, { after: early! })), [future, late])
    assert.equal(await sweepAll(store, start + 201), 2)
  }),

  alone('an event that is still owed leaves the log at its time, but is kept until it is not', async ({ open }) => {
    const { store } = await open()
    await subscribe(store, { url: 'a' })
    const [first, second, third] = await publishAll(store, ...expiring(100, 100, 300).map((event) => ({ ...event, body: '{"n":1}' })))
    await payDebt(store, second!)
    assert.equal(await sweepAll(store, start + 101), 1)
    const page = await read(store)
    assert.deepEqual({ from: page.from, missed: page.missed, numbers: numbersOf(page) }, { from: second, missed: true, numbers: [third] })
    assert.equal((await read(store, { after: second! })).missed, false)
    assert.deepEqual((await store.findFanOuts({ operations: [operation], strangersBefore: 0, limit: plenty })).map(({ event, body }) => [event, body]), [[first, '{"n":1}'], [third, '{"n":1}']])
    await payDebt(store, first!)
    assert.equal(await sweepAll(store, start + 101), 1)
    assert.deepEqual(numbersOf(await read(store)), [third])
  }),

  together('what is read is of one moment', async ({ open }) => {
    const { store } = await open()
    const other = await open()
    const requests = Array.from({ length: 4 }, () => ({ topic, after: 0, limit: plenty }))
    const [pages] = await Promise.all([store.readLog(requests), other.store.publish(Array.from({ length: 20 }, () => newEvent()))])
    assert.equal(new Set(pages.map((page) => JSON.stringify(page))).size, 1)
    assert.equal(pages[0]!.entries.length % 20, 0)
  })
]
