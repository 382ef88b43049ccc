import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test, type Test } from 'tap'
import { accept, claim, leaseOf, newJob, plenty, settle, succeeded } from '../../src/testing/store-contract/bench.ts'
import { openStore, sqliteError, watchDatabase, type OpenedStore } from '../helpers/sqlite.ts'
import { createLatch } from '../helpers/latch.ts'
import { createTempDir } from '../helpers/temp-dir.ts'

interface Locked extends OpenedStore {
  file: string
  /** Another connection to the file; it holds the lock that every writer needs. */
  other: DatabaseSync
  /** Resolves when a write of the store has been turned away so often. */
  turnedAway (times: number): Promise<void>
}

async function openLocked (t: Test): Promise<Locked> {
  const file = join(createTempDir(t), 'jobs.db')
  let attempts = 0
  let waiting: { times: number, open: () => void } | undefined
  const opened = await openStore(t, file, {
    openDatabase: watchDatabase((sql) => {
      if (sql === 'BEGIN IMMEDIATE' && ++attempts > (waiting?.times ?? Infinity)) waiting?.open()
    })
  })
  await accept(opened.store, {})
  const other = new DatabaseSync(file)
  t.teardown(() => other.close())
  other.exec('BEGIN IMMEDIATE')
  attempts = 0
  return {
    ...opened,
    file,
    other,
    turnedAway (times) {
      const { promise, open } = createLatch()
      waiting = { times, open }
      return promise
    }
  }
}

test('a write waits for the lock of another process, and the event loop turns meanwhile', async (t) => {
  const { store, other, turnedAway } = await openLocked(t)
  const events: string[] = []
  const submitted = store.submit([newJob(), newJob()], { maxQueued: plenty }).then((outcomes) => {
    events.push('submitted')
    return outcomes
  })
  // Each try is made in a turn of its own: that we are told of the third at all means that nothing blocks.
  await turnedAway(3)
  t.same((await store.get([1])).map((job) => job?.status), ['queued'], 'reads go on')
  events.push('released')
  other.exec('ROLLBACK')
  t.same((await submitted).map(({ outcome }) => outcome), ['accepted', 'accepted'])
  t.same(events, ['released', 'submitted'])
  t.equal((await store.list({ limit: plenty })).length, 3)
})

test('SQLite itself waits hardly at all, since that blocks', async (t) => {
  const file = join(createTempDir(t), 'jobs.db')
  const { store } = await openStore(t, file)
  const other = new DatabaseSync(file)
  t.teardown(() => other.close())
  other.exec('BEGIN IMMEDIATE')
  const calledAt = performance.now()
  const submitted = accept(store, {})
  t.ok(performance.now() - calledAt < 1000)
  other.exec('ROLLBACK')
  await submitted
})

test('every kind of write waits, and what the other process committed meanwhile is respected', async (t) => {
  const { store, other, file, turnedAway } = await openLocked(t)
  other.exec('ROLLBACK')
  await accept(store, {}, {})
  const [first, second] = await claim(store, { limit: 2 })
  const rival = await openStore(t, file)
  await rival.store.end(second!.number, { status: 'canceled', failure: { code: 'JobCanceled', message: '', statusCode: 409 }, endedAt: 1, expiresAt: 2 })
  other.exec('BEGIN IMMEDIATE')

  const calls = Promise.all([
    claim(store),
    store.progress([{ lease: leaseOf(first!), percentComplete: 5, message: 'on' }]),
    store.heartbeat([leaseOf(first!), leaseOf(second!)]),
    settle(store, second!, succeeded()),
    store.sweep(3, plenty)
  ])
  await turnedAway(10)
  other.exec('ROLLBACK')
  const [claimed, progress, lost, settled, swept] = await calls
  t.equal(claimed.length, 1)
  t.same({ progress, lost, settled, swept }, { progress: [true], lost: [leaseOf(second!)], settled: false, swept: 1 })
})

test('a write that waited for 5 s gives up with StoreUnavailableError, and nothing of it is kept', async (t) => {
  const { store, other, turnedAway, file } = await openLocked(t)
  const { now } = performance
  t.teardown(() => { performance.now = now })
  const submitted = store.submit([newJob()], { maxQueued: plenty })
  await turnedAway(2)
  const real = now.call(performance)
  performance.now = () => real + 3000
  await turnedAway(5)
  performance.now = () => real + 5100
  await t.rejects(submitted, { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE', statusCode: 503, message: `${file} stayed locked by another process for 5000 ms` })
  other.exec('ROLLBACK')
  t.equal((await store.list({ limit: plenty })).length, 1)
  t.same((await store.submit([newJob()], { maxQueued: 2 })).map(({ outcome }) => outcome), ['accepted'])
})

test('opening waits for the lock of another process too', async (t) => {
  const file = join(createTempDir(t), 'jobs.db')
  const other = new DatabaseSync(file)
  t.teardown(() => other.close())
  // Its making is under way in another process.
  other.exec('PRAGMA journal_mode = WAL; BEGIN IMMEDIATE')
  const refused = createLatch()
  let opens = 0
  const watch = watchDatabase(() => {})
  const opened = openStore(t, file, {
    openDatabase (name) {
      if (++opens === 3) refused.open()
      return watch(name)
    }
  })
  await refused.promise
  other.exec('ROLLBACK')
  const { store } = await opened
  await accept(store, {})
})

test('an error that is no matter of the file stays as it is', async (t) => {
  let fault: Error | undefined
  const { store } = await openStore(t, join(createTempDir(t), 'jobs.db'), {
    openDatabase: watchDatabase((sql) => {
      if (fault !== undefined && sql.includes('INSERT INTO jobs')) throw fault
    })
  })
  fault = new TypeError('a bug')
  await t.rejects(store.submit([newJob()], { maxQueued: plenty }), fault)
  fault = sqliteError(8, 'attempt to write a readonly database')
  await t.rejects(store.submit([newJob()], { maxQueued: plenty }), { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE', message: 'readonly', cause: fault })
  fault = undefined
  await accept(store, {})
})
