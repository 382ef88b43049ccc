import assert from 'node:assert/strict'
import type { FanOut } from '../../work/store.ts'
import { alone, canceled, hourMs, plenty, start, together } from './bench.ts'
import {
  answer, claimDelivery, debtsOf, fanOutStep, findAllOf, findFanOut, findFanOuts, getSubscription, newEvent, operation, publishAndOwe, publishOne, step,
  subscribe, topic
} from './webhook-bench.ts'

const operationsOf = (debts: FanOut[]): string[] => debts.map((debt) => debt.operation)
const placesOf = (debts: FanOut[]): [number, string][] => debts.map(({ event, operation }): [number, string] => [event, operation])

export const publishCases = [
  together('published events have growing numbers, each with its debt from the same commit on', async ({ open }) => {
    const { store } = await open()
    await subscribe(store, { url: 'a' })
    const numbers = await store.publish([newEvent({ body: '{"n":1}' }), newEvent({ body: '{"n":2}', createdAt: start + 7 })])
    numbers.push(await publishOne(store, { body: '{"n":3}' }))
    assert.deepEqual([...numbers].sort((a, b) => a - b), numbers)
    for (const other of [store, (await open()).store]) {
      assert.deepEqual((await findFanOuts(other)).map(({ round, ...fanOut }) => fanOut), numbers.map((event, index) =>
        ({ event, topic, operation, body: `{"n":${index + 1}}`, cursor: 0 })))
    }
  }),

  together('what several instances publish at once shows in the order of its numbers', async ({ open }) => {
    const instances = await Promise.all([open(), open(), open()])
    const { store: first } = instances[0]
    await subscribe(first, { url: 'a' })
    const numbers: number[] = []
    const seen: number[][] = []
    await Promise.all(instances.map(async ({ store }) => {
      for (let calls = 0; calls < 6; calls++) {
        numbers.push(...await store.publish([newEvent(), newEvent()]))
        seen.push((await findFanOuts(first)).map(({ event }) => event))
      }
    }))
    numbers.sort((a, b) => a - b)
    assert.equal(new Set(numbers).size, 36)
    for (const part of seen) assert.deepEqual(part, numbers.slice(0, part.length))
  }),

  alone('a number is not given again when its event is gone', async ({ open }) => {
    const { store } = await open()
    const event = await publishOne(store, { expiresAt: start })
    assert.equal(await store.sweep(start + 1, plenty), 1)
    assert.ok(await publishOne(store) > event)
  }),

  alone('an event has a debt for each operation that has subscriptions of its topic', async ({ open }) => {
    const { store } = await open()
    await subscribe(store, { url: 'a' }, { url: 'b' }, { url: 'c', operation: 'OnCake' }, { url: 'd', operation: 'OnBox', topic: 'boxes' },
      { url: 'e', operation: 'OnBox' }, { url: 'f', operation: 'Bake', topic: null }, { url: 'g', operation: 'OnPie', topic: 'pies' })
    const [order, box, pie] = await store.publish(['orders', 'boxes', 'pies'].map((name) => newEvent({ topic: name })))
    assert.deepEqual(operationsOf(await findAllOf(store, order!)).sort(), ['OnBox', 'OnCake', 'OnOrder'])
    assert.deepEqual((await findAllOf(store, box!)).map((debt) => [debt.operation, debt.topic]), [['OnBox', 'boxes']])
    assert.deepEqual(operationsOf(await findAllOf(store, pie!)), ['OnPie'])
  }),

  alone('each operation\'s debt has steps of its own', async ({ open }) => {
    const { store } = await open()
    const [a, b, onCake] = await subscribe(store, { url: 'a' }, { url: 'b' }, { url: 'a', operation: 'OnCake' })
    const event = await publishOne(store)
    assert.equal(await fanOutStep(store, event, { limit: 1 }), true)
    assert.deepEqual((await findAllOf(store, event)).map((debt) => [debt.operation, debt.cursor]), [['OnOrder', a!.number], ['OnCake', 0]])
    assert.equal(await fanOutStep(store, event, { of: 'OnCake' }), true)
    assert.deepEqual((await findAllOf(store, event)).map((debt) => [debt.operation, debt.cursor]), [['OnOrder', a!.number]])
    assert.equal((await store.fanOut(step(event, { operation: 'OnCake', owed: [onCake!] }))).done, false)
    assert.equal(await fanOutStep(store, event), true)
    assert.deepEqual(await findAllOf(store, event), [])
    assert.deepEqual(await debtsOf(store), [a!, onCake!, b!].map(({ number }) => ['pending', event, number]))
    assert.deepEqual((await store.listDeliveries({ limit: plenty })).map((delivery) => delivery.operation), ['OnOrder', 'OnCake', 'OnOrder'])
  }),

  alone('each operation\'s debts have rounds of their own', async ({ open }) => {
    const { store } = await open()
    const records = await subscribe(store, { url: 'a', workflow: 'w' }, { url: 'a', workflow: 'w', operation: 'OnCake' })
    const event = await publishOne(store)
    const [own, onCake] = [await findFanOut(store, event), await findFanOut(store, event, 'OnCake')]
    await subscribe(store, { url: 'b', workflow: 'w' })
    assert.notEqual((await findFanOut(store, event)).round, own.round)
    assert.equal((await findFanOut(store, event, 'OnCake')).round, onCake.round)
    const made = await Promise.all([own, onCake].map(({ operation, round, cursor }, index) =>
      store.fanOut(step(event, { operation, round, from: cursor, owed: [records[index]!] }))))
    assert.deepEqual(made.map(({ done }) => done), [false, true])
  }),

  alone('debts are found by their operations, oldest first, up to the limit', async ({ open }) => {
    const { store } = await open()
    await subscribe(store, { url: 'a' }, { url: 'b', operation: 'OnCake', topic: 'cakes' }, { url: 'c', operation: 'OnBox', topic: 'boxes' })
    const numbers = await store.publish(['orders', 'cakes', 'orders', 'boxes', 'cakes'].map((name) => newEvent({ topic: name })))
    const find = async (operations: string[], limit = plenty): Promise<number[]> => (await findFanOuts(store, { operations, limit })).map(({ event }) => event)
    assert.deepEqual(await find(['OnOrder', 'OnCake']), [0, 1, 2, 4].map((index) => numbers[index]))
    assert.deepEqual(await find(['OnCake', 'OnOrder'], 3), [0, 1, 2].map((index) => numbers[index]))
    assert.deepEqual(await find(['Unknown', 'onorder']), [])
    assert.deepEqual(await find([]), [])
  }),

  alone('debts of other operations are found when their event is older than it was asked for, after all others, oldest first', async ({ open }) => {
    const { store } = await open()
    await subscribe(store, { url: 'a' }, { url: 'b', operation: 'OnCake' }, { url: 'c', operation: 'OnBox', topic: 'boxes' })
    const [box, first, second, young] = await store.publish([
      newEvent({ topic: 'boxes', createdAt: start }), newEvent({ createdAt: start + 1 }), newEvent({ createdAt: start + 2 }), newEvent({ createdAt: start + 3 })
    ])
    const find = async (strangersBefore: number, limit = plenty): Promise<[number, string][]> => placesOf(await findFanOuts(store, { strangersBefore, limit }))
    const own = [first, second, young].map((event) => [event, 'OnOrder'])
    const strangers = [[box, 'OnBox'], [first, 'OnCake'], [second, 'OnCake'], [young, 'OnCake']]
    assert.deepEqual(await find(start), own)
    assert.deepEqual(await find(start + 1), [...own, ...strangers.slice(0, 1)])
    assert.deepEqual(await find(start + 3), [...own, ...strangers.slice(0, 3)])
    assert.deepEqual(await find(start + 4), [...own, ...strangers])
    assert.deepEqual(await find(start + 4, 5), [...own, ...strangers.slice(0, 2)])
    assert.deepEqual(await find(start + 4, 2), own.slice(0, 2))
    const all = await findFanOuts(store, { operations: ['Unknown'], strangersBefore: start + 4 })
    assert.deepEqual(all.map(({ event }) => event), [box, first, first, second, second, young, young])
  }),

  alone('a stranger\'s debt is paid as any other', async ({ open }) => {
    const { store } = await open()
    const [record] = await subscribe(store, { url: 'a', operation: 'Removed' })
    const event = await publishOne(store)
    const [{ round, cursor, ...debt }] = await findFanOuts(store, { strangersBefore: start + 1 }) as [FanOut]
    assert.deepEqual(debt, { event, topic, operation: 'Removed', body: '{}' })
    assert.equal((await store.fanOut(step(event, { operation: 'Removed', from: cursor, round, failed: [{ subscription: record!.number, reason: 'unknown' }] }))).done, true)
    assert.deepEqual(await debtsOf(store), [['dead', event, record!.number]])
    assert.deepEqual(await findAllOf(store, event), [])
  }),

  alone('an event that nobody waits for owes nothing, and is forgotten at its time', async ({ open }) => {
    const { store } = await open()
    const [gone] = await subscribe(store, { url: 'a' }, { url: 'b', topic: 'boxes' }, { url: 'c', topic: null })
    await store.unsubscribe(gone!.number, canceled())
    const event = await publishOne(store, { expiresAt: start + 100 })
    assert.deepEqual(await findAllOf(store, event), [])
    assert.equal(await store.sweep(start + 100, plenty), 0)
    assert.equal(await store.sweep(start + 101, plenty), 1)
  }),

  alone('an event is never owed to those who subscribe after it, if they are the first', async ({ open }) => {
    const { store } = await open()
    const missed = await publishOne(store)
    const [first] = await subscribe(store, { url: 'a', workflow: 'w' })
    assert.equal(first!.afterEvent, missed)
    const event = await publishOne(store)
    await subscribe(store, { url: 'b', workflow: 'w' })
    assert.deepEqual(placesOf(await findFanOuts(store)), [[event, operation]])
    assert.equal(await fanOutStep(store, event), true)
    assert.deepEqual((await debtsOf(store)).map(([, owed]) => owed), [event])
  }),

  alone('a suspended subscription is waited for too: what passes it by is to be counted', async ({ open }) => {
    const { store } = await open()
    const [suspended] = await subscribe(store, { url: 'a' })
    await publishAndOwe(store)
    await answer(store, await claimDelivery(store), 'suspended')
    const event = await publishOne(store)
    assert.deepEqual(operationsOf(await findAllOf(store, event)), [operation])
    await fanOutStep(store, event)
    assert.equal((await getSubscription(store, suspended!)).skipped, 1)
  }),

  alone('an event is forgotten when it expired before now and nothing of it is owed', async ({ open }) => {
    const { store } = await open()
    await subscribe(store, { url: 'a' }, { url: 'b', operation: 'OnCake' })
    const event = await publishOne(store, { expiresAt: start + 100 })
    const later = start + 10 * 24 * hourMs
    assert.equal(await store.sweep(later, plenty), 0)
    await fanOutStep(store, event)
    assert.equal(await store.sweep(later, plenty), 0)
    const delivery = await claimDelivery(store)
    assert.equal(await store.sweep(later, plenty), 0)
    await answer(store, delivery, 'refused')
    // The dead letter needs its body.
    assert.equal(await store.sweep(start + 101, plenty), 0)
    await store.redeliver({ number: delivery.number, limit: 1 }, start)
    assert.equal((await claimDelivery(store)).body, '{}')
  }),

  alone('an event is kept while one operation\'s debt of it is unpaid', async ({ open }) => {
    const { store } = await open()
    await subscribe(store, { url: 'a' }, { url: 'b', operation: 'OnCake' })
    const event = await publishOne(store, { expiresAt: start + 100 })
    await fanOutStep(store, event, { wants: () => false })
    assert.equal(await store.sweep(start + 101, plenty), 0)
    await fanOutStep(store, event, { of: 'OnCake', wants: () => false })
    assert.equal(await store.sweep(start + 101, plenty), 1)
  }),

  together('events that nobody waits for are forgotten no more than the limit at once', async ({ open }) => {
    const { store } = await open()
    const other = await open()
    await store.publish([...Array.from({ length: 5 }, () => newEvent({ expiresAt: start + 100 })), newEvent({ expiresAt: start + 300 })])
    assert.equal(await store.sweep(start + 100, plenty), 0)
    const counts: number[] = []
    do counts.push(await other.store.sweep(start + 101, 2)); while (counts.at(-1)! > 0)
    assert.deepEqual(counts, [2, 2, 1, 0])
  })
]
