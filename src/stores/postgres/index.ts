import { randomBytes } from 'node:crypto'
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
