import { DuplicateOperationError } from '../errors.ts'
import type { RunnableOperation } from '../work/attempt.ts'

/** All operations of the app, by operationId. */
export interface Registry {
  /** Those that run jobs. */
  readonly runnable: ReadonlyMap<string, RunnableOperation>
  /** @throws {DuplicateOperationError} naming both places. */
  declare (operationId: string, place: string): void
  addRunnable (operation: RunnableOperation): void
  /** Calls back when all routes and schemas are known. */
  whenComplete (callback: () => void): void
  complete (): void
}

export function createRegistry (): Registry {
  const places = new Map<string, string>()
  const runnable = new Map<string, RunnableOperation>()
  const callbacks: (() => void)[] = []
  return {
    runnable,
    declare (operationId, place) {
      const other = places.get(operationId)
      if (other !== undefined) throw new DuplicateOperationError(operationId, other, place)
      places.set(operationId, place)
    },
    addRunnable: (operation) => { runnable.set(operation.operationId, operation) },
    whenComplete: (callback) => { callbacks.push(callback) },
    complete: () => { for (const callback of callbacks) callback() }
  }
}
