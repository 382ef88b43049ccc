import { join } from 'node:path'
import { test, type Test } from 'tap'
import { fastifyLogicApps } from '../../src/index.ts'
import { moveStore, postgresStore } from '../../src/stores/postgres/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import type { Store } from '../../src/work/store.ts'
import { createServer, type TestApp } from '../helpers/app.ts'
import { createReceiver, localCallbacks } from '../helpers/callback-receiver.ts'
import { createLatch } from '../helpers/latch.ts'
import { startPostgres } from '../helpers/postgres.ts'
import { createTempDir } from '../helpers/temp-dir.ts'
import { until } from '../helpers/until.ts'

const documented = (operationId: string): { operationId: string, summary: string, description: string } => ({ operationId, summary: operationId, description: `${operationId}.` })
const pathOf = (location: unknown): string => String(location).replace('https://api.example', '')

async function openApp (t: Test, store: Store, bake: () => Promise<unknown>): Promise<TestApp['app']> {
  const { app } = createServer()
  t.teardown(() => app.close())
  await app.register(fastifyLogicApps, { store, secret: 'a secret of the tests, of 32 bytes and more', baseUrl: 'https://api.example', drainSeconds: 0, callbacks: localCallbacks })
  app.asyncAction('/cakes', { schema: documented('Bake') }, bake)
  const topic = app.logicApps.topic('orders')
  app.webhookTrigger('/hooks', { schema: documented('OnOrder'), topic })
  app.pollingTrigger('/poll', { schema: documented('PollOrders'), topic })
  app.post('/orders', async (request) => { await topic.publish(request.body as object) })
  await app.ready()
  return app
}

test('what was handed out by a file is good on PostgreSQL after the move', { timeout: 60_000 }, async (t) => {
  const server = await startPostgres()
  const schema = server.newSchema()
  t.teardown(() => server.drop(schema))
  const receiver = await createReceiver(t)
  const file = join(createTempDir(t), 'work.db')
  const running = createLatch()
  let first = true
  const old = await openApp(t, sqliteStore({ file }), async () => {
    if (first) {
      first = false
      return 'old'
    }
    running.open(undefined)
    await new Promise(() => {})
  })
  const order = async (): Promise<string> => pathOf((await old.inject({ method: 'POST', url: '/cakes', payload: {} })).headers.location)
  const ended = await order()
  await until(async () => (await old.inject(ended)).statusCode === 200)
  const open = await order()
  await running.promise
  const poll = pathOf((await old.inject('/poll')).headers.location)
  const hook = pathOf((await old.inject({ method: 'POST', url: '/hooks', payload: { callbackUrl: `${receiver.origin}/orders` } })).headers.location)
  await old.inject({ method: 'POST', url: '/orders', payload: { order: 1 } })
  await receiver.call(0)
  const to = { connectionString: server.url, schema }
  await t.rejects(moveStore({ file }, to), { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE' }, 'a file in use')
  await old.close()

  t.match(await moveStore({ file }, to), { jobs: 2, subscriptions: 1, events: 1 })
  await t.rejects(moveStore({ file }, to), { code: 'FST_LOGIC_APPS_INVALID_DATABASE' }, 'a schema that is not empty')
  const app = await openApp(t, postgresStore(to), async () => 'new')
  t.equal((await app.inject(ended)).json(), 'old')
  await until(async () => (await app.inject(open)).statusCode !== 202)
  t.equal((await app.inject(open)).json(), 'new', 'what was open is done')
  await app.inject({ method: 'POST', url: '/orders', payload: { order: 2 } })
  t.same((await app.inject(poll)).json(), { value: [{ order: 1 }, { order: 2 }] })
  await until(() => receiver.calls.some(({ body }) => body === '{"order":2}'))
  t.equal((await app.inject({ method: 'DELETE', url: hook })).statusCode, 200)
  t.same(await app.logicApps.subscriptions.list({}), [])
  t.equal((await app.inject({ method: 'POST', url: '/cakes', payload: {} })).statusCode, 202, 'numbers go on')
})
