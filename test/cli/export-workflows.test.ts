/* Every workflow of the bakery's bundle, played by the simulated engine against the bakery. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { bakeCake } from '../../examples/bakery/bake-cake.ts'
import { bakeCakeAndCall } from '../../examples/bakery/bake-cake-and-call.ts'
import { listFlavours } from '../../examples/bakery/list-flavours.ts'
import { orders } from '../../examples/bakery/orders.ts'
import type { LogicAppsEngine, WorkflowHandle } from '../../src/testing/index.ts'
import { createPluginEngine } from '../helpers/engine.ts'
import type { FastifyInstance } from 'fastify'

const folder = join(import.meta.dirname, '../../examples/bakery/connector/workflows')
const files = readdirSync(folder)

async function play (t: Test, file: string): Promise<{ engine: LogicAppsEngine, app: FastifyInstance, workflow: WorkflowHandle }> {
  const { engine, app } = await createPluginEngine(t, async (app) => {
    for (const plugin of [listFlavours, bakeCake, bakeCakeAndCall, orders]) await app.register(plugin as never)
  }, { baseUrl: 'https://cakes.contoso.com' }, { baseUrl: 'https://cakes.contoso.com' })
  return { engine, app, workflow: engine.workflow(JSON.parse(readFileSync(join(folder, file), 'utf8'))) }
}

test('there are two workflows for each operation', async (t) => {
  t.same(files.map((file) => file.replace('.json', '')).toSorted(), [
    'BakeCake.api-connection', 'BakeCake.http', 'BakeCakeAndCall.api-connection-webhook', 'BakeCakeAndCall.http-webhook', 'ListFlavours.api-connection', 'ListFlavours.http',
    'OnOrderPlaced.api-connection-webhook', 'OnOrderPlaced.http-webhook', 'PollNextOrder.api-connection', 'PollNextOrder.http', 'PollOrders.api-connection', 'PollOrders.http'
  ])
})

for (const file of files.filter((name) => name.startsWith('BakeCake'))) {
  test(`${file}: a cake is a success, a burnt one fails the run`, async (t) => {
    const { engine, workflow } = await play(t, file)
    const baked = await workflow.run({ flavour: 'lemon', seconds: 30 })
    t.equal(baked.status, 'Succeeded', JSON.stringify(baked.error))
    t.match(Object.values(baked.actions)[0], { status: 'Succeeded', outputs: { body: { flavour: 'lemon' } } })
    const usual = await workflow.run({ flavour: 'carrot' })
    t.equal(usual.status, 'Succeeded', 'what has a default need not be given')
    const burnt = await workflow.run({ flavour: 'burnt', seconds: 1 })
    // The status of a failed job fails an HTTP action by itself; a callback needs the condition (engine 1.11, 2.20).
    t.match(burnt, { status: 'Failed', error: file.includes('webhook') ? { code: 'CakeBurnt', message: 'The cake burnt. Order another flavour.' } : { code: String } })
    await engine.expectQuiet({ after: 'PT1H' })
  })
}

for (const file of files.filter((name) => name.startsWith('ListFlavours'))) {
  test(`${file}: the list is the output`, async (t) => {
    const { workflow } = await play(t, file)
    const run = await workflow.run()
    t.match(run, { status: 'Succeeded', actions: { List_flavours: { outputs: { body: [{ id: 'chocolate' }] } } } })
  })
}

for (const file of files.filter((name) => /^(OnOrder|Poll)/.test(name))) {
  test(`${file}: each order starts a run`, async (t) => {
    const { engine, app, workflow } = await play(t, file)
    await workflow.enable()
    for (const orderId of ['1', '2', '3']) await app.inject({ method: 'POST', url: '/orders', payload: { orderId, flavour: 'lemon' } })
    await engine.advance('PT5M')
    t.same(workflow.trigger!.runs.map(({ body }) => (body as { orderId: string }).orderId), ['1', '2', '3'])
    await workflow.disable()
    await app.inject({ method: 'POST', url: '/orders', payload: { orderId: '4', flavour: 'lemon' } })
    await engine.advance('PT5M')
    t.equal(workflow.trigger!.runs.length, 3, 'it is unsubscribed, and polls no more')
  })
}
