import type { Clock } from '../../work/clock.ts'
import type { Statements } from './connection.ts'
import { countQueued } from './submit.ts'

/**
 * How many more jobs may be queued. To count them takes a tenth of a second where there are some hundred thousand, so the
 * number is kept up to date by our own submits for a while; the limit may be overrun by what other replicas accept in
 * that time.
 */
export interface QueueLimit {
  /** Resolves to less than `wanted` where there is not room for all of them. */
  room (reads: Statements, clock: Clock, maxQueued: number, wanted: number): Promise<number>
  add (count: number): void
  /** Jobs have left the queue. */
  forget (): void
}

/** So long at least a count is good for. */
const trustMs = 1_000
/** And so many times as long as it took: all counts together take a twentieth of the time at most. */
const trustTimes = 20

export function createQueueLimit (): QueueLimit {
  let known: { count: number, until: number } | undefined
  /** Some may have left the queue since `known` was counted: it may be too high. */
  let stale = false
  /** Submits that come meanwhile share it. */
  let counting: Promise<number> | undefined
  /** Ours that were queued while it is under way: it may have missed them. */
  let added = 0

  async function countAnew (reads: Statements, clock: Clock, maxQueued: number): Promise<number> {
    const began = clock.monotonic()
    stale = false
    added = 0
    try {
      const count = await countQueued(reads, maxQueued) + added
      const ended = clock.monotonic()
      known = { count, until: ended + Math.max(trustMs, (ended - began) * trustTimes) }
      return count
    } catch (error) {
      // Whoever submits next counts for himself, and is told why that fails.
      known = undefined
      throw error
    } finally {
      counting = undefined
    }
  }

  return {
    async room (reads, clock, maxQueued, wanted) {
      const isFull = known !== undefined && known.count + wanted > maxQueued
      if (known !== undefined && clock.monotonic() < known.until && !(isFull && stale)) return maxQueued - known.count
      counting ??= countAnew(reads, clock, maxQueued)
      // Where half of it is free, nobody waits: others do not fill that in the meantime.
      if (known === undefined || known.count + wanted > maxQueued / 2) return maxQueued - await counting
      counting.catch(() => {})
      return maxQueued - known.count
    },
    add (count) {
      added += count
      if (known !== undefined) known.count += count
    },
    forget () { stale = true }
  }
}
