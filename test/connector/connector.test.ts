/* app.logicApps.connector and its route. */
import swagger from '@fastify/swagger'
import { Type } from 'typebox'
import type { FastifyInstance } from 'fastify'
import { test } from 'tap'
import { namesIn } from '../../src/connector/document/path.ts'
import { describeFinding, dynamicValues, type SwaggerSchema } from '../../src/connector/index.ts'
import { fastifyLogicApps } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createApp, createServer } from '../helpers/app.ts'
import { addCakes } from '../helpers/cakes.ts'
import { checkDocument, documentOf, operationOf, parameterOf } from '../helpers/swagger.ts'

const flavours = { config: { logicApps: true as const }, schema: { operationId: 'ListFlavours', summary: 'List flavours', description: 'Lists flavours.', response: { 200: { type: 'array', items: { type: 'string' } } } } }
const addFlavours = (app: FastifyInstance): FastifyInstance => app.get('/flavours', flavours, () => [])

test('the document is served for the designer in a browser: any origin, and its odd preflight (engine 10.1, 10.2)', async (t) => {
  const { app } = await createApp(t)
  addFlavours(app)
  const answer = await app.inject({ method: 'GET', url: '/connector/swagger.json', headers: { origin: 'https://portal.azure.com', 'access-control-allow-origin': '*' } })
  t.equal(answer.statusCode, 200)
  t.match(answer.headers, { 'access-control-allow-origin': '*', 'content-type': /^application\/json/ })
  t.same(answer.json(), app.logicApps.connector.swagger())
  const preflight = await app.inject({ method: 'OPTIONS', url: '/connector/swagger.json', headers: { origin: 'https://portal.azure.com', 'access-control-request-method': 'GET', 'access-control-request-headers': 'access-control-allow-origin' } })
  t.equal(preflight.statusCode, 204)
  t.match(preflight.headers, { 'access-control-allow-origin': '*', 'access-control-allow-methods': /GET/ })
  t.ok(String(preflight.headers['access-control-allow-headers']).toLowerCase().split(/,\s*/).includes('access-control-allow-origin'))
})

test('the route is told by its role, so that a hook of the host can let it pass', async (t) => {
  const { app } = await createApp(t)
  app.addHook('onRequest', async (request, reply) => {
    const marked = request.routeOptions.config.logicApps
    if (typeof marked === 'object' && marked.role === 'document') return
    return reply.code(401).send('no')
  })
  addFlavours(app)
  t.equal((await app.inject('/connector/swagger.json')).statusCode, 200)
  t.equal((await app.inject('/flavours')).statusCode, 401)
})

test('its path can be another, or none', async (t) => {
  const moved = await createApp(t, { connector: { path: '/api/connector.json' } })
  addFlavours(moved.app)
  t.equal((await moved.app.inject('/api/connector.json')).statusCode, 200)
  t.equal((await moved.app.inject('/connector/swagger.json')).statusCode, 404)
  const none = await createApp(t, { connector: { path: false } })
  addFlavours(none.app)
  t.equal((await none.app.inject('/connector/swagger.json')).statusCode, 404)
  t.ok(none.app.logicApps.connector.swagger().paths['/flavours'])
})

test('with connector: false there is none', async (t) => {
  const { app } = await createApp(t, { connector: false })
  app.get('/odd/*', { config: { logicApps: true }, schema: { operationId: 'Odd' } }, () => '')
  t.equal((await app.inject('/connector/swagger.json')).statusCode, 404)
  t.throws(() => app.logicApps.connector.swagger(), { code: 'FST_LOGIC_APPS_CONNECTOR_UNAVAILABLE', message: /connector: false/ })
})

test('it is made when the app gets ready, and whoever takes it may change it', async (t) => {
  const { app } = await createApp(t)
  addFlavours(app)
  t.throws(() => app.logicApps.connector.swagger(), { code: 'FST_LOGIC_APPS_CONNECTOR_UNAVAILABLE', message: /await app.ready/ })
  t.throws(() => app.logicApps.connector.findings(), { code: 'FST_LOGIC_APPS_CONNECTOR_UNAVAILABLE' })
  await app.ready()
  app.logicApps.connector.swagger().paths = {}
  t.same(Object.keys(app.logicApps.connector.swagger().paths), ['/flavours'])
})

test('a route whose config says no is not in it', async (t) => {
  const { app } = await createApp(t)
  addFlavours(app)
  for (const [index, logicApps] of [false, null, 0, 'no', undefined].entries()) {
    app.get(`/secret/${index}`, { config: { logicApps: logicApps as unknown as true }, schema: { ...flavours.schema, operationId: `Secret${index}` } }, () => [])
  }
  await app.ready()
  t.same(Object.keys(app.logicApps.connector.swagger().paths), ['/flavours'])
})

test('host, basePath and schemes are those of baseUrl (peers, pain 42)', async (t) => {
  const { app } = await createApp(t, { baseUrl: 'https://contoso.azure-api.net:8443/bakery/' })
  addFlavours(app)
  await app.ready()
  t.match(app.logicApps.connector.swagger(), { host: 'contoso.azure-api.net:8443', basePath: '/bakery', schemes: ['https'] })
  t.match(app.logicApps.connector.swagger({ baseUrl: 'https://other.example' }), { host: 'other.example', basePath: '/', schemes: ['https'] })
  t.same(Object.keys(app.logicApps.connector.swagger().paths), ['/flavours'])
})

test('without baseUrl they are those of the request, behind a trusted proxy as well; outside a request there is no host', async (t) => {
  const { app } = await createApp(t, { baseUrl: undefined }, { trustProxy: true })
  addFlavours(app)
  const direct = await app.inject({ url: '/connector/swagger.json', headers: { host: 'api.example:3000' } })
  t.match(direct.json(), { host: 'api.example:3000', basePath: '/', schemes: ['http'] })
  const proxied = await app.inject({ url: '/connector/swagger.json', headers: { 'x-forwarded-host': 'cakes.contoso.com', 'x-forwarded-proto': 'https', 'x-forwarded-prefix': '/shop' } })
  t.match(proxied.json(), { host: 'cakes.contoso.com', basePath: '/shop', schemes: ['https'] })
  t.notOk('host' in app.logicApps.connector.swagger())
  const byRole = await createApp(t, { baseUrl: (_request, role) => `https://${role}.example` })
  addFlavours(byRole.app)
  t.equal((await byRole.app.inject('/connector/swagger.json')).json<{ host: string }>().host, 'document.example')
})

for (const order of ['before', 'after']) {
  test(`the host's own @fastify/swagger, registered ${order} us, is as it was, and so is ours`, async (t) => {
    const alone = createServer().app
    t.teardown(() => alone.close())
    await alone.register(swagger, { openapi: {} })
    const shared = { $id: 'Cake', type: 'object', properties: { name: { type: ['string', 'null'] } } }
    const addAll = (app: FastifyInstance): void => {
      app.addSchema(shared)
      app.get('/flavours', {
        ...flavours,
        schema: { ...flavours.schema, tags: ['X-HIDDEN'], response: { 200: { $ref: 'Cake#' } } },
        config: { ...flavours.config, swaggerTransform: ({ schema, url }: { schema: object, url: string }) => ({ schema: { ...schema, summary: 'Theirs', tags: [] }, url: `/their${url}` }) },
        links: { 200: { next: { operationId: 'ListFlavours' } } }
      } as object, () => ({}))
      app.get('/other', { schema: { response: { 200: { $ref: 'Cake#' } } } }, () => ({}))
    }
    addAll(alone)
    await alone.ready()

    const { app } = createServer()
    t.teardown(() => app.close())
    if (order === 'before') await app.register(swagger, { openapi: {} })
    await app.register(fastifyLogicApps, { store: sqliteStore({ file: ':memory:' }), baseUrl: 'https://api.example' })
    if (order === 'after') await app.register(swagger, { openapi: {} })
    addAll(app)
    await app.ready()
    t.same(app.swagger(), alone.swagger())
    const document = app.logicApps.connector.swagger()
    await checkDocument(t, document)
    t.same(Object.keys(document.paths), ['/flavours'])
    t.equal(operationOf(document, 'ListFlavours').summary, 'List flavours')
    t.same(document.definitions, { Cake: { type: 'object', properties: { name: { type: 'string', 'x-nullable': true } } } })
  })
}

test('paths are written as Swagger has them: parameters in braces, under the names that Fastify gives them, without their patterns', async (t) => {
  const { app } = await createApp(t)
  const urls = {
    '/shops/:shop/cakes/:cake': '/shops/{shop}/cakes/{cake}',
    '/days/:day(^\\d{1,4}$)-:part.json': '/days/{day}-{part}.json',
    '/nested/:size(^(?:(?:7|b)(?::c)?|c\\))$)/end': '/nested/{size}/end',
    '/stars/:count(^\\d*$)': '/stars/{count}',
    '/either/:kind(^(?:7|b)$)': '/either/{kind}',
    // A name goes on up to one of ( - . /
    '/verb/:id::eat': '/verb/{id::eat}',
    '/pair/:a:b': '/pair/{a:b}',
    '/colons/:a:::b': '/colons/{a:::b}',
    '/dollar/:user$id': '/dollar/{user$id}',
    '/letters/:naïve': '/letters/{naïve}',
    '/at/:id@x': '/at/{id@x}',
    // Two colons are one outside of names.
    '/static::count': '/static:count',
    '/static/::count': '/static/:count',
    '/static:::count': '/static:{count}',
    '/pattern/:id(^\\d+$)::eat': '/pattern/{id}:eat',
    '/pattern/:id(^\\d+$):part': '/pattern/{id}{part}',
    '/part/:id-::eat.:kind': '/part/{id}-:eat.{kind}',
    '/part/:id-(x):kind': '/part/{id}-(x){kind}'
  }
  for (const [index, url] of Object.keys(urls).entries()) app.get(url, { config: { logicApps: true }, schema: { operationId: `Path${index}` } }, ({ params }) => params)
  const document = await documentOf(t, app)
  t.same(Object.keys(document.paths), Object.values(urls))
  for (const [index, path] of Object.values(urls).entries()) {
    const names = namesIn(path)
    t.same(operationOf(document, `Path${index}`).parameters!.map(({ name }) => name), names, path)
    // Called as the document says, Fastify finds the route, and has its parameters under those names.
    const answer = await app.inject(path.replace(/\{[^}]*\}/g, '7'))
    t.equal(answer.statusCode, 200, path)
    t.same(Object.keys(answer.json<object>()), names, path)
  }
})

test('what would break flows fails the boot with one error that lists all faults and their mends', async (t) => {
  const { app } = await createApp(t)
  app.get('/files/*', { config: { logicApps: true }, schema: { operationId: 'Wild' } }, () => '')
  app.get('/maybe/:part?', { config: { logicApps: true }, schema: { operationId: 'Maybe' } }, () => '')
  app.get('/files/:count(^\\d*$)/*', { config: { logicApps: true }, schema: { operationId: 'WildBehind' } }, () => '')
  app.get('/maybe/:count(^\\d?$)/:part?', { config: { logicApps: true }, schema: { operationId: 'MaybeBehind' } }, () => '')
  app.post('/big', { config: { logicApps: true }, schema: { operationId: 'Big', querystring: { type: 'object', properties: { connectionId: { type: 'string' } } } } }, () => '')
  app.post('/record', { config: { logicApps: true }, schema: { operationId: 'Record', querystring: { type: 'object', additionalProperties: { type: 'string' } }, headers: { type: 'array' } } }, () => '')
  app.post('/menu', { config: { logicApps: true }, schema: { operationId: 'Menu', body: Type.Object({ flavour: Type.String(dynamicValues({ operationId: 'Nobody', value: 'id' })) }) } }, () => '')
  app.get('/secret', { config: { logicApps: true }, schema: { operationId: 'Secret', security: [{ unknown: [] }] } as object }, () => '')
  app.get('/twice', { config: { logicApps: true }, constraints: { host: 'a.example' }, schema: { operationId: 'Twice' } }, () => '')
  app.get('/twice', { config: { logicApps: true }, constraints: { host: 'b.example' }, schema: { operationId: 'TwiceB' } }, () => '')
  app.get('/kinds/:kind(^a$)', { config: { logicApps: true }, schema: { operationId: 'KindA' } }, () => '')
  app.get('/kinds/:kind', { config: { logicApps: true }, schema: { operationId: 'KindB' } }, () => '')
  addCakes(app)
  app.get('/clash', { config: { logicApps: true }, schema: { operationId: 'BakeCakeStatus' } }, () => '')
  const error = await app.ready().then(() => undefined, (error: Error) => error)
  t.match(error, { code: 'FST_LOGIC_APPS_INVALID_CONNECTOR' })
  for (const line of [
    /Wild GET \/files\/\*: has a wildcard.*: name the parts.*\(conversion\)/,
    /Maybe GET .*optional parameter/,
    /WildBehind GET \/files\/:count.*has a wildcard/,
    /MaybeBehind GET \/maybe\/:count.*optional parameter/,
    /Big .*connectionId.*\(parameter-connection-id\)/,
    /Record querystring: takes parameters of any name/,
    /Record headers: is no object/,
    /Menu .*body.flavour: names "Nobody" in x-ms-dynamic-values/,
    /Menu .*body.flavour: names "Nobody" in x-ms-dynamic-list/,
    /Secret security: names "unknown"/,
    /TwiceB GET \/twice: is declared twice/,
    /KindB GET \/kinds\/:kind: is declared twice/,
    /BakeCakeStatus paths.\/clash.get: has the operationId of .*\(operation-id-duplicate\)/
  ]) t.match(error!.message, line)
})

test('lint: "warn" logs the faults and gets ready, "off" says nothing; what cannot be said is thrown by swagger()', async (t) => {
  for (const lint of ['warn', 'off'] as const) {
    const { app, logs } = await createApp(t, { connector: { lint } })
    addFlavours(app)
    app.post('/strange', { config: { logicApps: true }, schema: { operationId: 'Strange', response: { 200: Type.Object({ big: Type.BigInt() }) } } }, () => '')
    app.setSerializerCompiler(() => (value) => JSON.stringify(value))
    await app.ready()
    const said = logs.filter(({ level }) => level >= 40)
    t.same(said.map(({ level }) => level), lint === 'warn' ? [50, 40] : [])
    if (lint === 'warn') t.match(said[0], { faults: [/Strange response.200.big: has the type "bigint"/], msg: /would break flows/ })
    t.throws(() => app.logicApps.connector.swagger(), { code: 'FST_LOGIC_APPS_INVALID_CONNECTOR', message: /response.200.big/ })
    t.equal((await app.inject('/connector/swagger.json')).statusCode, 500)
    t.match(app.logicApps.connector.findings()[0], { severity: 'error', rule: 'conversion', operationId: 'Strange' })
  }
})

test('routes that share a schema have findings of their own', async (t) => {
  const { app } = await createApp(t, { connector: { lint: 'warn' } })
  const body = { type: 'object', properties: { small: { type: 'string' }, big: { type: 'bigint' }, list: { type: 'array' } } }
  const headers = { type: 'object', properties: { 'x-shop': { type: 'string' } } }
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => (value) => JSON.stringify(value))
  for (const name of ['One', 'Two']) {
    app.post(`/${name}`, { config: { logicApps: true }, schema: { operationId: name, body, headers, response: { 200: { ...body }, 404: body } } }, () => '')
    app.post(`/${name}/again`, { config: { logicApps: true }, schema: { operationId: `${name}Again`, body: headers, headers, response: { 200: headers } } }, () => '')
  }
  await app.ready()
  const found = app.logicApps.connector.findings().map(describeFinding)
  const expected = {
    '': [/ body.big: has the type "bigint"/, / response.200.big: has the type "bigint"/, /parameters.body.list: has no items/, /responses.200.list: has no items/],
    Again: [/parameters.x-shop: has no x-ms-summary/, /body.x-shop: has no title/]
  }
  for (const name of ['One', 'Two']) {
    for (const [end, lines] of Object.entries(expected)) {
      const ofOperation = found.filter((line) => line.startsWith(`${name}${end} `))
      for (const line of lines) t.equal(ofOperation.filter((one) => line.test(one)).length, 1, `${name}${end}: ${String(line)}`)
    }
  }
})

test('what routes share is shared by nothing in the document that is handed out', async (t) => {
  const { app } = await createApp(t)
  const querystring = { type: 'object', properties: { page: { type: 'integer', title: 'Page' } } }
  for (const name of ['One', 'Two']) app.get(`/${name}`, { config: { logicApps: true }, schema: { operationId: name, querystring } }, () => '')
  await app.ready()
  const document = app.logicApps.connector.swagger()
  const one = operationOf(document, 'One').parameters![0]!
  t.same(operationOf(document, 'Two').parameters, [one])
  one.name = 'changed'
  t.match(operationOf(document, 'Two').parameters, [{ name: 'page' }])
  t.match(operationOf(app.logicApps.connector.swagger(), 'One').parameters, [{ name: 'page' }])
})

test('warnings are one line of the log', async (t) => {
  const { app, logs } = await createApp(t)
  addCakes(app)
  await app.ready()
  const warnings = logs.filter(({ level }) => level === 40)
  t.equal(warnings.length, 1)
  t.match(warnings[0], { msg: /could be better/, warnings: [/BakeCake .*has no summary: set schema.summary/] })
})

test('options are checked, all faults at once', async (t) => {
  await t.rejects(createApp(t, { connector: { path: 'x', lint: 'loud', info: 4, nobody: 1, security: {}, securityDefinitions: { a: 4 }, tags: {}, toJsonSchema: 4 } as never }), {
    code: 'FST_LOGIC_APPS_INVALID_OPTIONS',
    message: /connector\.path .*connector\.lint .*connector\.nobody is not an option.*connector\.info .*connector\.securityDefinitions .*connector\.security .*connector\.tags .*connector\.toJsonSchema/
  })
  await t.rejects(createApp(t, { connector: 'yes' as never }), { message: /connector must be an object, or false/ })
})

test('an API key of the connection is no input, whatever the case of its header (openapi 4, apiKey header)', async (t) => {
  const { app } = await createApp(t, { connector: { securityDefinitions: { key: { type: 'apiKey', in: 'header', name: 'X-API-Key' } }, tags: [{ name: 'cakes' }], 'x-own': 1 } })
  app.get('/flavours', { ...flavours, schema: { ...flavours.schema, headers: { type: 'object', properties: { 'x-api-key': { type: 'string' }, 'x-other': { type: 'string' } } } } }, () => [])
  await app.ready()
  const document = app.logicApps.connector.swagger()
  await checkDocument(t, document)
  t.match(document, { securityDefinitions: { key: { name: 'X-API-Key' } }, security: [{ key: [] }], tags: [{ name: 'cakes' }], 'x-own': 1 })
  t.equal(parameterOf(document, 'ListFlavours', 'x-other').in, 'header')
  t.equal(operationOf(document, 'ListFlavours').parameters!.length, 1)
})

test('a schema has any name, those of every object as well', async (t) => {
  const { app } = await createApp(t)
  // Fastify's own compilers know no schema of such a name, those of a host may.
  app.setValidatorCompiler(() => () => true)
  for (const $id of ['constructor', '__proto__']) {
    app.post(`/${$id}`, { config: { logicApps: true }, schema: { operationId: `Make_${$id}`, body: { $id, type: 'object', properties: { name: { type: 'string' }, kid: { $ref: '#' } } } } }, () => '')
  }
  await documentOf(t, app)
  const { definitions } = (await app.inject('/connector/swagger.json')).json<{ definitions: Record<string, SwaggerSchema> }>()
  t.same(Object.keys(definitions), ['constructor', '__proto__'])
  for (const [name, definition] of Object.entries(definitions)) t.same(definition.properties, { name: { type: 'string' }, kid: { $ref: `#/definitions/${name}` } })
})

test('schemas of another kind are made JSON Schema by toJsonSchema, or fail the boot', async (t) => {
  const foreign = { isForeign: true, check: () => true }
  const addForeign = (app: FastifyInstance): void => {
    app.setValidatorCompiler(() => () => true)
    app.setSerializerCompiler(() => (value) => JSON.stringify(value))
    app.asyncAction('/cakes', { schema: { operationId: 'BakeCake', body: foreign }, result: foreign }, () => ({}))
  }
  const failing = await createApp(t)
  addForeign(failing.app)
  await t.rejects(Promise.resolve(failing.app.ready()), { code: 'FST_LOGIC_APPS_INVALID_CONNECTOR', message: /BakeCake body: is a schema of another kind.*toJsonSchema/ })
  const { app } = await createApp(t, { connector: { toJsonSchema: (schema) => (schema as { isForeign?: true } | undefined)?.isForeign ? { type: 'object', properties: { name: { type: 'string' } } } : schema } })
  addForeign(app)
  await app.ready()
  const document = app.logicApps.connector.swagger()
  t.same(parameterOf(document, 'BakeCake', 'body').schema, { type: 'object', properties: { name: { type: 'string' } } })
  t.same(operationOf(document, 'BakeCake').responses!['200']!.schema, { type: 'object', properties: { name: { type: 'string' } } })
})
