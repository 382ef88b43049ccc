import type { Clock } from '../../work/clock.ts'
import type { Statements } from './connection.ts'
import { countQueued } from './submit.ts'

/**
 * How many more jobs may be queued. To count them takes a tenth of a second where there are some hundred thousand, so the
 * number is kept up to date by our own submits for a while; the limit may be overrun by what other replicas accept in
 * that time.
 */
export interface QueueLimit {
  /**
   * Resolves to how many of `wanted` may be queued. They have their places until `free`. Where there would be room for all
   * of them but for the places of others, it waits for what becomes of those.
   */
  reserve (reads: Statements, clock: Clock, maxQueued: number, wanted: number): Promise<number>
  /** Of those that had places, so many were queued, or may have been. */
  free (reserved: number, queued: number): void
  /** So many jobs at most came back to the queue. */
  add (count: number): void
  /** Jobs have left the queue, or may have. */
  forget (): void
}

/** So long at least a count is good for. */
const minTrustMs = 1_000
/** And so many times as long as it took, so that one of less than a tenth of a second takes a hundredth of the time. */
const trustTimes = 100
/** But no longer than this: others submit too, and what took long may have been the wait for a connection. */
const maxTrustMs = 10_000

export function createQueueLimit (): QueueLimit {
  let known: { count: number, at: number, trustMs: number } | undefined
  /** `known` may be too high: some have left the queue since it was counted, were counted twice, or were never queued. */
  let stale = false
  /** Submits that come meanwhile share it. */
  let counting: Promise<void> | undefined
  /** Places of submits that are under way. */
  let reserved = 0
  /** Ours that were queued while it was counted. */
  let added = 0
  /** Submits that wait for the places of others. */
  const waiting: (() => void)[] = []

  async function count (reads: Statements, clock: Clock, maxQueued: number): Promise<void> {
    const began = clock.monotonic()
    stale = false
    added = 0
    try {
      const counted = await countQueued(reads, maxQueued)
      const at = clock.monotonic()
      // The count may have missed these, or hold them already.
      if (added + reserved > 0) stale = true
      known = { count: counted + added, at, trustMs: Math.min(Math.max((at - began) * trustTimes, minTrustMs), maxTrustMs) }
    } catch (error) {
      // Whoever submits next waits for a count, and is told why that fails.
      if (known !== undefined) known.at = -Infinity
      throw error
    } finally {
      counting = undefined
    }
  }

  function put (count: number): void {
    added += count
    if (known !== undefined) known.count += count
  }

  const roomIn = (maxQueued: number): number => known === undefined ? 0 : maxQueued - known.count - reserved

  async function look (reads: Statements, clock: Clock, maxQueued: number, wanted: number): Promise<void> {
    const isFull = (): boolean => roomIn(maxQueued) < wanted
    const counted = (): Promise<void> => {
      counting ??= count(reads, clock, maxQueued)
      return counting
    }
    if (known !== undefined) {
      const age = clock.monotonic() - known.at
      if (age < known.trustMs && !(isFull() && (stale || age >= minTrustMs))) return
      // Others are taken not to fill the other half in a moment.
      if (age < known.trustMs + minTrustMs && roomIn(maxQueued) - wanted >= maxQueued / 2) {
        counted().catch(() => {})
        return
      }
    }
    const shared = counting
    await counted()
    // Jobs may have left after it began, and before we came.
    if (shared !== undefined && isFull() && stale) await counted()
  }

  return {
    async reserve (reads, clock, maxQueued, wanted) {
      await look(reads, clock, maxQueued, wanted)
      while (roomIn(maxQueued) < wanted && roomIn(maxQueued) + reserved >= wanted) await new Promise<void>((resolve) => { waiting.push(resolve) })
      const places = Math.max(Math.min(roomIn(maxQueued), wanted), 0)
      reserved += places
      return places
    },
    free (places, queued) {
      reserved -= places
      put(queued)
      for (const goOn of waiting.splice(0)) goOn()
    },
    add (count) {
      put(count)
      // They may have been in it all the time.
      if (count > 0) stale = true
    },
    forget () { stale = true }
  }
}
