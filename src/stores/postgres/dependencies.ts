import { MissingDependencyError } from '../../errors.ts'

/** What is used of `pg`, so that our types name no package that may be absent. */
export interface PostgresClient {
  /** Whether it sends a query before the one before is answered. */
  pipeline?: boolean
  query (query: PostgresQuery): Promise<PostgresResult>
  on (event: 'error', listener: (error: Error) => void): unknown
  on (event: 'notification', listener: (message: { channel: string, payload?: string | undefined }) => void): unknown
  removeListener (event: string, listener: (...values: any[]) => void): unknown
  /** With an error, or `true`, the connection is closed instead of given back. */
  release (destroy?: Error | boolean): void
}

export interface PostgresQuery {
  text: string
  values?: unknown[]
  /** Of a prepared statement. */
  name?: string
  types?: { getTypeParser (oid: number, format?: string): (value: string) => unknown }
  /** How long we wait for the answer, in milliseconds. */
  query_timeout?: number
}

export interface PostgresResult {
  rows: Record<string, unknown>[]
  rowCount: number | null
  command: string
}

/** A pool of connections, as `pg` makes it. */
export interface PostgresPool {
  connect (): Promise<PostgresClient>
  end (): Promise<void>
  on (event: 'error', listener: (error: Error) => void): unknown
  on (event: 'connect', listener: (client: PostgresClient) => void): unknown
  removeListener (event: string, listener: (...values: any[]) => void): unknown
}

export interface PgModule {
  Pool: new (config: Record<string, unknown>) => PostgresPool
  types: { getTypeParser (oid: number, format?: string): (value: string) => unknown }
}

/** @throws {MissingDependencyError} */
export async function importPg (): Promise<PgModule> {
  try {
    const { default: pg } = await import('pg')
    return pg as unknown as PgModule
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') throw new MissingDependencyError('pg', { cause: error })
    throw error
  }
}
