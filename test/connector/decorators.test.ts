/* What each decorator, and a plain route, says of itself. */
import { test, type Test } from 'tap'
import { Type } from 'typebox'
import { buildApp } from '../../examples/bakery/app.ts'
import { describeFinding, type SwaggerDocument, type SwaggerOperation } from '../../src/connector/index.ts'
import { createApp, type GivenOptions } from '../helpers/app.ts'
import { addCakes, bake, cakeSchema, orderSchema } from '../helpers/cakes.ts'
import { bodySchemaOf, checkDocument, documentOf, itemOf, operationOf, parameterOf } from '../helpers/swagger.ts'
import { createTempDir } from '../helpers/temp-dir.ts'

const order = { ...orderSchema, properties: { flavour: { type: 'string', title: 'Flavour' }, seconds: { type: 'number', title: 'Seconds' } } }

test('a plain route with config.logicApps is an operation; all other routes are left out (openapi 0.2)', async (t) => {
  const { app } = await createApp(t)
  app.get('/flavours/:shop', { config: { logicApps: true }, schema: { operationId: 'ListFlavours', summary: 'List flavours', response: { 200: { type: 'array', items: { type: 'string' } }, 404: { description: 'No such shop' } } } }, () => [])
  app.get('/other', { schema: { operationId: 'Other', response: { 200: { type: 'string' } } } }, () => '')
  app.get('/bare', () => '')
  const document = await documentOf(t, app)
  t.same(Object.keys(document.paths), ['/flavours/{shop}'])
  t.same(operationOf(document, 'ListFlavours'), {
    operationId: 'ListFlavours',
    summary: 'List flavours',
    parameters: [{ name: 'shop', in: 'path', required: true, type: 'string', 'x-ms-url-encoding': 'single' }],
    responses: { 200: { description: 'OK', schema: { type: 'array', items: { type: 'string' } } }, 404: { description: 'No such shop' } }
  })
})

test('asyncAction: outputs are the 200 of the result, the 202 has headers alone, follow-up calls are internal (openapi 0.6)', async (t) => {
  const { app } = await createApp(t)
  addCakes(app, { schema: { operationId: 'BakeCake', summary: 'Bake a cake', description: 'Bakes.', body: order } })
  const document = await documentOf(t, app)
  const start = operationOf(document, 'BakeCake')
  t.same(Object.keys(start.responses!), ['200', '202'])
  t.same(start.responses!['200']!.schema, cakeSchema)
  t.same(Object.keys(start.responses!['202']!.headers!), ['Location', 'Retry-After'])
  t.equal(start.responses!['202']!.schema, undefined)
  t.equal(start['x-ms-visibility'], undefined)
  t.equal(start['x-ms-trigger'], undefined)
  for (const id of ['BakeCakeStatus', 'BakeCakeOperation', 'BakeCakeCancel']) {
    const operation = operationOf(document, id)
    t.match(operation, { 'x-ms-visibility': 'internal', summary: /BakeCake/, description: /\.$/, parameters: [{ name: 'token', in: 'path', required: true }] }, id)
  }
  t.same(Object.keys(operationOf(document, 'BakeCakeStatus').responses!), ['200', '202'])
  t.same(Object.keys(operationOf(document, 'BakeCakeCancel').responses!), ['204'])
})

test('webhookTrigger: payload on the path item, callback URL in the body, hidden and required, DELETE on a path of its own (openapi 0.3, 0.4)', async (t) => {
  const { app } = await createApp(t)
  const topic = app.logicApps.topic('orders', { event: Type.Object({ orderId: Type.String({ title: 'Order' }) }, { description: 'An order.' }) })
  app.webhookTrigger('/hooks', { schema: { operationId: 'OnOrder', summary: 'When an order is placed', body: Type.Object({ flavour: Type.Optional(Type.String({ title: 'Flavour' })) }) }, topic })
  const document = await documentOf(t, app)
  const item = itemOf(document, '/hooks')
  t.same(item['x-ms-notification-content'], { description: 'An order.', schema: { type: 'object', properties: { orderId: { type: 'string', title: 'Order' } }, required: ['orderId'] } })
  t.equal(item.post!['x-ms-trigger'], 'single')
  t.notOk('x-ms-notification-content' in item.post!)
  const body = bodySchemaOf(document, 'OnOrder')
  t.match(body.properties!.callbackUrl, { type: 'string', 'x-ms-notification-url': true, 'x-ms-visibility': 'internal' })
  t.same(body.required, ['callbackUrl'])
  t.same(Object.keys(item.post!.responses!), ['201'])
  t.match(item.post!.responses!['201']!.headers, { Location: { type: 'string', 'x-ms-summary': 'Location' } })
  t.equal(itemOf(document, '/hooks/{token}').delete!['x-ms-visibility'], 'internal')
  t.equal(itemOf(document, '/hooks/unsubscribe').post!['x-ms-visibility'], 'internal')
  t.notOk(app.logicApps.connector.findings().some(({ severity }) => severity === 'error'))
})

test('webhookAction: no trigger, the result and the failure are what the callback brings (openapi 0.3, engine 2.20)', async (t) => {
  const { app } = await createApp(t)
  app.webhookAction('/calls', { schema: { operationId: 'BakeCakeAndCall', summary: 'Bake', body: order }, result: cakeSchema }, bake)
  const document = await documentOf(t, app)
  const item = itemOf(document, '/calls')
  t.equal(item.post!['x-ms-trigger'], undefined)
  t.match(item['x-ms-notification-content'], { schema: { properties: { flavour: { type: 'string' }, error: { properties: { code: { title: 'Error code' }, message: {} } } } } })
})

test('a property of another name, declared by the author, is the callback URL', async (t) => {
  const { app } = await createApp(t)
  app.webhookAction('/calls', {
    schema: { operationId: 'Call', body: { type: 'object', properties: { replyTo: { type: 'string', format: 'uri' } }, required: ['replyTo'] } }, callbackUrl: { name: 'replyTo' }
  }, () => ({}))
  const document = await documentOf(t, app)
  t.match(bodySchemaOf(document, 'Call').properties, { replyTo: { format: 'uri', 'x-ms-notification-url': true, 'x-ms-visibility': 'internal' } })
  t.match(itemOf(document, '/calls')['x-ms-notification-content'], { schema: { type: 'object', properties: { error: {} } } })
})

test('a callback URL elsewhere is for HTTP Webhook alone: the operation is hidden, and that is told (engine 4.2)', async (t) => {
  const { app } = await createApp(t)
  app.webhookAction('/by-body', { schema: { operationId: 'ByBody' }, callbackUrl: { in: 'body' } }, () => ({}))
  app.webhookAction('/by-header', { schema: { operationId: 'ByHeader' }, callbackUrl: { in: 'header', name: 'x-callback' } }, () => ({}))
  app.webhookAction('/by-query', { schema: { operationId: 'ByQuery' }, callbackUrl: { in: 'query' } }, () => ({}))
  const document = await documentOf(t, app)
  for (const id of ['ByBody', 'ByHeader', 'ByQuery']) {
    t.equal(operationOf(document, id)['x-ms-visibility'], 'internal')
    t.match(app.logicApps.connector.findings().find(({ operationId, rule }) => operationId === id && rule === 'conversion'), { severity: 'warning', message: /no connector puts it/ })
  }
  t.equal(parameterOf(document, 'ByHeader', 'x-callback').in, 'header')
})

test('operations of scopes have the prefix and the shared schemas of their scope', async (t) => {
  const { app } = await createApp(t)
  for (const shop of ['north', 'south']) {
    await app.register(async (scope) => {
      scope.addSchema({ $id: 'Cake', type: 'object', properties: { [shop]: { type: 'string', title: shop } } })
      scope.post('/cakes', { config: { logicApps: true }, schema: { operationId: `Bake${shop}`, body: { $ref: 'Cake#' }, response: { 200: { $ref: 'Cake#' } } } }, () => ({}))
    }, { prefix: `/${shop}` })
  }
  const document = await documentOf(t, app)
  t.same(Object.keys(document.paths), ['/north/cakes', '/south/cakes'])
  t.same(bodySchemaOf(document, 'Bakenorth'), { $ref: '#/definitions/Cake' })
  t.same(bodySchemaOf(document, 'Bakesouth'), { $ref: '#/definitions/Cake_2' })
  t.same(document.definitions, { Cake: { type: 'object', properties: { north: { type: 'string', title: 'north' } } }, Cake_2: { type: 'object', properties: { south: { type: 'string', title: 'south' } } } })
})

test('a route of several methods is an operation for each (openapi 4, method array)', async (t) => {
  const { app } = await createApp(t)
  app.route({ method: ['GET', 'HEAD', 'POST'], url: '/search', config: { logicApps: true }, schema: { operationId: 'Search', response: { 200: { type: 'string' } } }, handler: () => '' })
  const document = await documentOf(t, app)
  t.same(Object.keys(itemOf(document, '/search')), ['get', 'post'])
  t.equal(itemOf(document, '/search').post!.operationId, 'SearchPost')
})

test('"/" in a scope with a prefix is one operation', async (t) => {
  const { app } = await createApp(t)
  await app.register(async (scope) => { scope.asyncAction('/', { schema: { operationId: 'BakeCake', body: order }, result: cakeSchema }, bake) }, { prefix: '/cakes' })
  const document = await documentOf(t, app)
  t.same(Object.keys(document.paths), ['/cakes', '/cakes/jobs/{token}', '/cakes/operations/{token}'])
})

test('a plain route by hand can be a webhook: its content is moved to the path item (openapi 0.3)', async (t) => {
  const { app } = await createApp(t)
  app.post('/hooks', {
    config: { logicApps: true },
    schema: {
      operationId: 'OnThing',
      'x-ms-trigger': 'single',
      'x-ms-notification-content': { description: 'A thing', schema: Type.Object({ kind: Type.Union([Type.Literal('a'), Type.Literal('b')], { title: 'Kind' }) }) },
      body: Type.Object({ url: Type.String({ 'x-ms-notification-url': true, 'x-ms-visibility': 'internal' }) }),
      response: { 201: Type.Null() }
    } as object
  }, async (_request, reply) => reply.code(201).send())
  const document = await documentOf(t, app)
  t.same(itemOf(document, '/hooks')['x-ms-notification-content'], { description: 'A thing', schema: { type: 'object', properties: { kind: { type: 'string', enum: ['a', 'b'], title: 'Kind' } }, required: ['kind'] } })
  t.notOk('x-ms-notification-content' in itemOf(document, '/hooks').post!)
})

test('without operations there is an empty document', async (t) => {
  const { app, logs } = await createApp(t)
  await app.ready()
  const document = app.logicApps.connector.swagger()
  await checkDocument(t, document)
  t.same(document.paths, {})
  t.same(logs.filter(({ level }) => level >= 40), [])
})

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
