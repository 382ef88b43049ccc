import fc from 'fast-check'
import { test } from 'tap'
import { defaultSchedule, nextAttemptMs } from '../../src/work/callback-schedule.ts'
import { check } from '../helpers/property.ts'

const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

test('the default schedule is the one that is documented, about a day long', async (t) => {
  t.same(defaultSchedule, [0, 5, 30, 120, 600, 1800, 3600, 10_800, 21_600, 43_200])
})

test('a wait is within 20 % of the schedule, and there is none after its end', async (t) => {
  await check(t, fc.property(fc.array(fc.nat(100_000), { maxLength: 12 }), fc.nat(14), random, (schedule, attempts, chance) => {
    const ms = nextAttemptMs(schedule, attempts, null, chance)
    if (attempts >= schedule.length) return ms === undefined
    return ms! >= schedule[attempts]! * 800 && ms! <= schedule[attempts]! * 1200
  }))
  t.equal(nextAttemptMs(defaultSchedule, 1, null, 0), 4000)
  t.equal(nextAttemptMs(defaultSchedule, 1, null, 0.5), 5000)
  t.equal(nextAttemptMs(defaultSchedule, 9, null, 0.5), 43_200_000)
  t.equal(nextAttemptMs(defaultSchedule, 10, null, 0.5), undefined)
})

test('a receiver can make a wait longer, not shorter, and gets no attempt beyond the schedule', async (t) => {
  await check(t, fc.property(fc.nat(12), fc.nat(3_600_000), random, (attempts, retryAfterMs, chance) => {
    const ms = nextAttemptMs(defaultSchedule, attempts, retryAfterMs, chance)
    const own = nextAttemptMs(defaultSchedule, attempts, null, chance)
    return ms === (own === undefined ? undefined : Math.max(own, retryAfterMs))
  }))
})
