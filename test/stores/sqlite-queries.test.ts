import { test } from 'tap'
import { accept, acceptAndClaim, canceled, claim, getOne, leaseMs, leaseOf, newJob, plenty, settle, start, succeeded } from '../../src/testing/store-contract/bench.ts'
import { openStore, openTraced, plansOf } from '../helpers/sqlite.ts'

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
