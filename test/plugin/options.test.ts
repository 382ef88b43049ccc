import { existsSync } from 'node:fs'
import { inspect } from 'node:util'
import { test, type Test } from 'tap'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createApp, type GivenOptions } from '../helpers/app.ts'
import { addCakes, order } from '../helpers/cakes.ts'
import { createTempDir } from '../helpers/temp-dir.ts'

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
