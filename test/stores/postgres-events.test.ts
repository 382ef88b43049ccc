import { sql as drizzleSql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import knex from 'knex'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { fromDrizzle, fromKnex, fromKysely, fromPrisma } from 'pg-boss'
import t, { test, type Test } from 'tap'
import type { HostTransaction, NewEvent, Store } from '../../src/work/store.ts'
import { createReplicas, type Replica, type Replicas } from '../helpers/replicas.ts'
import { until } from '../helpers/until.ts'

// A server of its own: a busy machine takes its time.
t.setTimeout(300_000)

const start = Date.UTC(2026, 0, 1)
const event = (name: string, topic = 'orders'): NewEvent => ({ topic, body: JSON.stringify({ name }), createdAt: start, expiresAt: start + 3_600_000 })

interface Bench extends Replicas {
  one: Replica
  other: Replica
  /** A transaction of the host's, on a connection of its own; what is left open is rolled back with the test. */
  begin (isolation?: string): Promise<pg.Client>
  /** Reads on, as a cursor does, by the other replica: names of the events after the last read. */
  readOn (): Promise<string[]>
}

async function createBench (t: Test): Promise<Bench> {
  const replicas = await createReplicas(t)
  const { server } = replicas
  const [one, other] = [await replicas.open(), await replicas.open()]
  let cursor = 0
  return {
    ...replicas,
    one,
    other,
    async begin (isolation = 'READ COMMITTED') {
      const client = new pg.Client({ connectionString: server.url })
      await client.connect()
      t.teardown(() => client.end())
      await client.query(`BEGIN ISOLATION LEVEL ${isolation}`)
      return client
    },
    async readOn () {
      const [page] = await other.store.readLog([{ topic: 'orders', after: cursor, limit: 1000 }])
      cursor = page!.entries.at(-1)?.number ?? cursor
      return page!.entries.map(({ body }) => (JSON.parse(body) as { name: string }).name)
    }
  }
}

async function subscribe (store: Store, url: string): Promise<number> {
  const { subscription } = await store.subscribe({
    operation: 'OnOrder',
    owner: '',
    topic: 'orders',
    urlDigest: url,
    versionlessDigest: null,
    sealedUrl: Buffer.from(url),
    urlHint: url,
    host: `${url}:443`,
    input: '{}',
    tracking: {},
    createdAt: start
  })
  return subscription.number
}

test('a transaction that published early and commits late is not skipped by a cursor, and holds up nobody', async (t) => {
  const { one, begin, readOn } = await createBench(t)
  const early = await begin()
  await one.store.publishIn!([event('early')], early)
  await one.store.publish([event('first'), event('second')])
  t.same(await readOn(), ['first', 'second'], 'while it is open')
  const later = await begin()
  await one.store.publishIn!([event('later')], later)
  await later.query('COMMIT')
  t.same(await readOn(), ['later'])
  await early.query('COMMIT')
  t.same(await readOn(), ['early'], 'behind what was read before')
  t.same(await readOn(), [])
})

test('a number shows only when all lower ones are committed or never will be', async (t) => {
  const { one, other, schema, begin, readOn } = await createBench(t)
  for (const end of ['COMMIT', 'ROLLBACK']) {
    // A publish of a third replica that is as slow as can be: it has its number, and has not committed.
    const slow = await begin()
    await slow.query(`SELECT ${schema}.append_events('{orders}', '{"{\\"name\\":\\"slow\\"}"}', '{${start}}', '{${start + 1000}}', '{null}')`)
    let done = 0
    const published = Promise.all([one, other].map(async ({ store }) => {
      await store.publish([event('fast')])
      done++
    }))
    t.same(await readOn(), [])
    await slow.query('SELECT pg_sleep(0.1)')
    t.equal(done, 0)
    await slow.query(end)
    await published
    t.same(await readOn(), end === 'COMMIT' ? ['slow', 'fast', 'fast'] : ['fast', 'fast'])
  }
})

test('what is rolled back never happened', async (t) => {
  const { one, begin, readOn } = await createBench(t)
  const client = await begin()
  await one.store.publishIn!([event('never')], client)
  await client.query('ROLLBACK')
  t.same(await readOn(), [])
  await one.store.publish([event('next')])
  t.same(await readOn(), ['next'])
})

test('the events of one transaction stay in order, whatever its isolation, and reach who subscribed before the commit', async (t) => {
  const { one, other, begin, readOn } = await createBench(t)
  for (const isolation of ['READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE']) {
    const client = await begin(isolation)
    await client.query('SELECT 1 FROM pg_class LIMIT 1')
    const subscription = await subscribe(other.store, isolation.replaceAll(' ', '-').toLowerCase())
    await one.store.publishIn!([event('a'), event('b')], client)
    await one.store.publishIn!([event('c')], client)
    await client.query('COMMIT')
    t.same(await readOn(), ['a', 'b', 'c'], isolation)
    for (const debt of await one.store.findFanOuts({ operations: ['OnOrder'], strangersBefore: 0, limit: 10 })) {
      const found = await one.store.findSubscribers(debt, 10)
      t.ok(found.some(({ number }) => number === subscription), isolation)
      const { event: number, operation, cursor, round } = debt
      t.ok((await one.store.fanOut({ event: number, operation, from: cursor, round, to: null, owed: [], skipped: [], failed: [], now: start })).done)
    }
  }
})

test('a commit wakes every replica, that of the host too', async (t) => {
  const { one, other, begin } = await createBench(t)
  const client = await begin()
  const before = [one.wakes(), other.wakes()]
  await one.store.publishIn!([event('a')], client)
  await client.query('SELECT pg_sleep(0.05)')
  t.same([one.wakes(), other.wakes()], before)
  await client.query('COMMIT')
  await until(() => one.wakes() > before[0]! && other.wakes() > before[1]!)
})

test('many transactions that commit in any order, and plain publishes: a cursor reads each event once', async (t) => {
  const { one, other, begin, readOn } = await createBench(t)
  const expected: string[] = []
  const read: string[] = []
  const open = new Set<number>()
  const transactions = Array.from({ length: 8 }, async (_, index) => {
    const client = await begin()
    open.add(index)
    for (let round = 0; round < 6; round++) {
      const name = `${index}-${round}`
      await one.store.publishIn!([event(name)], client)
      await other.store.publish([event(`plain ${name}`)])
      expected.push(`plain ${name}`)
      await client.query('SELECT pg_sleep(random() * 0.03)')
      const kept = (index + round) % 3 > 0
      await client.query(kept ? 'COMMIT' : 'ROLLBACK')
      if (kept) expected.push(name)
      await client.query('BEGIN')
    }
    open.delete(index)
  })
  do read.push(...await readOn()); while (open.size > 0)
  await Promise.all(transactions)
  read.push(...await readOn())
  t.equal(read.length, new Set(read).size)
  t.same(read.toSorted(), expected.toSorted())
})

/** A transaction of each library that pg-boss has an adapter for: what it is given there is committed, unless it throws. */
const libraries: Record<string, (connectionString: string, work: (db: HostTransaction) => Promise<void>) => Promise<void>> = {
  async kysely (connectionString, work) {
    const db = new Kysely<object>({ dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString }) }) })
    await db.transaction().execute((trx) => work(fromKysely(trx))).finally(() => db.destroy())
  },
  async drizzle (connectionString, work) {
    const pool = new pg.Pool({ connectionString })
    await drizzle(pool).transaction((tx) => work(fromDrizzle(tx, drizzleSql))).finally(() => pool.end())
  },
  async knex (connectionString, work) {
    const db = knex({ client: 'pg', connection: connectionString })
    await db.transaction((trx) => work(fromKnex(trx))).finally(() => db.destroy())
  },
  // Its client is generated code, so this is what pg-boss's adapter asks of one.
  async prisma (connectionString, work) {
    const client = new pg.Client({ connectionString })
    await client.connect()
    try {
      await client.query('BEGIN')
      await work(fromPrisma({ $queryRawUnsafe: async <T>(text: string, ...values: unknown[]) => (await client.query(text, values)).rows as T }))
      await client.query('COMMIT')
    } finally {
      await client.end()
    }
  }
}

for (const [name, transact] of Object.entries(libraries)) {
  test(`a transaction of ${name} carries it, or takes it back`, async (t) => {
    const { one, server, readOn } = await createBench(t)
    const odd = 'nul \0 "quoted" \\u0000 ? $1 😀'
    await t.rejects(transact(server.url, async (db) => {
      await one.store.publishIn!([event('never')], db)
      throw new Error('the host changed its mind')
    }), { message: 'the host changed its mind' })
    await transact(server.url, (db) => one.store.publishIn!([event(odd), event('second')], db))
    t.same(await readOn(), [odd, 'second'])
  })
}

test('another user needs no more than the inbox to publish in its transactions', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const { store } = await open()
  const user = `orders_${schema}`
  await server.pool.query(`CREATE USER ${user} PASSWORD 'hunter2'; GRANT USAGE ON SCHEMA ${schema} TO ${user}; GRANT INSERT ON ${schema}.event_inbox TO ${user}`)
  t.teardown(() => server.pool.query(`DROP OWNED BY ${user}; DROP USER ${user}`))
  const client = new pg.Client({ connectionString: server.url.replace(/\/\/.*@/, `//${user}:hunter2@`) })
  await client.connect()
  await client.query('BEGIN')
  await store.publishIn!([event('one')], client)
  await client.query('COMMIT')
  await client.end()
  const [page] = await store.readLog([{ topic: 'orders', after: 0, limit: 9 }])
  t.equal(page!.entries.length, 1)
})
