import Fastify from 'fastify'
import { existsSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import logicApps, { fastifyLogicApps, type Store } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createApp } from '../helpers/app.ts'
import { addCakes, order, poll } from '../helpers/cakes.ts'
import { setEnv } from '../helpers/env.ts'
import { createTempDir } from '../helpers/temp-dir.ts'

const options = () => ({ store: sqliteStore({ file: ':memory:' }), baseUrl: 'https://api.example' })

test('the plugin is the default export and the named one', async (t) => {
  t.equal(logicApps, fastifyLogicApps)
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(logicApps, options())
  t.type(app.asyncAction, 'function')
  t.type(app.logicApps.jobs.get, 'function')
})

test('the host is given what it may use, and nothing of what is for the plugin itself', async (t) => {
  const { app } = await createApp(t)
  const { jobs, subscriptions, deliveries } = app.logicApps
  t.same([jobs, subscriptions, deliveries].map((face) => Object.keys(face).toSorted()), [
    ['cancel', 'complete', 'fail', 'get', 'list'], ['list', 'remove', 'resume'], ['attempts', 'list', 'redeliver']
  ])
})

test('registered again in the same scope, or in one below it, it throws', async (t) => {
  const { app } = await createApp(t)
  await t.rejects(Promise.resolve(app.register(logicApps, options())), { code: 'FST_LOGIC_APPS_ALREADY_REGISTERED' })
  const second = await createApp(t)
  await t.rejects(Promise.resolve(second.app.register(async (scope) => { await scope.register(logicApps, options()) })), { code: 'FST_LOGIC_APPS_ALREADY_REGISTERED' })
})

test('two scopes beside each other can have it each', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const north = app.register(async (scope) => {
    await scope.register(logicApps, { ...options(), runners: false })
    addCakes(scope)
  }, { prefix: '/north' })
  await north
  await app.register(async (scope) => {
    await scope.register(logicApps, { ...options(), runners: false })
    addCakes(scope)
  }, { prefix: '/south' })
  const accepted = await app.inject({ method: 'POST', url: '/north/cakes', payload: { flavour: 'lemon' } })
  t.equal(accepted.statusCode, 202)
  t.equal((await poll(app, accepted)).statusCode, 202)
  t.equal((await app.inject({ url: new URL(accepted.headers.location as string).pathname.replace('north', 'south') })).statusCode, 404)
  t.notOk(app.hasDecorator('logicApps'))
})

test('a store that cannot be opened stops the app with its reason', async (t) => {
  const store = { ...sqliteStore({ file: ':memory:' }), open: async () => { throw new Error('no such host') } }
  await t.rejects(createApp(t, { store }), { message: 'no such host' })
})

test('a store may tell of other processes\' work before it is quite open', async (t) => {
  const inner = sqliteStore({ file: ':memory:' })
  const store: Store = {
    ...inner,
    async open (host) {
      const identity = await inner.open(host)
      host.wake()
      return identity
    }
  }
  const { app } = await createApp(t, { store })
  addCakes(app)
  t.equal((await order(app)).statusCode, 202)
})

test('a store that keeps no secret asks for the secret option', async (t) => {
  const storeWithoutSecret = (): Store => {
    const store = sqliteStore({ file: ':memory:' })
    return { ...store, open: async (host) => ({ idKey: (await store.open(host)).idKey }) }
  }
  await t.rejects(createApp(t, { store: storeWithoutSecret() }), { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: /secret is missing: this store keeps none/ })
  const { app } = await createApp(t, { store: storeWithoutSecret(), secret: 'x'.repeat(32) })
  addCakes(app)
  t.equal((await poll(app, await order(app))).statusCode, 202)
})

test('closing the app closes the store, also when it never became ready', async (t) => {
  let closed = 0
  const inner = sqliteStore({ file: ':memory:' })
  const app = Fastify()
  await app.register(logicApps, { ...options(), store: { ...inner, close: async () => { closed++; await inner.close() } } })
  await app.close()
  t.equal(closed, 1)
})

test('work begins when the app is ready, and not before', async (t) => {
  const { app, clock } = await createApp(t)
  addCakes(app)
  await clock.advance(60_000)
  t.equal(clock.pending, 0)
  await app.ready()
  t.ok(clock.pending > 0)
})

/** Works in a folder of the test's own; gives back where the default store is to be. */
function enterTempDir (t: Test): string {
  const before = process.cwd()
  const folder = realpathSync(createTempDir(t))
  process.chdir(folder)
  t.teardown(() => { process.chdir(before) })
  return join(folder, 'data', 'logic-apps.db')
}

test('without a store option work is kept in ./data/logic-apps.db, and the log says where', async (t) => {
  const file = enterTempDir(t)
  const { app, logs } = await createApp(t, { store: undefined, connector: false })
  addCakes(app)
  t.equal((await order(app)).statusCode, 202)
  t.ok(existsSync(file))
  t.equal(logs.filter(({ level, file: logged }) => level === 30 && logged === file).length, 1)
  t.same(logs.filter(({ level }) => level >= 40), [])
})

test('its key file is readable by the owner alone', { skip: process.platform === 'win32' && 'no POSIX modes' }, async (t) => {
  const file = enterTempDir(t)
  await createApp(t, { store: undefined })
  t.equal(statSync(`${file}.key`).mode & 0o777, 0o600)
})

test('with the secret option no key file is made', async (t) => {
  const file = enterTempDir(t)
  await createApp(t, { store: undefined, secret: 'x'.repeat(32) })
  t.ok(existsSync(file))
  t.notOk(existsSync(`${file}.key`))
})

for (const [variable, name] of [['WEBSITE_INSTANCE_ID', 'App Service'], ['CONTAINER_APP_NAME', 'Container Apps']] as const) {
  test(`on ${name} the default store warns, and names PostgreSQL`, async (t) => {
    enterTempDir(t)
    setEnv(t, variable, 'x')
    const { logs } = await createApp(t, { store: undefined })
    const warnings = logs.filter(({ level }) => level === 40)
    t.equal(warnings.length, 1)
    t.match(warnings[0]!.msg, name)
    t.match(warnings[0]!.msg, 'PostgreSQL')
  })

  test(`on ${name} a store that the host chose is no cause for a warning`, async (t) => {
    setEnv(t, variable, 'x')
    const { logs } = await createApp(t)
    t.same(logs.filter(({ level }) => level >= 40), [])
  })
}
