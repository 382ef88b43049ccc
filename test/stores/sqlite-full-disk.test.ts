import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { test } from 'tap'
import { accept, acceptAndClaim, canceled, claim, leaseOf, newJob, plenty, start, succeeded } from '../../src/testing/store-contract/bench.ts'
import type { ClaimedJob, Store } from '../../src/work/store.ts'
import { faults, strikeEverywhere } from '../helpers/disk-faults.ts'
import { dump, openStore, sqliteError, watchDatabase } from '../helpers/sqlite.ts'
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

for (const fault of faults) {
  test(`${fault.name} at any step of any call: the call rejects, nothing of it is kept, and the store goes on`, async (t) => {
    const { steps, end } = await strikeEverywhere(t, { calls: scenario, createState: (): ClaimedJob[] => [] }, fault)
    t.same(end.job_inputs!.map((row) => (row as { number: number }).number), [2, 3, 4], 'what belongs to a swept job is swept')
    t.same(end.job_results, [])
    t.ok(steps >= 40, `${steps} steps were tried`)
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
