import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { InvalidDatabaseError, SchemaVersionError, StoreUnavailableError } from '../../errors.ts'
import type { Logger } from '../../work/log.ts'
import { migrationTimeoutMs, type Connection, type Transaction } from './connection.ts'
import { sqlState } from './errors.ts'
import type { Migration } from './schema.ts'

interface Version { version: number, compatibleFrom: number }

const lockNotAvailable = '55P03'
/**
 * How long a step waits for a lock: a transaction of somebody's that has read a table keeps it from the step, and all
 * that running replicas ask of that table then queues behind the step.
 */
const lockTimeoutMs = 2_000
/** In which they do what has queued. */
const pauseMs = 2_000

/**
 * Brings the schema to this version, each step once, however many replicas start at the same time. Those that run go on
 * meanwhile.
 *
 * @param limitMs How long the locks are tried for.
 * @throws {SchemaVersionError} when the schema is of a newer version that this one cannot work on.
 * @throws {StoreUnavailableError} when somebody keeps a lock for all that time.
 */
export async function migrate (connection: Connection, schema: string, steps: Migration[], log: Logger, limitMs = migrationTimeoutMs): Promise<void> {
  const began = performance.now()
  for (;;) {
    try {
      return await migrateNow(connection, schema, steps)
    } catch (error) {
      if (sqlState(error) !== lockNotAvailable) throw error
      if (performance.now() - began >= limitMs) {
        throw new StoreUnavailableError(`the schema "${schema}" could not be brought to version ${steps.length}: for ${limitMs / 1000} s other transactions have kept locks on its tables. End them (pg_stat_activity lists them, idle in transaction perhaps), then start again. Nothing was changed`, { cause: error })
      }
      log.warn({ err: error }, `the migration of the schema "${schema}" waits for another transaction that uses its tables, trying again in ${pauseMs} ms`)
    }
    // Others work in real time, so this is no matter for the Clock.
    await delay(pauseMs)
  }
}

async function migrateNow ({ patiently }: Connection, schema: string, steps: Migration[]): Promise<void> {
  await patiently(async (transaction) => {
    const { sql } = transaction
    // Until the commit: who comes second finds everything done.
    await sql('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', `fastify-logic-apps: migrations of ${schema}`)
    const { version } = await readVersion(transaction, schema, steps) ?? { version: 0 }
    if (version >= steps.length) return
    await sql(`SET LOCAL lock_timeout = ${lockTimeoutMs}`)
    if (version === 0) await createSchema(transaction, schema)
    for (const { statements } of steps.slice(version)) await transaction.script(statements)
    const { compatibleFrom } = steps.at(-1)!
    if (version === 0) await sql('INSERT INTO @.store (id_key, version, compatible_from) VALUES ($1, $2, $3)', randomBytes(16), steps.length, compatibleFrom)
    else await sql('UPDATE @.store SET version = $1, compatible_from = $2', steps.length, compatibleFrom)
  })
}

/** @throws {InvalidDatabaseError} when a migration is still to be run. @throws {SchemaVersionError} */
export async function assertMigrated ({ write }: Connection, schema: string, steps: Migration[]): Promise<void> {
  const { version } = await write((transaction) => readVersion(transaction, schema, steps)) ?? { version: 0 }
  if (version < steps.length) {
    throw new InvalidDatabaseError(`the schema "${schema}" has version ${version}, and migrate is false: run "npx fastify-logic-apps migrate" (migratePostgres) with a user who may create tables, then start again`)
  }
}

/** Not `IF NOT EXISTS` alone: that needs the right to create schemas even where there is nothing to do. */
async function createSchema ({ sql, script }: Transaction, schema: string): Promise<void> {
  const [known] = await sql('SELECT 1 FROM pg_namespace WHERE nspname = $1', schema)
  if (known === undefined) await script(`CREATE SCHEMA ${schema}`)
}

async function readVersion ({ sql }: Transaction, schema: string, steps: Migration[]): Promise<Version | undefined> {
  const [table] = await sql('SELECT to_regclass($1) AS name', `${schema}.store`)
  if (table!.name === null) return undefined
  const [row] = await sql('SELECT version, compatible_from AS "compatibleFrom" FROM @.store')
  const found = row as unknown as Version
  if (found.compatibleFrom > steps.length) {
    throw new SchemaVersionError(`the schema "${schema}" has version ${found.version} and needs a fastify-logic-apps that knows at least version ${found.compatibleFrom}, this one knows ${steps.length}: install the newer version again. Nothing was changed`)
  }
  return found
}
