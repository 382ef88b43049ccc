import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import { InvalidOptionsError } from '../../errors.ts'
import type { Store } from '../../work/store.ts'
import { createSqliteStore } from './store.ts'

export interface SqliteStoreOptions {
  /** The database file; folders are made as needed. `':memory:'` is for tests: it forgets everything when it closes. */
  file: string
}

/**
 * The embedded store: one SQLite file, nothing to install. Durable (every commit is fsynced) and safe with several
 * processes on one machine. Beside the file stand SQLite's `-wal` and `-shm`, a `-worker-…` lock file for each process
 * and, where the plugin got no `secret`, a `.key` file.
 *
 * @throws {InvalidOptionsError} when `file` is missing.
 * @example app.register(logicApps, { store: sqliteStore({ file: './data/logic-apps.db' }) })
 */
export function sqliteStore (options: SqliteStoreOptions): Store {
  if (typeof options?.file !== 'string' || options.file === '') {
    throw new InvalidOptionsError('sqliteStore needs "file", the path of its database, such as "./data/logic-apps.db"')
  }
  return createSqliteStore(options.file === ':memory:' ? options.file : resolve(options.file), randomBytes(9).toString('base64url'))
}
