import { AssertionError } from 'node:assert'
import type { ReceivedCallback } from './callback-server.ts'
import { isRetryable } from './message.ts'
import type { EngineParts } from './parts.ts'

export interface QuietOptions {
  /** Whether callbacks that came when nobody waited any more are fine, as they can be after a cancel. @default false */
  lateCallbacks?: boolean
}

/** @throws {AssertionError} listing all that is still owed, polled or should not have been. */
export function assertQuiet ({ ledger, callbacks }: Pick<EngineParts, 'ledger' | 'callbacks'>, { lateCallbacks = false }: QuietOptions): void {
  const faults = [
    ...ledger.openEntries(),
    ...ledger.complaints,
    ...(callbacks.scripted > 0 ? [`${callbacks.scripted} scripted faults have met no callback`] : []),
    ...owed(callbacks.received),
    ...(lateCallbacks ? [] : refused(callbacks.received))
  ]
  if (faults.length === 0) return
  throw new AssertionError({ message: `the engine is not quiet:\n${faults.map((fault) => `- ${fault}`).join('\n')}`, operator: 'expectQuiet' })
}

const isOwed = ({ statusCode }: ReceivedCallback): boolean => statusCode === undefined || isRetryable(statusCode)

/** Callbacks whose last attempt can only have been followed by another. */
function owed (received: readonly ReceivedCallback[]): string[] {
  const last = new Map(received.map((callback) => [`${callback.target} ${callback.body.toString()}`, callback]))
  return [...last.values()].filter(isOwed).map(({ name, statusCode }) => `a callback to ${name} is still owed: its last attempt was answered ${statusCode ?? 'by a broken connection'}`)
}

function refused (received: readonly ReceivedCallback[]): string[] {
  return received
    .filter((callback) => !callback.taken && !isOwed(callback))
    .map(({ name, statusCode, method }) => `a ${method} to ${name ?? 'a URL that was never handed out'} was refused with ${statusCode}`)
}
