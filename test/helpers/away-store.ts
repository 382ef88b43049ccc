import { StoreUnavailableError, type Store } from '../../src/index.ts'

export interface AwayStore {
  store: Store
  leave (): void
  comeBack (): void
}

/** A store that can be taken away: what is asked of it meanwhile is refused in the words of a store on a full disk. */
export function createAwayStore (store: Store): AwayStore {
  let away = false
  const proxy = new Proxy(store, {
    get (target, name: keyof Store) {
      if (name === 'open' || name === 'close') return target[name]
      const method = target[name] as ((...values: unknown[]) => Promise<unknown>) | undefined
      // What is optional stays absent.
      if (method === undefined) return undefined
      return async (...values: unknown[]) => {
        if (away) throw new StoreUnavailableError('the disk that holds /srv/private/jobs.db is full')
        return await method.apply(target, values)
      }
    }
  })
  return {
    store: proxy,
    leave: () => { away = true },
    comeBack: () => { away = false }
  }
}
