import t, { test } from 'tap'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { testStoreContract } from '../../src/testing/index.ts'
import { createPool, startPostgres } from '../helpers/postgres.ts'

// A server of its own: a busy machine takes its time.
t.setTimeout(300_000)

test('PostgreSQL', async (t) => {
  const server = await startPostgres()
  const schema = server.newSchema()
  // A connection costs more than most cases.
  const pool = await createPool(t, { max: 30 })
  testStoreContract({
    test: (title, run) => t.test(title, run),
    createBackend: () => ({
      connect: () => postgresStore({ pool, schema }),
      destroy: () => server.empty(schema)
    })
  })
})
