import t, { test } from 'tap'
import type { Connection } from '../../src/stores/postgres/connection.ts'
import { explain } from '../../src/stores/postgres/errors.ts'
import { migrate } from '../../src/stores/postgres/migrate.ts'
import { checkPostgresOptions } from '../../src/stores/postgres/options.ts'
import { migrations } from '../../src/stores/postgres/schema.ts'
import { createPostgresStore } from '../../src/stores/postgres/store.ts'
import { createManualClock } from '../../src/testing/index.ts'
import { accept, claim, leaseMs, settle, succeeded } from '../../src/testing/store-contract/bench.ts'
import { createReplicas } from '../helpers/replicas.ts'
import { createLog, linesOf, warn } from '../helpers/runner.ts'
import { until } from '../helpers/until.ts'

// A server of its own: a busy machine takes its time.
t.setTimeout(300_000)

test('a migration that finds a table in use holds up no running replica, and is done when the table is free', { timeout: 60_000 }, async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const rows = async (text: string): Promise<unknown[]> => (await server.pool.query(text.replaceAll('@.', `${schema}.`))).rows
  const { store: running } = await open()
  const somebody = await server.pool.connect()
  t.teardown(() => { somebody.release(true) })
  await somebody.query(`BEGIN; SELECT 1 FROM ${schema}.jobs LIMIT 1`)

  const newer = createPostgresStore(checkPostgresOptions({ connectionString: server.url, schema }), 'newer',
    [...migrations, { statements: 'ALTER TABLE @.jobs ADD COLUMN oven text', compatibleFrom: 1 }])
  t.teardown(() => newer.close())
  const { log, logs } = createLog()
  const opened = newer.open({ clock: createManualClock(), log, leaseMs, deliveryRetentionMs: 1000, wake () {} })
  const isWaiting = async (): Promise<boolean> =>
    (await rows("SELECT 1 FROM pg_locks WHERE relation = '@.jobs'::regclass AND mode = 'AccessExclusiveLock' AND NOT granted")).length > 0
  for (let rounds = 1; rounds <= 2; rounds++) {
    await until(isWaiting)
    const began = performance.now()
    await accept(running, {})
    const [job] = await claim(running)
    t.ok(await settle(running, job!, succeeded()), 'work goes on')
    const took = performance.now() - began
    t.ok(took < 4500, `${Math.round(took)} ms`)
    await until(() => linesOf(logs, warn).length >= rounds)
  }
  t.match(linesOf(logs, warn)[0], /waits for another transaction/)
  t.same(await rows('SELECT version FROM @.store'), [{ version: migrations.length }])

  await somebody.query('COMMIT')
  await opened
  t.same(await rows('SELECT version, (SELECT count(oven) FROM @.jobs)::int AS ovens FROM @.store'), [{ version: migrations.length + 1, ovens: 0 }])
})

test('a migration that never finds its tables free says what is to be done', async (t) => {
  const refused = explain(Object.assign(new Error('canceling statement due to lock timeout'), { code: '55P03', severity: 'ERROR' }))
  const connection = { patiently: async () => { throw refused } } as unknown as Connection
  const { log, logs } = createLog()
  await t.rejects(migrate(connection, 'cakes', migrations, log, 0), { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE', message: /"cakes".*pg_stat_activity.*Nothing was changed/, cause: refused as Error })
  t.same(linesOf(logs, warn), [])
})

test('an error of a migration that is none of a lock is thrown at once', async (t) => {
  const broken = new Error('no such type')
  await t.rejects(migrate({ patiently: async () => { throw broken } } as unknown as Connection, 'cakes', migrations, createLog().log), broken)
})
