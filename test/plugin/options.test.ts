import { existsSync } from 'node:fs'
import { inspect } from 'node:util'
import { test, type Test } from 'tap'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createApp, type GivenOptions } from '../helpers/app.ts'
import { addCakes, order } from '../helpers/cakes.ts'
import { createTempDir } from '../helpers/temp-dir.ts'
import { actionUrl, addCalls, subscribeCall } from '../helpers/webhooks.ts'

const wrong: Record<string, unknown[]> = {
  retryAfterSeconds: [0, -1, 1.5, '5', null, Number.NaN],
  waitSeconds: [-1, 101, '5'],
  timeoutSeconds: [0, -1, '5'],
  deferTimeoutSeconds: [0, -1],
  failureStatusCode: [200, 404, 500, 422.5, '422'],
  retentionSeconds: [59, '60'],
  maxCrashes: [0, 1.5],
  maxQueued: [0, 1.5, '1'],
  concurrency: [0, 1.5, Number.POSITIVE_INFINITY],
  drainSeconds: [-1, '1'],
  runners: ['yes', 1, null],
  baseUrl: ['', 'cakes.contoso.com', '/api', 'ftp://contoso.com', 'https://a.example?x', 'https://a.example#x', 'https://me:pass@a.example', 7, {}, null],
  secret: ['', 'short', 'x'.repeat(31), Buffer.alloc(31), [], ['x'.repeat(32), 'short'], 7, [7], null],
  owner: ['north', {}, null],
  store: [{}, 'file.db', null],
  monitorHooks: ['onRequest', null, { onRequst: () => {} }, { onRequest: 'auth' }, { onRequest: [() => {}, 7] }],
  clock: [{}, 7, null, Date]
}

/** The options that an error names. */
const namesIn = ({ message }: Error): string[] => [...message.matchAll(/[:;] (\w+) (?:must|is not) /g)].map(([, name]) => name!)

async function refusal (t: Test, options: object): Promise<Error> {
  const error = await createApp(t, options).then(() => new Error('taken'), (reason: unknown) => reason as Error)
  t.match(error, { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: /^fastify-logic-apps: / })
  t.ok(error instanceof TypeError)
  return error
}

test('each invalid option is refused by its name, once', async (t) => {
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) t.same(namesIn(await refusal(t, { [name]: value })), [name], `${name}: ${inspect(value)}`)
  }
})

test('one error lists all of them, those that are no option too', async (t) => {
  const all: GivenOptions = Object.fromEntries(Object.entries(wrong).map(([name, values]) => [name, values[0]]))
  const error = await refusal(t, { ...all, retryAfter: 5, prefix: '/api' })
  t.same(namesIn(error).toSorted(), [...Object.keys(wrong), 'retryAfter', 'prefix'].toSorted())
  t.match(error.message, 'retryAfter is not an option')
})

test('a fault is told without the value of a secret', async (t) => {
  t.notMatch((await refusal(t, { secret: 'hunter2hunter2' })).message, 'hunter2')
})

test('valid options at their edges are taken', async (t) => {
  for (const options of [
    { retryAfterSeconds: 1, waitSeconds: 100, timeoutSeconds: 0.5, failureStatusCode: 499, retentionSeconds: 60, maxCrashes: 1, maxQueued: 1, concurrency: 1, drainSeconds: 0 },
    { secret: 'x'.repeat(32) }, { secret: Buffer.alloc(32) }, { secret: ['x'.repeat(32), Buffer.alloc(64)] }, { secret: 'ü'.repeat(16) },
    { monitorHooks: {} }, { monitorHooks: { onRequest: async () => {}, onSend: [async () => {}] } },
    { owner: undefined, monitorHooks: undefined, secret: undefined, runners: undefined, waitSeconds: undefined }
  ] as GivenOptions[]) {
    const { app } = await createApp(t, options)
    addCakes(app)
    t.equal((await order(app, { flavour: 'lemon' }, { prefer: 'respond-async' })).statusCode, 202)
  }
})

test('the host\'s options are not changed', async (t) => {
  const options = Object.freeze({ secret: Object.freeze(['x'.repeat(32)]) as string[], monitorHooks: Object.freeze({}), retryAfterSeconds: 9 })
  const before = JSON.stringify(options)
  const { app } = await createApp(t, options)
  addCakes(app)
  t.equal((await order(app)).headers['retry-after'], '9')
  t.equal(JSON.stringify(options), before)
})

test('a refused option opens no store', async (t) => {
  const file = `${createTempDir(t)}/jobs.db`
  await t.rejects(createApp(t, { store: sqliteStore({ file }), waitSeconds: -1 }))
  t.notOk(existsSync(file))
})

const wrongCallbacks: Record<string, unknown[]> = {
  allowedHosts: ['*', [''], [7], null, {}, ['https://a.example'], ['a.example/x'], ['a.example:443'], ['user@a.example'], ['a*.example'], ['*.*.example'], ['**'], ['a b'], ['::1']],
  networks: ['10.0.0.0/8', [7], null, ['10.0.0.1'], ['10.0.0.0/33'], ['localhost'], [''], ['10.0.0.0/8', 'x']],
  allowHttp: ['yes', 1, null],
  delaySeconds: [-1, '1', null, Number.NaN],
  timeoutSeconds: [0, -1, 121, '15', Number.POSITIVE_INFINITY],
  scheduleSeconds: [[], [-1], ['5'], 5, null],
  retentionSeconds: [59, '60', null],
  signingSecret: ['', 'short', 'x'.repeat(23), 7, null, {}, ['x'.repeat(24), 'short'], [7]],
  onRetired: ['log', {}, null],
  onSuspended: [7],
  onDead: [true],
  dispatcher: ['undici', {}, null]
}

const callbacksIn = ({ message }: Error): string[] => [...message.matchAll(/[:;] callbacks\.(\w+) (?:must|is not) /g)].map(([, name]) => name!)

async function callbacksRefusal (t: Test, callbacks: unknown, others: object = {}): Promise<Error> {
  const error = await createApp(t, { callbacks, ...others } as GivenOptions).then(() => new Error('taken'), (reason: unknown) => reason as Error)
  t.match(error, { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: /^fastify-logic-apps: / })
  return error
}

test('each invalid option for callbacks is refused by its name, once', async (t) => {
  for (const [name, values] of Object.entries(wrongCallbacks)) {
    for (const value of values) t.same(callbacksIn(await callbacksRefusal(t, { [name]: value })), [name], `${name}: ${inspect(value)}`)
  }
})

test('one error lists all faults for callbacks, with those beside callbacks and those that are no option', async (t) => {
  for (const at of [0, -1]) {
    const error = await callbacksRefusal(t, { ...Object.fromEntries(Object.entries(wrongCallbacks).map(([name, values]) => [name, values.at(at)])), retries: 5 }, { waitSeconds: -1 })
    t.same(callbacksIn(error).toSorted(), [...Object.keys(wrongCallbacks), 'retries'].toSorted())
    t.match(error.message, /waitSeconds must/)
    t.match(error.message, 'callbacks.retries is not an option')
  }
})

test('callbacks itself must be an object', async (t) => {
  for (const callbacks of [null, 'yes', 7, true]) t.match((await callbacksRefusal(t, callbacks)).message, 'callbacks must be an object')
})

test('a fault of an option for callbacks is told without the value of a secret', async (t) => {
  t.notMatch((await callbacksRefusal(t, { signingSecret: 'hunter2hunter2' })).message, 'hunter2')
})

test('valid options for callbacks at their edges are taken, and the host\'s object is not changed', async (t) => {
  for (const callbacks of [
    {}, undefined,
    { allowedHosts: [], networks: [] },
    { allowedHosts: ['*', '*.contoso.com', 'Hooks.Contoso.com', 'hooks_1.contoso.com', '127.0.0.1', '[::1]', 'localhost'] },
    { networks: ['10.20.0.0/16', 'fd00::/8', '127.0.0.0/8', '::1/128'] },
    { delaySeconds: 0, timeoutSeconds: 0.5, scheduleSeconds: [0], retentionSeconds: 60, allowHttp: true },
    { signingSecret: 'x'.repeat(24), onRetired () {}, onSuspended: async () => {}, onDead: () => {} },
    { signingSecret: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'x'.repeat(24)] },
    { signingSecret: [], onDead: undefined, networks: undefined }
  ] as GivenOptions['callbacks'][]) {
    const before = inspect(callbacks)
    const { app } = await createApp(t, { callbacks: callbacks === undefined ? undefined : Object.freeze(callbacks) })
    addCalls(app)
    await app.ready()
    t.equal(inspect(callbacks), before)
  }
})

test('without options callbacks go to Logic Apps and Power Automate over https, and nowhere else', async (t) => {
  const { app } = await createApp(t, { runners: false })
  addCalls(app)
  const ask = async (origin: string): Promise<number> => (await subscribeCall(app, actionUrl({ origin }))).statusCode
  for (const origin of ['https://prod-01.westeurope.logic.azure.com', 'https://cakes.azurewebsites.net:443', 'https://x.1f.environment.api.powerplatform.com']) t.equal(await ask(origin), 201, origin)
  for (const origin of ['http://prod-01.westeurope.logic.azure.com', 'https://127.0.0.1', 'https://localhost', 'https://a.example', 'https://20.50.60.70']) t.equal(await ask(origin), 400, origin)
})

test('an entry for a network opens its addresses where hosts of it are allowed too', async (t) => {
  const { app } = await createApp(t, { runners: false, callbacks: { allowedHosts: ['10.20.0.7', '10.21.0.7', '*.contoso.com'], networks: ['10.20.0.0/16'] } })
  addCalls(app)
  const ask = async (origin: string): Promise<number> => (await subscribeCall(app, actionUrl({ origin }))).statusCode
  t.equal(await ask('https://10.20.0.7'), 201)
  t.equal(await ask('https://10.20.0.8'), 400, 'a host that is not on the list')
  t.equal(await ask('https://10.21.0.7'), 400, 'an address that is in no network')
  t.equal(await ask('https://logic.contoso.com'), 201, 'a name is looked up when the socket connects')
})
