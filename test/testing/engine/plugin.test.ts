import Fastify, { type FastifyInstance } from 'fastify'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { fastifyLogicApps } from '../../../src/index.ts'
import { sqliteStore } from '../../../src/stores/sqlite/index.ts'
import { type AppParts, createLogicAppsEngine, type HttpTrigger, type ManualClock, type TriggerHandle } from '../../../src/testing/index.ts'
import { closeApp } from '../../helpers/app.ts'
import { bake, cakeSchema, orderSchema } from '../../helpers/cakes.ts'
import { createPluginEngine, traceOf, wait, waitsOf } from '../../helpers/engine.ts'
import { addNumbers, addOrders } from '../../helpers/polling.ts'
import { createTempDir } from '../../helpers/temp-dir.ts'
import { addCalls, addHooks, publish } from '../../helpers/webhooks.ts'

const addCakes = (app: FastifyInstance): void => {
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake', body: orderSchema }, result: cakeSchema, retryAfterSeconds: 4 }, bake)
}
const order = { type: 'Http', inputs: { method: 'POST', uri: '/cakes', body: { flavour: 'lemon' } } } as const
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
    const result = await engine.run(wait)
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
    t.match(await engine.run(wait), { status: 'Succeeded' })
    await engine.expectQuiet({ after: 'PT20M' })
    t.equal((await app.logicApps.jobs.list()).length, 1)
    t.equal(engine.callbacks.received.length, 1)
  })
}

test('callbacks outlast bursts of 429, 5xx, broken connections and slow answers', async (t) => {
  const { engine } = await createPluginEngine(t, (app) => { addCalls(app) })
  engine.callbacks.script([{ statusCode: 429, retryAfterSeconds: 60 }, 503, 'reset', { delaySeconds: 20 }])
  const action = engine.start(wait, { name: 'Bake' })
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
    const action = engine.start({ ...wait, inputs: { ...wait.inputs, unsubscribe: { method: 'POST', uri: '/calls/unsubscribe', ...unsubscribe } } })
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

const poll = (uri: string, more: Partial<HttpTrigger> = {}): HttpTrigger => ({ type: 'Http', inputs: { method: 'GET', uri }, recurrence: { frequency: 'Minute', interval: 1 }, ...more })
const splitOn = "@triggerBody()?['value']"
const ordersOf = ({ runs }: TriggerHandle): unknown[] => runs.map(({ body }) => (body as { n: number }).n)

for (const profile of ['consumption', 'standard', 'standard-stateless', 'power-automate', 'custom-connector'] as const) {
  test(`a batch of a topic's events starts one run for each of them, from ${profile}`, async (t) => {
    const { engine, app } = await createPluginEngine(t, (instance) => { addOrders(instance, { maxItems: 3 }) }, { profile })
    await publish(app, { n: 0 })
    const trigger = engine.trigger(poll('/orders', { splitOn }))
    await trigger.enable()
    t.match(trigger.history, [{ status: 'Skipped', code: 'Accepted' }], 'what was there before is no news')
    for (let n = 1; n <= 7; n++) await publish(app, { n })
    await engine.advance('PT3M')
    t.same(ordersOf(trigger), [1, 2, 3, 4, 5, 6, 7])
    t.same(trigger.history.map(({ status, runs }) => `${status} ${runs}`), ['Skipped 0', 'Succeeded 3', 'Succeeded 3', 'Succeeded 1', 'Skipped 0', 'Skipped 0'])
    t.same(waitsOf(trigger.exchanges), [60, 0, 0, 60, 60], 'the rest of a batch at once, and then by the recurrence (engine 3.2, 3.12)')
    await trigger.disable()
    await engine.expectQuiet({ after: 'PT1H' })
  })
}

test('one order at a time, each in a run with a tracking id of its own (engine 3.5, 3.23)', async (t) => {
  const { engine, app } = await createPluginEngine(t, (instance) => { addOrders(instance, { mode: 'single', clientTrackingId: ({ n }: { n: number }) => `order-${n}` }) })
  const trigger = engine.trigger(poll('/orders'))
  await trigger.enable()
  for (let n = 1; n <= 3; n++) await publish(app, { n })
  await engine.advance('PT1M')
  t.same(trigger.runs.map(({ body, clientTrackingId }) => [body, clientTrackingId]), [1, 2, 3].map((n) => [{ n }, `order-${n}`]))
  t.same(trigger.exchanges.map(({ response }) => [response!.statusCode, response!.headers['retry-after']]), [[202, '15'], [200, '0'], [200, '0'], [200, undefined]])
  t.equal(new Set(trigger.runs.map(({ at }) => at)).size, 1, 'Retry-After: 0 is at once')
  await engine.advance('PT1M')
  t.match(trigger.history.at(-1), { status: 'Skipped' })
})

test('data of the host\'s own, in both modes', async (t) => {
  const numbers = [1, 2]
  const { engine } = await createPluginEngine(t, (app) => {
    addNumbers(app, numbers)
    addNumbers(app, numbers, { schema: { operationId: 'PollNumber' }, mode: 'single' }, '/numbers/next')
  })
  const batch = engine.trigger(poll('/numbers', { splitOn }), { name: 'Batch' })
  const single = engine.trigger(poll('/numbers/next'), { name: 'Single' })
  await batch.enable()
  await single.enable()
  numbers.push(3, 4, 5)
  await engine.advance('PT1M')
  numbers.push(6)
  await engine.advance('PT2M')
  for (const trigger of [batch, single]) t.same(ordersOf(trigger), [3, 4, 5, 6], trigger.name)
})

test('retryAfterSeconds lengthens the wait after a 202, and rules the one after a 200 (engine 3.2)', async (t) => {
  const { engine, app } = await createPluginEngine(t, (instance) => { addOrders(instance, { retryAfterSeconds: 300 }) })
  const trigger = engine.trigger(poll('/orders'))
  await trigger.enable()
  await publish(app, { n: 1 })
  await engine.advance('PT15M')
  t.same(waitsOf(trigger.exchanges), [300, 300, 300])
  t.equal(trigger.runs.length, 1)
})

test('an answer that is lost on the way costs no event, and brings none twice', async (t) => {
  let lost = 0
  const { engine, app } = await createPluginEngine(t, (instance) => {
    addOrders(instance)
    instance.addHook('onSend', async (_request, reply, payload) => {
      if (reply.statusCode !== 200 || ++lost > 2) return payload
      // A gateway says so, in place of an answer that is made.
      reply.code(502).removeHeader('location')
      return '{}'
    })
  })
  const trigger = engine.trigger(poll('/orders', { splitOn }))
  await trigger.enable()
  for (const n of [1, 2]) await publish(app, { n })
  await engine.advance('PT5M')
  const [, ...polls] = trigger.exchanges
  t.same(polls.slice(0, 3).map(({ response }) => response!.statusCode), [502, 502, 200])
  t.equal(new Set(polls.slice(0, 3).map(({ request }) => request.url)).size, 1, 'the retries ask with the same state')
  t.same(ordersOf(trigger), [1, 2])
})

test('a trigger that was switched off makes up for it; one that is saved begins anew (engine 3.6)', async (t) => {
  for (const stateAfterSave of ['forgotten', 'kept'] as const) {
    const { engine, app } = await createPluginEngine(t, (instance) => { addOrders(instance) }, { unknowns: { stateAfterSave } })
    const trigger = engine.trigger(poll('/orders', { splitOn }))
    await trigger.enable()
    await trigger.disable()
    await publish(app, { n: 1 })
    await engine.advance('PT10M')
    t.same(ordersOf(trigger), [])
    await trigger.enable()
    t.same(ordersOf(trigger), [1])
    await publish(app, { n: 2 })
    await trigger.save()
    await publish(app, { n: 3 })
    await engine.advance('PT2M')
    t.same(ordersOf(trigger), stateAfterSave === 'kept' ? [1, 2, 3] : [1, 3], stateAfterSave)
  }
})

test('two workflows, each with its own filter and its own pace, get each event once', async (t) => {
  const querystring = { type: 'object', properties: { odd: { type: 'boolean' } } }
  const { engine, app } = await createPluginEngine(t, (instance) => {
    addOrders(instance, { schema: { operationId: 'PollOrders', querystring }, matches: ({ n }: { n: number }, { odd }: { odd?: boolean }) => odd === undefined || odd === (n % 2 === 1) })
  })
  const all = engine.trigger(poll('/orders', { splitOn, recurrence: { frequency: 'Second', interval: 7 } }), { name: 'All' })
  const odd = engine.trigger(poll('/orders?odd=true', { splitOn, recurrence: { frequency: 'Minute', interval: 3 } }), { name: 'Odd' })
  await all.enable()
  await odd.enable()
  for (let n = 1; n <= 20; n++) {
    await publish(app, { n })
    await engine.advance('PT13S')
  }
  await engine.advance('PT5M')
  t.same(ordersOf(all), Array.from({ length: 20 }, (_, index) => index + 1))
  t.same(ordersOf(odd), Array.from({ length: 10 }, (_, index) => 2 * index + 1))
})

test('a deployment between two polls forgets nothing', async (t) => {
  const file = join(createTempDir(t), 'orders.db')
  async function deploy ({ clock, callbacks }: AppParts): Promise<FastifyInstance> {
    const app = Fastify()
    await app.register(fastifyLogicApps, { store: sqliteStore({ file }), baseUrl: 'https://api.example', secret: 'a secret of more than thirty-two bytes', clock, callbacks })
    addOrders(app)
    await app.ready()
    return app
  }
  let before!: FastifyInstance
  const engine = await createLogicAppsEngine({ baseUrl: 'https://api.example', app: async (parts) => (before = await deploy(parts)) })
  const clock = engine.clock as ManualClock
  const trigger = engine.trigger(poll('/orders', { splitOn }))
  await trigger.enable()
  await publish(before, { n: 1 })
  await closeApp(before, clock)
  const after = await deploy({ clock, callbacks: { dispatcher: engine.callbacks.dispatcher } })
  t.teardown(() => closeApp(after, clock))
  engine.replaceApp(after)
  await publish(after, { n: 2 })
  await engine.advance('PT2M')
  t.same(ordersOf(trigger), [1, 2])
})

test('the workflows of the how-to page run as they stand', async (t) => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/how-to/workflow-json-for-polling-triggers.md'), 'utf8')
  const triggers = [...page.matchAll(/```json\n(.*?)```/gs)].map(([, json]) => JSON.parse(json!) as object)
  t.equal(triggers.length, 2)
  const querystring = { type: 'object', properties: { flavour: { type: 'string' } } }
  const { engine, app } = await createPluginEngine(t, (instance) => {
    addOrders(instance, { schema: { operationId: 'PollOrders', querystring }, matches: (order: { flavour: string }, { flavour }: { flavour: string }) => order.flavour === flavour }, '/triggers/orders')
    addOrders(instance, { schema: { operationId: 'PollNextOrder' }, mode: 'single' }, '/triggers/orders/next')
    instance.post('/cakes', async ({ body }) => body)
  }, { baseUrl: 'https://cakes.contoso.com' }, { baseUrl: 'https://cakes.contoso.com' })
  const bake = { Bake: { type: 'Http', inputs: { method: 'POST', uri: 'https://cakes.contoso.com/cakes', body: '@triggerBody()' }, runAfter: {} } }
  const workflows = triggers.map((one) => engine.workflow({ definition: { triggers: one, actions: bake } }))
  for (const workflow of workflows) await workflow.enable()
  for (const [index, flavour] of ['lemon', 'carrot', 'lemon'].entries()) await publish(app, { n: index + 1, flavour })
  await engine.advance('PT2M')
  for (const workflow of workflows) {
    await engine.until(Promise.all(workflow.runs.map(({ done }) => done)))
    await workflow.disable()
  }
  const [lemons, all] = workflows.map(({ runs }) => runs.map(({ actions }) => (actions.Bake!.outputs!.body as { n: number }).n))
  t.same(lemons, [1, 3])
  t.same(all, [1, 2, 3])
  await engine.expectQuiet()
})
