import type { AppParts, ManualClock } from '../../../src/testing/index.ts'

export interface ApiParts extends AppParts {
  /** Whether the API has this fault. */
  has: (fault: string) => boolean
  /** Where the API is. */
  origin: string
}

export function later (clock: AppParts['clock'], seconds: number): Promise<void> {
  return new Promise((resolve) => { (clock as ManualClock).after(seconds * 1000, resolve) })
}
