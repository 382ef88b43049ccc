import type { LookupAddress } from 'node:dns'
import { mock } from 'node:test'
import { test } from 'tap'
import { createSharedLookup, LookupTurnError, type SharedLookup } from '../../src/callbacks/shared-lookup.ts'
import { createLatch, type Latch } from '../helpers/latch.ts'
import { fakeNameServer } from '../helpers/name-server.ts'

const turnMs = 500

const lookUp = (lookup: SharedLookup, hostname: string, family = 0): Promise<LookupAddress[] | Error> =>
  new Promise((resolve) => { lookup(hostname, { all: true, family }, (error, addresses) => { resolve(error ?? addresses) }) })

const turn = async (): Promise<void> => { for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => { setImmediate(resolve) }) }

/** Names whose servers answer when their latch opens. */
function slow (...names: string[]): { latches: Record<string, Latch<string[] | Error>>, answers: Record<string, Promise<string[] | Error>[]> } {
  const latches = Object.fromEntries(names.map((name) => [name, createLatch<string[] | Error>()]))
  return { latches, answers: Object.fromEntries(names.map((name) => [name, [latches[name]!.promise]])) }
}

/** A lookup to which these names are known: they were found before. */
async function createLookupThatKnows (...names: string[]): Promise<SharedLookup> {
  const lookup = createSharedLookup(turnMs)
  for (const name of names) await lookUp(lookup, name)
  return lookup
}

test('one name that is not known is looked up at a time, the others in the order they were asked for', async (t) => {
  const { latches, answers } = slow('a', 'b', 'c')
  const asked = fakeNameServer(t, answers)
  const lookup = createSharedLookup()
  const found = ['a', 'b', 'c'].map((name) => lookUp(lookup, name))
  await turn()
  t.same(asked, ['a'])
  latches.a!.open(new Error('no such name'))
  t.match(await found[0], { message: 'no such name' })
  await turn()
  t.same(asked, ['a', 'b'], 'a failure makes room too')
  for (const name of ['b', 'c']) latches[name]!.open(['8.8.8.8'])
  for (const index of [1, 2]) t.same(await found[index], [{ address: '8.8.8.8', family: 4 }])
  t.same(asked, ['a', 'b', 'c'])
})

test('names that were found before pass those that are not known, at most two in all', async (t) => {
  const { latches, answers } = slow('a', 'b', 'c')
  const asked = fakeNameServer(t, { ...answers, known: [['8.8.8.8']], one: [['8.8.8.8'], latches.b!.promise], two: [['8.8.8.8'], latches.b!.promise] })
  const lookup = await createLookupThatKnows('known', 'one', 'two')
  asked.length = 0
  const dead = ['a', 'c'].map((name) => lookUp(lookup, name))
  for (let calls = 0; calls < 3; calls++) t.match(await lookUp(lookup, 'known'), [{ address: '8.8.8.8' }])
  t.same(asked, ['a', 'known', 'known', 'known'])
  const slower = ['one', 'two'].map((name) => lookUp(lookup, name))
  await turn()
  t.same(asked.slice(4), ['one'], 'no third one, which would stand in line in libuv')
  for (const name of ['a', 'b', 'c']) latches[name]!.open(['8.8.8.8'])
  for (const answer of [...dead, ...slower]) t.match(await answer, [{ address: '8.8.8.8' }])
})

test('a name that failed comes after those that are not known, until it is found again', async (t) => {
  const { latches, answers } = slow('a', 'b')
  const asked = fakeNameServer(t, { ...answers, fails: [['8.8.8.8'], new Error('no'), ['8.8.8.8']], fresh: [['8.8.8.8']] })
  const lookup = await createLookupThatKnows('fails')
  t.match(await lookUp(lookup, 'fails'), { message: 'no' })
  asked.length = 0
  const first = lookUp(lookup, 'a')
  const found = ['fails', 'fresh'].map((name) => lookUp(lookup, name))
  latches.a!.open(['8.8.8.8'])
  for (const answer of [first, ...found]) t.match(await answer, [{ address: '8.8.8.8' }])
  t.same(asked, ['a', 'fresh', 'fails'])
  const second = lookUp(lookup, 'b')
  t.match(await lookUp(lookup, 'fails'), [{ address: '8.8.8.8' }])
  latches.b!.open(['8.8.8.8'])
  await second
})

test('calls for one name share a lookup, while it waits and while it is under way', async (t) => {
  const { latches, answers } = slow('a', 'b')
  const asked = fakeNameServer(t, answers)
  const lookup = createSharedLookup()
  const found = ['a', 'b', 'a', 'b', 'b'].map((name) => lookUp(lookup, name))
  await turn()
  latches.a!.open(['8.8.8.8'])
  await turn()
  latches.b!.open(['1.1.1.1'])
  for (const index of [1, 3, 4]) t.same(await found[index], [{ address: '1.1.1.1', family: 4 }])
  t.same(asked, ['a', 'b'])
  t.same(await found[2], [{ address: '8.8.8.8', family: 4 }])
})

test('no address is kept: the next call asks again', async (t) => {
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

test('a call that does not get its turn in time is told so, and what nobody waits for is not looked up', async (t) => {
  const { latches, answers } = slow('a')
  const asked = fakeNameServer(t, { ...answers, late: [['8.8.8.8']], joined: [['8.8.8.8']] })
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => { mock.timers.reset() })
  const lookup = createSharedLookup(turnMs)
  const first = lookUp(lookup, 'a')
  const late = ['late', 'joined'].map((name) => lookUp(lookup, name))
  mock.timers.tick(turnMs / 2)
  const joined = lookUp(lookup, 'joined')
  mock.timers.tick(turnMs / 2)
  for (const [index, name] of ['late', 'joined'].entries()) {
    const error = await late[index]
    t.type(error, LookupTurnError)
    t.match(error, { message: `${name} was not looked up in time: other names were slow` })
  }
  latches.a!.open(['8.8.8.8'])
  t.match(await first, [{ address: '8.8.8.8' }], 'one that has its turn may take its time')
  t.match(await joined, [{ address: '8.8.8.8' }])
  t.same(asked, ['a', 'joined'])
})
