/* What the document says of polling triggers (openapi 0.5, engine 3). */
import { Type } from 'typebox'
import { test, type Test } from 'tap'
import { buildApp } from '../../examples/bakery/app.ts'
import { describeFinding, type SwaggerDocument, type SwaggerOperation } from '../../src/connector/index.ts'
import { createApp, type GivenOptions } from '../helpers/app.ts'
import { documentOf, operationOf, parameterOf } from '../helpers/swagger.ts'
import { createTempDir } from '../helpers/temp-dir.ts'

const Order = Type.Object({ orderId: Type.String({ title: 'Order id' }) })
const internalState = { name: 'triggerState', in: 'query', type: 'string', 'x-ms-summary': 'Trigger state', 'x-ms-visibility': 'internal' }

/** The list that splitOn runs over, found as the designer finds it: the root, or the only property that is not internal. */
function splitOnOf ({ 'x-ms-trigger': kind, responses }: SwaggerOperation): string | undefined {
  const { schema } = responses!['200']!
  if (kind !== 'batch') return undefined
  if (schema!.type === 'array') return '@triggerBody()'
  const shown = Object.entries(schema!.properties!).filter(([, property]) => property['x-ms-visibility'] !== 'internal')
  const [name, property] = shown[0]!
  return shown.length === 1 && property.type === 'array' ? `@triggerBody()?['${name}']` : undefined
}

async function documentWith (t: Test, item: object | undefined, options: GivenOptions = {}): Promise<SwaggerDocument> {
  const { app } = await createApp(t, options)
  const topic = app.logicApps.topic('orders', item === undefined ? {} : { event: item })
  app.pollingTrigger('/all', { schema: { operationId: 'PollAll', summary: 'When orders come', description: 'Starts with each order.', response: { 200: Type.String() } }, topic })
  app.pollingTrigger('/next', { schema: { operationId: 'PollNext', summary: 'When an order comes', description: 'Starts with one order.' }, topic, mode: 'single' })
  return await documentOf(t, app)
}

test('the bakery\'s polling triggers: batch and single, so that splitOn resolves; the lint finds nothing', async (t) => {
  const app = await buildApp({ dataDir: createTempDir(t), baseUrl: 'https://cakes.contoso.com' })
  t.teardown(() => app.close())
  const document = await documentOf(t, app)
  const [all, next] = [operationOf(document, 'PollOrders'), operationOf(document, 'PollNextOrder')]
  t.equal(splitOnOf(all), '@triggerBody()?[\'value\']')
  t.equal(splitOnOf(next), undefined)
  t.equal(next['x-ms-trigger'], 'single')
  t.same(Object.keys(next.responses!['200']!.schema!.properties!), ['orderId', 'flavour'])
  t.match(parameterOf(document, 'PollOrders', 'flavour'), { in: 'query', 'x-ms-dynamic-values': { operationId: 'ListFlavours' } })
  for (const id of ['PollOrders', 'PollNextOrder']) {
    t.match(parameterOf(document, id, 'triggerState'), internalState)
    t.not(parameterOf(document, id, 'triggerState').required, true)
    t.equal(operationOf(document, id)['x-ms-visibility'], undefined, 'authors see it')
  }
  t.same(app.logicApps.connector.findings().map(describeFinding), [])
})

test('what is answered: the items on the 200 whatever the route says, a 202 with its headers', async (t) => {
  const document = await documentWith(t, Order)
  const item = { type: 'object', properties: { orderId: { type: 'string', title: 'Order id' } }, required: ['orderId'] }
  t.same(operationOf(document, 'PollAll').responses!['200']!.schema, { type: 'object', properties: { value: { type: 'array', items: item } }, required: ['value'] })
  t.same(operationOf(document, 'PollNext').responses!['200']!.schema, item)
  for (const id of ['PollAll', 'PollNext']) {
    const { 202: nothing } = operationOf(document, id).responses!
    t.same(Object.keys(nothing!.headers!), ['Location', 'Retry-After'])
    t.notOk('schema' in nothing!)
  }
})

test('events without a schema are objects', async (t) => {
  const document = await documentWith(t, undefined)
  t.same(operationOf(document, 'PollAll').responses!['200']!.schema!.properties!.value, { type: 'array', items: { type: 'object' } })
  t.same(operationOf(document, 'PollNext').responses!['200']!.schema, { type: 'object' })
})

test('a trigger over data of the host gives its items; the state is described where the host has compilers of its own, and stays its only one', async (t) => {
  const { app } = await createApp(t)
  app.setValidatorCompiler(() => () => true)
  app.pollingTrigger('/files', {
    schema: { operationId: 'WatchFiles', summary: 'When a file comes', description: 'Starts with each file.', querystring: Type.Object({ folder: Type.String({ title: 'Folder' }) }) },
    state: Type.Object({ time: Type.Integer() }),
    item: Type.Object({ name: Type.String({ title: 'Name' }) }),
    start: () => ({ time: 0 }),
    poll: ({ state }) => ({ items: [], state })
  })
  const document = await documentOf(t, app)
  t.same(operationOf(document, 'WatchFiles').parameters!.map(({ name }) => name), ['folder', 'triggerState'])
  t.match(parameterOf(document, 'WatchFiles', 'triggerState'), internalState)
  t.same(operationOf(document, 'WatchFiles').responses!['200']!.schema!.properties!.value!.items!.properties, { name: { type: 'string', title: 'Name' } })
})

test('the host\'s own converter is given schemas alone, never what is not there', async (t) => {
  const given: unknown[] = []
  await documentWith(t, undefined, { connector: { toJsonSchema: (schema) => { given.push(schema); return schema } } })
  t.ok(given.length > 0)
  t.notOk(given.includes(undefined))
})
