import { systemClock, type Clock } from '../../work/clock.ts'
import type { ManualClock } from '../manual-clock.ts'
import { createRandom, type Random } from './random.ts'
import { asError, WireError, type Transport, type WireRequest, type WireResponse } from './wire.ts'

/** Time and the wire, virtual or real. Whatever plays the engine's part asks here. */
export interface World {
  clock: Clock
  random: Random
  /** @throws {WireError} when no answer comes in time. */
  send (request: WireRequest, timeoutMs: number, signal?: AbortSignal): Promise<WireResponse>
  /** As the clock's, but nothing more happens once the engine is closed. */
  after: Clock['after']
  /** Rejects with the signal's reason when that comes first. */
  wait (ms: number, signal?: AbortSignal): Promise<void>
  /**
   * Lets virtual time pass until `work` has ended; real time passes by itself.
   *
   * @throws {Error} when nothing is left that could end it, or more than `patienceMs` went by.
   */
  until<Value> (work: Promise<Value>, what: string, patienceMs?: number): Promise<Value>
  advance (ms: number): Promise<void>
  /** Nothing that waits goes on, and no timer keeps the process alive. */
  close (): void
}

export interface WorldParts {
  transport: () => Transport
  /** A clock that stands still, for virtual time. @default the system's */
  clock?: Clock | undefined
  seed: number
}

export function createWorld ({ transport, clock = systemClock, seed }: WorldParts): World {
  const manual = isManual(clock) ? clock : undefined
  let stepping: ReturnType<ManualClock['step']> | undefined
  /** What somebody waits for. */
  const ends = new Set<{ isReached: boolean }>()
  const timers = new Set<() => void>()
  let isClosed = false

  function after (ms: number, callback: () => void): () => void {
    if (isClosed) return () => {}
    const cancel = clock.after(ms, () => {
      timers.delete(stop)
      callback()
    })
    const stop = (): void => {
      timers.delete(stop)
      cancel()
    }
    timers.add(stop)
    return stop
  }

  /** One at a time, whoever asks: all of them watch the same time go by. */
  function step (): ReturnType<ManualClock['step']> {
    stepping ??= manual!.step(() => ![...ends].some(({ isReached }) => isReached)).finally(() => { stepping = undefined })
    return stepping
  }

  function wait (ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(asError(signal.reason))
      const stop = (): void => {
        cancel()
        reject(asError(signal!.reason))
      }
      const cancel = after(ms, () => {
        signal?.removeEventListener('abort', stop)
        resolve()
      })
      signal?.addEventListener('abort', stop, { once: true })
    })
  }

  async function until<Value> (work: Promise<Value>, what: string, patienceMs = Infinity): Promise<Value> {
    if (manual === undefined) return await work
    const end = { isReached: false }
    const reached = (): void => { end.isReached = true }
    const ending = work.then(reached, reached)
    const deadline = clock.monotonic() + patienceMs
    ends.add(end)
    try {
      for (;;) {
        const came = await step()
        // What else that instant brings happens before the next step stops.
        if (came !== 'moved' && end.isReached) break
        if (came === 'nothing waits') throw new Error(`${what} cannot end: nothing is left that would happen, however long one waits`)
        if (clock.monotonic() > deadline) throw new Error(`${what} has not ended after ${patienceMs / 1000} seconds of virtual time`)
      }
    } finally {
      ends.delete(end)
    }
    await ending
    return await work
  }

  /** One request, within its time. */
  function send (request: WireRequest, timeoutMs: number, signal?: AbortSignal): Promise<WireResponse> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(asError(signal.reason))
      const controller = new AbortController()
      const settle = (settleAs: () => void): void => {
        cancel()
        signal?.removeEventListener('abort', stop)
        settleAs()
        controller.abort()
      }
      const stop = (): void => { settle(() => { reject(asError(signal!.reason)) }) }
      const cancel = after(timeoutMs, () => {
        settle(() => { reject(new WireError('RequestTimedOut', `no answer within ${timeoutMs / 1000} seconds: one that comes now is lost (engine 1.15)`)) })
      })
      signal?.addEventListener('abort', stop, { once: true })
      const answer = transport().send(request, controller.signal)
      manual?.hold(answer)
      answer.then((response) => { settle(() => { resolve(response) }) }, (error: unknown) => { settle(() => { reject(asError(error)) }) })
    })
  }

  return {
    clock,
    random: createRandom(seed),
    after,
    send,
    wait,
    until,
    // Also when others move the clock meanwhile: what is waited for is a time, not a number of steps.
    async advance (ms) {
      await until(wait(ms), 'advance')
      // What is due at that instant belongs to it.
      await manual?.advance(0)
    },
    close () {
      isClosed = true
      for (const stop of timers) stop()
    }
  }
}

function isManual (clock: Clock): clock is ManualClock {
  return typeof (clock as Partial<ManualClock>).step === 'function'
}
