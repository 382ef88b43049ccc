import type { FastifyInstance } from 'fastify'
import { test } from 'tap'
import { Type } from 'typebox'
import { JobError } from '../../src/index.ts'
import { createEngine, createPluginEngine } from '../helpers/engine.ts'
import { publish } from '../helpers/webhooks.ts'

const connection = { connection: { name: "@parameters('$connections')['cakes']['connectionId']" } }
const schema = (operationId: string): object => ({ operationId, body: Type.Object({ flavour: Type.String() }) })

function addBakery (app: FastifyInstance): void {
  const bake = async (job: { input: { flavour: string }, sleep: (ms: number) => Promise<void> }): Promise<object> => {
    await job.sleep(10_000)
    if (job.input.flavour === 'burnt') throw new JobError('CakeBurnt', 'The cake burnt.')
    return { cake: job.input.flavour }
  }
  app.asyncAction('/cakes', { schema: schema('Bake') } as never, bake as never)
  app.webhookAction('/calls', { schema: schema('BakeAndCall') } as never, bake as never)
  app.webhookTrigger('/hooks', { schema: { operationId: 'OnOrder' }, topic: app.logicApps.topic('orders') })
}

const bakeAndWait = {
  type: 'HttpWebhook',
  inputs: {
    subscribe: { method: 'POST', uri: '/calls', body: { callbackUrl: '@{listCallbackUrl()}', flavour: "@triggerBody()?['flavour']" } },
    unsubscribe: { method: 'POST', uri: '/calls/unsubscribe', body: { callbackUrl: '@{listCallbackUrl()}' } }
  },
  limit: { timeout: 'P2D' },
  runAfter: {}
}
/** As docs/how-to/workflow-json-for-webhooks.md has it. */
const didItFail = {
  type: 'If',
  expression: { and: [{ not: { equals: ["@body('Bake_a_cake_and_wait')?['error']", '@null'] } }] },
  actions: {
    Give_up: {
      type: 'Terminate',
      inputs: { runStatus: 'Failed', runError: { code: "@{body('Bake_a_cake_and_wait')?['error']?['code']}", message: "@{body('Bake_a_cake_and_wait')?['error']?['message']}" } },
      runAfter: {}
    }
  },
  else: { actions: {} },
  runAfter: { Bake_a_cake_and_wait: ['Succeeded'] }
}
const webhookWorkflow = {
  definition: {
    $schema: 'https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/workflowdefinition.json#',
    contentVersion: '1.0.0.0',
    triggers: { manual: { type: 'Request', kind: 'Http' } },
    actions: { Bake_a_cake_and_wait: bakeAndWait, Did_it_fail: didItFail }
  }
}

test('a webhook action with its condition: a cake is a success', async (t) => {
  const { engine } = await createPluginEngine(t, addBakery)
  const run = await engine.workflow(webhookWorkflow).run({ flavour: 'lemon' })
  t.match(run, { status: 'Succeeded', error: undefined })
  t.match(run.actions, { Bake_a_cake_and_wait: { status: 'Succeeded', outputs: { body: { cake: 'lemon' } } }, Did_it_fail: { status: 'Succeeded' }, Give_up: { status: 'Skipped' } })
  await engine.expectQuiet({ after: 'PT1H' })
})

test('a webhook action with its condition: a failure callback fails the run (engine 2.20)', async (t) => {
  const { engine } = await createPluginEngine(t, addBakery)
  const run = await engine.workflow(webhookWorkflow).run({ flavour: 'burnt' })
  t.match(run, { status: 'Failed', error: { code: 'CakeBurnt', message: 'The cake burnt.' } })
  t.equal(run.actions.Bake_a_cake_and_wait!.status, 'Succeeded', 'a callback cannot fail an action')
})

test('an Http trigger with splitOn starts a run for each item, and its actions see it (engine 3.14)', async (t) => {
  const engine = await createEngine(t, {
    'GET /orders': (_, reply, count) => count === 2 ? reply.send({ value: [{ flavour: 'lemon' }, { flavour: 'carrot' }] }) : reply.code(202).header('location', 'https://api.example/orders').send(),
    'POST /cakes': ({ body }) => body
  })
  const workflow = engine.workflow({
    triggers: { New_orders: { type: 'Http', inputs: { method: 'GET', uri: '/orders' }, recurrence: { frequency: 'Minute', interval: 3 }, splitOn: "@triggerBody()?['value']" } },
    actions: { Bake: { type: 'Http', inputs: { method: 'POST', uri: '/cakes', body: { order: '@triggerBody()', note: "For @{triggerBody()?['flavour']}" } }, runAfter: {} } }
  })
  await workflow.enable()
  await engine.advance('PT4M')
  await engine.until(Promise.all(workflow.runs.map(({ done }) => done)))
  t.same(workflow.runs.map(({ actions }) => actions.Bake!.outputs!.body), [{ order: { flavour: 'lemon' }, note: 'For lemon' }, { order: { flavour: 'carrot' }, note: 'For carrot' }])
  const ids = workflow.runs.map(({ actions }) => actions.Bake!.history[0]!.request.headers['x-ms-client-tracking-id'])
  t.equal(ids[0], ids[1])
  await workflow.disable()
  await engine.expectQuiet()
})

test('a connector\'s operations: action, webhook action and both triggers (engine 4)', async (t) => {
  const { engine, app } = await createPluginEngine(t, addBakery, { profile: 'custom-connector' })
  const workflow = engine.workflow({
    definition: {
      parameters: { $connections: { defaultValue: {}, type: 'Object' } },
      triggers: { On_order: { type: 'ApiConnectionWebhook', inputs: { host: connection, path: '/hooks', body: { callbackUrl: '@{listCallbackUrl()}' } } } },
      actions: {
        Bake: { type: 'ApiConnection', inputs: { host: connection, method: 'post', path: "/@{encodeURIComponent('cakes')}", body: { flavour: "@triggerBody()?['flavour']" } }, runAfter: {} },
        Call: { type: 'ApiConnectionWebhook', inputs: { host: connection, path: '/calls', body: { callbackUrl: '@{listCallbackUrl()}', flavour: 'carrot' } }, limit: { timeout: 'PT1H' }, runAfter: { Bake: ['Succeeded'] } }
      }
    },
    parameters: { $connections: { value: { cakes: { connectionId: '/subscriptions/x' } } } }
  })
  await workflow.enable()
  await engine.advance('PT2S')
  await publish(app, { flavour: 'lemon' })
  await engine.advance('PT2S')
  t.equal(workflow.runs.length, 1)
  const run = await engine.until(workflow.runs[0]!.done)
  t.match(run, { status: 'Succeeded', actions: { Bake: { outputs: { body: { cake: 'lemon' } } }, Call: { outputs: { body: { cake: 'carrot' } } } } })
  await workflow.disable()
  t.same(await app.logicApps.subscriptions.list(), [], 'the DELETE of the Location ended it')
  await engine.expectQuiet()
})

test('a polling trigger of a connector', async (t) => {
  const engine = await createEngine(t, { 'GET /orders': () => [{ id: 1 }, { id: 2 }] })
  const workflow = engine.workflow({ triggers: { Orders: { type: 'ApiConnection', inputs: { host: connection, method: 'get', path: '/orders', queries: { flavour: 'lemon' } }, recurrence: { frequency: 'Hour', interval: 1 }, splitOn: '@triggerBody()' } } })
  await workflow.enable()
  t.equal(workflow.runs.length, 2)
  t.equal(workflow.trigger!.exchanges[0]!.request.url, 'https://api.example/orders?flavour=lemon')
})

test('runAfter decides by status, and a failure that is handled is none', async (t) => {
  const engine = await createEngine(t, { 'POST /a': (_, reply) => reply.code(400).send({ error: { code: 'No' } }), 'POST /b': () => 'b' })
  const call = (uri: string, runAfter: object): object => ({ type: 'Http', inputs: { method: 'POST', uri }, runAfter })
  const handled = await engine.workflow({ actions: { A: call('/a', {}), B: call('/b', { A: ['Failed', 'TimedOut'] }), C: call('/b', { A: ['Succeeded'] }), D: call('/b', { C: ['Skipped'] }) } }).run()
  t.equal(handled.status, 'Succeeded')
  t.same(Object.fromEntries(Object.entries(handled.actions).map(([name, { status }]) => [name, status])), { A: 'Failed', B: 'Succeeded', C: 'Skipped', D: 'Succeeded' })
  const unhandled = await engine.workflow({ actions: { A: call('/a', {}), C: call('/b', { A: ['Succeeded'] }) } }).run()
  t.match(unhandled, { status: 'Failed', error: { code: 'BadRequest' } })
})

test('actions without an order run beside each other', async (t) => {
  const { engine } = await createPluginEngine(t, addBakery)
  const bake = (flavour: string): object => ({ type: 'Http', inputs: { method: 'POST', uri: '/cakes', body: { flavour } } })
  const began = engine.clock.now()
  const run = await engine.workflow({ actions: { A: bake('lemon'), B: bake('carrot') } }).run()
  t.equal(run.status, 'Succeeded')
  t.ok(engine.clock.now() - began < 20_000)
})

test('a condition takes its else branch, and a failure in it is its own', async (t) => {
  const engine = await createEngine(t, { 'POST /a': (_, reply) => reply.code(400).send() })
  const run = await engine.workflow({
    actions: {
      Which: {
        type: 'If',
        expression: "@equals(triggerBody()?['flavour'], 'lemon')",
        actions: { Lemon: { type: 'Http', inputs: { method: 'POST', uri: '/lemon' } } },
        else: { actions: { Other: { type: 'Http', inputs: { method: 'POST', uri: '/a' } } } }
      }
    }
  }).run({ flavour: 'carrot' })
  t.match(run, { status: 'Failed', actions: { Which: { status: 'Failed', code: 'ActionFailed' }, Other: { status: 'Failed' }, Lemon: { status: 'Skipped', code: 'ActionBranchingConditionNotSatisfied' } } })
})

test('Terminate ends all, and cancels what is under way', async (t) => {
  const { engine } = await createPluginEngine(t, addBakery)
  const run = await engine.workflow({
    actions: {
      Slow: bakeAndWait,
      Quick: { type: 'Http', inputs: { method: 'POST', uri: '/cakes', body: { flavour: 'lemon' } }, operationOptions: 'DisableAsyncPattern' },
      Enough: { type: 'Terminate', inputs: { runStatus: 'Cancelled' }, runAfter: { Quick: ['Succeeded'] } }
    }
  }).run({ flavour: 'lemon' })
  t.equal(run.status, 'Cancelled')
  await engine.expectQuiet({ after: 'PT1M', lateCallbacks: true })
})

test('a run can be cancelled', async (t) => {
  const { engine } = await createPluginEngine(t, addBakery)
  const run = engine.workflow({ actions: { Slow: bakeAndWait } }).start({ flavour: 'lemon' })
  await engine.advance('PT2S')
  t.equal(run.status, 'Running')
  await t.rejects(engine.expectQuiet(), /Slow is still running/)
  run.cancel()
  t.match(await engine.until(run.done), { status: 'Cancelled', actions: { Slow: { status: 'Cancelled' } } })
  await engine.expectQuiet({ after: 'PT1M' })
})

test('a Recurrence starts runs by the clock', async (t) => {
  const engine = await createEngine(t, { 'POST /tick': () => 'tock' })
  const workflow = engine.workflow({ triggers: { Each_hour: { type: 'Recurrence', recurrence: { frequency: 'Hour', interval: 1 } } }, actions: { Tick: { type: 'Http', inputs: { method: 'POST', uri: '/tick' } } } })
  await workflow.enable()
  await engine.advance('PT150M')
  t.equal(workflow.runs.length, 3)
  await t.rejects(engine.expectQuiet(), /Each_hour still recurs/)
  await workflow.disable()
  await engine.expectQuiet({ after: 'P1D' })
  t.equal(workflow.runs.length, 3)
})

test('an expression that fails is the failure of its action', async (t) => {
  const engine = await createEngine(t, { 'POST /a': () => '' })
  const run = await engine.workflow({ actions: { A: { type: 'Http', inputs: { method: 'POST', uri: '/a', body: "@body('B')" } }, B: { type: 'Http', inputs: { method: 'POST', uri: '/a' }, runAfter: { A: ['Succeeded'] } } } }).run()
  t.match(run, { status: 'Failed', actions: { A: { code: 'InvalidTemplate', error: { message: 'the action "B" has not run' } }, B: { status: 'Skipped' } } })
})

test('what is not played is refused by its name, before anything is sent (issue 7)', async (t) => {
  const engine = await createEngine(t, {})
  const http = { type: 'Http', inputs: { method: 'GET', uri: '/' } }
  for (const [json, message] of [
    [null, 'a workflow must be an object'], [{}, 'a workflow must have triggers or actions'], [{ steps: {} }, /a workflow has no "steps"/],
    [{ actions: { Each: { type: 'Foreach' } } }, /^actions\.Each: the type "Foreach" is not played here; there are Http, HttpWebhook, ApiConnection/],
    [{ triggers: { Bus: { type: 'ServiceProvider' } } }, /^triggers\.Bus: the type "ServiceProvider" is not played here/],
    [{ triggers: { A: http, B: http } }, 'one trigger is played here, not A and B'],
    [{ actions: { A: { inputs: {} } } }, 'actions.A: type is missing'],
    [{ actions: { A: { ...http, runAfter: { Z: ['Succeeded'] } } } }, 'actions.A: runAfter names "Z", which is no action beside it'],
    [{ actions: { A: { ...http, runAfter: { A: ['Done'] } } } }, /runAfter has "Done"/],
    [{ actions: { A: { ...http, runAfter: { B: ['Failed'] } }, B: { ...http, runAfter: { A: ['Failed'] } } } }, 'actions: A runs after B runs after A'],
    [{ actions: { A: { type: 'If', expression: true, actions: { B: { type: 'Http', inputs: { uri: "@{formatDateTime(utcNow(), 'o')}" } } } } } }, /^actions\.A\.actions\.B: the function formatDateTime\(\) is not played here; there are actions, and, base64/],
    [{ actions: { A: { type: 'If', actions: {} } } }, 'actions.A: expression is missing'],
    [{ actions: { A: { ...http, inputs: { uri: "@concat('a'" } } } }, /^actions\.A: the expression "concat\('a'" cannot be read at "its end"/]
  ] as const) t.throws(() => engine.workflow(json), { message })
  for (const [inputs, message] of [
    [{ path: '/' }, /A: inputs\.host\.connection is missing/], [{ host: connection }, /A: inputs\.path is missing/], [{ host: connection, path: '/', pathTemplate: {} }, /inputs\.pathTemplate is not played/]
  ] as const) await t.rejects(engine.workflow({ actions: { A: { type: 'ApiConnection', inputs } } }).run(), { message })
})
