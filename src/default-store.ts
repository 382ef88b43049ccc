import { resolve } from 'node:path'
import type { Logger } from './work/log.ts'
import type { Store } from './work/store.ts'
import { sqliteStore } from './stores/sqlite/index.ts'

/** Where a host that names no store keeps its work. */
const defaultFile = './data/logic-apps.db'

/** Hosts whose disks are shared between instances, or are gone with the container, by the variables they set. */
const azureHosts = { WEBSITE_INSTANCE_ID: 'App Service', CONTAINER_APP_NAME: 'Container Apps' }

export function defaultStore (log: Logger): Store {
  const file = resolve(defaultFile)
  log.info({ file }, 'work is kept in the embedded store')
  for (const [variable, name] of Object.entries(azureHosts)) {
    if (process.env[variable] !== undefined) {
      log.warn({ file }, `this is ${name}, where disks are shared between instances or go with them: give the store option a PostgreSQL store, or a file on a disk that stays and is this instance's own`)
    }
  }
  return sqliteStore({ file })
}
