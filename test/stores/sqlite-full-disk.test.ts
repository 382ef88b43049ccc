import { copyFileSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { test, type Test } from 'tap'
import { accept, acceptAndClaim, canceled, claim, leaseOf, newJob, plenty, start, succeeded } from '../../src/testing/store-contract/bench.ts'
import type { ClaimedJob, Store } from '../../src/work/store.ts'
import { dump, openStore, sqliteError, watchDatabase, type BeforeStep } from '../helpers/sqlite.ts'
import { createTempDir } from '../helpers/temp-dir.ts'

/** A life of four jobs: every kind of call, in an order in which each changes something. */
const scenario: ((store: Store, jobs: ClaimedJob[]) => Promise<unknown>)[] = [
  (store) => store.submit([newJob({ input: '{"n":1}', idempotency: { key: 'k', fingerprint: 'f' } }), newJob(), newJob(), newJob()], { maxQueued: plenty }),
  (store) => store.get([1, 2]),
  async (store, jobs) => { jobs.push(...await claim(store, { limit: 3 })) },
  (store, [first]) => store.progress([{ lease: leaseOf(first!), percentComplete: 50, message: 'Half' }]),
  (store, jobs) => store.heartbeat(jobs.map(leaseOf)),
  (store, [first, second, third]) => store.settle([
    { lease: leaseOf(first!), to: succeeded('"cake"', start + 100) },
    { lease: leaseOf(second!), to: { status: 'queued', dueAt: start + 500, failures: 1 } },
    { lease: leaseOf(third!), to: { status: 'running', deadline: start + 900 } }
  ]),
  (store) => store.end(4, canceled()),
  (store) => store.list({ limit: plenty }),
  (store) => store.sweep(start + 101, plenty)
]

interface Fault {
  name: string
  /** What the n-th step does instead. */
  strike (database: DatabaseSync): void
  /** Whether the connection is of no use any more. */
  breaks: boolean
}

const faults: Fault[] = [
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
async function run (t: Test, template: string, n = 0, { strike, breaks }: Partial<Fault> = {}): Promise<Record<string, unknown[]> | undefined> {
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
  const jobs: ClaimedJob[] = []
  for (const [index, call] of scenario.entries()) {
    const kept = dump(file)
    const first = steps + 1
    try {
      await call(store, jobs)
      if (first <= n && n <= steps) t.fail(`call ${index} is told of the fault at step ${n}`)
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'FST_LOGIC_APPS_STORE_UNAVAILABLE') throw error
      if (n < first || n > steps) throw error
      t.same(dump(file), kept, `nothing of call ${index} is kept after a fault at step ${n}`)
      await call(store, jobs)
    }
  }
  const end = dump(file)
  const last = steps
  steps = -Infinity
  await store.close()
  return n > last ? undefined : end
}

for (const fault of faults) {
  test(`${fault.name} at any step of any call: the call rejects, nothing of it is kept, and the store goes on`, async (t) => {
    const template = join(createTempDir(t), 'new.db')
    await (await openStore(t, template)).store.close()
    const expected = (await run(t, template))!
    t.same(expected.job_inputs!.map((row) => (row as { number: number }).number), [2, 3, 4], 'what belongs to a swept job is swept')
    t.same(expected.job_results, [])
    let n = 1
    for (; ; n++) {
      const end = await run(t, template, n, fault)
      if (end === undefined) break
      // A vanished connection leaves no other trace than a lost beat or two.
      t.same({ ...end, workers: [] }, { ...expected, workers: [] }, `everything went on after a fault at step ${n}`)
    }
    t.ok(n > 40, `${n - 1} steps were tried`)
  })
}

test('a connection that cannot even roll back is replaced', async (t) => {
  let failing = false
  const { store } = await openStore(t, join(createTempDir(t), 'jobs.db'), {
    openDatabase: watchDatabase((sql) => {
      if (failing && (sql === 'COMMIT' || sql === 'ROLLBACK')) throw sqliteError(13, 'database or disk is full')
    })
  })
  failing = true
  await t.rejects(store.submit([newJob()], { maxQueued: plenty }), { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE' })
  failing = false
  await accept(store, {})
  t.equal((await store.list({ limit: plenty })).length, 1)
})

test('a full database rejects writes and answers reads, and goes on when there is space', async (t) => {
  const file = join(createTempDir(t), 'jobs.db')
  let database: DatabaseSync
  const { store } = await openStore(t, file, { openDatabase: watchDatabase((_, opened) => { database = opened }) })
  const input = JSON.stringify('x'.repeat(10_000))
  const [first] = await accept(store, { input })
  // The same error and the same rollback as on a full disk, without one.
  database!.exec('PRAGMA max_page_count = 60')
  let accepted = 1
  const fill = async (): Promise<void> => {
    for (; accepted < 1000; accepted++) await accept(store, { input })
  }
  await t.rejects(fill(), { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE', statusCode: 503, message: `the disk that holds ${file} is full` })
  t.ok(accepted > 5 && accepted < 100)
  await t.rejects(store.submit([newJob({ input }), newJob({ input }), newJob({ input })], { maxQueued: plenty }), { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE' })

  t.same(await store.get([first!.number]), [first])
  t.equal((await store.list({ limit: plenty })).length, accepted)
  t.same([dump(file).jobs!.length, dump(file).job_inputs!.length], [accepted, accepted])

  database!.exec('PRAGMA max_page_count = 100000')
  const outcomes = await store.submit([newJob({ input }), newJob()], { maxQueued: accepted + 1 })
  t.same(outcomes.map(({ outcome }) => outcome), ['accepted', 'full'])
  t.equal((await claim(store)).length, accepted + 1)
  dump(file)
})

test('a worker whose store was away goes on with the leases it holds', async (t) => {
  const file = join(createTempDir(t), 'jobs.db')
  let away = false
  const { store, clock, warnings } = await openStore(t, file, {
    openDatabase: watchDatabase(() => { if (away) throw sqliteError(10, 'disk I/O error') })
  })
  await accept(store, {})
  const [job] = await claim(store)
  away = true
  const calls: (() => Promise<unknown>)[] = [
    () => store.get([1]), () => store.heartbeat([leaseOf(job!)]), () => store.submit([newJob()], { maxQueued: 9 }), () => store.recover()
  ]
  for (const call of calls) {
    await t.rejects(call(), { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE' })
  }
  await clock.advance(1000)
  away = false
  t.same(await store.heartbeat([leaseOf(job!)]), [])
  t.same(await store.settle([{ lease: leaseOf(job!), to: succeeded() }]), [true])
  t.ok(warnings.length <= 2, 'the log is not flooded')
})

test('a store on a full disk closes all the same, and says what it left', async (t) => {
  const file = join(createTempDir(t), 'jobs.db')
  let full = false
  const { store, warnings } = await openStore(t, file, { openDatabase: watchDatabase(() => { if (full) throw sqliteError(13, 'database or disk is full') }) })
  const job = await acceptAndClaim(store)
  full = true
  await store.close()
  t.match(warnings, ['the store was closed without giving back what it held'])
  const { store: next } = await openStore(t, file)
  t.match(await claim(next), [{ number: job.number, attempt: 2, crashes: 1 }], 'the freed lock told the next process')
})

test('a lock file that cannot be locked is a clear error, and is not left behind', async (t) => {
  const file = join(createTempDir(t), 'jobs.db')
  writeFileSync(`${file}-worker-one`, 'a full disk, or another program, left this '.repeat(100))
  await t.rejects(openStore(t, file, { worker: 'one' }), { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE', message: /the lock file .*jobs\.db-worker-one cannot be used/ })
  t.notOk(existsSync(`${file}-worker-one`))
})
