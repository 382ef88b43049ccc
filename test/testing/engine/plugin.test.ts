import { type FastifyInstance } from 'fastify'
import { test } from 'tap'
import { createPluginEngine, traceOf } from '../../helpers/engine.ts'
import { bake, cakeSchema, orderSchema } from '../../helpers/cakes.ts'
import { addCalls, addHooks, publish } from '../../helpers/webhooks.ts'

const addCakes = (app: FastifyInstance): void => {
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake', body: orderSchema }, result: cakeSchema, retryAfterSeconds: 4 }, bake)
}
const order = { type: 'Http', inputs: { method: 'POST', uri: '/cakes', body: { flavour: 'lemon' } } } as const
const callMe = {
  type: 'HttpWebhook',
  inputs: {
    subscribe: { method: 'POST', uri: '/calls', body: { callbackUrl: '@{listCallbackUrl()}', flavour: 'lemon' } },
    unsubscribe: { method: 'POST', uri: '/calls/unsubscribe', body: { callbackUrl: '@{listCallbackUrl()}' } }
  },
  limit: { timeout: 'PT1H' }
} as const
const onOrder = {
  type: 'HttpWebhook',
  inputs: {
    subscribe: { method: 'POST', uri: '/hooks', body: { callbackUrl: '@{listCallbackUrl()}' } },
    unsubscribe: { method: 'POST', uri: '/hooks/unsubscribe', body: { callbackUrl: '@{listCallbackUrl()}' } }
  }
} as const

for (const profile of ['consumption', 'standard', 'power-automate', 'custom-connector'] as const) {
  test(`an async action succeeds from ${profile}`, async (t) => {
    const { engine } = await createPluginEngine(t, addCakes, { profile })
    const { status, history, outputs } = await engine.run(order)
    t.equal(status, 'Succeeded')
    t.match(outputs!.body, { flavour: 'lemon' })
    t.match(traceOf(history), [/^0 start POST \/cakes 202/, /^4 poll GET \/cakes\/jobs\/[\w-]+ 202/, /^8 poll .* 202/, /^12 poll .* 200/])
    await engine.expectQuiet()
  })

  test(`a webhook action is called back with the cloud's own URL from ${profile}, under the default policy`, async (t) => {
    const { engine, app } = await createPluginEngine(t, (instance) => { addCalls(instance) }, { profile })
    const result = await engine.run(callMe)
    t.match(result, { status: 'Succeeded', outputs: { body: { flavour: 'lemon' } } })
    t.equal(result.history.at(-1)!.purpose, 'unsubscribe')
    await engine.expectQuiet({ after: 'PT20M' })
    t.same(await app.logicApps.subscriptions.list(), [])
  })
}

for (const firstRequest of ['again', 'at-once', 'answer-lost'] as const) {
  test(`a start that comes twice (${firstRequest}) makes one job (design 3.6)`, async (t) => {
    const { engine, app } = await createPluginEngine(t, addCakes, { quirks: { firstRequest } })
    t.match(await engine.run(order), { status: 'Succeeded' })
    t.equal((await app.logicApps.jobs.list()).length, 1)
  })

  test(`a subscribe call that comes twice (${firstRequest}) makes one callback`, async (t) => {
    const { engine, app } = await createPluginEngine(t, (instance) => { addCalls(instance) }, { quirks: { firstRequest } })
    t.match(await engine.run(callMe), { status: 'Succeeded' })
    await engine.expectQuiet({ after: 'PT20M' })
    t.equal((await app.logicApps.jobs.list()).length, 1)
    t.equal(engine.callbacks.received.length, 1)
  })
}

test('callbacks outlast bursts of 429, 5xx, broken connections and slow answers', async (t) => {
  const { engine } = await createPluginEngine(t, (app) => { addCalls(app) })
  engine.callbacks.script([{ statusCode: 429, retryAfterSeconds: 60 }, 503, 'reset', { delaySeconds: 20 }])
  const action = engine.start(callMe, { name: 'Bake' })
  await engine.until(action.done)
  const [first, second, ...rest] = engine.callbacks.received
  t.ok(second!.at - first!.at >= 60_000, 'Retry-After is honoured')
  t.ok(rest.length >= 2)
  t.equal(new Set(engine.callbacks.received.map(({ headers }) => headers['webhook-id'])).size, 1)
  t.match(await action.done, { status: 'Succeeded' })
})

test('a cancelled webhook action cancels its job, whatever the unsubscribe says (engine 2.5)', async (t) => {
  for (const unsubscribe of [{ body: { callbackUrl: '@{listCallbackUrl()}' } }, {}, { headers: { callbackurl: 'nonsense' } }]) {
    const { engine, app } = await createPluginEngine(t, (instance) => { addCalls(instance) })
    const action = engine.start({ ...callMe, inputs: { ...callMe.inputs, unsubscribe: { method: 'POST', uri: '/calls/unsubscribe', ...unsubscribe } } })
    await engine.advance('PT3S')
    action.cancel()
    await engine.until(action.done)
    await engine.expectQuiet({ after: 'PT20M' })
    t.match(await app.logicApps.jobs.list(), [{ status: 'canceled' }])
    t.equal(engine.callbacks.received.length, 0)
  }
})

for (const profile of ['consumption', 'standard', 'custom-connector'] as const) {
  for (const save of ['subscribe-first', 'unsubscribe-first'] as const) {
    test(`a webhook trigger of ${profile} gets each event once, through a save (${save}) and a restart`, async (t) => {
      const { engine, app } = await createPluginEngine(t, (instance) => { addHooks(instance) }, { profile, quirks: { save } })
      const trigger = engine.trigger(onOrder)
      await trigger.enable()
      await engine.advance('PT2S')
      await publish(app, { n: 1 })
      await engine.advance('PT2S')
      await trigger.save()
      await publish(app, { n: 2 })
      await engine.advance('PT5S')
      await trigger.restart()
      await publish(app, { n: 3 })
      await engine.advance('PT5S')
      t.same(trigger.runs.map(({ body }) => body), [{ n: 1 }, { n: 2 }, { n: 3 }])
      await trigger.disable()
      await publish(app, { n: 4 })
      await engine.expectQuiet({ after: 'PT20M' })
      t.equal(trigger.runs.length, 3)
    })
  }
}

test('a failed job fails the action with a code that is not retried (rule 4)', async (t) => {
  const { engine } = await createPluginEngine(t, (app) => {
    app.asyncAction('/cakes', { schema: { operationId: 'Burn' } }, () => { throw new Error('no butter') })
  })
  const { status, code, outputs, history } = await engine.run(order)
  t.same([status, code, history.length], ['Failed', '422', 2])
  t.match(outputs!.body, { error: { code: 'JobFailed' } })
})

test('a request that itself waits for the clock does not stop time (design: waitSeconds)', async (t) => {
  const { engine } = await createPluginEngine(t, (app) => {
    app.asyncAction('/cakes', { schema: { operationId: 'BakeCake', body: orderSchema }, result: cakeSchema, waitSeconds: 60 }, bake)
  })
  const { status, history } = await engine.run(order)
  t.equal(status, 'Succeeded')
  t.same(traceOf(history), ['0 start POST /cakes 200'])
})
