import { StoreUnavailableError } from '../../src/errors.ts'
import type { Store } from '../../src/work/store.ts'

type Method = Exclude<keyof Store, 'open' | 'close'>

export interface FailingStore extends Store {
  /** The next `times` calls of a method are not done and reject. */
  fail (method: Method, times: number, error?: Error): void
  /** How often a method was called, failures included. */
  calls (method: Method): number
  /** The next call of a method waits for `gate`. */
  hold (method: Method, gate: Promise<unknown>): void
}

/** A store that is away when it is told to be. */
export function createFailingStore (store: Store): FailingStore {
  const failures = new Map<string, { times: number, error: Error }>()
  const gates = new Map<string, Promise<unknown>>()
  const counts = new Map<string, number>()
  const own = {
    fail (method: Method, times: number, error: Error = new StoreUnavailableError(`${method} is out of order`)) { failures.set(method, { times, error }) },
    calls: (method: Method) => counts.get(method) ?? 0,
    hold (method: Method, gate: Promise<unknown>) { gates.set(method, gate) }
  }
  return new Proxy(store, {
    get (target, name: string) {
      if (Object.hasOwn(own, name)) return own[name as keyof typeof own]
      const method = target[name as keyof Store] as ((...values: unknown[]) => Promise<unknown>) | undefined
      // What is optional stays absent.
      if (method === undefined) return undefined
      return async (...values: unknown[]) => {
        counts.set(name, (counts.get(name) ?? 0) + 1)
        const gate = gates.get(name)
        gates.delete(name)
        await gate
        const failure = failures.get(name)
        if (failure !== undefined && failure.times-- > 0) throw failure.error
        return await method.apply(target, values)
      }
    }
  }) as FailingStore
}
