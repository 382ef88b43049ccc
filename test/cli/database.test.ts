/* `fastify-logic-apps migrate` and `move`: PostgreSQL from the command line. */
import { join } from 'node:path'
import tap, { test, type Test } from 'tap'
import { run } from '../helpers/command.ts'
import { startPostgres } from '../helpers/postgres.ts'
import { createServer } from '../helpers/app.ts'
import { createTempDir } from '../helpers/temp-dir.ts'
import { fastifyLogicApps } from '../../src/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import type { Store } from '../../src/work/store.ts'

tap.setTimeout(300_000)

async function newSchema (t: Test): Promise<{ DATABASE_URL: string, schema: string }> {
  const server = await startPostgres()
  const schema = server.newSchema()
  t.teardown(() => server.drop(schema))
  return { DATABASE_URL: server.url, schema }
}

/** Starts an app on a store, has a job done, and stops. */
async function serve (store: Store): Promise<void> {
  const { app } = createServer()
  try {
    await app.register(fastifyLogicApps, { store, secret: 'a secret of the tests, of 32 bytes and more' })
    app.asyncAction('/cakes', { schema: { operationId: 'Bake', summary: 'Bake', description: 'Bakes.' } }, async () => 'done')
    await app.inject({ method: 'POST', url: '/cakes', payload: {}, headers: { prefer: 'wait=60' } })
  } finally {
    await app.close()
  }
}

test('migrate makes the tables that `migrate: false` waits for, and says so a second time', async (t) => {
  const { DATABASE_URL, schema } = await newSchema(t)
  const store = (): Store => postgresStore({ connectionString: DATABASE_URL, schema, migrate: false })
  await t.rejects(serve(store()), { code: 'FST_LOGIC_APPS_INVALID_DATABASE', message: /npx fastify-logic-apps migrate/ })
  for (const time of ['first', 'second']) t.same(await run(['migrate', '--schema', schema], { DATABASE_URL }), { code: 0, out: `the schema ${schema} is up to date\n`, err: '' }, time)
  await t.resolves(serve(store()))
})

test('move takes a file to PostgreSQL once, and no app starts on it afterwards', async (t) => {
  const { DATABASE_URL, schema } = await newSchema(t)
  const file = join(createTempDir(t), 'work.db')
  await serve(sqliteStore({ file }))
  t.same(await run(['move', file, '--schema', schema], { DATABASE_URL }), { code: 0, out: `moved 1 jobs, 0 subscriptions, 0 events and 0 callbacks to the schema ${schema}\n`, err: '' })
  const again = await run(['move', file, '--schema', schema], { DATABASE_URL })
  t.match(again, { code: 2, out: '', err: `fastify-logic-apps move: ${file} was moved to PostgreSQL, and its work goes on there: start with postgresStore. Nothing was changed\n` })
  await t.rejects(serve(sqliteStore({ file })), { code: 'FST_LOGIC_APPS_INVALID_DATABASE', message: /was moved to PostgreSQL/ })
  await t.resolves(serve(postgresStore({ connectionString: DATABASE_URL, schema })))
})

test('what is missing or cannot be reached is named, without the password', async (t) => {
  const DATABASE_URL = 'postgres://user:hunter2@127.0.0.1:1/none'
  for (const [args, env, message] of [
    [['migrate'], {}, /^fastify-logic-apps migrate: DATABASE_URL is missing/],
    [['migrate', '--schema', 'No'], { DATABASE_URL }, /"schema" must be/],
    [['migrate'], { DATABASE_URL: 'mysql://user:hunter2@host' }, /"connectionString" must be a URL/],
    [['migrate'], { DATABASE_URL }, /ECONNREFUSED/],
    [['migrate', 'it'], { DATABASE_URL }, /Unexpected argument/],
    [['move'], { DATABASE_URL }, /give the file of one SQLite store/],
    [['move', 'a.db', 'b.db'], { DATABASE_URL }, /give the file of one SQLite store/],
    [['move', 'absent.db'], { DATABASE_URL }, /the path of a SQLite store that exists/],
    [['move', import.meta.filename], { DATABASE_URL }, /database\.test\.ts is damaged or no SQLite database/],
    [['move', 'a.db'], {}, /DATABASE_URL is missing/]
  ] as const) {
    const { code, out, err } = await run([...args], { DATABASE_URL: '', ...env })
    t.same([code, out], [2, ''], args.join(' '))
    t.match(err, message)
    t.notMatch(err, 'hunter2')
  }
})
