import { ShutdownReason } from './attempt.ts'
import type { Clock } from './clock.ts'

/** Calls of the host's code that somebody waits for: none takes longer than it may, and none holds up a shutdown. */
export interface BoundedCalls {
  /**
   * Resolves as `work` does, or rejects with the reason of the signal that `work` was given, if that comes first: code
   * that ignores its signal is left to itself.
   *
   * @param caller Aborts when nobody waits any more.
   */
  run<T> (timeoutMs: number, caller: AbortSignal, work: (signal: AbortSignal) => T | Promise<T>): Promise<T>
  /** Waits for what is under way, and aborts what is left after `drainMs`. */
  stop (drainMs: number): Promise<void>
}

export function createBoundedCalls (clock: Clock): BoundedCalls {
  const running = new Map<AbortController, Promise<unknown>>()
  let shutdown: ShutdownReason | undefined

  return {
    run (timeoutMs, caller, work) {
      const controller = new AbortController()
      const { signal } = controller
      const cancelTimeout = clock.after(timeoutMs, () => { controller.abort(new Error(`it took longer than ${timeoutMs / 1000} s`)) })
      const leave = (): void => { controller.abort(caller.reason) }
      if (shutdown !== undefined) controller.abort(shutdown)
      else if (caller.aborted) leave()
      else caller.addEventListener('abort', leave)
      const aborted = new Promise<never>((resolve) => {
        if (signal.aborted) resolve(undefined as never)
        else signal.addEventListener('abort', () => { resolve(undefined as never) })
      }).finally(() => { signal.throwIfAborted() })
      const call = Promise.race([(async () => await work(signal))(), aborted]).finally(() => {
        cancelTimeout()
        caller.removeEventListener('abort', leave)
        running.delete(controller)
      })
      running.set(controller, call)
      return call
    },

    async stop (drainMs) {
      const end = (): void => {
        shutdown = new ShutdownReason('the server is shutting down')
        for (const controller of running.keys()) controller.abort(shutdown)
      }
      const cancel = clock.after(drainMs, end)
      do {
        // Each outcome is its caller's.
        await Promise.allSettled(running.values())
        // One call may lead to the next of the same request.
        await new Promise((resolve) => { setImmediate(resolve) })
      } while (running.size > 0)
      cancel()
      end()
    }
  }
}
