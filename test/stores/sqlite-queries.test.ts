import { DatabaseSync } from 'node:sqlite'
import tap, { test, type Test } from 'tap'
import { accept, acceptAndClaim, canceled, claim, getOne, leaseMs, leaseOf, newJob, plenty, settle, start, succeeded } from '../../src/testing/store-contract/bench.ts'
import { createTopicLog, type LogReadRequest } from '../../src/work/topic-log.ts'
import { openStore, openTraced, plansOf, type TracedStore } from '../helpers/sqlite.ts'

test('no statement reads all jobs, but a list that asks for all and the count of queued ones', async (t) => {
  const { store, file, taken, clock } = await openTraced(t)
  const rival = await openStore(t, file, { clock })
  taken()
  const idempotency = { key: 'k', fingerprint: 'f' }
  await store.submit([newJob({ idempotency }), newJob({ idempotency }), newJob()], { maxQueued: plenty })
  await store.submit([newJob({ idempotency })], { maxQueued: 0 })
  await store.get([1, 2])
  const [first, second] = await claim(store)
  await store.heartbeat([leaseOf(first!)])
  await store.progress([{ lease: leaseOf(first!), percentComplete: 1, message: '' }])
  await settle(store, first!, { status: 'running', deadline: start })
  await settle(store, second!, { status: 'queued', dueAt: start, failures: 1 })
  for (const job of await claim(store)) await settle(store, job, succeeded('"cake"', start))
  await store.end(1, canceled())
  await acceptAndClaim(rival.store)
  await store.recover()
  await clock.advance(leaseMs)
  await store.recover()
  await store.sweep(start + 1, plenty)
  await store.close()

  const plans = plansOf(t, file, taken().filter((sql) => /\bjobs\b/.test(sql)))
  t.ok(plans.length >= 15, `${plans.length} statements were looked at`)
  for (const { sql, plan } of plans) {
    if (sql.startsWith('SELECT count(*)')) t.match(plan, /^SCAN jobs USING COVERING INDEX jobs_queued$/, sql)
    // The table `store` has one row.
    else t.notMatch(plan, /\bSCAN (?!store\b)|TEMP B-TREE/, sql)
  }
  const planOf = (part: string): string => plans.filter(({ sql }) => sql.includes(part)).map(({ plan }) => plan).join('; ')
  t.match(planOf('due_at > 0'), /jobs_queued/)
  t.match(planOf('due_at = 0 ORDER'), /jobs_queued/)
  t.match(planOf('worker IS NULL AND due_at <= ?'), /jobs_deferred/)
  t.match(planOf('worker IS NULL AND due_at > ?'), /jobs_deferred/)
  t.match(planOf('expires_at <'), /jobs_expiry/)
  t.match(planOf('idempotency_key = ?'), /jobs_idempotency/)
  t.match(planOf('crashes + 1'), /jobs_worker/)
})

const reads = (statements: string[]): number => statements.filter((sql) => /SELECT jobs\.number/.test(sql)).length

test('a poll of a record that did not change reads no table', async (t) => {
  const { store, taken } = await openTraced(t)
  const [job] = await accept(store, {})
  taken()
  await store.get([job!.number])
  t.equal(reads(taken()), 1)
  await store.get([job!.number])
  await store.get([job!.number, job!.number])
  t.same(taken(), ['PRAGMA data_version', 'PRAGMA data_version'])
})

test('a cached record is read anew when another process wrote', async (t) => {
  const { store, taken, file } = await openTraced(t)
  const rival = await openStore(t, file)
  const [job] = await accept(store, {})
  await getOne(store, job!.number)
  await rival.store.end(job!.number, canceled())
  taken()
  t.equal((await getOne(store, job!.number)).status, 'canceled')
  t.equal(reads(taken()), 1)
  await getOne(store, job!.number)
  t.equal(reads(taken()), 0)
})

test('a cached record is read anew when this process wrote it, others stay cached', async (t) => {
  const { store, taken } = await openTraced(t)
  const jobs = await accept(store, {}, {})
  const numbers = jobs.map(({ number }) => number)
  await store.get(numbers)
  const [claimed] = await claim(store, { limit: 1 })
  taken()
  t.same((await store.get(numbers)).map((job) => job?.status), ['running', 'queued'])
  t.equal(reads(taken()), 1)
  await store.progress([{ lease: leaseOf(claimed!), percentComplete: 7, message: 'on' }])
  t.equal((await getOne(store, numbers[0]!)).percentComplete, 7)
  await settle(store, claimed!, succeeded())
  t.equal((await getOne(store, numbers[0]!)).status, 'succeeded')
  await store.sweep(Number.MAX_SAFE_INTEGER, plenty)
  t.same((await store.get(numbers)).map((job) => job?.status), [undefined, 'queued'])
})

test('large results are not kept in memory', async (t) => {
  const { store, taken } = await openTraced(t)
  const large = JSON.stringify('x'.repeat(5000))
  const job = await acceptAndClaim(store)
  await settle(store, job, succeeded(large))
  taken()
  t.equal((await getOne(store, job.number)).result, large)
  t.equal((await getOne(store, job.number)).result, large)
  t.equal(reads(taken()), 2)
})

test('an idle claim takes no lock', async (t) => {
  const { store, taken } = await openTraced(t)
  await acceptAndClaim(store)
  taken()
  t.same(await claim(store), [])
  t.same(taken().filter((sql) => /IMMEDIATE|UPDATE|INSERT/.test(sql)), [])
})

test('queued jobs are counted anew only when another process wrote', async (t) => {
  const { store, taken, file } = await openTraced(t)
  const rival = await openStore(t, file)
  const counts = async (): Promise<number> => {
    taken()
    await store.submit([newJob()], { maxQueued: plenty })
    return taken().filter((sql) => sql.includes('count(*)')).length
  }
  await counts()
  t.equal(await counts(), 0)
  await accept(rival.store, {})
  t.equal(await counts(), 1)
  t.equal(await counts(), 0)
})

// A million entries are written first.
tap.setTimeout(180_000)

const topic = 'orders'
const day = 86_400_000

/** A store whose log of `orders` has `count` entries, one a second, among as many of another topic. */
async function openLog (t: Test, count: number): Promise<TracedStore> {
  const opened = await openTraced(t)
  const { store, file, clock } = opened
  for (const name of [topic, 'pies']) await store.publish([{ topic: name, body: '{}', createdAt: clock.now(), expiresAt: clock.now() + 100 * day }])
  const database = new DatabaseSync(file)
  database.exec(`
    PRAGMA synchronous = OFF;
    BEGIN;
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ${2 * (count - 1)})
    INSERT INTO events (topic, created_at, reached_at, expires_at, body)
    SELECT iif(n % 2, '${topic}', 'pies'), ${clock.now()} + n * 500, ${clock.now()} + n * 500, ${clock.now() + 100 * day}, '{"n":' || n || '}' FROM n;
    UPDATE topics SET entries = ${count}, reached_at = ${clock.now()} + ${count} * 1000;
    COMMIT`)
  database.close()
  opened.taken()
  return opened
}

/** What a poll costs: the statements it runs, and its time. */
async function costOf ({ store, clock, taken }: TracedStore, request: Partial<LogReadRequest>): Promise<{ statements: number, ms: number, entries: number }> {
  const log = createTopicLog({ store, clock })
  const full: LogReadRequest = { topic, place: { number: 0, at: 0 }, limit: 100, scanLimit: 10_000, maxAgeMs: undefined, wants: undefined, ...request }
  const times: number[] = []
  let entries = 0
  let statements = 0
  for (let round = 0; round < 9; round++) {
    taken()
    const begin = performance.now()
    ;({ entries: { length: entries } } = await log.read(full))
    times.push(performance.now() - begin)
    statements = taken().length
  }
  return { statements, ms: Math.round(times.sort((a, b) => a - b)[4]! * 100) / 100, entries }
}

test('a poll costs the same in a log of a thousand and of a million entries, wherever it stands', async (t) => {
  const [small, large] = [await openLog(t, 1000), await openLog(t, 1_000_000)]
  const filter = { wants: () => false }
  for (const [name, request, places] of [
    ['at the beginning', {}, [0, 0]],
    ['in the middle', {}, [1000, 1_000_000]],
    ['before the last', {}, [1998, 1_999_998]],
    ['at the end', {}, [2000, 2_000_000]],
    ['one event', { limit: 1 }, [0, 0]],
    ['behind a filter that matches nothing, at the end', filter, [2000, 2_000_000]],
    ['behind a filter that matches nothing, 1,000 events looked at', { ...filter, scanLimit: 1000 }, [0, 0]]
  ] as const) {
    const [few, many] = [await costOf(small, { ...request, place: { number: places[0], at: 0 } }), await costOf(large, { ...request, place: { number: places[1], at: 0 } })]
    t.comment(`${name}: ${few.ms} ms of 1 k, ${many.ms} ms of 1 M entries, ${many.statements} statements`)
    t.equal(many.statements, few.statements, `${name}: the same statements`)
    t.equal(many.entries, few.entries, `${name}: the same entries`)
    // A hundred times less than to read them all; how fast the machine is that runs this is not known.
    t.ok(many.ms < 200, `${name}: ${many.ms} ms`)
  }
  const scan = await costOf(large, filter)
  t.comment(`behind a filter that matches nothing, 10,000 events looked at: ${scan.ms} ms`)
  t.ok(scan.statements < 250, `at most scanLimit events are read: ${scan.statements} statements`)
  // The entries are dated after the clock, which stands still.
  const maxAge = await costOf(large, { maxAgeMs: -500_000_000 })
  t.comment(`with maxAgeSeconds: ${maxAge.ms} ms, ${maxAge.statements} statements`)
  t.ok(maxAge.statements < 60, 'the place of a time is found by halves')
})

test('no statement of a log reads more of it than it gives, and each goes by an index', async (t) => {
  const opened = await openLog(t, 1000)
  const { store, file, clock, taken } = opened
  await store.readLog([{ topic, after: 5, notBefore: clock.now() + 1000, limit: 10 }])
  await store.publish([{ topic, body: '{}', createdAt: clock.now(), expiresAt: clock.now(), maxEvents: 500 }])
  await store.sweep(clock.now() + 1000, 100)
  await store.close()
  const plans = plansOf(t, file, taken().filter((sql) => /\b(events|topics|sqlite_sequence)\b/.test(sql)))
  for (const { sql, plan } of plans) {
    t.comment(`${sql}\n  ${plan}`)
    // A row for each topic.
    if (/^SELECT name FROM topics$|FROM sqlite_sequence/.test(sql)) continue
    t.notMatch(plan, /\bSCAN (?!json_each|subscribing)|TEMP B-TREE/, `${sql}: ${plan}`)
  }
  const planOf = (part: string): string => plans.filter(({ sql }) => sql.startsWith(part)).map(({ plan }) => plan).join('; ')
  t.match(planOf('SELECT number, reached_at, body FROM events'), 'SEARCH events USING INDEX events_topic (topic=? AND number>?)')
  t.match(planOf('SELECT number, reached_at FROM events'), 'SEARCH events USING INDEX events_topic (topic=? AND number>?)')
  t.match(planOf('SELECT number, created_at, reached_at, expires_at FROM events'), 'SEARCH events USING INDEX events_topic (topic=? AND number>?)')
  t.match(planOf('DELETE FROM events'), /events_topic \(topic=\? AND number<\?\).*fan_outs_event.*deliveries_event/)
})

test('a sweep of a long log with nothing to forget looks at one entry of each topic', async (t) => {
  const opened = await openLog(t, 100_000)
  const { store, clock, taken } = opened
  await store.sweep(clock.now() + day, 500)
  const statements = taken().filter((sql) => /FROM events/.test(sql))
  t.same(statements.map((sql) => sql.trim().split(' ')[0]), ['SELECT', 'DELETE', 'SELECT', 'DELETE'])
})

test('polls of one turn share a read transaction', async (t) => {
  const opened = await openLog(t, 1000)
  const { store, clock, taken } = opened
  const log = createTopicLog({ store, clock })
  taken()
  await Promise.all(Array.from({ length: 20 }, (_, index) => log.read({ topic, place: { number: index, at: 0 }, limit: 10, scanLimit: 10, maxAgeMs: undefined, wants: undefined })))
  t.equal(taken().filter((sql) => sql === 'BEGIN').length, 1)
})

test('a poll that finds nothing new reads the log once, and again as soon as anybody has committed', async (t) => {
  const { store, file, clock, taken } = await openTraced(t)
  const { store: other } = await openStore(t, file, { clock })
  const log = createTopicLog({ store, clock })
  const event = { topic, body: '{}', createdAt: clock.now(), expiresAt: clock.now() + day }
  const poll = async (after: number): Promise<number[]> => {
    const { entries } = await log.read({ topic, place: { number: after, at: 0 }, limit: 10, scanLimit: 10, maxAgeMs: undefined, wants: undefined })
    return entries.map(({ number }) => number)
  }
  const reads = (): number => taken().filter((sql) => /FROM events/.test(sql)).length

  const [first] = await store.publish([event])
  t.same(await poll(first!), [])
  taken()
  for (let time = 0; time < 3; time++) t.same(await poll(first!), [])
  t.equal(reads(), 0, 'nothing was committed since')
  const [second] = await store.publish([event])
  t.same(await poll(first!), [second], 'our own event')
  t.same(await poll(second!), [])
  const [third] = await other.publish([event])
  t.same(await poll(second!), [third], "another process's")
  t.equal(reads(), 3)

  t.same(await poll(third!), [])
  await other.sweep(clock.now() + 2 * day, 500)
  const [page] = await store.readLog([{ topic, after: first!, limit: 10 }])
  t.same({ entries: page!.entries, missed: page!.missed }, { entries: [], missed: true }, 'what has left the log is told')
})
