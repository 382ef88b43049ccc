import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Store } from '../../src/work/store.ts'
import type { Answer, Call } from './store-child.ts'

type Remote = Pick<Store, 'submit' | 'get' | 'claim' | 'heartbeat' | 'settle' | 'close'>

/** A store on a file in another process. */
export interface RemoteStore extends Remote {
  /** Resolves to the key of ids, in hex. */
  open (): Promise<string>
  secret (): Promise<string>
}

export interface StoreProcess {
  /** Calls on one file go to one store. */
  store (file: string): RemoteStore
  /** Ends the process as a power cut would, and resolves when it is gone. */
  kill (): Promise<void>
}

/** Another process with stores in it, gone with the test. */
export function forkStores (t: Test): StoreProcess {
  const child = fork(join(import.meta.dirname, 'store-child.ts'), { execArgv: [] })
  const exited = once(child, 'exit')
  const waiting = new Map<number, { resolve (value: unknown): void, reject (error: Error): void }>()
  let calls = 0
  child.on('message', ({ id, value, error }: Answer) => {
    if (error === undefined) waiting.get(id)?.resolve(value)
    else waiting.get(id)?.reject(new Error(error))
    waiting.delete(id)
  })
  exited.then(() => { for (const { reject } of waiting.values()) reject(new Error('the process is gone')) })

  const call = async (file: string, method: Call['method'], args: unknown[]): Promise<unknown> => {
    const id = ++calls
    const answer = new Promise((resolve, reject) => { waiting.set(id, { resolve, reject }) })
    child.send({ id, file, method, args } satisfies Call)
    return answer
  }
  async function kill (): Promise<void> {
    child.kill('SIGKILL')
    await exited
  }
  t.teardown(kill)
  return {
    store: (file) => new Proxy({} as RemoteStore, {
      get: (_, method) => (...args: unknown[]) => call(file, method as Call['method'], args)
    }),
    kill
  }
}
