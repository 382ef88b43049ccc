import pg from 'pg'
import t, { test, type Test } from 'tap'
import { createConnection, type Connection, type Transaction } from '../../src/stores/postgres/connection.ts'
import type { PgModule, PostgresPool } from '../../src/stores/postgres/dependencies.ts'
import { createTeller, type Teller } from '../../src/stores/postgres/teller.ts'
import { createPool, isWordAlone } from '../helpers/postgres.ts'
import { createReplicas } from '../helpers/replicas.ts'
import { until } from '../helpers/until.ts'

// A server of its own: a busy machine takes its time.
t.setTimeout(300_000)

const start = Date.UTC(2026, 0, 1)
const newJob = (key?: string) => ({ operation: 'Bake', owner: '', input: '{}', createdAt: start, ...(key === undefined ? {} : { idempotency: { key, fingerprint: 'same' } }) })
const bake = { operations: [{ operation: 'Bake', limit: 9 }], limit: 9, now: start }

/** Counts how often somebody waits for an answer: what is asked while another is under way shares its round trip. */
async function createCountingPool (t: Test, pipeline: boolean, max: number): Promise<{ pool: pg.Pool, roundTrips: () => number }> {
  let count = 0
  class Client extends pg.Client {
    #underWay = 0
    override query (...values: unknown[]): never {
      const answer = (super.query as (...values: unknown[]) => unknown)(...values) as Promise<unknown>
      if (isWordAlone((values[0] as { text: string }).text)) return answer as never
      if (this.#underWay++ === 0) count++
      const done = (): void => { this.#underWay-- }
      answer.then(done, done)
      return answer as never
    }
  }
  const pool = await createPool(t, { max, Client, pipeline } as pg.PoolConfig)
  return {
    pool,
    roundTrips () {
      const counted = count
      count = 0
      return counted
    }
  }
}

test('a start that may be a repeat is two round trips, any other start, a claim and a result one, and a look before the claim', async (t) => {
  const { pool, roundTrips } = await createCountingPool(t, true, 4)
  const { open } = await createReplicas(t)
  const { store } = await open({ pool: pool as unknown as PostgresPool })
  const counts: number[][] = []
  for (const key of ['one', 'two', 'three']) {
    roundTrips()
    const [outcome] = await store.submit([newJob(key), newJob()], { maxQueued: 100 })
    t.equal(outcome!.outcome, 'accepted')
    const submitted = roundTrips()
    await store.submit([newJob()], { maxQueued: 100 })
    const plain = roundTrips()
    const { jobs } = await store.claim(bake)
    const claimed = roundTrips()
    t.equal(jobs.length, 3)
    t.same(await store.settle(jobs.map(({ number, attempt }) => ({ lease: { number, attempt }, to: { status: 'succeeded', result: null, endedAt: start, expiresAt: start + 1e9 } }))), [true, true, true])
    counts.push([submitted, plain, claimed, roundTrips()])
  }
  t.same(counts.at(-1), [2, 1, 2, 1])
  await store.submit([newJob(), newJob()], { maxQueued: 100 })
  await store.claim({ ...bake, limit: 1 })
  roundTrips()
  t.equal((await store.claim({ ...bake, limit: 1 })).jobs.length, 1)
  t.equal(roundTrips(), 1, 'behind one that was full there is nothing to look for')
  const [known] = await store.submit([newJob('one')], { maxQueued: 100 })
  t.equal(known!.outcome, 'repeated')
  await store.close()
})

for (const pipeline of [true, false]) {
  test(`a COMMIT behind statements that are on their way, ${pipeline ? 'pipelined' : 'one by one'}`, async (t) => {
    const { pool, roundTrips } = await createCountingPool(t, pipeline, 1)
    const connection = createConnection({ pg: pg as unknown as PgModule, pool: pool as unknown as PostgresPool, owned: false, schema: 'pg_temp', notify: "NOTIFY cakes, 'told'", timeoutMs: 5000, prepare: true, onIdleLoss () {}, onUntold () {} })
    // Gone with the only connection.
    await connection.sql('CREATE TABLE @.cakes (number int PRIMARY KEY)')
    const kept = async (): Promise<unknown[]> => (await connection.sql('SELECT number FROM @.cakes ORDER BY number')).map(({ number }) => number)
    const insert = ({ sql }: Pick<Connection, 'sql'>, number: number) => sql('INSERT INTO @.cakes (number) VALUES ($1)', number)

    await t.test('shares their round trip', async (t) => {
      roundTrips()
      await connection.write(async (transaction) => {
        transaction.commitWith(2)
        await Promise.all([insert(transaction, 1), insert(transaction, 2)])
      })
      t.equal(roundTrips(), pipeline ? 1 : 4)
      t.same(await kept(), [1, 2])
    })

    for (const told of [false, true]) {
      await t.test(`commits nothing when one of them fails${told ? ', and tells nobody' : ''}`, async (t) => {
        await t.rejects(connection.write(async (transaction) => {
          if (told) transaction.tell()
          transaction.commitWith(3)
          await Promise.all([insert(transaction, 3), insert(transaction, 1), insert(transaction, 4)])
        }), { code: '23505' })
        t.same(await kept(), [1, 2], 'the only connection is in no transaction any more')
      })
    }

    await t.test('is not taken for one when a failure was swallowed', async (t) => {
      await t.rejects(connection.write(async (transaction) => {
        transaction.commitWith(2)
        await Promise.all([insert(transaction, 3), insert(transaction, 1).catch(() => {})])
      }), { code: '23505' })
      t.same(await kept(), [1, 2])
    })

    await t.test('lets no statement run behind it', async (t) => {
      let late: Promise<unknown> | undefined
      await t.rejects(connection.write(async (transaction: Transaction) => {
        transaction.commitWith(1)
        await insert(transaction, 5)
        late = insert(transaction, 6)
        await late
      }), { message: 'a statement behind the COMMIT' })
      await t.rejects(late!)
      t.same(await kept(), [1, 2, 5])
    })
  })
}

test('a burst of commits is told in a few words', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const listener = await server.pool.connect()
  t.teardown(() => { listener.release(true) })
  let words = 0
  let hear = (): void => {}
  listener.on('notification', () => {
    words++
    hear()
  })
  await listener.query(`LISTEN "${schema}.work"`)
  const { store } = await open()
  const first = new Promise<void>((resolve) => { hear = resolve })
  await store.submit([newJob()], { maxQueued: 100 })
  await first
  words = 0
  const began = performance.now()
  for (let commits = 0; commits < 30; commits++) await store.submit([newJob()], { maxQueued: 100 })
  await store.close()
  const most = 2 + Math.ceil((performance.now() - began) / 25)
  await listener.query('SELECT 1')
  t.ok(words > 0 && words <= most, `${words} words for 30 commits, at most ${most}`)
})

/** A teller whose words are sent when `answer` says so, and for which no time passes: a busy machine may take longer than its pause from one line to the next. */
function createHeldTeller (): Teller & { sent: () => number, answer: () => Promise<void> } {
  const answers: (() => void)[] = []
  let sent = 0
  const teller = createTeller(() => new Promise((resolve) => {
    sent++
    answers.push(resolve)
  }), () => 0)
  return {
    ...teller,
    sent: () => sent,
    async answer () {
      await until(() => answers.length > 0)
      answers.shift()!()
    }
  }
}

test('what is committed after a word is told with the next, also what comes while that is sent', async (t) => {
  const { goesAlong, later, sent, answer, stop } = createHeldTeller()
  t.equal(goesAlong(), true, 'the first goes with its commit')
  t.equal(goesAlong(), false)
  later()
  later()
  await until(() => sent() === 1)
  t.equal(goesAlong(), false, 'it is not known yet what the server makes of that one')
  later()
  await answer()
  await until(() => sent() === 2)
  await answer()
  await stop()
  t.equal(sent(), 2)
})

test('a store that closes says what it has still to say, after what is under way', async (t) => {
  const { goesAlong, later, sent, answer, stop } = createHeldTeller()
  goesAlong()
  later()
  await until(() => sent() === 1)
  later()
  const stopped = stop()
  await answer()
  await answer()
  await stopped
  t.equal(sent(), 2)
  t.equal(goesAlong(), true, 'a commit that was under way takes its word along')
})
