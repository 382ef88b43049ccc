import { test } from 'tap'
import { createManualClock, type ManualClock } from '../../src/testing/index.ts'
import { createHostGate, type HostGate } from '../../src/work/host-gate.ts'
import { turn } from '../helpers/turn.ts'

const breakMs = 30_000
const forgetMs = 600_000
const limit = 32

/** Enters as often as asked; resolves to how many are in, and how many were turned away. */
async function call (gate: HostGate, host: string, times: number): Promise<{ entered (): number, refused (): number }> {
  const answers: boolean[] = []
  for (let calls = 0; calls < times; calls++) Promise.resolve(gate.enter(host)).then((answer) => { answers.push(answer) })
  await turn()
  return { entered: () => answers.filter((answer) => answer).length, refused: () => answers.filter((answer) => !answer).length }
}

async function fail (gate: HostGate, host: string, times: number): Promise<void> {
  for (let failures = 0; failures < times; failures++) {
    if (!await gate.enter(host)) throw new Error('turned away')
    gate.leave(host, false)
  }
}

test('a host takes 32 at once, the rest wait for their turn, and other hosts are not concerned', async (t) => {
  const gate = createHostGate(createManualClock())
  const { entered, refused } = await call(gate, 'a', limit + 3)
  t.equal(entered(), limit)
  t.same(gate.closed(), ['a'])
  t.equal((await call(gate, 'b', 1)).entered(), 1)
  for (const [left, reachable] of [[1, true], [2, false], [3, true]] as const) {
    gate.leave('a', reachable)
    await turn()
    t.equal(entered(), limit + left, 'the place is handed on')
  }
  t.same(gate.closed(), ['a'])
  gate.leave('a', true)
  t.same(gate.closed(), [])
  t.equal(refused(), 0)
  t.equal(gate.nextOpenMs(), undefined, 'a busy host is not a broken one')
})

test('after five failures in a row nothing is sent for 30 seconds', async (t) => {
  const clock = createManualClock()
  const gate = createHostGate(clock)
  await fail(gate, 'a', 4)
  t.same(gate.closed(), [])
  t.equal(gate.nextOpenMs(), undefined)
  await fail(gate, 'a', 1)
  t.same(gate.closed(), ['a'])
  t.equal(gate.nextOpenMs(), breakMs)
  await clock.advance(breakMs - 1)
  t.same(gate.closed(), ['a'])
  t.equal(gate.nextOpenMs(), 1)
  await clock.advance(1)
  t.same(gate.closed(), [])
  t.equal(gate.nextOpenMs(), undefined)
})

test('half open: one more failure breaks it again, a success mends it', async (t) => {
  const clock = createManualClock()
  const gate = createHostGate(clock)
  await fail(gate, 'a', 5)
  await clock.advance(breakMs)
  await fail(gate, 'a', 1)
  t.same([gate.closed(), gate.nextOpenMs()], [['a'], breakMs])
  await clock.advance(breakMs)
  await gate.enter('a')
  gate.leave('a', true)
  await fail(gate, 'a', 4)
  t.same(gate.closed(), [])
  await fail(gate, 'a', 1)
  t.same(gate.closed(), ['a'])
})

test('a success in between begins the count anew', async (t) => {
  const gate = createHostGate(createManualClock())
  for (let rounds = 0; rounds < 3; rounds++) {
    await fail(gate, 'a', 4)
    await gate.enter('a')
    gate.leave('a', true)
  }
  t.same(gate.closed(), [])
})

test('a jump of the wall clock neither opens nor breaks a host', async (t) => {
  const clock = createManualClock()
  const gate = createHostGate(clock)
  await fail(gate, 'a', 5)
  clock.jump(86_400_000)
  t.equal(gate.nextOpenMs(), breakMs)
  clock.jump(-2 * 86_400_000)
  await clock.advance(breakMs)
  t.same(gate.closed(), [])
})

test('the nearest of several broken hosts is told', async (t) => {
  const clock = createManualClock()
  const gate = createHostGate(clock)
  await fail(gate, 'a', 5)
  await clock.advance(10_000)
  await fail(gate, 'b', 5)
  t.equal(gate.nextOpenMs(), breakMs - 10_000)
  t.same(gate.closed(), ['a', 'b'])
})

test('those that wait at a host that breaks are turned away, and so is who comes then', async (t) => {
  const clock = createManualClock()
  const gate = createHostGate(clock)
  const { entered, refused } = await call(gate, 'a', limit + 10)
  for (let left = 0; left < 5; left++) gate.leave('a', false)
  await turn()
  t.same([entered(), refused()], [limit + 4, 6], 'four took the places of the first to fail')
  t.same(gate.closed(), ['a'])
  await clock.advance(1000)
  t.equal(await gate.enter('a'), false)
  t.equal(gate.opensInMs('a'), breakMs - 1000)
  t.equal(gate.opensInMs('b'), 0)
})

async function breakHost (gate: HostGate, clock: ManualClock): Promise<void> {
  await fail(gate, 'a', 5)
  await clock.advance(breakMs)
}

test('half open: one call is let through, and what comes of it decides', async (t) => {
  for (const reachable of [true, false]) {
    const clock = createManualClock()
    const gate = createHostGate(clock)
    await breakHost(gate, clock)
    t.same(gate.closed(), [], 'somebody has to try')
    const { entered, refused } = await call(gate, 'a', 3 * limit)
    t.same([entered(), refused()], [1, 3 * limit - 1])
    t.same(gate.closed(), ['a'])
    t.same([gate.nextOpenMs(), gate.opensInMs('a')], [undefined, 0], 'nothing but its answer opens it')
    gate.leave('a', reachable)
    t.same(gate.closed(), reachable ? [] : ['a'])
    t.equal(gate.nextOpenMs(), reachable ? undefined : breakMs)
    t.equal((await call(gate, 'a', 2 * limit)).entered(), reachable ? limit : 0)
  }
})

test('half open: a call that was not made after all leaves its place to the next', async (t) => {
  const clock = createManualClock()
  const gate = createHostGate(clock)
  await breakHost(gate, clock)
  await call(gate, 'a', 1)
  gate.leave('a', undefined)
  t.same(gate.closed(), [])
  t.equal((await call(gate, 'a', 2)).entered(), 1, 'it is not known to be in order yet')
})

test('what was under way when a host broke tells of it too', async (t) => {
  const clock = createManualClock()
  const gate = createHostGate(clock)
  await call(gate, 'a', 8)
  for (let left = 0; left < 5; left++) gate.leave('a', false)
  await clock.advance(breakMs - 1)
  gate.leave('a', false)
  t.equal(gate.opensInMs('a'), breakMs, 'another failure')
  await clock.advance(breakMs)
  t.same(gate.closed(), ['a'], 'two are still out: no other is sent')
  t.equal(await gate.enter('a'), false)
  gate.leave('a', true)
  t.same(gate.closed(), [])
  t.equal(await gate.enter('a'), true)
})

test('an answer during the break ends it', async (t) => {
  const gate = createHostGate(createManualClock())
  await call(gate, 'a', 6)
  for (let left = 0; left < 5; left++) gate.leave('a', false)
  t.same(gate.closed(), ['a'])
  gate.leave('a', true)
  t.same(gate.closed(), [])
  t.equal((await call(gate, 'a', limit)).entered(), limit)
})

test('a host that nothing is sent to any more is forgotten after ten minutes, however it was', async (t) => {
  for (const [passedMs, isForgotten] of [[forgetMs - 1, false], [forgetMs, true]] as const) {
    const clock = createManualClock()
    const gate = createHostGate(clock)
    await fail(gate, 'a', 4)
    await gate.enter('busy')
    await clock.advance(passedMs)
    // Others are looked through when one is used.
    await fail(gate, 'other', 1)
    await fail(gate, 'a', 1)
    t.same(gate.closed(), isForgotten ? [] : ['a'])
    gate.leave('busy', true)
    t.pass('one that is in use is not')
  }
})
