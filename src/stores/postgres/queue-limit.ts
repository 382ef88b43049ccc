import type { Statements } from './connection.ts'
import { countQueued } from './submit.ts'

/**
 * How many more jobs may be queued. Counting them costs milliseconds where there are many, so the number is kept up to
 * date by our own submits for a while; the limit may be overrun by what other replicas accept in that time.
 */
export interface QueueLimit {
  room (reads: Statements, now: number, maxQueued: number, wanted: number): Promise<number>
  add (count: number): void
  /** Jobs have left the queue. */
  forget (): void
}

const trustMs = 1000

export function createQueueLimit (): QueueLimit {
  let known: { count: number, at: number } | undefined
  /** Some may have left the queue since `known` was counted: it may be too high. */
  let stale = false
  return {
    async room (reads, now, maxQueued, wanted) {
      const isFull = known !== undefined && known.count + wanted > maxQueued
      if (known === undefined || now - known.at >= trustMs || (isFull && stale)) {
        stale = false
        known = { count: await countQueued(reads, maxQueued), at: now }
      }
      return maxQueued - known.count
    },
    add (count) { if (known !== undefined) known.count += count },
    forget () { stale = true }
  }
}
