import { DuplicateOperationError, InvalidOptionsError } from '../errors.ts'
import type { RunnableOperation } from '../work/attempt.ts'
import type { EventSubscriber } from '../work/fan-out.ts'

/**
 * @param what For the error: what is bound to it.
 * @throws {InvalidOptionsError} where the schema has none.
 */
export function operationIdOf (options: { schema?: { operationId?: unknown } } | undefined, path: string, what: string): string {
  const operationId = options?.schema?.operationId
  if (typeof operationId === 'string' && operationId !== '') return operationId
  throw new InvalidOptionsError(`${path}: schema.operationId is missing: ${what}, and the designer knows the operation by it`)
}

/** All operations of the app, by operationId. */
export interface Registry {
  /** Those that run jobs. */
  readonly runnable: ReadonlyMap<string, RunnableOperation>
  /** @throws {DuplicateOperationError} naming both places. */
  declare (operationId: string, place: string): void
  addRunnable (operation: RunnableOperation): void
  /** Those that wait for events. */
  readonly subscribers: ReadonlyMap<string, EventSubscriber>
  addSubscriber (subscriber: EventSubscriber): void
  /** The operationIds of those that send callbacks. */
  readonly callingBack: ReadonlySet<string>
  /** Calls back when all routes and schemas are known. */
  whenComplete (callback: () => void): void
  complete (): void
}

export function createRegistry (): Registry {
  const places = new Map<string, string>()
  const runnable = new Map<string, RunnableOperation>()
  const subscribers = new Map<string, EventSubscriber>()
  const callingBack = new Set<string>()
  const callbacks: (() => void)[] = []
  return {
    runnable,
    subscribers,
    callingBack,
    declare (operationId, place) {
      const other = places.get(operationId)
      if (other !== undefined) throw new DuplicateOperationError(operationId, other, place)
      places.set(operationId, place)
    },
    addRunnable (operation) {
      runnable.set(operation.operationId, operation)
      if (operation.callbackDelayMs !== undefined) callingBack.add(operation.operationId)
    },
    addSubscriber (subscriber) {
      subscribers.set(subscriber.operationId, subscriber)
      callingBack.add(subscriber.operationId)
    },
    whenComplete: (callback) => { callbacks.push(callback) },
    complete: () => { for (const callback of callbacks) callback() }
  }
}
