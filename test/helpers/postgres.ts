import { randomBytes } from 'node:crypto'
import pg from 'pg'
import tap, { type Test } from 'tap'
import { launchPostgres } from './postgres-server.ts'

/** The real PostgreSQL server of a test process, with a schema for each test. */
export interface PostgresServer {
  port: number
  url: string
  /** For looking behind the store's back. */
  pool: pg.Pool
  /** A schema name that nobody else has, for `drop`. */
  newSchema (): string
  drop (schema: string): Promise<void>
  /** Ends it as an administrator would: connections are cut. */
  stop (): Promise<void>
  start (): Promise<void>
  /** Resolves when nobody but `pool` is connected: what a server counts of a connection is counted by then. */
  disconnected (): Promise<void>
  /** As if it had just been made: in a tenth of the time that making one takes. */
  empty (schema: string): Promise<void>
}

let server: Promise<PostgresServer> | undefined

/** The server of this test process, started once, and stopped and removed when its tests are over. */
export async function startPostgres (): Promise<PostgresServer> {
  server ??= launch()
  return await server
}

/** Whether a statement is a word to other replicas by itself: it is sent at a time of its own, and nobody waits for it. */
export const isWordAlone = (text: string): boolean => /^NOTIFY [^;]*$/.test(text)

/**
 * A pool of the host's own, on the server of this test process unless it says otherwise. To be made before the stores on
 * it, so that it ends after they are closed.
 */
export async function createPool (t: Test, config: pg.PoolConfig = {}): Promise<pg.Pool> {
  const pool = new pg.Pool({ connectionString: (await startPostgres()).url, ...config })
  t.teardown(() => pool.end())
  return pool
}

async function launch (): Promise<PostgresServer> {
  const { remove, ...server } = await launchPostgres()
  const { pool } = server
  tap.teardown(remove)
  const listOf = async (text: string, schema: string): Promise<string[]> => (await pool.query(text, [schema])).rows.map(({ name }: { name: string }) => name)
  return {
    ...server,
    newSchema: () => `test_${randomBytes(6).toString('hex')}`,
    async drop (schema) { await pool.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`) },
    async empty (schema) {
      const tables = await listOf("SELECT tablename AS name FROM pg_tables WHERE schemaname = $1 AND tablename NOT IN ('store', 'log')", schema)
      const sequences = await listOf('SELECT sequencename AS name FROM pg_sequences WHERE schemaname = $1', schema)
      await pool.query([
        ...tables.map((name) => `DELETE FROM ${schema}.${name}`),
        `UPDATE ${schema}.log SET last = 0`,
        ...sequences.map((name) => `ALTER SEQUENCE ${schema}.${name} RESTART`)
      ].join(';'))
    }
  }
}
