import { randomBytes } from 'node:crypto'
import type { Clock } from '../../work/clock.ts'
import type { Logger } from '../../work/log.ts'
import type { Store } from '../../work/store.ts'
import { checkPostgresOptions, type PostgresStoreOptions } from './options.ts'
import { createPostgresStore } from './store.ts'

export type { PostgresConnectionOptions, PostgresStoreOptions } from './options.ts'
export type { PostgresPool } from './dependencies.ts'

/**
 * The store for several replicas: PostgreSQL, with pg-boss to hand out the jobs. Needs the packages `pg` and `pg-boss`,
 * and the plugin's option `secret`, the same for all replicas.
 *
 * @throws {InvalidOptionsError} naming every fault in the options. @throws {MissingDependencyError} when the app starts without `pg` or `pg-boss`.
 * @example app.register(logicApps, { store: postgresStore({ connectionString: process.env.DATABASE_URL }), secret: process.env.SECRET })
 */
export function postgresStore (options: PostgresStoreOptions): Store {
  return createPostgresStore(checkPostgresOptions(options), randomBytes(9).toString('base64url'))
}

/**
 * Makes the tables, or brings them up to date, for stores with `migrate: false`: at a deploy, with a user who may create
 * tables. Safe to run while replicas work, and when there is nothing to do.
 *
 * @throws {InvalidOptionsError} @throws {StoreUnavailableError} @throws {SchemaVersionError}
 * @example await migratePostgres({ connectionString: process.env.ADMIN_DATABASE_URL })
 */
export async function migratePostgres (options: Omit<PostgresStoreOptions, 'migrate'>): Promise<void> {
  const store = postgresStore({ ...options, migrate: true })
  await store.open({ clock, log: silent, leaseMs: Infinity, deliveryRetentionMs: Infinity, wake () {} })
  await store.close()
}

/** For the moment that a migration takes. */
const clock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after (ms, callback) {
    const timer = setTimeout(callback, ms)
    return () => { clearTimeout(timer) }
  }
}

/** What fails is thrown. */
const silent: Logger = { debug () {}, info () {}, warn () {}, error () {}, child: () => silent }
