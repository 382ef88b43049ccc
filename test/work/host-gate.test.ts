import { test } from 'tap'
import { createManualClock } from '../../src/testing/index.ts'
import { createHostGate, type HostGate } from '../../src/work/host-gate.ts'

const breakMs = 30_000
const limit = 32

/** Enters as often as asked; resolves to how many are in at once. */
async function enter (gate: HostGate, host: string, times: number): Promise<() => number> {
  let entered = 0
  for (let call = 0; call < times; call++) gate.enter(host).then(() => { entered++ })
  await turn()
  return () => entered
}

const turn = async (): Promise<void> => await new Promise((resolve) => { setImmediate(resolve) })

async function fail (gate: HostGate, host: string, times: number): Promise<void> {
  for (let failures = 0; failures < times; failures++) {
    await gate.enter(host)
    gate.leave(host, false)
  }
}

test('a host takes 32 at once, the rest wait for their turn, and other hosts are not concerned', async (t) => {
  const gate = createHostGate(createManualClock())
  const entered = await enter(gate, 'a', limit + 3)
  t.equal(entered(), limit)
  t.same(gate.closed(), ['a'])
  t.equal((await enter(gate, 'b', 1))(), 1)
  for (const [left, reachable] of [[1, true], [2, false], [3, true]] as const) {
    gate.leave('a', reachable)
    await turn()
    t.equal(entered(), limit + left, 'the place is handed on')
  }
  t.same(gate.closed(), ['a'])
  gate.leave('a', true)
  t.same(gate.closed(), [])
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

test('those that wait at a host that breaks are let in as places become free', async (t) => {
  const gate = createHostGate(createManualClock())
  const entered = await enter(gate, 'a', limit + 10)
  for (let left = 0; left < 10; left++) gate.leave('a', false)
  await turn()
  t.equal(entered(), limit + 10)
  t.same(gate.closed(), ['a'])
})
