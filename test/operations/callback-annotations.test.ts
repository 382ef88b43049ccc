import type { FastifyInstance, FastifySchemaCompiler, RouteOptions } from 'fastify'
import { test, type Test } from 'tap'
import { Ajv, annotated, buildStrictValidator, createUnregistered, type UnregisteredApp } from '../helpers/annotations.ts'
import { createApp } from '../helpers/app.ts'
import { addCalls, addHooks, post } from '../helpers/webhooks.ts'

const callbackUrl = 'https://a.example/runs/1?sig=s'
const annotations = { 'x-ms-notification-url': true, 'x-ms-visibility': 'internal' }

/** The schemas of subscribe routes, as hooks of the host and documents see them. */
function subscribeSchemas (app: FastifyInstance): Record<string, { body?: { properties: Record<string, object> } }> {
  const schemas: Record<string, object> = {}
  app.addHook('onRoute', ({ url, config, schema }) => {
    if ((config?.logicApps as { role: string }).role === 'subscribe') schemas[url] = schema as object
  })
  return schemas
}

/** With the callback URL both webhooks subscribe; without it both refuse. */
async function assertSubscribes (t: Test, app: FastifyInstance, what: string, body: object = { flavour: 'lemon' }): Promise<void> {
  for (const url of ['/calls', '/hooks']) {
    t.equal((await post(app, url, { ...body, callbackUrl })).statusCode, 201, `${what}: ${url}`)
    t.equal((await post(app, url, body)).json<{ error: { code: string } }>().error.code, 'InvalidRequest', `${what}: ${url} without`)
  }
}

test('the callback property that is added says to the designer what it is (openapi 0.3, 0.4)', async (t) => {
  const { app } = await createApp(t, { callbacks: { allowedHosts: ['a.example'] } })
  const schemas = subscribeSchemas(app)
  addCalls(app)
  addHooks(app)
  for (const url of ['/calls', '/hooks']) {
    t.same(schemas[url]?.body?.properties.callbackUrl, { type: 'string', title: 'Callback URL', description: 'Where the answer is sent by POST.', ...annotations })
  }
  addCalls(app, { schema: { operationId: 'Named' }, callbackUrl: { name: 'replyTo' } }, '/named')
  t.match(schemas['/named']?.body?.properties.replyTo, annotations)
  await assertSubscribes(t, app, 'Fastify\'s own compiler')
})

test('a callback property that the author wrote is left as it is', async (t) => {
  const { app } = await createApp(t)
  const schemas = subscribeSchemas(app)
  const own = { type: 'string', maxLength: 5, 'x-ms-summary': 'Mine', 'x-ms-visibility': 'advanced' }
  addCalls(app, { schema: { operationId: 'Own', body: { type: 'object', properties: { callbackUrl: own } } } })
  t.same(schemas['/calls']?.body?.properties.callbackUrl, own)
  t.match((await post(app, '/calls', { callbackUrl })).json(), { error: { code: 'InvalidRequest', message: /5 characters/ } })
})

test('a header, a query parameter and a whole body have no annotations: a connector knows none of these forms', async (t) => {
  const { app } = await createApp(t)
  const schemas = subscribeSchemas(app)
  for (const place of ['header', 'query', 'body'] as const) addCalls(app, { schema: { operationId: place }, callbackUrl: { in: place } }, `/${place}`)
  t.equal(Object.keys(schemas).length, 3)
  t.notMatch(JSON.stringify(schemas), 'x-ms-')
})

test('no validator has to know them: webhooks work with compilers of the host\'s own that are strict', async (t) => {
  const compiler: FastifySchemaCompiler<unknown> = ({ schema }) => new Ajv().compile(schema)
  const compilersFactory = { buildValidator: buildStrictValidator as never }
  const addWebhooks = (scope: FastifyInstance, options: object = {}): void => { addHooks(addCalls(scope, options), options) }
  const ways: Record<string, (given: UnregisteredApp) => Promise<unknown>> = {
    async 'a compiler set before' ({ app, register }) {
      app.setValidatorCompiler(compiler)
      await register()
      addWebhooks(app)
    },
    async 'a compiler set after' ({ app, register }) {
      await register()
      addWebhooks(app)
      app.setValidatorCompiler(compiler)
    },
    async 'a compiler of a scope' ({ app, register }) {
      await register()
      await app.register(async (scope) => {
        scope.setValidatorCompiler(compiler)
        addWebhooks(scope)
      })
    },
    async 'a compiler of the route' ({ app, register }) {
      await register()
      addWebhooks(app, { validatorCompiler: compiler })
    },
    async 'a builder set before' ({ app, register }) {
      app.setSchemaController({ compilersFactory })
      await register()
      addWebhooks(app)
    },
    async 'a builder set after' ({ app, register }) {
      await register()
      addWebhooks(app)
      app.setSchemaController({ compilersFactory })
    },
    async 'a builder of a scope with schemas' ({ app, register }) {
      await register()
      await app.register(async (scope) => {
        scope.setSchemaController({ compilersFactory })
        addWebhooks(scope)
        scope.addSchema({ $id: 'flavour', type: 'string' })
      })
    }
  }
  for (const [what, way] of Object.entries(ways)) {
    const given = createUnregistered(t)
    await way(given)
    await assertSubscribes(t, given.app, what)
  }
  const given = createUnregistered(t, { schemaController: { compilersFactory } })
  await given.register()
  addWebhooks(given.app)
  await assertSubscribes(t, given.app, 'a builder as an option of Fastify')
})

test('a compiler of the route is asked for all parts, as they are but for our annotations', async (t) => {
  const { app } = await createApp(t)
  const asked: unknown[] = []
  const querystring = { type: 'object', 'x-ms-summary': 'Query' }
  addHooks(app, {
    schema: { operationId: 'OnOrder', querystring, body: { type: 'object', properties: { flavour: annotated } } },
    validatorCompiler (part: unknown) {
      asked.push(part)
      return () => true
    }
  })
  await app.ready()
  const route = { method: 'POST', url: '/hooks' }
  const callback = { type: 'string', title: 'Callback URL', description: 'Where the answer is sent by POST.' }
  t.strictSame(asked, [
    { ...route, httpPart: 'body', schema: { type: 'object', properties: { callbackUrl: callback, flavour: annotated }, required: ['callbackUrl'] } },
    { ...route, httpPart: 'querystring', schema: querystring }
  ])
})

test('headers are still read whatever the case of their names in the schema', async (t) => {
  const { app } = await createApp(t, { callbacks: { allowedHosts: ['a.example'] } })
  const headers = { type: 'object', properties: { 'X-Oven': { type: 'integer', 'x-ms-summary': 'Oven' } }, required: ['X-Oven'] }
  addCalls(app, { schema: { operationId: 'Headers', headers } })
  t.equal((await post(app, '/calls', { callbackUrl }, { 'x-oven': '7' })).statusCode, 201)
  for (const oven of [{}, { 'x-oven': 'hot' }]) t.equal((await post(app, '/calls', { callbackUrl }, oven as Record<string, string>)).statusCode, 400)
})

test('what a hook of the host makes of the schema holds, and shared schemas and coercion too', async (t) => {
  const { app } = await createApp(t, { callbacks: { allowedHosts: ['a.example'] } })
  app.addHook('onRoute', ({ schema, config }: RouteOptions) => {
    if ((config?.logicApps as { role: string }).role !== 'subscribe') return
    const { properties, required } = schema!.body as { properties: Record<string, object>, required: string[] }
    properties.tenant = { type: 'string' }
    required.push('tenant')
  })
  await app.register(async (scope) => {
    scope.addSchema({ $id: 'flavour', minLength: 1, ...annotated })
    addCalls(scope, {
      schema: { operationId: 'Shared', body: { $id: 'call', type: 'object', properties: { flavour: { $ref: 'flavour#' }, layers: { type: 'integer' } } } }
    })
  })
  const subscribe = async (body: object): Promise<number> => (await post(app, '/calls', { callbackUrl, tenant: 'north', ...body })).statusCode
  t.equal(await subscribe({ flavour: 'lemon', layers: '2' }), 201)
  t.same((await app.logicApps.jobs.list()).length, 1)
  for (const body of [{ flavour: '' }, { layers: 'many' }, { tenant: undefined }, { callbackUrl: undefined }]) t.equal(await subscribe(body), 400)
})
