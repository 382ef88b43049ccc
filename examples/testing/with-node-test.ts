import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
// In your app: 'fastify-logic-apps/sqlite' and 'fastify-logic-apps/testing'.
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createLogicAppsEngine, type EngineOptions, type LogicAppsEngine } from '../../src/testing/index.ts'
import { buildApp } from './app.ts'

const baseUrl = 'https://reports.contoso.com'

async function setUp (t: TestContext, options: Omit<EngineOptions, 'app'> = {}): Promise<LogicAppsEngine> {
  const engine = await createLogicAppsEngine({
    baseUrl,
    ...options,
    async app ({ clock, callbacks }) {
      const app = await buildApp({ baseUrl, store: sqliteStore({ file: ':memory:' }), clock, callbacks })
      // Closing waits for running jobs, by the engine's clock.
      t.after(() => engine.until(Promise.resolve(app.close())))
      return app
    }
  })
  return engine
}

const makeReport = { type: 'Http', inputs: { method: 'POST', uri: '/reports', body: { month: '2026-10' } } } as const

test('a report takes 20 minutes, and no time at all', async (t) => {
  const engine = await setUp(t)
  const { status, outputs } = await engine.run(makeReport)
  assert.equal(status, 'Succeeded')
  assert.deepEqual(outputs?.body, { month: '2026-10', total: 42 })
  await engine.expectQuiet()
})

test('a report without figures fails the action, and is not retried', async (t) => {
  const engine = await setUp(t)
  const { status, code, history } = await engine.run({ ...makeReport, inputs: { ...makeReport.inputs, body: { month: '2027-01' } } })
  assert.deepEqual([status, code], ['Failed', '422'])
  assert.equal(history.filter(({ purpose }) => purpose === 'start').length, 1)
})

test('the engine delivers the start twice: one report is made', async (t) => {
  const engine = await setUp(t, { quirks: { firstRequest: 'again' } })
  const { history } = await engine.run(makeReport)
  const [first, second] = history
  assert.equal(first?.response?.headers.location, second?.response?.headers.location)
})

test('the callback outlasts an engine that is down', async (t) => {
  const engine = await setUp(t)
  engine.callbacks.script([503, 'reset', { statusCode: 429, retryAfterSeconds: 60 }])
  const { status } = await engine.run({
    type: 'HttpWebhook',
    inputs: {
      subscribe: { method: 'POST', uri: '/reports/calls', body: { callbackUrl: '@{listCallbackUrl()}', month: '2026-10' } },
      unsubscribe: { method: 'POST', uri: '/reports/calls/unsubscribe', body: { callbackUrl: '@{listCallbackUrl()}' } }
    },
    limit: { timeout: 'PT2H' }
  })
  assert.equal(status, 'Succeeded')
  await engine.expectQuiet({ after: 'PT1H' })
})
