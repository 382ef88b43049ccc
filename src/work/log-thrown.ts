import { inspect } from 'node:util'
import type { Logger } from './log.ts'

/*
 * A handler can throw anything, and what it throws must neither stop the job from ending nor go unlogged: a Proxy can
 * break `instanceof`; a frozen error, or one with a getter that throws, breaks pino's serializer.
 */

/** What was thrown, as an error. */
export function errorOf (thrown: unknown): Error {
  try {
    if (thrown instanceof Error) return thrown
  } catch {
    // A Proxy can refuse even to be asked what it is.
  }
  return new Error(`the handler threw ${textOf(thrown)}`)
}

/** Logs an error with all that the logger's own serializer shows of it, or, where that throws, as text. */
export function logThrown (log: Logger, level: 'warn' | 'error', err: Error, message: string, bindings: object = {}): void {
  try {
    log[level]({ ...bindings, err }, message)
  } catch {
    log[level]({ ...bindings, err: new Error(`the handler threw ${textOf(err)}`) }, message)
  }
}

function textOf (thrown: unknown): string {
  try {
    return inspect(thrown, { depth: 2 })
  } catch {
    return 'something that cannot be shown'
  }
}
