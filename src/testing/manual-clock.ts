import type { Clock } from '../work/clock.ts'

/** A clock that stands still until it is told. */
export interface ManualClock extends Clock {
  /**
   * Lets time pass: all that was to happen within `ms` happens, in order, each with the event loop turned until its
   * immediate consequences are done.
   */
  advance (ms: number): Promise<void>
  /**
   * Lets happen what needs no time, and then time pass to the next callbacks, all of one instant. `mayMove` is asked in
   * between: where it says no, time stands still.
   */
  step (mayMove?: () => boolean): Promise<'moved' | 'stopped' | 'nothing waits'>
  /**
   * Time stands still while `work` is pending, for `patienceMs` of real time at most: for what takes real time, such as
   * a request, and may itself wait for this clock.
   */
  hold (work: Promise<unknown>, patienceMs?: number): void
  /** Sets the wall clock to something else, as an operator or NTP would. No time passes. */
  jump (ms: number): void
  /** How many callbacks wait. */
  readonly pending: number
}

interface Timer { at: number, callback: () => void }

/** Real time that is given to what takes some. */
const defaultPatienceMs = 250

/** @param now Where the wall clock starts, epoch milliseconds. */
export function createManualClock (now = Date.UTC(2026, 0, 1)): ManualClock {
  const timers = new Set<Timer>()
  const held = new Set<Promise<unknown>>()
  let elapsed = 0
  let wall = now

  const nextTimer = (until: number): Timer | undefined => {
    let next: Timer | undefined
    // A set keeps the order of insertion: of those of one time, the first made comes first.
    for (const timer of timers) if (timer.at <= until && (next === undefined || timer.at < next.at)) next = timer
    return next
  }

  /** Never back, where two let time pass at once. */
  function moveTo (at: number): void {
    if (at <= elapsed) return
    wall += at - elapsed
    elapsed = at
  }

  async function ring (timer: Timer): Promise<void> {
    moveTo(timer.at)
    timers.delete(timer)
    timer.callback()
    await settled()
  }

  /** Until nothing is left that happens without time. */
  async function settled (): Promise<void> {
    await turn()
    while (held.size > 0) {
      await Promise.race(held)
      await turn()
    }
  }

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
      await settled()
      for (let next = nextTimer(until); next !== undefined; next = nextTimer(until)) await ring(next)
      moveTo(until)
    },
    async step (mayMove = () => true) {
      await settled()
      if (!mayMove()) return 'stopped'
      const next = nextTimer(Infinity)
      if (next === undefined) return 'nothing waits'
      moveTo(next.at)
      for (const timer of [...timers].filter(({ at }) => at === next.at)) {
        // One of them may take another back.
        if (timers.delete(timer)) timer.callback()
      }
      return 'moved'
    },
    hold (work, patienceMs = defaultPatienceMs) {
      let giveUp!: () => void
      const patience = new Promise<void>((resolve) => { giveUp = resolve })
      const timer = setTimeout(giveUp, patienceMs)
      // How it ends is its owner's business.
      const end: Promise<unknown> = Promise.race([work.then(() => {}, () => {}), patience]).then(() => {
        clearTimeout(timer)
        held.delete(end)
      })
      held.add(end)
    },
    jump: (ms) => { wall += ms },
    get pending () { return timers.size }
  }
}

/** Long enough for a batch to be collected, committed and told: each takes a turn of the event loop. */
async function turn (): Promise<void> {
  for (let turns = 0; turns < 10; turns++) await new Promise((resolve) => { setImmediate(resolve) })
}
