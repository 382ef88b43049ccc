import { performance } from 'node:perf_hooks'

/**
 * Where time comes from. Everything that waits or dates a record asks it, so that tests advance time by hand.
 */
export interface Clock {
  /** Wall clock, epoch milliseconds. May jump: good for dates and deadlines, never for how long something took. */
  now (): number
  /** Milliseconds that never jump, from an unknown start. */
  monotonic (): number
  /** Calls back once, after `ms`. The returned function takes it back; calling that twice is fine. */
  after (ms: number, callback: () => void): () => void
}

/** Resolves when `done` does, or after `ms` if that is sooner. */
export async function waitAtMost (clock: Clock, ms: number, done: Promise<unknown>): Promise<void> {
  await new Promise<void>((resolve) => {
    const cancel = clock.after(ms, resolve)
    done.then(() => { cancel(); resolve() })
  })
}

/** setTimeout's own limit: a longer wait would fire at once, so it is made of several. */
const maxDelayMs = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after (ms, callback) {
    if (ms > maxDelayMs) {
      let cancel = systemClock.after(maxDelayMs, () => { cancel = systemClock.after(ms - maxDelayMs, callback) })
      return () => cancel()
    }
    const timer = setTimeout(callback, Math.max(ms, 0))
    return () => clearTimeout(timer)
  }
}
