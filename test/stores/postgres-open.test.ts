import { registerHooks } from 'node:module'
import Fastify from 'fastify'
import pg from 'pg'
import t, { test } from 'tap'
import { fastifyLogicApps } from '../../src/index.ts'
import { createConnection } from '../../src/stores/postgres/connection.ts'
import type { PgModule, PostgresQuery, PostgresResult } from '../../src/stores/postgres/dependencies.ts'
import { migratePostgres, postgresStore, type PostgresStoreOptions } from '../../src/stores/postgres/index.ts'
import { checkPostgresOptions } from '../../src/stores/postgres/options.ts'
import { migrations } from '../../src/stores/postgres/schema.ts'
import { createPostgresStore } from '../../src/stores/postgres/store.ts'
import { createManualClock } from '../../src/testing/index.ts'
import { leaseMs } from '../../src/work/job-runner.ts'
import type { Store, StoreHost } from '../../src/work/store.ts'
import { findPort } from '../helpers/find-port.ts'
import { createPool, startPostgres } from '../helpers/postgres.ts'
import { createReplicas } from '../helpers/replicas.ts'
import { createLog } from '../helpers/runner.ts'

// A server of its own: a busy machine takes its time.
t.setTimeout(300_000)

const host = (): StoreHost => ({ clock: createManualClock(), log: createLog().log, leaseMs, deliveryRetentionMs: 1000, wake () {} })
const start = Date.UTC(2026, 0, 1)

async function runOne (accepting: Store, working: Store): Promise<boolean[]> {
  await accepting.submit([{ operation: 'Bake', owner: '', input: '{}', createdAt: start }], { maxQueued: 10 })
  const { jobs: [job] } = await working.claim({ operations: [{ operation: 'Bake', limit: 1 }], limit: 1, now: start })
  return await working.settle([{ lease: job!, to: { status: 'succeeded', result: null, endedAt: start, expiresAt: start } }])
}

test('wrong options are refused, all at once, and no connection string is told', (t) => {
  const secret = 'postgres://user:hunter2@db/cakes'
  const refuse = (options: object, ...faults: RegExp[]): void => {
    try {
      postgresStore(options as PostgresStoreOptions)
      t.fail(JSON.stringify(options))
    } catch (error) {
      t.equal((error as { code: string }).code, 'FST_LOGIC_APPS_INVALID_OPTIONS')
      for (const fault of faults) t.match((error as Error).message, fault)
      t.notMatch(JSON.stringify({ ...(error as object), message: (error as Error).message, stack: (error as Error).stack }), /hunter2/)
    }
  }
  refuse({}, /one of "connectionString", "connection" and "pool"/)
  refuse({ connectionString: secret, connection: {} }, /one of/)
  refuse({ connectionString: 'hunter2@db' }, /"connectionString" must be a URL/)
  refuse({ connectionString: 'postgres://user:hunter2@[/cakes' }, /"connectionString" must be a URL/)
  refuse({ connectionString: secret, schema: 'A-b', maxConnections: 1, timeoutSeconds: 60, migrate: 'no', concurrency: { Bake: 0 }, port: 1 },
    /"schema"/, /"maxConnections"/, /"timeoutSeconds"/, /"migrate"/, /"concurrency"/, /"port" is no option/)
  refuse({ pool: {} }, /"pool" must be/)
  t.end()
})

test('without a secret the plugin does not start', async (t) => {
  const server = await startPostgres()
  const schema = server.newSchema()
  t.teardown(() => server.drop(schema))
  const app = Fastify()
  t.teardown(() => app.close())
  await t.rejects(async () => { await app.register(fastifyLogicApps, { store: postgresStore({ connectionString: server.url, schema }) }) }, { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: /secret is missing/ })
})

test('without the package pg the store says what to install', async (t) => {
  const hooks = registerHooks({
    resolve (specifier, context, next) {
      if (specifier === 'pg') throw Object.assign(new Error("Cannot find package 'pg'"), { code: 'ERR_MODULE_NOT_FOUND' })
      return next(specifier, context)
    }
  })
  t.teardown(() => hooks.deregister())
  const { url } = await startPostgres()
  await t.rejects(postgresStore({ connectionString: url }).open(host()), { code: 'FST_LOGIC_APPS_MISSING_DEPENDENCY', message: 'a package is missing: run "npm install pg"' })
})

test('several replicas may make everything at once, in a database that has nothing yet', async (t) => {
  const { open } = await createReplicas(t)
  const replicas = await Promise.all([open(), open(), open(), open()])
  for (const { store } of replicas) t.same(await runOne(replicas[0]!.store, store), [true])
})

test('a server that is not there, a wrong password, a wrong database: a typed error without the password, and nothing stays open', async (t) => {
  const { port } = await startPostgres()
  const nowhere = await findPort()
  for (const url of [`postgres://postgres:hunter2@127.0.0.1:${nowhere}/postgres`, `postgres://postgres:hunter2@127.0.0.1:${port}/postgres`, `postgres://nobody:hunter2@127.0.0.1:${port}/none`]) {
    const store = postgresStore({ connectionString: url })
    const error = await store.open(host()).then(() => undefined, (error: unknown) => error as Error & { code: string })
    t.equal(error?.code, 'FST_LOGIC_APPS_STORE_UNAVAILABLE')
    t.notMatch(`${error?.stack} ${JSON.stringify(error?.cause)}`, /hunter2/)
    await t.rejects(store.list({ limit: 1 }), { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE' })
    await store.close()
  }
})

test('a password may be a function, as for tokens, and a pool of the host\'s stays open', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const { hostname, port, username, password } = new URL(server.url)
  let asked = 0
  const connection = { host: hostname, port: Number(port), user: username, database: 'postgres', password: async () => { asked++; return password } }
  const { store } = await open({ connection })
  t.ok(asked > 0)
  const pool = await createPool(t, { max: 6 })
  const listeners = pool.listenerCount('error')
  const other = postgresStore({ pool, schema })
  await other.open(host())
  t.same(await runOne(store, other), [true])
  await other.close()
  t.same((await pool.query('SELECT 1 AS one')).rows, [{ one: 1 }])
  t.same((await pool.query('SELECT pg_listening_channels()')).rows, [])
  t.equal(pool.listenerCount('error'), listeners)
})

test('with migrate: false nothing is made, and a user without the right to make anything will do', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  await t.rejects(open({ migrate: false }), { code: 'FST_LOGIC_APPS_INVALID_DATABASE', message: /npx fastify-logic-apps migrate/ })
  t.same((await server.pool.query('SELECT 1 FROM pg_namespace WHERE nspname = $1', [schema])).rows, [])

  await migratePostgres({ connectionString: server.url, schema })
  await migratePostgres({ connectionString: server.url, schema })
  const user = `user_${schema}`
  await server.pool.query(`
    CREATE USER ${user} PASSWORD 'hunter2';
    GRANT USAGE ON SCHEMA ${schema} TO ${user};
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${user};
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA ${schema} TO ${user}`)
  t.teardown(() => server.pool.query(`DROP OWNED BY ${user}; DROP USER ${user}`))
  const { store } = await open({ migrate: false, connection: { connectionString: server.url.replace(/\/\/.*@/, `//${user}:hunter2@`) } })
  t.same(await runOne(store, store), [true])
  await server.pool.query(`REVOKE INSERT ON ${schema}.jobs FROM ${user}`)
  await t.rejects(runOne(store, store), { code: 'FST_LOGIC_APPS_INVALID_DATABASE', message: /may not do this/ })
})

test('while a deploy rolls, replicas of two versions work side by side; after a step that breaks, the older no longer start', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const steps = (...more: string[]): typeof migrations => [...migrations, ...more.map((statements, index) => ({ statements, compatibleFrom: index === 0 ? 1 : migrations.length + 2 }))]
  const newer = async (...more: string[]): Promise<Store> => {
    const store = createPostgresStore(checkPostgresOptions({ connectionString: server.url, schema }), `newer-${more.length}`, steps(...more))
    t.teardown(() => store.close())
    await store.open(host())
    return store
  }
  const old = await open()
  const next = await newer('ALTER TABLE @.jobs ADD COLUMN oven text')
  t.same(await runOne(old.store, next), [true])
  t.same(await runOne(next, old.store), [true])
  const restarted = await open()
  t.same(await runOne(next, restarted.store), [true])
  await newer('ALTER TABLE @.jobs ADD COLUMN oven text', 'ALTER TABLE @.jobs RENAME COLUMN oven TO stove')
  await t.rejects(open(), { code: 'FST_LOGIC_APPS_SCHEMA_VERSION', message: /install the newer version again/ })
})

function createFakeConnection (pipeline: boolean) {
  const asked: string[] = []
  const client = {
    pipeline,
    async query ({ text }: PostgresQuery) {
      asked.push(text.split(';', 1)[0]!)
      if (text === 'SELECT fails') throw Object.assign(new Error('no'), { code: '22012', severity: 'ERROR' })
      return { rows: [], rowCount: 0, command: '' }
    },
    on () {},
    removeListener () {},
    release () {}
  }
  const pool = { connect: async () => client, end: async () => {}, on () {}, removeListener () {} }
  return { asked, connection: createConnection({ pg: pg as unknown as PgModule, pool, owned: true, schema: 'cakes', notify: '', timeoutMs: 5000, prepare: true, onIdleLoss () {}, onUntold () {} }) }
}

for (const pipeline of [true, false]) {
  test(`of statements asked for at once none runs behind the ROLLBACK of one that failed, ${pipeline ? 'pipelined' : 'one by one'}`, async (t) => {
    const { asked, connection } = createFakeConnection(pipeline)
    let later: Promise<unknown> | undefined
    await t.rejects(connection.write(async ({ sql }) => {
      const work = async (): Promise<void> => {
        await sql('SELECT 1')
        await new Promise((resolve) => { setImmediate(resolve) })
        await sql('SELECT later')
      }
      later = work()
      await Promise.all([sql('SELECT fails'), later])
    }), { message: 'no' })
    await t.rejects(later!)
    t.equal(asked.at(-1), 'ROLLBACK')
    t.notOk(asked.includes('SELECT later'))
  })
}

test('statements that are asked often are prepared, and none where that is turned off', async (t) => {
  const { open } = await createReplicas(t)
  for (const preparedStatements of [true, false]) {
    const names: (string | undefined)[] = []
    let most = 0
    class Client extends pg.Client {
      #underWay = 0
      override query (...values: unknown[]): never {
        const [query] = values as [{ name?: string }]
        names.push(query.name)
        most = Math.max(most, ++this.#underWay)
        const answer = (super.query as (...values: unknown[]) => unknown)(...values) as Promise<unknown> | undefined
        const done = (): void => { this.#underWay-- }
        answer?.then(done, done)
        return answer as never
      }
    }
    const pool = await createPool(t, { max: 4, Client })
    const { store } = await open({ pool, preparedStatements })
    for (let times = 0; times < 3; times++) {
      await store.submit([{ operation: 'Bake', owner: '', input: '{}', createdAt: start }], { maxQueued: 10 })
      most = 0
      const { jobs } = await store.claim({ operations: [{ operation: 'Bake', limit: 9 }], limit: 9, now: start })
      t.same(await store.settle(jobs.map(({ number, attempt }) => ({ lease: { number, attempt }, to: { status: 'succeeded', result: null, endedAt: start, expiresAt: start } }))), [true])
      t.equal(most, 1, 'a pool that does not pipeline is asked for one statement at a time')
    }
    const prepared = names.filter((name) => name !== undefined)
    t.equal(prepared.length > 0, preparedStatements)
    t.ok(prepared.every((name) => /^logic_apps_[\da-f]{20}$/.test(name)))
    await store.close()
  }
})

test('of statements asked for at once the first that failed says why, so that a deadlock is tried again', async (t) => {
  const failure = (code: string): Error => Object.assign(new Error(code), { code, severity: 'ERROR' })
  const asked: string[] = []
  let refuse: ((error: Error) => void) | undefined
  const client = {
    pipeline: true,
    query ({ text }: PostgresQuery): Promise<PostgresResult> {
      asked.push(text)
      if (text === 'SELECT first' && asked.filter((other) => other === text).length === 1) return new Promise<never>((_resolve, reject) => { refuse = reject })
      if (text === 'SELECT second' && refuse !== undefined) {
        // As in one packet of the network.
        refuse(failure('40P01'))
        refuse = undefined
        return Promise.reject(failure('25P02'))
      }
      return Promise.resolve({ rows: [], rowCount: 0, command: '' })
    },
    on () {},
    removeListener () {},
    release () {}
  }
  const pool = { connect: async () => client, end: async () => {}, on () {}, removeListener () {} }
  const connection = createConnection({ pg: pg as unknown as PgModule, pool, owned: true, schema: 'cakes', notify: '', timeoutMs: 5000, prepare: true, onIdleLoss () {}, onUntold () {} })
  await connection.write(async ({ sql }) => {
    const withMoreHops = async (): Promise<void> => { await (async () => await (async () => await sql('SELECT first'))())() }
    await Promise.all([withMoreHops(), sql('SELECT second')])
  })
  t.equal(asked.filter((text) => text === 'ROLLBACK').length, 1)
  t.equal(asked.filter((text) => text === 'SELECT second').length, 2)
})

test('a prepared statement whose table changed, or that is gone, is prepared again', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  await open()
  const pool = await createPool(t, { max: 2 })
  const connection = createConnection({ pg: pg as unknown as PgModule, pool: pool as never, owned: false, schema, notify: '', timeoutMs: 5000, prepare: true, onIdleLoss () {}, onUntold () {} })
  const read = async (): Promise<string[]> => Object.keys((await connection.prepared('SELECT * FROM @.log'))[0]!)
  const readWithin = async (): Promise<string[]> => Object.keys((await connection.write(({ prepared }) => prepared('SELECT * FROM @.log')))[0]!)
  t.same(await read(), ['last'])
  await server.pool.query(`ALTER TABLE ${schema}.log ADD COLUMN newer int`)
  t.same(await read(), ['last', 'newer'])
  await server.pool.query(`ALTER TABLE ${schema}.log ADD COLUMN newest int`)
  t.same(await readWithin(), ['last', 'newer', 'newest'])
  await connection.sql('DEALLOCATE ALL')
  t.same(await read(), ['last', 'newer', 'newest'])
})
