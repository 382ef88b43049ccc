import type { Store } from '../work/store.ts'
import { createManualClock } from './manual-clock.ts'
import { leaseMs, start, type Instance } from './store-contract/bench.ts'
import { behindCases } from './store-contract/behind.ts'
import { claimCases } from './store-contract/claim.ts'
import { deliverCases } from './store-contract/deliver.ts'
import { endCases } from './store-contract/end.ts'
import { fanOutCases } from './store-contract/fan-out.ts'
import { leaseCases } from './store-contract/lease.ts'
import { logCases } from './store-contract/log.ts'
import { openCases } from './store-contract/open.ts'
import { outcomeCases } from './store-contract/outcome.ts'
import { publishCases } from './store-contract/publish.ts'
import { readCases } from './store-contract/read.ts'
import { recoverCases } from './store-contract/recover.ts'
import { settleCases } from './store-contract/settle.ts'
import { submitCases } from './store-contract/submit.ts'
import { subscribeCases } from './store-contract/subscribe.ts'
import { supersedeCases } from './store-contract/supersede.ts'
import { sweepCases } from './store-contract/sweep.ts'
import { versionCases } from './store-contract/versions.ts'

/** The place where the data of one case is, made for it. */
export interface StoreBackend {
  /** A new instance on this data, not opened, as another process would make it. */
  connect (): Store
  /** Removes the data. Every instance is closed by then. */
  destroy (): void | Promise<void>
}

export interface StoreContractOptions {
  /** Registers a test: `test` of tap or of node:test. */
  test: (title: string, run: () => Promise<void>) => unknown
  /** Called once for each case. */
  createBackend: () => StoreBackend | Promise<StoreBackend>
  /**
   * Whether the instances of a backend work on the same data. Without it, the cases that take several are left out.
   *
   * @default true
   */
  shared?: boolean | undefined
}

const allCases = [
  ...openCases, ...submitCases, ...readCases, ...claimCases, ...leaseCases, ...settleCases, ...endCases, ...recoverCases, ...sweepCases,
  ...subscribeCases, ...publishCases, ...fanOutCases, ...deliverCases, ...outcomeCases, ...supersedeCases, ...versionCases, ...behindCases,
  ...logCases
]

/**
 * What every store must do, as a test for each promise of the `Store` port.
 *
 * @example testStoreContract({ test, createBackend: () => ({ connect: () => myStore({ schema }), destroy: () => drop(schema) }) })
 */
export function testStoreContract ({ test, createBackend, shared = true }: StoreContractOptions): void {
  for (const { title, together, run } of allCases) {
    if (together && !shared) continue
    test(title, async () => {
      const backend = await createBackend()
      const clock = createManualClock(start)
      const stores: Store[] = []
      const open = async (): Promise<Instance> => {
        const store = backend.connect()
        stores.push(store)
        let wakes = 0
        const identity = await store.open({ clock, log: silent, leaseMs, deliveryRetentionMs: 604_800_000, wake: () => { wakes++ } })
        return { store, identity, wakes: () => wakes }
      }
      try {
        await run({ clock, open })
      } finally {
        for (const store of stores) await store.close()
        await backend.destroy()
      }
    })
  }
}

const silent = { debug () {}, info () {}, warn () {}, error () {}, child: () => silent }
