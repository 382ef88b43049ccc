import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { InvalidDatabaseError, StoreUnavailableError } from '../../errors.ts'
import { migrate } from './migrations.ts'
import { refuseNetworkFileSystem } from './file-system.ts'

/** Opens the file; tests put a failing disk here. */
export type OpenDatabase = (file: string) => DatabaseSync

export interface Transaction {
  /** A prepared statement, made once per connection. */
  sql (text: string): StatementSync
  /** The same, whose rows are lists of values: many are read in half the time. */
  lists (text: string): StatementSync
}

export interface Connection {
  open (): Promise<void>
  close (): void
  /** One transaction: all of `work` is on disk when this resolves, or none of it when it rejects. `work` is synchronous. */
  write<T> (work: (transaction: Transaction) => T): Promise<T>
  /** One view of the data for all of `work`. */
  read<T> (work: (transaction: Transaction) => T): Promise<T>
  /** Differs from the last answer when another connection has committed since. */
  dataVersion (): string
}

/** How long SQLite itself waits for another process's lock: it blocks the event loop, so hardly at all. */
const busyTimeoutMs = 5
/** How long we wait, without blocking. Another process's commit takes about a millisecond. */
const busyLimitMs = 5000

// https://www.sqlite.org/rescode.html
const code = {
  error: 1,
  busy: 5,
  locked: 6,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  constraint: 19,
  mismatch: 20,
  misuse: 21,
  range: 25,
  notADatabase: 26
}

const openFile: OpenDatabase = (file) => new DatabaseSync(file, { timeout: busyTimeoutMs })

export function createConnection (file: string, openDatabase: OpenDatabase = openFile): Connection {
  let database: DatabaseSync | undefined
  let closed = false
  let generation = 0
  const statements = new Map<string, StatementSync>()
  const listing = new Map<string, StatementSync>()
  const transaction: Transaction = { sql, lists }

  function sql (text: string): StatementSync {
    let statement = statements.get(text)
    if (statement === undefined) statements.set(text, statement = database!.prepare(text))
    return statement
  }

  function lists (text: string): StatementSync {
    let statement = listing.get(text)
    if (statement === undefined) {
      listing.set(text, statement = database!.prepare(text))
      statement.setReturnArrays(true)
    }
    return statement
  }

  function connect (): void {
    if (file !== ':memory:') {
      mkdirSync(dirname(file), { recursive: true })
      refuseNetworkFileSystem(dirname(file))
    }
    const opened = openDatabase(file)
    try {
      migrate(opened, file)
      // FULL: a commit is on disk when it returns, also when the power goes. Checkpoints run within commits.
      opened.exec('PRAGMA synchronous = FULL; PRAGMA cache_size = -16000')
    } catch (error) {
      opened.close()
      throw error
    }
    database = opened
    generation++
  }

  function disconnect (): void {
    statements.clear()
    listing.clear()
    database?.close()
    database = undefined
  }

  function attempt<T> (begin: string, work: (transaction: Transaction) => T): T {
    if (closed) throw new StoreUnavailableError(`the store on ${file} is closed`)
    if (database === undefined) connect()
    try {
      sql(begin).run()
      const result = work(transaction)
      sql('COMMIT').run()
      return result
    } catch (error) {
      abandon(error)
      throw error
    }
  }

  /** Leaves nothing half done, and no connection that an error has made useless: the next call makes a new one. */
  function abandon (error: unknown): void {
    if (isOneOf(error, code.ioError, code.cannotOpen)) return disconnect()
    try {
      // On a full disk SQLite has rolled back already, and ROLLBACK would throw.
      if (database!.isTransaction) database!.exec('ROLLBACK')
    } catch {
      disconnect()
    }
  }

  async function run<T> (work: () => T): Promise<T> {
    const started = performance.now()
    for (;;) {
      try {
        return work()
      } catch (error) {
        if (!isOneOf(error, code.busy, code.locked) || performance.now() - started > busyLimitMs) throw explain(error, file)
      }
      // The other process works in real time, so this is no matter for the Clock. Jitter, since SQLite's locks are unfair.
      await delay(1 + Math.random() * 10)
    }
  }

  return {
    open: () => run(() => { if (database === undefined) connect() }),
    close () {
      closed = true
      disconnect()
    },
    write: (work) => run(() => attempt('BEGIN IMMEDIATE', work)),
    read: (work) => run(() => attempt('BEGIN', work)),
    dataVersion () {
      if (database === undefined) return ''
      try {
        // SQLite's number means something within one connection only.
        return `${generation}:${String(sql('PRAGMA data_version').get()!.data_version)}`
      } catch (error) {
        abandon(error)
        throw explain(error, file)
      }
    }
  }
}

function isOneOf (error: unknown, ...codes: number[]): boolean {
  const errcode = (error as { errcode?: unknown } | null)?.errcode
  return typeof errcode === 'number' && codes.includes(errcode & 0xff)
}

/** SQLite's errors in our terms, with the file and the mend. Anything else is a bug and stays as it is. */
export function explain (error: unknown, file: string): unknown {
  if (isOneOf(error, code.full)) {
    return new StoreUnavailableError(`the disk that holds ${file} is full: free some space, the store goes on by itself`, { cause: error })
  }
  if (isOneOf(error, code.notADatabase, code.corrupt)) {
    return new InvalidDatabaseError(`${file} is damaged or no SQLite database: restore it from a backup, or name another file. Nothing was changed`, { cause: error })
  }
  if (isOneOf(error, code.busy, code.locked)) {
    return new StoreUnavailableError(`${file} stayed locked by another process for ${busyLimitMs} ms`, { cause: error })
  }
  if (isOneOf(error, code.error, code.constraint, code.mismatch, code.misuse, code.range)) return error
  const { code: name, syscall } = (error ?? {}) as NodeJS.ErrnoException
  if (name === 'ERR_SQLITE_ERROR' || syscall !== undefined) {
    return new StoreUnavailableError(`${file} cannot be used: ${(error as Error).message}. Check that the folder exists, is writable and has space`, { cause: error })
  }
  return error
}
