import { InvalidDatabaseError, StoreUnavailableError } from '../../errors.ts'

/** The SQLSTATE of an error from the server, also of one that we have explained. */
export function sqlState (error: unknown): string | undefined {
  const { code, severity, cause } = (error ?? {}) as { code?: unknown, severity?: unknown, cause?: unknown }
  if (severity !== undefined && typeof code === 'string') return code
  return cause === undefined ? undefined : sqlState(cause)
}

/** What a server says of itself, by the beginning of the SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const away: Record<string, string> = {
  '08': 'the connection failed',
  53: 'it is out of resources: disk, memory or connections',
  57: 'it is shutting down, starting, or ended this statement or connection',
  58: 'it has trouble with its disk',
  '25P03': 'it ended a transaction of ours that did not move on',
  25006: 'it is read-only: a standby, or a failover is under way',
  40: 'others kept getting in the way of this transaction',
  '55P03': 'a lock was not to be had in time',
  28: 'it refuses the login: check user and password',
  '3D': 'it has no such database: create it'
}

const broken: Record<string, string> = {
  '42P01': 'a table of ours is missing',
  42703: 'a column of ours is missing',
  42883: 'a function of ours is missing',
  '3F000': 'our schema is missing',
  42501: 'the user of the connection may not do this: grant it what the how-to "Run on PostgreSQL" lists'
}

const describe = (table: Record<string, string>, state: string): string | undefined => table[state] ?? table[state.slice(0, 2)]

/**
 * PostgreSQL's errors, and those of the connection to it, in our terms with the mend. Anything else is a bug and stays
 * as it is.
 */
export function explain (error: unknown): unknown {
  const state = sqlState(error)
  const { message } = error as Error
  if (state === undefined) {
    // Of the socket, of name resolution, of TLS, of the pool: nothing has an SQLSTATE that did not come from the server.
    return new StoreUnavailableError(`PostgreSQL cannot be reached: ${message}`, { cause: error })
  }
  const fault = describe(broken, state)
  if (fault !== undefined) return new InvalidDatabaseError(`PostgreSQL: ${fault} (${message}). Run the migrations, or restore a backup`, { cause: error })
  const reason = describe(away, state)
  return reason === undefined ? error : new StoreUnavailableError(`PostgreSQL cannot be used now: ${reason} (${message})`, { cause: error })
}

/** Whether the connection that this came from is of no more use. */
export function isLost (error: unknown): boolean {
  if (!(error instanceof StoreUnavailableError)) return false
  const state = sqlState(error)
  // A statement that took too long (57014) leaves its connection as it was.
  return state === undefined || /^(?:08|57P|25P03)/.test(state)
}
