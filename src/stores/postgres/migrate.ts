import { randomBytes } from 'node:crypto'
import { InvalidDatabaseError, SchemaVersionError } from '../../errors.ts'
import type { Connection, Transaction } from './connection.ts'
import type { Migration } from './schema.ts'

interface Version { version: number, compatibleFrom: number }

/**
 * Brings the schema to this version, each step once, however many replicas start at the same time.
 *
 * @throws {SchemaVersionError} when the schema is of a newer version that this one cannot work on.
 */
export async function migrate ({ patiently }: Connection, schema: string, steps: Migration[]): Promise<void> {
  await patiently(async (transaction) => {
    const { sql } = transaction
    // Until the commit: who comes second finds everything done.
    await sql('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', `fastify-logic-apps: migrations of ${schema}`)
    const { version } = await readVersion(transaction, schema, steps) ?? { version: 0 }
    if (version >= steps.length) return
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
