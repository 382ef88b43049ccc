import { randomBytes } from 'node:crypto'
import { systemClock } from '../../work/clock.ts'
import type { Logger } from '../../work/log.ts'
import type { Store } from '../../work/store.ts'
import { checkPostgresOptions, type PostgresStoreOptions } from './options.ts'
import { createPostgresStore } from './store.ts'

export type { PostgresConnectionOptions, PostgresStoreOptions } from './options.ts'
export type { PostgresPool } from './dependencies.ts'

/**
 * The store for several replicas: PostgreSQL. Needs the package `pg`, and the plugin's option `secret`, the same for all
 * replicas.
 *
 * @throws {InvalidOptionsError} naming every fault in the options. @throws {MissingDependencyError} when the app starts without `pg`.
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
  await store.open({ clock: systemClock, log: silent, leaseMs: Infinity, deliveryRetentionMs: Infinity, wake () {} })
  await store.close()
}

/**
 * Moves what a SQLite file holds to an empty schema: jobs that are open or within retention, subscriptions, callbacks and
 * the log, under their numbers, so that URLs that were handed out stay valid under the same `secret`. All or nothing.
 * The file keeps what it holds, and is marked: no app starts on it any more.
 *
 * @throws {InvalidOptionsError} @throws {InvalidDatabaseError} when the file is no store or was moved before, or the schema is not empty.
 * @throws {StoreUnavailableError} when a process has the file open, or PostgreSQL cannot be reached.
 * @example await moveStore({ file: './data/logic-apps.db' }, { connectionString: process.env.DATABASE_URL })
 */
export async function moveStore (from: { file: string }, to: Omit<PostgresStoreOptions, 'migrate'>): Promise<MoveCounts> {
  // Only now: whoever never moves loads no SQLite.
  const move = await import('../move.ts')
  return await move.moveStore(from, to)
}

/** How many of each were moved. */
export interface MoveCounts { jobs: number, subscriptions: number, events: number, deliveries: number }

/** What fails is thrown. */
const silent: Logger = { debug () {}, info () {}, warn () {}, error () {}, child: () => silent }
