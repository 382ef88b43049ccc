import { test } from 'tap'
import { createApp } from '../helpers/app.ts'
import { addCakes } from '../helpers/cakes.ts'

const route = { schema: { operationId: 'ListFlavours' }, config: { logicApps: true as const } }

test('an ordinary route with config.logicApps answers as it always did', async (t) => {
  const { app } = await createApp(t)
  app.get('/flavours', route, async () => [{ id: 'lemon' }])
  app.get('/other', async () => 'not of the connector')
  const answer = await app.inject('/flavours')
  t.equal(answer.statusCode, 200)
  t.same(answer.json(), [{ id: 'lemon' }])
  t.equal((await app.inject('/other')).body, 'not of the connector')
})

test('it must have an operationId', async (t) => {
  for (const schema of [undefined, {}, { operationId: '' }, { operationId: 7 }]) {
    const { app } = await createApp(t)
    t.throws(() => app.get('/flavours', { config: { logicApps: true }, schema } as object, async () => []),
      { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: /^GET \/flavours has config.logicApps: schema.operationId is missing/ })
  }
})

test('an operationId is used once in the app, whatever kinds of operation use it', async (t) => {
  const { app } = await createApp(t)
  app.get('/flavours', route, async () => [])
  const message = (other: string) => `operationId "ListFlavours" is used by GET /flavours and by ${other}: give each operation its own`
  t.throws(() => app.post('/flavours', route, async () => []), { code: 'FST_LOGIC_APPS_DUPLICATE_OPERATION', message: message('POST /flavours') })
  t.throws(() => addCakes(app, { schema: { operationId: 'ListFlavours' } }), { code: 'FST_LOGIC_APPS_DUPLICATE_OPERATION', message: message('POST /cakes') })
  await t.rejects(Promise.resolve(app.register(async (scope) => { scope.get('/x', route, async () => []) }, { prefix: '/v1' })),
    { code: 'FST_LOGIC_APPS_DUPLICATE_OPERATION', message: message('GET /v1/x') })
})

test('the HEAD route that Fastify makes beside a GET is no second operation, and answers', async (t) => {
  const { app } = await createApp(t, {}, { exposeHeadRoutes: true })
  app.get('/flavours', route, async () => [{ id: 'lemon' }])
  const answer = await app.inject({ method: 'HEAD', url: '/flavours' })
  t.equal(answer.statusCode, 200)
  t.equal(answer.body, '')
  t.equal(answer.headers['content-length'], '16')
})

test('its refusals have the same form as those of the other operations', async (t) => {
  const { app } = await createApp(t)
  app.post('/orders', {
    schema: { operationId: 'PlaceOrder', body: { type: 'object', properties: { id: { type: 'integer' } }, required: ['id'] } },
    config: { logicApps: true },
    bodyLimit: 100
  }, async () => 'placed')
  const post = async (payload: string, contentType = 'application/json') => {
    const { statusCode, body } = await app.inject({ method: 'POST', url: '/orders', payload, headers: { 'content-type': contentType } })
    return [statusCode, (JSON.parse(body) as { error: { code: string } }).error.code]
  }
  t.same(await post('{}'), [400, 'InvalidRequest'])
  t.same(await post('{'), [400, 'InvalidJson'])
  t.same(await post('<a/>', 'application/xml'), [415, 'UnsupportedMediaType'])
  t.same(await post(JSON.stringify({ id: 'x'.repeat(100) })), [413, 'BodyTooLarge'])
})

test('errors of its own go to its errorHandler, or to that of its scope', async (t) => {
  const { app } = await createApp(t)
  const handler = async () => { throw Object.assign(new Error('no flavours'), { statusCode: 418 }) }
  app.setErrorHandler((error, _request, reply) => reply.code(418).send({ scope: (error as Error).message }))
  app.get('/scope', { ...route, schema: { operationId: 'Scope' } }, handler)
  app.get('/own', { ...route, schema: { operationId: 'Own' }, errorHandler: (error, _request, reply) => reply.send({ own: error.message }) }, handler)
  app.post('/refused', {
    ...route,
    schema: { operationId: 'Refused', body: { type: 'object' } },
    errorHandler: (error, _request, reply) => reply.send({ own: error.message })
  }, handler)
  t.same((await app.inject('/scope')).json(), { scope: 'no flavours' })
  t.same((await app.inject('/own')).json(), { own: 'no flavours' })
  t.match((await app.inject({ method: 'POST', url: '/refused', payload: [] })).json(), { error: { code: 'InvalidRequest' } })
})

test('routes without config.logicApps keep Fastify\'s form, also in the plugin\'s scope', async (t) => {
  const { app } = await createApp(t)
  app.post('/orders', { schema: { body: { type: 'object' } } }, async () => 'placed')
  t.match((await app.inject({ method: 'POST', url: '/orders', payload: [] })).json(), { statusCode: 400, code: 'FST_ERR_VALIDATION' })
})
