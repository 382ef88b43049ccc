import type { Test } from 'tap'
import { postgresStore, type PostgresStoreOptions } from '../../src/stores/postgres/index.ts'
import { createManualClock, type ManualClock } from '../../src/testing/index.ts'
import { leaseMs } from '../../src/work/job-runner.ts'
import type { Store } from '../../src/work/store.ts'
import type { LogLine } from './app.ts'
import { startPostgres, type PostgresServer } from './postgres.ts'
import { createLog } from './runner.ts'

export interface Replica {
  store: Store
  logs: LogLine[]
  /** How often it was told of news. */
  wakes (): number
}

export interface Replicas {
  server: PostgresServer
  schema: string
  clock: ManualClock
  /** Another replica on the same data, closed with the test. */
  open (options?: Partial<PostgresStoreOptions>): Promise<Replica>
}

/** Stores on a schema of the test's own, as several processes would have them. */
export async function createReplicas (t: Test): Promise<Replicas> {
  const server = await startPostgres()
  const schema = server.newSchema()
  const clock = createManualClock()
  const stores: Store[] = []
  t.teardown(async () => {
    for (const store of stores) await store.close()
    await server.drop(schema)
  })
  return {
    server,
    schema,
    clock,
    async open (options = {}) {
      const where = options.pool === undefined && options.connection === undefined ? { connectionString: server.url } : {}
      const store = postgresStore({ ...where, schema, ...options })
      stores.push(store)
      const { log, logs } = createLog()
      let wakes = 0
      await store.open({ clock, log, leaseMs, deliveryRetentionMs: 604_800_000, wake: () => { wakes++ } })
      return { store, logs, wakes: () => wakes }
    }
  }
}
