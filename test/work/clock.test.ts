import { mock } from 'node:test'
import { test } from 'tap'
import { systemClock } from '../../src/work/clock.ts'

test('the system clock waits longer than a timer can', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => { mock.timers.reset() })
  const waitMs = 60 * 86_400_000
  const longestMs = 2 ** 31 - 1
  let rang = 0
  systemClock.after(waitMs, () => { rang++ })
  const cancel = systemClock.after(waitMs, () => { rang += 100 })
  for (const ms of [longestMs, longestMs, waitMs - 2 * longestMs - 1]) mock.timers.tick(ms)
  t.equal(rang, 0)
  cancel()
  cancel()
  mock.timers.tick(1)
  t.equal(rang, 1)
})

test('a wait of no time or less is over at the next turn', async (t) => {
  const rang = await Promise.all([0, -5].map((ms) => new Promise((resolve) => { systemClock.after(ms, () => { resolve(ms) }) })))
  t.same(rang, [0, -5])
})

test('the system clock tells the time', async (t) => {
  t.ok(Math.abs(systemClock.now() - Date.now()) < 1000)
  const first = systemClock.monotonic()
  t.ok(systemClock.monotonic() >= first)
})
