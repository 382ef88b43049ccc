import type { LookupAddress } from 'node:dns'
import { test } from 'tap'
import { connectTimeoutMs, createSharedLookup, type SharedLookup } from '../../src/callbacks/shared-lookup.ts'
import { createLatch, type Latch } from '../helpers/latch.ts'
import { fakeNameServer } from '../helpers/name-server.ts'

const lookUp = (lookup: SharedLookup, hostname: string, family = 0): Promise<LookupAddress[] | Error> =>
  new Promise((resolve) => { lookup(hostname, { all: true, family }, (error, addresses) => { resolve(error ?? addresses) }) })

const turn = async (): Promise<void> => { for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => { setImmediate(resolve) }) }

/** Names whose servers answer when their latch opens. */
function slow (...names: string[]): { latches: Record<string, Latch<string[] | Error>>, answers: Record<string, Promise<string[] | Error>[]> } {
  const latches = Object.fromEntries(names.map((name) => [name, createLatch<string[] | Error>()]))
  return { latches, answers: Object.fromEntries(names.map((name) => [name, [latches[name]!.promise]])) }
}

test('at most two names are looked up at once, the others in the order they were asked for', async (t) => {
  const { latches, answers } = slow('a', 'b', 'c', 'd')
  const asked = fakeNameServer(t, answers)
  const lookup = createSharedLookup()
  const found = ['a', 'b', 'c', 'd'].map((name) => lookUp(lookup, name))
  await turn()
  t.same(asked, ['a', 'b'])
  latches.b!.open(new Error('no such name'))
  t.match(await found[1], { message: 'no such name' })
  await turn()
  t.same(asked, ['a', 'b', 'c'], 'a failure makes room too')
  for (const name of ['a', 'c', 'd']) latches[name]!.open(['8.8.8.8'])
  for (const index of [0, 2, 3]) t.same(await found[index], [{ address: '8.8.8.8', family: 4 }])
  t.same(asked, ['a', 'b', 'c', 'd'])
})

test('calls for one name share a lookup, while it waits and while it is under way', async (t) => {
  const { latches, answers } = slow('a', 'b', 'c')
  const asked = fakeNameServer(t, answers)
  const lookup = createSharedLookup()
  const found = ['a', 'b', 'c', 'a', 'c', 'c'].map((name) => lookUp(lookup, name))
  await turn()
  latches.a!.open(['8.8.8.8'])
  await turn()
  latches.c!.open(['1.1.1.1'])
  for (const index of [2, 4, 5]) t.same(await found[index], [{ address: '1.1.1.1', family: 4 }])
  t.same(asked, ['a', 'b', 'c'])
  t.same(await found[3], [{ address: '8.8.8.8', family: 4 }])
})

test('nothing is kept of an answer: the next call asks again', async (t) => {
  const asked = fakeNameServer(t, { a: [['8.8.8.8'], ['1.1.1.1']] })
  const lookup = createSharedLookup()
  t.match(await lookUp(lookup, 'a'), [{ address: '8.8.8.8' }])
  t.match(await lookUp(lookup, 'a'), [{ address: '1.1.1.1' }])
  t.same(asked, ['a', 'a'])
})

test('other options are another question', async (t) => {
  const asked = fakeNameServer(t, { a: [['8.8.8.8']] })
  const lookup = createSharedLookup()
  await Promise.all([lookUp(lookup, 'a', 4), lookUp(lookup, 'a', 6)])
  t.same(asked, ['a', 'a'])
})

test('a name whose socket has given up is not looked up any more', async (t) => {
  const { latches, answers } = slow('a', 'b')
  const asked = fakeNameServer(t, { ...answers, late: [['8.8.8.8']], joined: [['8.8.8.8']], fresh: [['8.8.8.8']] })
  let now = 1000
  const lookup = createSharedLookup(() => now)
  const found = ['a', 'b', 'late', 'joined'].map((name) => lookUp(lookup, name))
  now += connectTimeoutMs - 1
  found.push(lookUp(lookup, 'joined'), lookUp(lookup, 'fresh'))
  now++
  await turn()
  latches.a!.open(['8.8.8.8'])
  latches.b!.open(['8.8.8.8'])
  t.match(await found[2], { code: 'ETIMEDOUT', message: 'late was not looked up in time: other names were slow' })
  for (const index of [0, 1, 3, 4, 5]) t.match(await found[index], [{ address: '8.8.8.8' }])
  t.same(asked, ['a', 'b', 'joined', 'fresh'])
})
