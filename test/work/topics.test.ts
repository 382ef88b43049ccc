import { test, type Test } from 'tap'
import { createIdCodec } from '../../src/protocol/token.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createManualClock } from '../../src/testing/index.ts'
import { newSubscription } from '../../src/testing/store-contract/webhook-bench.ts'
import { leaseMs } from '../../src/work/job-runner.ts'
import type { FanOut, LogPage, LogRequest, NewEvent } from '../../src/work/store.ts'
import { createTopicLog, type LogReadRequest } from '../../src/work/topic-log.ts'
import { createTopics, type Topics } from '../../src/work/topics.ts'
import { createFailingStore, type FailingStore } from '../helpers/failing-store.ts'
import { createLog } from '../helpers/runner.ts'

interface Bench { topics: Topics, store: FailingStore, batches: NewEvent[][], published: () => number, find: () => Promise<FanOut[]> }

const order = { type: 'object', properties: { orderId: { type: 'string' }, count: { type: 'integer', minimum: 1 } }, required: ['orderId'], additionalProperties: false }
const key = Buffer.alloc(16, 7)

async function createBench (t: Test): Promise<Bench> {
  const clock = createManualClock()
  const inner = sqliteStore({ file: ':memory:' })
  const batches: NewEvent[][] = []
  const store = createFailingStore({ ...inner, publish: (events) => { batches.push(events); return inner.publish(events) } })
  await inner.open({ clock, log: createLog().log, leaseMs, deliveryRetentionMs: 1, wake () {} })
  t.teardown(() => inner.close())
  // The log is seen through what it owes.
  for (const topic of ['orders', 'cakes']) await inner.subscribe(newSubscription({ url: topic, topic, operation: `On ${topic}` }))
  let published = 0
  const topics = createTopics({ store, clock, eventIds: createIdCodec(key, 'event'), retentionMs: 1000, onPublished: () => { published++ } })
  return { topics, store, batches, published: () => published, find: () => store.findFanOuts({ operations: ['On orders', 'On cakes'], strangersBefore: 0, limit: 1000 }) }
}

test('a published event is on disk, dated, with its debt, when its id is told', async (t) => {
  const { topics, batches, published, find } = await createBench(t)
  const orders = topics.topic('orders', { event: order })
  t.same([orders.name, orders.eventSchema], ['orders', order])
  const id = await orders.publish({ orderId: '42' })
  const [debt] = await find()
  t.match(debt, { topic: 'orders', body: '{"orderId":"42"}' })
  const [{ createdAt, expiresAt }] = batches[0] as [NewEvent]
  t.same(createIdCodec(key, 'event').decode(id), { number: debt!.event, createdAt })
  t.equal(expiresAt, createdAt + 1000)
  t.equal(published(), 1)
})

test('an event that does not fit is refused with what is wrong, and nothing is stored', async (t) => {
  const { topics, published, find } = await createBench(t)
  const orders = topics.topic('orders', { event: order })
  const circular: Record<string, unknown> = { orderId: '1' }
  circular.self = circular
  const cases: [unknown, RegExp][] = [
    [{}, /"orders" does not fit its schema: .*orderId/],
    [{ orderId: 42 }, /\/orderId must be string/],
    [{ orderId: '1', count: 0 }, /\/count/],
    [{ orderId: '1', extra: true }, /schema/],
    ['text', /is no JSON object/],
    [[1], /is no JSON object/],
    [null, /is no JSON object/],
    [undefined, /is no JSON object/],
    [() => 1, /is no JSON object/],
    [circular, /is no JSON value/],
    [{ orderId: '1', count: 1n }, /is no JSON value/]
  ]
  for (const [event, message] of cases) await t.rejects(orders.publish(event), { code: 'FST_LOGIC_APPS_INVALID_EVENT', message }, String(message))
  t.same(await find(), [])
  t.equal(published(), 0)
})

test('what is checked is what will be read: the event after its way through JSON', async (t) => {
  const { topics, find } = await createBench(t)
  const orders = topics.topic('orders', { event: { type: 'object', properties: { at: { type: 'string' } }, required: ['at'] } })
  await orders.publish({ at: new Date(0), extra: undefined })
  await orders.publish({ toJSON: () => ({ at: 'now' }) })
  await t.rejects(orders.publish({ at: Symbol('gone') }), { code: 'FST_LOGIC_APPS_INVALID_EVENT' })
  t.same((await find()).map(({ body }) => body), ['{"at":"1970-01-01T00:00:00.000Z"}', '{"at":"now"}'])
})

test('without a schema any JSON object goes', async (t) => {
  const { topics, find } = await createBench(t)
  const orders = topics.topic('orders', {})
  await orders.publish({ any: [1, { thing: null }] })
  await t.rejects(orders.publish(7), { code: 'FST_LOGIC_APPS_INVALID_EVENT' })
  t.equal((await find()).length, 1)
})

test('a name has one topic', async (t) => {
  const { topics } = await createBench(t)
  const orders = topics.topic('orders', { event: order })
  t.equal(topics.topic('orders', { event: order }), orders)
  t.equal(topics.topic('orders', {}), orders)
  t.throws(() => topics.topic('orders', { event: { ...order } }), { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: /"orders" was made before with another schema/ })
  t.not(topics.topic('cakes', { event: order }), orders)
  for (const name of ['', undefined, 7]) t.throws(() => topics.topic(name as string, {}), { code: 'FST_LOGIC_APPS_INVALID_OPTIONS' })
})

test('what is published in one turn shares a commit, in order; a bad event costs the others nothing', async (t) => {
  const { topics, batches, find } = await createBench(t)
  const orders = topics.topic('orders', { event: order })
  const cakes = topics.topic('cakes', {})
  const results = await Promise.allSettled([orders.publish({ orderId: '1' }), cakes.publish({}), orders.publish({}), orders.publish({ orderId: '2' })])
  t.same(results.map(({ status }) => status), ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
  t.equal(batches.length, 1)
  t.same((await find()).map(({ topic, body }) => [topic, body]), [['orders', '{"orderId":"1"}'], ['cakes', '{}'], ['orders', '{"orderId":"2"}']])
  const ids = results.flatMap((result) => result.status === 'fulfilled' ? [result.value] : [])
  t.equal(new Set(ids).size, 3)
})

test('a store that is away is told to the publisher, and nothing is announced', async (t) => {
  const { topics, store, published, find } = await createBench(t)
  const orders = topics.topic('orders', {})
  store.fail('publish', 1)
  await t.rejects(orders.publish({}), { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE' })
  t.equal(published(), 0)
  t.same(await find(), [])
  await orders.publish({})
  t.equal((await find()).length, 1)
})

test('publish with a transaction is refused where the store cannot join it, and what is no transaction always', async (t) => {
  const { topics, find } = await createBench(t)
  const orders = topics.topic('orders', {})
  await t.rejects(orders.publish({ orderId: '1' }, { db: { query: async () => {} } }), { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: /use postgresStore/ })
  for (const db of [undefined, null, 'client', {}]) {
    await t.rejects(orders.publish({ orderId: '1' }, { db } as never), { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: /"db" of publish must be/ })
  }
  t.same(await find(), [])
})

const request: LogReadRequest = { topic: 'oven', place: { number: 7, at: 0 }, limit: 10, scanLimit: 100, maxAgeMs: undefined, wants: undefined }

test('those who wait at the same place share one read, and others have their own', async (t) => {
  const asked: LogRequest[][] = []
  const store = {
    async readLog (requests: LogRequest[]): Promise<LogPage[]> {
      asked.push(requests)
      return requests.map(({ topic, after, limit }) => ({ entries: [{ number: after + 1, reachedAt: 0, body: JSON.stringify([topic, after, limit]) }], from: after, missed: false, last: 99 }))
    }
  }
  const log = createTopicLog({ store, clock: createManualClock() })
  const readings = await Promise.all([
    log.read(request),
    log.read({ ...request, place: { number: 8, at: 0 } }),
    log.read(request),
    log.read({ ...request, limit: 5 }),
    log.read({ ...request, topic: 'oven 7' }),
    log.read({ ...request, maxAgeMs: 1000 }),
    log.read(request)
  ])
  t.equal(asked.length, 1)
  t.equal(asked[0]!.length, 5)
  t.same(readings.map(({ entries: [entry] }) => JSON.parse(entry!.body) as unknown), [
    ['oven', 7, 11], ['oven', 8, 11], ['oven', 7, 11], ['oven', 7, 6], ['oven 7', 7, 11], ['oven', 7, 11], ['oven', 7, 11]
  ])
})
