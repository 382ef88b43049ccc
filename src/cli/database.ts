import type { PostgresStoreOptions } from '../stores/postgres/index.ts'
import { UsageError, type CommandIo } from './command.ts'

/** From the environment alone: what is on the command line, anybody on the machine can read. */
export function databaseOf ({ env }: CommandIo, schema: string | undefined): Omit<PostgresStoreOptions, 'migrate'> {
  const { DATABASE_URL: connectionString } = env
  if (connectionString === undefined || connectionString === '') throw new UsageError('DATABASE_URL is missing: set it to postgres://user:password@host/database; --help says more')
  return { connectionString, ...(schema === undefined ? {} : { schema }) }
}
