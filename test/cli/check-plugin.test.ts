import tap, { test } from 'tap'
import { Type } from 'typebox'
import { checkApi } from '../../src/cli/check/check.ts'
import type { CallConfig } from '../../src/cli/check/operations.ts'
import { JobError } from '../../src/index.ts'
import { createPluginEngine } from '../helpers/engine.ts'

tap.setTimeout(120_000)

const unsubscribe = (path: string): CallConfig => ({ path: `${path}/unsubscribe`, body: { callbackUrl: '@{listCallbackUrl()}' } })

for (const profile of ['consumption', 'standard', 'power-automate', 'custom-connector'] as const) {
  test(`no fault is found in the plugin, called from ${profile}`, async (t) => {
    const bake = async (job: { input: { flavour: string }, sleep: (ms: number) => Promise<void> }): Promise<object> => {
      await job.sleep(3000)
      if (job.input.flavour === 'burnt') throw new JobError('CakeBurnt', 'The cake burnt.')
      return { cake: job.input.flavour }
    }
    const { engine } = await createPluginEngine(t, (app) => {
      const body = Type.Object({ flavour: Type.Enum(['lemon', 'burnt']) })
      const topic = app.logicApps.topic('orders')
      app.asyncAction('/cakes', { schema: { operationId: 'Bake', body }, retryAfterSeconds: 2 } as never, bake as never)
      app.webhookAction('/calls', { schema: { operationId: 'Call', body } } as never, bake as never)
      app.pollingTrigger('/orders', { schema: { operationId: 'PollOrders' }, topic })
      app.pollingTrigger('/orders/next', { schema: { operationId: 'PollNextOrder' }, topic, mode: 'single' })
      app.webhookTrigger('/hooks', { schema: { operationId: 'OnOrder' }, topic })
      app.post('/orders', async (request, reply) => await reply.code(201).send({ id: await topic.publish(request.body) }))
    }, { profile }, { callbacks: { scheduleSeconds: [0, 5, 30, 60] } })
    const samples = { body: { flavour: 'lemon' }, failingBody: { flavour: 'burnt' }, badBody: { flavour: 'mud' } }
    const event = { path: '/orders', body: { orderId: '{{id}}' } }
    const verdicts = await checkApi({
      engine,
      operations: {
        Bake: { kind: 'async-action', path: '/cakes', ...samples, authentication: { type: 'Raw', value: 'Key 1' } },
        Call: { kind: 'webhook-action', path: '/calls', ...samples, unsubscribe: unsubscribe('/calls') },
        OnOrder: { kind: 'webhook-trigger', path: '/hooks', body: {}, badBody: { callbackUrl: 'nonsense' }, unsubscribe: unsubscribe('/hooks'), event },
        PollOrders: { kind: 'polling-trigger', path: '/orders', items: 'value', event },
        PollNextOrder: { kind: 'polling-trigger', path: '/orders/next', event }
      },
      // Longer than the waits between attempts: silence is silence.
      timing: { patienceSeconds: 120, quietSeconds: 90 }
    })
    t.same(verdicts.filter(({ outcome, operation, rule }) => outcome !== 'fine' && !(operation === 'PollNextOrder' && rule === 'items-array')), [], 'all but the items of a batch that is none')
  })
}
