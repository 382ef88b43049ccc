import pg from 'pg'
import t, { test } from 'tap'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { testStoreContract } from '../../src/testing/index.ts'
import { startPostgres } from '../helpers/postgres.ts'

// A server of its own: a busy machine takes its time.
t.setTimeout(300_000)

test('PostgreSQL', async (t) => {
  const server = await startPostgres()
  const schema = server.newSchema()
  // A connection costs more than most cases.
  const pool = new pg.Pool({ connectionString: server.url, max: 30 })
  t.teardown(() => pool.end())
  testStoreContract({
    test: (title, run) => t.test(title, run),
    createBackend: () => ({
      connect: () => postgresStore({ pool, schema }),
      destroy: () => server.empty(schema)
    })
  })
})
