import type { Clock } from '../work/clock.ts'

/** A clock that stands still until it is told. */
export interface ManualClock extends Clock {
  /**
   * Lets time pass: all that was to happen within `ms` happens, in order, each with the event loop turned until its
   * immediate consequences are done.
   */
  advance (ms: number): Promise<void>
  /** Sets the wall clock to something else, as an operator or NTP would. No time passes. */
  jump (ms: number): void
  /** How many callbacks wait. */
  readonly pending: number
}

interface Timer { at: number, callback: () => void }

/** @param now Where the wall clock starts, epoch milliseconds. */
export function createManualClock (now = Date.UTC(2026, 0, 1)): ManualClock {
  const timers = new Set<Timer>()
  let elapsed = 0
  let wall = now
  return {
    now: () => wall,
    monotonic: () => elapsed,
    after (ms, callback) {
      const timer = { at: elapsed + Math.max(ms, 0), callback }
      timers.add(timer)
      return () => { timers.delete(timer) }
    },
    async advance (ms) {
      const until = elapsed + ms
      await turn()
      for (;;) {
        const next = [...timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]
        const to = next?.at ?? until
        wall += to - elapsed
        elapsed = to
        if (next === undefined) return
        timers.delete(next)
        next.callback()
        await turn()
      }
    },
    jump: (ms) => { wall += ms },
    get pending () { return timers.size }
  }
}

/** Long enough for a batch to be collected, committed and told: each takes a turn of the event loop. */
async function turn (): Promise<void> {
  for (let turns = 0; turns < 10; turns++) await new Promise((resolve) => { setImmediate(resolve) })
}
