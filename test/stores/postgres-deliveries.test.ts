import t, { test } from 'tap'
import { numbersOf } from '../../src/testing/store-contract/bench.ts'
import { beginning, publishOne, settlementOf, step, subscribe } from '../../src/testing/store-contract/webhook-bench.ts'
import { createReplicas } from '../helpers/replicas.ts'

// A server of its own: a busy machine takes its time.
t.setTimeout(300_000)

const start = Date.UTC(2026, 0, 1)

test('thousands of callbacks to a host that is closed do not hide those to another, due or still to come', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const { store } = await open()
  const numbers: number[] = []
  for (const host of ['closed', 'open']) {
    const { subscription } = await store.subscribe({
      operation: 'OnOrder', owner: '', topic: 'orders', urlDigest: host, versionlessDigest: null, sealedUrl: Buffer.from(host), urlHint: host, host, input: '{}', tracking: {}, createdAt: start
    })
    numbers.push(subscription.number)
  }
  const [closed, other] = numbers
  const owe = (subscription: number, host: string, dueAt: number, count: number): Promise<unknown> => server.pool.query(`
    INSERT INTO ${schema}.deliveries (operation, owner, subscription, subscription_created_at, url_hint, host, status, due_at, created_at, job, body)
    SELECT 'OnOrder', '', $1, $2, '', $3::text, 'pending', $4, $2, place, $3 FROM generate_series(1, $5::int) AS place`, [subscription, start, host, dueAt, count])
  await owe(closed!, 'closed', start, 2500)
  await owe(closed!, 'closed', start + 10, 2500)
  const request = { operations: ['OnOrder'], exceptHosts: ['closed'], limit: 10, now: start + 5 }
  t.same(await store.claimDeliveries(request), { deliveries: [], nextDueAt: null })
  await owe(other!, 'open', start + 20, 1)
  t.same(await store.claimDeliveries(request), { deliveries: [], nextDueAt: start + 20 })
  await owe(other!, 'open', start + 4, 2)
  const { deliveries, nextDueAt } = await store.claimDeliveries(request)
  t.same(deliveries.map(({ body }) => body), ['open', 'open'])
  t.equal(nextDueAt, start + 20)
  t.equal((await store.claimDeliveries({ ...request, exceptHosts: [] })).deliveries.length, 10)
})

// What the planner makes of it differs.
for (const size of ['empty', 'small'] as const) {
  test(`a step and a settle read the rows that they are about, though their plans are from when the tables were ${size}`, async (t) => {
    const { server, schema, open } = await createReplicas(t)
    const { store } = await open()
    const tables = ['subscriptions', 'deliveries']
    const analyze = (): Promise<unknown> => server.pool.query(tables.map((table) => `ALTER TABLE ${schema}.${table} SET (autovacuum_enabled = false); ANALYZE ${schema}.${table}`).join(';'))
    await analyze()
    const known = numbersOf(await subscribe(store, { url: 'a', workflow: 'w' }, { url: 'b' }, { url: 'c' }))
    const callBack = async (numbers: number[], skipped: number[]): Promise<void> => {
      const owed = numbers.map((number) => ({ number }))
      const { begun } = await store.fanOut(beginning(step(await publishOne(store), { owed, skipped })))
      t.equal(begun.length, numbers.length)
      const outcomes = await store.settleDeliveries(begun.map((delivery, place) => settlementOf(delivery, place % 2 === 0 ? 'delivered' : 'again')))
      t.ok(outcomes.every((outcome) => outcome === 'kept'))
    }
    if (size === 'small') {
      await callBack(known.slice(0, 2), known.slice(2))
      await analyze()
    }
    // The sixth time a prepared statement has its plan for good.
    for (let rounds = 0; rounds < 8; rounds++) await callBack(known.slice(0, 2), known.slice(2))
    const { rows } = await server.pool.query(`
      WITH many AS (
        INSERT INTO ${schema}.subscriptions (operation, owner, topic, status, after_event, url_digest, versionless_digest, sealed_url, url_hint, host, created_at, input)
        SELECT 'OnOrder', 'anna', 'orders', 'active', 0, 'x' || n, CASE WHEN n % 2 = 0 THEN 'v' || n END, '\\x00', 'h', 'host', 1, '{}' FROM generate_series(1, 20000) AS n
        RETURNING number)
      INSERT INTO ${schema}.deliveries (operation, owner, subscription, subscription_created_at, url_hint, host, status, ended_at, created_at, event)
      SELECT 'OnOrder', 'anna', number, 1, 'h', 'host', 'delivered', 1, 1, 1000 FROM many RETURNING subscription::int AS number`)
    const numbers = numbersOf(rows)
    const read = async (table: string): Promise<number> => {
      const { rows: [row] } = await server.pool.query(`
        SELECT sum(pg_stat_get_tuples_returned(oid))::int AS count FROM pg_class
        WHERE oid = $1::regclass OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = $1::regclass)`, [`${schema}.${table}`])
      return row.count as number
    }
    const before = await Promise.all(tables.map(read))
    for (let rounds = 0; rounds < 4; rounds++) await callBack(numbers.slice(rounds * 100, rounds * 100 + 100), known.slice(2))
    // What its connections have read is counted when they end, at the latest.
    await store.close()
    await server.disconnected()
    for (const [place, after] of (await Promise.all(tables.map(read))).entries()) {
      const count = after - before[place]!
      // Each of 400 callbacks is looked up a few times; a single look through the table would be 20,000.
      t.ok(count < 10 * 400, `${count} rows of ${tables[place]}`)
    }
  })
}
