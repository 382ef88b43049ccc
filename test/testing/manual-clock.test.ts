import { test } from 'tap'
import { createManualClock } from '../../src/testing/index.ts'

test('a manual clock stands still until it is told', async (t) => {
  const clock = createManualClock(1000)
  let rang = false
  clock.after(0, () => { rang = true })
  for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => { setImmediate(resolve) })
  t.same([clock.now(), clock.monotonic(), rang, clock.pending], [1000, 0, false, 1])
})

test('it begins on a fixed day', async (t) => {
  t.equal(createManualClock().now(), Date.UTC(2026, 0, 1))
})

test('advancing moves both clocks, also when nothing waits', async (t) => {
  const clock = createManualClock(1000)
  await clock.advance(250)
  await clock.advance(0)
  t.same([clock.now(), clock.monotonic()], [1250, 250])
})

test('callbacks come in the order of their times, at their times, those of one time as they were made', async (t) => {
  const clock = createManualClock(0)
  const rang: [string, number, number][] = []
  const ring = (name: string) => () => { rang.push([name, clock.now(), clock.monotonic()]) }
  clock.after(30, ring('c'))
  clock.after(10, ring('a'))
  clock.after(20, ring('b1'))
  clock.after(20, ring('b2'))
  clock.after(31, ring('late'))
  await clock.advance(30)
  t.same(rang, [['a', 10, 10], ['b1', 20, 20], ['b2', 20, 20], ['c', 30, 30]])
  t.equal(clock.pending, 1)
  await clock.advance(1)
  t.equal(rang.length, 5)
})

test('a callback comes once, and at its time exactly', async (t) => {
  const clock = createManualClock()
  let rang = 0
  clock.after(10, () => { rang++ })
  await clock.advance(9.999)
  t.equal(rang, 0)
  await clock.advance(0.001)
  t.equal(rang, 1)
  await clock.advance(1000)
  t.equal(rang, 1)
})

test('a wait of no time or less is over when the clock is next told', async (t) => {
  const clock = createManualClock()
  const rang: number[] = []
  for (const ms of [0, -5]) clock.after(ms, () => { rang.push(ms) })
  await clock.advance(0)
  t.same(rang, [0, -5])
})

test('what a callback begins happens within the same advance', async (t) => {
  const clock = createManualClock(0)
  const rang: number[] = []
  const again = (): void => {
    rang.push(clock.monotonic())
    clock.after(10, again)
  }
  clock.after(10, again)
  await clock.advance(35)
  t.same(rang, [10, 20, 30])
  t.same([clock.monotonic(), clock.pending], [35, 1])
})

test('a callback that was taken back does not come; taking it back again is fine', async (t) => {
  const clock = createManualClock()
  let rang = false
  const cancel = clock.after(10, () => { rang = true })
  t.equal(clock.pending, 1)
  cancel()
  cancel()
  t.equal(clock.pending, 0)
  await clock.advance(20)
  t.notOk(rang)

  const late = clock.after(10, () => {})
  await clock.advance(10)
  late()
  t.pass('also after it came')
})

test('one callback can take back another of the same time', async (t) => {
  const clock = createManualClock()
  const rang: string[] = []
  clock.after(10, () => { rang.push('a'); cancel() })
  const cancel = clock.after(10, () => { rang.push('b') })
  await clock.advance(10)
  t.same(rang, ['a'])
})

test('a jump moves the wall clock alone, and lets nothing happen', async (t) => {
  const clock = createManualClock(10_000)
  let rang = false
  clock.after(1000, () => { rang = true })
  clock.jump(3_600_000)
  t.same([clock.now(), clock.monotonic(), rang], [3_610_000, 0, false])
  await clock.advance(999)
  t.notOk(rang)
  await clock.advance(1)
  t.ok(rang)
  clock.jump(-7_200_000)
  t.equal(clock.now(), 10_000 + 3_600_000 - 7_200_000 + 1000)
  t.equal(clock.monotonic(), 1000)
})

test('the consequences of one callback are done before the next comes', async (t) => {
  const clock = createManualClock()
  const events: string[] = []
  clock.after(10, async () => {
    events.push('first')
    for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => { setImmediate(resolve) })
    events.push('its consequence')
  })
  clock.after(20, () => { events.push('second') })
  await clock.advance(30)
  t.same(events, ['first', 'its consequence', 'second'])
})

test('a step brings the callbacks of the next instant, unless what needs no time says no', async (t) => {
  const clock = createManualClock()
  const rang: string[] = []
  const takeBack = clock.after(10, () => { rang.push('never') })
  clock.after(5, () => { rang.push('a') })
  clock.after(5, () => { rang.push('b'); takeBack() })
  clock.after(20, () => { rang.push('c') })
  t.equal(await clock.step(() => false), 'stopped')
  t.same([clock.monotonic(), rang], [0, []])
  t.equal(await clock.step(), 'moved')
  t.same([clock.monotonic(), rang], [5, ['a', 'b']])
  t.equal(await clock.step(), 'moved')
  t.same([clock.monotonic(), rang], [20, ['a', 'b', 'c']])
  t.equal(await clock.step(), 'nothing waits')
})

test('time stands still while something is held, but not for ever', async (t) => {
  const clock = createManualClock()
  let isDone = false
  let rangAfter: boolean | undefined
  clock.hold(new Promise<void>((resolve) => { setTimeout(resolve, 5) }).then(() => { isDone = true }))
  clock.after(1, () => { rangAfter = isDone })
  await clock.advance(1)
  t.equal(rangAfter, true)
  clock.hold(new Promise(() => {}), 5)
  await clock.advance(1)
  t.equal(clock.monotonic(), 2)
  clock.hold(Promise.reject(new Error('its owner\'s to handle')))
  await clock.advance(1)
})
