import { chownSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { test } from 'tap'
import type { PostgresConnectionOptions } from '../../src/stores/postgres/index.ts'
import type { Store } from '../../src/work/store.ts'
import { startPostgres } from '../helpers/postgres.ts'
import { createReplicas, type Replicas } from '../helpers/replicas.ts'
import { foreignCert, selfSigned } from '../helpers/self-signed.ts'
import { until } from '../helpers/until.ts'

// A server of its own: a busy machine takes its time.
t.setTimeout(300_000)

const start = Date.UTC(2026, 0, 1)

/** As managed databases are reached, by a name that tells these connections from others. */
function connectionTo ({ server, schema }: Replicas, ssl: boolean | object): PostgresConnectionOptions {
  const { hostname, port, username, password } = new URL(server.url)
  return { host: hostname, port: Number(port), database: 'postgres', user: username, password, ssl, application_name: schema }
}

const connectionsOf = async ({ server, schema }: Replicas): Promise<boolean[]> =>
  (await server.pool.query('SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = $1', [schema])).rows.map(({ ssl }: { ssl: boolean }) => ssl)

async function runOne (store: Store): Promise<boolean[]> {
  await store.submit([{ operation: 'Bake', owner: '', input: '{}', createdAt: start }], { maxQueued: 10 })
  const { jobs: [job] } = await store.claim({ operations: [{ operation: 'Bake', limit: 1 }], limit: 1, now: start })
  return await store.settle([{ lease: job!, to: { status: 'succeeded', result: null, endedAt: start, expiresAt: start } }])
}

async function turnTlsOn (): Promise<void> {
  const { pool } = await startPostgres()
  const folder = (await pool.query('SHOW data_directory')).rows[0].data_directory as string
  const { uid, gid } = statSync(folder)
  for (const [name, text] of [['server.crt', selfSigned.cert], ['server.key', selfSigned.key]] as const) {
    const file = join(folder, name)
    writeFileSync(file, text, { mode: 0o600 })
    // The server runs as another user where the tests run as root, and takes no key that others may read.
    if (process.getuid?.() === 0) chownSync(file, uid, gid)
  }
  await pool.query('ALTER SYSTEM SET ssl = on')
  await pool.query('SELECT pg_reload_conf()')
  await until(async () => (await pool.query('SHOW ssl')).rows[0].ssl === 'on')
}

test('where TLS is asked for, a server that has none is refused', async (t) => {
  const replicas = await createReplicas(t)
  await t.rejects(replicas.open({ connection: connectionTo(replicas, { ca: selfSigned.cert }) }), { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE', message: /does not support SSL/ })
  t.same(await connectionsOf(replicas), [])
})

test('with ssl every connection of the store is encrypted, the one that listens too', async (t) => {
  await turnTlsOn()
  const replicas = await createReplicas(t)
  const plain = await replicas.open({ connection: connectionTo(replicas, false) })
  t.same(new Set(await connectionsOf(replicas)), new Set([false]), 'unless it is asked for')
  await plain.store.close()
  const { store, wakes } = await replicas.open({ connection: connectionTo(replicas, { ca: selfSigned.cert }) })
  t.same(await runOne(store), [true])
  const encrypted = await connectionsOf(replicas)
  t.ok(encrypted.length > 1, `${encrypted.length} connections`)
  t.same(new Set(encrypted), new Set([true]))
  const other = await replicas.open()
  await other.store.submit([{ operation: 'Bake', owner: '', input: '{}', createdAt: start }], { maxQueued: 10 })
  await until(() => wakes() > 0)
})

test('a server is refused that does not prove who it is, and nothing stays open', async (t) => {
  await turnTlsOn()
  const replicas = await createReplicas(t)
  const faults: [boolean | object, RegExp][] = [
    [{ ca: foreignCert }, /certificate/],
    [true, /self-signed certificate/],
    [{ ca: selfSigned.cert, servername: 'db.example' }, /db\.example/]
  ]
  for (const [ssl, message] of faults) {
    await t.rejects(replicas.open({ connection: connectionTo(replicas, ssl) }), { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE', message })
  }
  await until(async () => (await connectionsOf(replicas)).length === 0)
  await t.resolves(replicas.open({ connection: connectionTo(replicas, { ca: selfSigned.cert }) }), 'the true one is not')
})

test('a password function is asked once for each new connection, so that a token may expire', { timeout: 60_000 }, async (t) => {
  await turnTlsOn()
  const replicas = await createReplicas(t)
  const { server, schema } = replicas
  const user = `user_${schema}`
  let token = 'the first token'
  const rotate = async (statement: string): Promise<void> => { await server.pool.query(`${statement} USER ${user} SUPERUSER PASSWORD '${token}'`) }
  await rotate('CREATE')
  t.teardown(() => server.pool.query(`DROP OWNED BY ${user} CASCADE; DROP USER ${user}`))
  let asked = 0
  const { store } = await replicas.open({
    connection: {
      ...connectionTo(replicas, { ca: selfSigned.cert }),
      user,
      password: async () => {
        asked++
        return token
      }
    }
  })
  t.same(await runOne(store), [true])
  // Until, since one that is still being made was asked for already.
  await until(async () => asked === (await connectionsOf(replicas)).length)

  token = 'the second token'
  await rotate('ALTER')
  t.same(await runOne(store), [true], 'what is open stays open')
  asked = 0
  await server.pool.query('SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = $1', [schema])
  await until(async () => await runOne(store).then(([done]) => done!, () => false))
  t.ok(asked > 0)
  await until(async () => asked === (await connectionsOf(replicas)).length)
})
