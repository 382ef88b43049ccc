/* The same server as one of several replicas: its folder says on which database. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { serveWhenTold } from './serve.ts'
import { createWorkServer } from './server.ts'

const urlFile = (folder: string): string => join(folder, 'database-url')

export function nameDatabase (folder: string, url: string): void {
  writeFileSync(urlFile(folder), url, { mode: 0o600 })
}

if (process.argv[1] === import.meta.filename) {
  serveWhenTold((folder) => createWorkServer(folder, {
    store: postgresStore({ connectionString: readFileSync(urlFile(folder), 'utf8') }),
    secret: 'a secret of the campaigns, of 32 bytes and more'
  }))
}
