import { test, type Test } from 'tap'
// In your app: 'fastify-logic-apps/sqlite' and 'fastify-logic-apps/testing'.
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createLogicAppsEngine, type LogicAppsEngine, type ProfileName } from '../../src/testing/index.ts'
import { buildApp } from './app.ts'

const baseUrl = 'https://reports.contoso.com'

async function setUp (t: Test, profile: ProfileName): Promise<LogicAppsEngine> {
  const engine = await createLogicAppsEngine({
    baseUrl,
    profile,
    async app ({ clock, callbacks }) {
      const app = await buildApp({ baseUrl, store: sqliteStore({ file: ':memory:' }), clock, callbacks })
      // Closing waits for running jobs, by the engine's clock.
      t.teardown(() => engine.until(Promise.resolve(app.close())))
      return app
    }
  })
  return engine
}

const onSale = {
  type: 'HttpWebhook',
  inputs: {
    subscribe: { method: 'POST', uri: '/hooks/sales', body: { callbackUrl: '@{listCallbackUrl()}' } },
    unsubscribe: { method: 'POST', uri: '/hooks/sales/unsubscribe', body: { callbackUrl: '@{listCallbackUrl()}' } }
  }
} as const

for (const profile of ['consumption', 'standard', 'power-automate', 'custom-connector'] as const) {
  test(`a sale starts a workflow of ${profile}, once, through a save and a restart`, async (t) => {
    const engine = await setUp(t, profile)
    const sell = (amount: number) => engine.run({ type: 'Http', inputs: { method: 'POST', uri: '/sales', body: { amount } } })
    const trigger = engine.trigger(onSale)
    await trigger.enable()
    await sell(1)
    await trigger.advance('PT5S')
    await trigger.save()
    await sell(2)
    await trigger.advance('PT5S')
    await trigger.restart()
    await sell(3)
    await trigger.advance('PT5S')
    t.same(trigger.runs.map(({ body }) => body), [{ amount: 1 }, { amount: 2 }, { amount: 3 }])

    await trigger.disable()
    await sell(4)
    await engine.expectQuiet({ after: 'PT1H' })
  })
}

test('a whole workflow, pasted from the code view', async (t) => {
  const engine = await setUp(t, 'consumption')
  const run = await engine.workflow({
    definition: {
      triggers: { manual: { type: 'Request', kind: 'Http' } },
      actions: {
        Make_report: { type: 'Http', inputs: { method: 'POST', uri: '/reports', body: { month: "@triggerBody()?['month']" } }, runAfter: {} },
        Is_it_good: {
          type: 'If',
          expression: { and: [{ greater: ["@body('Make_report')?['total']", 40] }] },
          actions: {},
          else: { actions: { Give_up: { type: 'Terminate', inputs: { runStatus: 'Failed' } } } },
          runAfter: { Make_report: ['Succeeded'] }
        }
      }
    }
  }).run({ month: '2026-10' })
  t.equal(run.status, 'Succeeded')
})
