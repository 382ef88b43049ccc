import { InvalidOptionsError } from '../../errors.ts'
import type { PostgresPool } from './dependencies.ts'

export interface PostgresStoreOptions {
  /** Where the database is, such as `postgres://user:password@host/database`. */
  connectionString?: string
  /** Or as `pg` takes it: host, port, database, user, `ssl`, and `password`, which may be a function that fetches a token. */
  connection?: PostgresConnectionOptions
  /** Or a `Pool` of `pg` that you made, with at least 4 connections, one of which is kept for LISTEN. It stays yours to end. */
  pool?: PostgresPool
  /** Where our tables are. @default 'logic_apps' */
  schema?: string
  /** Whether the tables are made and brought up to date at the start. `false`: by `migratePostgres`. @default true */
  migrate?: boolean
  /** The largest pool that is made where none is given. @default 10 */
  maxConnections?: number
  /** How many jobs of an operation may run at once in all replicas together. @default no limit but each replica's own */
  concurrency?: Record<string, number>
  /** Whether statements are prepared, which halves what the server does for each. `false` behind a pooler in transaction mode that cannot, such as PgBouncer with `max_prepared_statements` 0. @default true */
  preparedStatements?: boolean
  /** How long a statement, or a wait for a connection, may take, in seconds. Half of the time after which a silent replica loses its jobs is too much. @default 5 */
  timeoutSeconds?: number
}

/** What `pg` connects by: https://node-postgres.com/apis/client */
export interface PostgresConnectionOptions {
  host?: string
  port?: number
  database?: string
  user?: string
  password?: string | (() => string | Promise<string>)
  ssl?: boolean | object
  [option: string]: unknown
}

export interface PostgresSettings {
  /** For `pg`, when the pool is ours to make. */
  config: Record<string, unknown> | undefined
  pool: PostgresPool | undefined
  schema: string
  migrate: boolean
  concurrency: ReadonlyMap<string, number>
  prepare: boolean
  timeoutMs: number
}

/** Needs no quotes in any statement, and leaves room for what is named by it: PostgreSQL keeps 63 bytes. */
const schemaPattern = /^[a-z_][a-z0-9_]{0,44}$/

/** @throws {InvalidOptionsError} naming every fault, and never a connection string. */
export function checkPostgresOptions (options: PostgresStoreOptions): PostgresSettings {
  const faults: string[] = []
  const check = (fine: boolean, fault: string): void => { if (!fine) faults.push(fault) }
  const { connectionString, connection, pool, schema = 'logic_apps', migrate = true, maxConnections = 10, concurrency = {}, preparedStatements = true, timeoutSeconds = 5, ...rest } = options ?? {}
  check([connectionString, connection, pool].filter((given) => given !== undefined).length === 1, 'give one of "connectionString", "connection" and "pool"')
  check(connectionString === undefined || isUrl(connectionString), '"connectionString" must be a URL such as "postgres://user:password@host:5432/database"')
  check(connection === undefined || (typeof connection === 'object' && connection !== null), '"connection" must be an object, such as { host, database, user, password }')
  check(pool === undefined || typeof pool?.connect === 'function', '"pool" must be a Pool of the package pg')
  check(typeof schema === 'string' && schemaPattern.test(schema), '"schema" must be at most 45 lower-case letters, digits and underscores, such as "logic_apps"')
  check(typeof migrate === 'boolean', '"migrate" must be a boolean')
  check(Number.isInteger(maxConnections) && maxConnections >= 4, '"maxConnections" must be an integer of at least 4')
  check(typeof preparedStatements === 'boolean', '"preparedStatements" must be a boolean')
  check(typeof timeoutSeconds === 'number' && timeoutSeconds >= 1 && timeoutSeconds <= 7, '"timeoutSeconds" must be a number of seconds from 1 to 7')
  check(isLimits(concurrency), '"concurrency" must map operation ids to integers of at least 1, such as { BakeCake: 4 }')
  for (const name of Object.keys(rest)) faults.push(`"${name}" is no option`)
  if (faults.length > 0) throw new InvalidOptionsError(`postgresStore: ${faults.join('; ')}`)
  const timeoutMs = Math.round(timeoutSeconds * 1000)
  return {
    pool,
    config: pool === undefined
      ? {
          application_name: 'fastify-logic-apps',
          keepAlive: true,
          // A new one costs more than most of what we ask.
          idleTimeoutMillis: 60_000,
          // So that a transaction begins with its first statement, not a round trip before it.
          pipeline: true,
          ...connection,
          ...(connectionString === undefined ? {} : { connectionString }),
          max: maxConnections,
          connectionTimeoutMillis: timeoutMs
        }
      : undefined,
    schema,
    migrate,
    concurrency: new Map(Object.entries(concurrency)),
    prepare: preparedStatements,
    timeoutMs
  }
}

function isUrl (value: unknown): boolean {
  return typeof value === 'string' && /^postgres(?:ql)?:\/\//.test(value) && URL.canParse(value)
}

function isLimits (value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.values(value).every((limit) => Number.isInteger(limit) && limit >= 1)
}
