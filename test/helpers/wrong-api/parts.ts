import type { AppParts, ManualClock } from '../../../src/testing/index.ts'

/** How long the API takes, in seconds. */
export interface Pace {
  /** An asynchronous action. */
  job: number
  /** What it says in `Retry-After`. */
  retryAfter: number
  /** A webhook action, until it calls back. */
  call: number
  /** Before it tries a callback again. */
  retry: number
}

export const usualPace: Pace = { job: 5, retryAfter: 2, call: 3, retry: 2 }

export interface ApiParts extends AppParts {
  /** Whether the API has this fault. */
  has: (fault: string) => boolean
  /** Where the API is. */
  origin: string
  pace: Pace
}

export function later (clock: AppParts['clock'], seconds: number): Promise<void> {
  return new Promise((resolve) => { (clock as ManualClock).after(seconds * 1000, resolve) })
}
