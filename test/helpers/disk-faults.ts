import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import type { Test } from 'tap'
import type { Store } from '../../src/work/store.ts'
import { dump, openStore, sqliteError, watchDatabase, type BeforeStep } from './sqlite.ts'
import { createTempDir } from './temp-dir.ts'

const maxStepsOfCall = 80

/** Calls that each change something, one of the store each; `State` is what they hand on. */
export interface Scenario<State> {
  calls: ((store: Store, state: State) => Promise<unknown>)[]
  createState: () => State
}

export interface Fault {
  name: string
  /** What the n-th step does instead. */
  strike (database: DatabaseSync): void
  /** Whether the connection is of no use any more. */
  breaks: boolean
}

export const faults: Fault[] = [
  {
    name: 'a full disk',
    breaks: false,
    strike (database) {
      // SQLite has rolled back by then (facts: trials, 2).
      if (database.isTransaction) database.exec('ROLLBACK')
      throw sqliteError(13, 'database or disk is full')
    }
  },
  { name: 'a full disk without a rollback', breaks: false, strike () { throw sqliteError(13, 'database or disk is full') } },
  { name: 'an I/O error', breaks: true, strike () { throw sqliteError(778, 'disk I/O error') } }
]

/**
 * Runs the scenario, with a fault at the n-th step. Resolves to what is in the file then, or `undefined` when there are
 * less steps.
 *
 * @param template A new database: made once, since making one takes long.
 */
async function run<State> (t: Test, { calls, createState }: Scenario<State>, template: string, n = 0, { strike, breaks }: Partial<Fault> = {}): Promise<Record<string, unknown[]> | undefined> {
  const file = join(createTempDir(t), 'jobs.db')
  copyFileSync(template, file)
  /** Not counted while the store opens and closes. */
  let steps = -Infinity
  let broken: DatabaseSync | undefined
  const hasty = new WeakSet<DatabaseSync>()
  const before: BeforeStep = (sql, database) => {
    // No power fails here: hundreds of runs need not wait for the disk.
    if (sql.startsWith('BEGIN') && !hasty.has(database)) {
      hasty.add(database)
      database.exec('PRAGMA synchronous = OFF')
    }
    steps++
    if (database !== broken && steps !== n) return
    if (breaks) broken = database
    strike?.(database)
  }
  const { store } = await openStore(t, file, { openDatabase: watchDatabase(before), worker: 'w' })
  steps = 0
  const state = createState()
  for (const [index, call] of calls.entries()) {
    // Only a call that the fault can strike is compared: none takes that many steps.
    const kept = steps < n && n - steps <= maxStepsOfCall ? dump(file) : undefined
    const first = steps + 1
    try {
      await call(store, state)
      if (first <= n && n <= steps) t.fail(`call ${index} is told of the fault at step ${n}`)
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'FST_LOGIC_APPS_STORE_UNAVAILABLE') throw error
      if (n < first || n > steps) throw error
      t.same(dump(file), kept, `nothing of call ${index} is kept after a fault at step ${n}`)
      await call(store, state)
    }
  }
  const end = dump(file)
  const last = steps
  steps = -Infinity
  await store.close()
  return n > last ? undefined : end
}

/**
 * Runs a scenario once for each of its steps, with the fault at that step: the call rejects, nothing of it is kept, and
 * when it is made again everything goes on as if nothing had been.
 *
 * @returns How many steps were tried, and what is in the file at the end.
 */
export async function strikeEverywhere<State> (t: Test, scenario: Scenario<State>, fault: Fault): Promise<{ steps: number, end: Record<string, unknown[]> }> {
  const template = join(createTempDir(t), 'new.db')
  await (await openStore(t, template)).store.close()
  const expected = (await run(t, scenario, template))!
  for (let n = 1; ; n++) {
    const end = await run(t, scenario, template, n, fault)
    if (end === undefined) return { steps: n - 1, end: expected }
    // A vanished connection leaves no other trace than a lost beat or two.
    t.same({ ...end, workers: [] }, { ...expected, workers: [] }, `everything went on after a fault at step ${n}`)
  }
}
