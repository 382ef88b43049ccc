/* The twelve rules that follow from the facts (openapi 0), held against the documents that are written here. */
import { Type } from 'typebox'
import { test, type Test } from 'tap'
import { buildApp } from '../../examples/bakery/app.ts'
import { describeFinding, dynamicSchema, type SwaggerDocument, type SwaggerOperation, type SwaggerSchema } from '../../src/connector/index.ts'
import { createApp } from '../helpers/app.ts'
import { bodySchemaOf, checkDocument, documentOf, itemOf, operationOf, parameterOf } from '../helpers/swagger.ts'
import { createTempDir } from '../helpers/temp-dir.ts'

async function bakeryOf (t: Test): Promise<SwaggerDocument> {
  const app = await buildApp({ dataDir: createTempDir(t), baseUrl: 'https://cakes.contoso.com' })
  t.teardown(() => app.close())
  await app.ready()
  t.same(app.logicApps.connector.findings().map(describeFinding), [], 'the lint finds nothing in the bakery')
  return app.logicApps.connector.swagger()
}

const operationsOf = (document: SwaggerDocument): SwaggerOperation[] => Object.values(document.paths).flatMap((item) => Object.entries(item).filter(([key]) => !key.startsWith('x-')).map(([, operation]) => operation as SwaggerOperation))

test('rule 1: Swagger 2.0, valid, and nothing newer (openapi 0.1)', async (t) => {
  const document = await bakeryOf(t)
  await checkDocument(t, document)
  t.equal(document.swagger, '2.0')
  t.notOk('openapi' in document || 'components' in document)
})

test('rule 2: each operation has a unique operationId, a summary and a description of its own; other routes are left out (openapi 0.2)', async (t) => {
  const document = await bakeryOf(t)
  const operations = operationsOf(document)
  const ids = operations.map(({ operationId }) => operationId)
  t.equal(new Set(ids).size, ids.length)
  for (const { operationId, summary, description } of operations) {
    t.match(operationId, /^[A-Z][A-Za-z0-9]*$/)
    t.ok(summary!.length <= 80 && !summary!.includes('/') && /\w$/.test(summary!), summary!)
    t.match(description, /\.$/)
    t.not(description, summary)
  }
  t.notOk('/orders' in document.paths, 'the shop\'s own route')
})

test('rule 3: what a webhook brings is on the path item; its DELETE has another path (openapi 0.3)', async (t) => {
  const document = await bakeryOf(t)
  for (const path of ['/hooks/orders', '/cakes/calls']) {
    t.match(itemOf(document, path)['x-ms-notification-content'], { schema: { type: 'object' } })
    t.same(Object.keys(itemOf(document, path)).filter((key) => !key.startsWith('x-')), ['post'])
    t.notOk('x-ms-notification-content' in itemOf(document, path).post!)
    t.equal(itemOf(document, `${path}/{token}`).delete!['x-ms-visibility'], 'internal')
  }
})

test('rule 4: the callback URL is a string, required, internal by itself (openapi 0.4)', async (t) => {
  const document = await bakeryOf(t)
  for (const id of ['OnOrderPlaced', 'BakeCakeAndCall']) {
    const body = bodySchemaOf(document, id)
    t.match(body.properties!.callbackUrl, { type: 'string', 'x-ms-notification-url': true, 'x-ms-visibility': 'internal' })
    t.ok(body.required!.includes('callbackUrl'))
    t.equal(body['x-ms-visibility'], undefined)
  }
})

test('rule 5: triggers say their kind, and actions do not (openapi 0.5)', async (t) => {
  const document = await bakeryOf(t)
  t.equal(operationOf(document, 'OnOrderPlaced')['x-ms-trigger'], 'single')
  t.equal(operationOf(document, 'PollNextOrder')['x-ms-trigger'], 'single')
  t.equal(operationOf(document, 'PollOrders')['x-ms-trigger'], 'batch')
  t.match(operationOf(document, 'PollOrders').responses!['200']!.schema, { properties: { value: { type: 'array' } } })
  t.same(Object.keys(operationOf(document, 'PollOrders').responses!['200']!.schema!.properties!), ['value'], 'the list is the only property, or splitOn is not set')
  for (const id of ['BakeCake', 'BakeCakeAndCall', 'ListFlavours']) t.notOk('x-ms-trigger' in operationOf(document, id))
})

test('rule 6: an async action has its result on the 200, and no other schema (openapi 0.6)', async (t) => {
  const document = await bakeryOf(t)
  const { responses } = operationOf(document, 'BakeCake')
  t.same(Object.keys(responses!), ['200', '202'])
  t.ok(responses!['200']!.schema!.properties!.cakeId)
  t.notOk(responses!['202']!.schema)
  // Without responses the designer throws, and a schema beside that of the 200 could be taken for the output.
  for (const { operationId, responses } of operationsOf(document)) {
    t.ok(Object.keys(responses!).length > 0, operationId!)
    t.ok(Object.values(responses!).filter(({ schema }) => schema !== undefined).length <= 1, operationId!)
  }
})

test('rule 7: labels are x-ms-summary of parameters and title of properties; no object has one by itself (openapi 0.7)', async (t) => {
  const { app } = await createApp(t)
  app.addSchema({ $id: 'Box', type: 'object', properties: { a: { type: 'string', title: 'A' } } })
  app.post('/x', { config: { logicApps: true }, schema: { operationId: 'X', querystring: Type.Object({ q: Type.String({ title: 'Query' }) }), body: Type.Ref('Box'), response: { 200: Type.Ref('Box') } } as object }, () => ({}))
  const document = await documentOf(t, app)
  const { title, 'x-ms-summary': summary } = parameterOf(document, 'X', 'q') as unknown as SwaggerSchema
  t.same([title, summary], [undefined, 'Query'])
  t.equal(document.definitions!.Box!.title, undefined)
  t.equal(document.definitions!.Box!.properties!.a!.title, 'A')
})

test('rule 8: dynamic values are there in both forms (openapi 0.8)', async (t) => {
  const { flavour } = bodySchemaOf(await bakeryOf(t), 'BakeCake').properties!
  t.match(flavour, { type: 'string', 'x-ms-dynamic-values': { operationId: 'ListFlavours' }, 'x-ms-dynamic-list': { operationId: 'ListFlavours' } })
  t.notOk('enum' in flavour!, 'and no list of fixed values beside them')

  const { app } = await createApp(t)
  app.get('/form', { config: { logicApps: true }, schema: { operationId: 'GetForm', response: { 200: Type.Object({ properties: Type.Object({}) }) } } }, () => ({ properties: {} }))
  app.post('/x', { config: { logicApps: true }, schema: { operationId: 'X', body: Type.Object({}, dynamicSchema({ operationId: 'GetForm', schema: 'properties' })) } }, () => ({}))
  t.match(bodySchemaOf(await documentOf(t, app), 'X'), { 'x-ms-dynamic-schema': { operationId: 'GetForm' }, 'x-ms-dynamic-properties': { operationId: 'GetForm' } })
})

test('rule 9: one type, and none of what is not read (openapi 0.9)', async (t) => {
  const { app } = await createApp(t)
  const body = Type.Object({ a: Type.Union([Type.String(), Type.Null()]), b: Type.Union([Type.Literal('x'), Type.Literal('y')]), c: Type.Unsafe({ type: ['integer', 'null'] }) })
  // In a query the designer would drop what has no type or several.
  const querystring = Type.Object({ d: Type.Optional(Type.Union([Type.String(), Type.Null()])), e: Type.Enum(['x', 'y']) })
  app.post('/x', { config: { logicApps: true }, schema: { operationId: 'X', body, querystring } }, () => ({}))
  const document = await documentOf(t, app)
  t.match(parameterOf(document, 'X', 'd'), { in: 'query', type: 'string' })
  t.match(parameterOf(document, 'X', 'e'), { in: 'query', type: 'string', enum: ['x', 'y'] })
  t.notMatch(JSON.stringify(document), /"(?:anyOf|oneOf|allOf|const|nullable)"/)
  t.same(bodySchemaOf(document, 'X').properties, { a: { type: 'string', 'x-nullable': true }, b: { type: 'string', enum: ['x', 'y'] }, c: { type: 'integer', 'x-nullable': true } })
})

test('rule 10: bodies are required; what labels and hides the whole is on the parameter (openapi 0.10)', async (t) => {
  const { app } = await createApp(t)
  app.post('/x', { config: { logicApps: true }, schema: { operationId: 'X', body: Type.Object({ a: Type.Optional(Type.String()) }, { description: 'All of it.', 'x-ms-summary': 'Order', 'x-ms-visibility': 'advanced' }) } }, () => ({}))
  t.same(parameterOf(await documentOf(t, app), 'X', 'body'), {
    name: 'body', in: 'body', required: true, description: 'All of it.', 'x-ms-summary': 'Order', 'x-ms-visibility': 'advanced', schema: { type: 'object', properties: { a: { type: 'string' } } }
  })
})

test('rule 11: path parameters are required and encoded once; parameters are never left out (openapi 0.11)', async (t) => {
  const document = await bakeryOf(t)
  for (const item of Object.values(document.paths)) t.notOk('parameters' in item)
  for (const { operationId, parameters } of operationsOf(document)) {
    t.ok(Array.isArray(parameters), operationId!)
    for (const parameter of parameters!.filter((one) => one.in === 'path')) t.match(parameter, { required: true, type: 'string', 'x-ms-url-encoding': 'single' })
  }
})

test('rule 12: one scheme (openapi 0.12)', async (t) => {
  t.same((await bakeryOf(t)).schemes, ['https'])
})
