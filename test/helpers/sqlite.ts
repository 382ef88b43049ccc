import { join } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { Test } from 'tap'
import type { OpenDatabase } from '../../src/stores/sqlite/connection.ts'
import { createSqliteStore } from '../../src/stores/sqlite/store.ts'
import { createManualClock, type ManualClock } from '../../src/testing/index.ts'
import { leaseMs } from '../../src/testing/store-contract/bench.ts'
import type { Store, StoreIdentity } from '../../src/work/store.ts'
import { createTempDir } from './temp-dir.ts'

export interface OpenedStore {
  store: Store
  identity: StoreIdentity
  clock: ManualClock
  /** Messages logged at warn and above. */
  warnings: string[]
}

export interface OpenOptions {
  openDatabase?: OpenDatabase | undefined
  clock?: ManualClock
  worker?: string
}

let workers = 0

/** An open store on a file, closed with the test. */
export async function openStore (t: Test, file: string, { openDatabase, clock = createManualClock(), worker = `test${++workers}` }: OpenOptions = {}): Promise<OpenedStore> {
  const store = createSqliteStore(file, worker, openDatabase)
  const warnings: string[] = []
  const note = (_: unknown, message?: string): void => { warnings.push(message ?? '') }
  const log = { debug () {}, info () {}, warn: note, error: note, child: () => log }
  const identity = await store.open({ clock, log, leaseMs, deliveryRetentionMs: 604_800_000, wake () {} })
  t.teardown(() => store.close())
  return { store, identity, clock, warnings }
}

/** Called before each step of a connection, with its SQL; what it throws, the step throws. */
export type BeforeStep = (sql: string, database: DatabaseSync) => void

/** A database that tells of each step it takes, and fails where it is told to. */
export function watchDatabase (before: BeforeStep): OpenDatabase {
  return (file) => {
    const database = new DatabaseSync(file, { timeout: 5 })
    return intercept(database, {
      exec (sql: string) {
        before(sql, database)
        database.exec(sql)
      },
      prepare (sql: string) {
        const statement = database.prepare(sql)
        const step = (method: 'run' | 'get' | 'all') => (...values: []): unknown => {
          before(sql, database)
          return statement[method](...values)
        }
        return intercept<StatementSync>(statement, { run: step('run'), get: step('get'), all: step('all') })
      }
    })
  }
}

function intercept<T extends object> (target: T, methods: object): T {
  return new Proxy(target, {
    get (_, name) {
      if (Object.hasOwn(methods, name)) return Reflect.get(methods, name) as unknown
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) as unknown : value
    }
  })
}

export interface TracedStore extends OpenedStore {
  file: string
  /** The statements since the last call of this. */
  taken (): string[]
}

/** An open store that tells what it asks of SQLite. */
export async function openTraced (t: Test, file = join(createTempDir(t), 'jobs.db')): Promise<TracedStore> {
  let statements: string[] = []
  const opened = await openStore(t, file, { openDatabase: watchDatabase((sql) => { statements.push(sql) }) })
  const taken = (): string[] => {
    const since = statements
    statements = []
    return since
  }
  return { ...opened, file, taken }
}

/** How SQLite means to run each of these statements. */
export function plansOf (t: Test, file: string, statements: string[]): { sql: string, plan: string }[] {
  const database = new DatabaseSync(file)
  t.teardown(() => database.close())
  return [...new Set(statements)].map((sql) => {
    const plan = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all().map(({ detail }) => String(detail))
    return { sql: sql.replace(/\s+/g, ' ').trim(), plan: plan.join('; ') }
  })
}

/** What node:sqlite throws. */
export function sqliteError (errcode: number, message: string): Error {
  return Object.assign(new Error(message), { code: 'ERR_SQLITE_ERROR', errcode, errstr: message })
}

const tables = [
  'workers', 'jobs', 'job_inputs', 'job_results', 'subscriptions', 'events', 'topics', 'fan_outs', 'deliveries'
]

/** All that is in the file, seen by a connection of its own; also checks that tables and indexes agree. */
export function dump (file: string): Record<string, unknown[]> {
  const database = new DatabaseSync(file)
  try {
    const [check] = database.prepare('PRAGMA integrity_check').all()
    if (check?.integrity_check !== 'ok') throw new Error(`the database is damaged: ${String(check?.integrity_check)}`)
    return Object.fromEntries(tables.map((table) => [table, database.prepare(`SELECT * FROM ${table} ORDER BY 1, 2`).all().map((row) => ({ ...row }))]))
  } finally {
    database.close()
  }
}
