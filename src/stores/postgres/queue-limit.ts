import type { Clock } from '../../work/clock.ts'
import type { Statements } from './connection.ts'
import { countQueued } from './submit.ts'

/**
 * How many more jobs may be queued. To count them takes a tenth of a second where there are some hundred thousand, so the
 * number is kept up to date by our own submits and claims for a while; the limit may be overrun by what other replicas
 * accept in that time.
 */
export interface QueueLimit {
  /**
   * Resolves to how many of `wanted` may be queued. They have their places until `free`. Where there would be room for more
   * of them but for the places of others, it waits for what becomes of those; first come, first served.
   */
  reserve (reads: Statements, clock: Clock, maxQueued: number, wanted: number): Promise<number>
  /** Of those that had places, so many were queued, or may have been. */
  free (reserved: number, queued: number): void
  /** So many jobs at most came back to the queue. */
  add (count: number): void
  /** To be called before jobs leave the queue, and what it returns afterwards, with how many did. */
  leaving (): (count: number) => void
  /** Jobs have left the queue, or may have. */
  forget (): void
}

/** For so long at least it is believed that there is room, and at most that there is none. */
const minTrustMs = 1_000
/** A count is good for no longer than this: others submit too, and what took long may have been the wait for a connection. */
const maxTrustMs = 10_000
/** In between for so many times as long as it took, so that one of less than a tenth of a second takes a hundredth of the time. */
const trustTimes = 100
/** The same where less than half of the queue is free, and others may fill it sooner. */
const narrowTrustTimes = 20

interface Known {
  count: number
  /** There may be more: they were not counted any further. */
  isLeast: boolean
  at: number
  tookMs: number
}

export function createQueueLimit (): QueueLimit {
  let known: Known | undefined
  /** `known` may be too high: some have left the queue since it was counted, were counted twice, or were never queued. */
  let stale = false
  /** Submits that come meanwhile share it. */
  let counting: Promise<void> | undefined
  /** How often it was counted. */
  let counts = 0
  /** Places of submits that are under way. */
  let reserved = 0
  /** Ours that were queued while it was counted. */
  let added = 0
  /** Submits that wait for the places of others, or behind one that does. */
  let inLine = 0
  let lastInLine: Promise<unknown> = Promise.resolve()
  /** The first of them looks again. */
  let onChange = (): void => {}

  async function count (reads: Statements, clock: Clock, maxQueued: number): Promise<void> {
    const began = clock.monotonic()
    stale = false
    added = 0
    try {
      const counted = await countQueued(reads, maxQueued)
      const at = clock.monotonic()
      // The count may have missed these, or hold them already.
      if (added + reserved > 0) stale = true
      known = { count: counted + added, isLeast: counted >= maxQueued, at, tookMs: at - began }
      onChange()
    } catch (error) {
      // Whoever submits next waits for a count, and is told why that fails.
      if (known !== undefined) known.at = -Infinity
      throw error
    } finally {
      counts++
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
      // Others are taken not to fill the other half in a moment.
      const isRoomy = roomIn(maxQueued) - wanted >= maxQueued / 2
      const trustMs = Math.min(Math.max(known.tookMs * (isRoomy ? trustTimes : narrowTrustTimes), minTrustMs), maxTrustMs)
      const age = clock.monotonic() - known.at
      if (age < trustMs && !(isFull() && (stale || age >= minTrustMs))) return
      if (isRoomy && age < trustMs + minTrustMs) {
        counted().catch(() => {})
        return
      }
    }
    const shared = counting
    await counted()
    // Jobs may have left after it began, and before we came.
    if (shared !== undefined && isFull() && stale) await counted()
  }

  /** Nothing that becomes of the places of others gives it more. */
  const isDecided = (maxQueued: number, wanted: number): boolean => reserved === 0 || roomIn(maxQueued) >= wanted || roomIn(maxQueued) + reserved <= 0

  function take (maxQueued: number, wanted: number): number {
    const places = Math.max(Math.min(roomIn(maxQueued), wanted), 0)
    reserved += places
    return places
  }

  return {
    async reserve (reads, clock, maxQueued, wanted) {
      await look(reads, clock, maxQueued, wanted)
      if (inLine === 0 && isDecided(maxQueued, wanted)) return take(maxQueued, wanted)
      // In line, or many small ones would hold up a large one for ever.
      inLine++
      const turn = lastInLine.then(async () => {
        for (;;) {
          while (!isDecided(maxQueued, wanted)) await new Promise<void>((resolve) => { onChange = resolve })
          // What was known before may not hold any more.
          await look(reads, clock, maxQueued, wanted)
          if (isDecided(maxQueued, wanted)) return take(maxQueued, wanted)
        }
      }).finally(() => { inLine-- })
      lastInLine = turn.catch(() => {})
      return await turn
    },
    free (places, queued) {
      reserved -= places
      put(queued)
      onChange()
    },
    add (count) {
      put(count)
      // They may have been in it all the time.
      if (count > 0) stale = true
    },
    leaving () {
      const before = counts
      return (count) => {
        if (count === 0) return
        // A count that went on meanwhile may have seen them gone: too high is counted anew, too low would overrun.
        if (known === undefined || known.isLeast || counting !== undefined || counts !== before) {
          stale = true
          return
        }
        // Some of them may still have their places, and are yet to be added.
        if (count > known.count) stale = true
        known.count = Math.max(known.count - count, 0)
        onChange()
      }
    },
    forget () { stale = true }
  }
}
