/** A process with stores in it, moved by store-process.ts: calls arrive as messages, and are answered by messages. */
import { createManualClock } from '../../src/testing/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import type { Store } from '../../src/work/store.ts'

export interface Call { id: number, file: string, method: 'open' | 'secret' | keyof Store, args: unknown[] }
export interface Answer { id: number, value?: unknown, error?: string }

const log = { debug () {}, info () {}, warn () {}, error () {}, child: () => log }
const stores = new Map<string, { store: Store, secret: (() => Promise<Uint8Array>) | undefined }>()

async function answer ({ file, method, args }: Call): Promise<unknown> {
  if (method === 'open') {
    const store = sqliteStore({ file })
    const { idKey, localSecret } = await store.open({ clock: createManualClock(), log, leaseMs: 15_000, deliveryRetentionMs: 604_800_000, wake () {} })
    stores.set(file, { store, secret: localSecret })
    return Buffer.from(idKey).toString('hex')
  }
  const { store, secret } = stores.get(file)!
  if (method === 'secret') return Buffer.from(await secret!()).toString('hex')
  return await (store[method] as (...args: unknown[]) => Promise<unknown>).apply(store, args)
}

process.on('message', (call: Call) => {
  answer(call).then(
    (value) => process.send!({ id: call.id, value } satisfies Answer),
    (error: unknown) => process.send!({ id: call.id, error: String(error) } satisfies Answer))
})
// Orphaned: the test is over.
process.on('disconnect', () => process.exit())
