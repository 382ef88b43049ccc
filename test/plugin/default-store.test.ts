import { existsSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { createApp } from '../helpers/app.ts'
import { addCakes, order } from '../helpers/cakes.ts'
import { setEnv } from '../helpers/env.ts'
import { createTempDir } from '../helpers/temp-dir.ts'

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
