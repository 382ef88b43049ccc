import type { Clock } from './clock.ts'
import type { Logger } from './log.ts'

/** Named timers: of each name there is one. */
export interface Loops {
  /** Calls back once, after `ms`, in place of an earlier one of that name. */
  after (name: string, ms: number, callback: () => void): void
  /** Runs `work` now, and again `ms` after each end of it. A failure is logged, and tried again after `retryMs`. @param retryMs Default `ms`. */
  every (name: string, ms: number, work: () => Promise<unknown>, retryMs?: number): void
  /** What is under way ends by itself, and is not repeated. */
  stop (...names: string[]): void
}

export function createLoops (clock: Clock, log: Logger): Loops {
  const timers = new Map<string, () => void>()
  const running = new Set<string>()

  function after (name: string, ms: number, callback: () => void): void {
    timers.get(name)?.()
    timers.set(name, clock.after(ms, callback))
  }

  function every (name: string, ms: number, work: () => Promise<unknown>, retryMs = ms): void {
    running.add(name)
    work().then(() => ms, (error: unknown) => {
      if (running.has(name)) log.warn({ err: error }, `${name} failed, trying again in ${retryMs} ms`)
      return retryMs
    }).then((waitMs) => { if (running.has(name)) after(name, waitMs, () => { every(name, ms, work, retryMs) }) })
  }

  return {
    after,
    every,
    stop (...names) {
      for (const name of names) {
        running.delete(name)
        timers.get(name)?.()
        timers.delete(name)
      }
    }
  }
}
