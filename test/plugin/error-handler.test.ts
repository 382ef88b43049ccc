import { inspect } from 'node:util'
import type { FastifyReply } from 'fastify'
import { test } from 'tap'
import { createApp, pathOf, type TestApp } from '../helpers/app.ts'
import { addCakes, order, poll } from '../helpers/cakes.ts'

/** An error handler with a format of its own, as hosts have it. */
function useOwnFormat (app: TestApp['app']): void {
  app.setErrorHandler((error, _request, reply) => {
    const { statusCode = 500, message } = error as { statusCode?: number, message: string }
    return reply.code(statusCode).send({ problem: message })
  })
}

const refuse = async () => { throw Object.assign(new Error('who are you?'), { statusCode: 401 }) }

test('a hook\'s 401 goes to the host\'s error handler, in its format, on every generated route', async (t) => {
  const { app } = await createApp(t)
  let refusing = false
  useOwnFormat(app)
  app.addHook('onRequest', async () => { if (refusing) await refuse() })
  addCakes(app)
  const location = pathOf((await order(app)).headers.location)
  refusing = true
  for (const [method, url] of [['POST', '/cakes'], ['GET', location], ['GET', location.replace('/jobs/', '/operations/')], ['DELETE', location]] as const) {
    const refused = await app.inject({ method, url, ...(method === 'POST' ? { payload: { flavour: 'lemon' } } : {}) })
    t.equal(refused.statusCode, 401)
    t.same(refused.json(), { problem: 'who are you?' })
  }
})

test('without an error handler of the host, Fastify\'s own format is kept for what is not ours', async (t) => {
  const { app } = await createApp(t)
  addCakes(app, { preHandler: refuse })
  const refused = await order(app)
  t.equal(refused.statusCode, 401)
  t.same(refused.json(), { statusCode: 401, error: 'Unauthorized', message: 'who are you?' })
})

test('what is ours is answered in our form, whatever the host\'s error handler does', async (t) => {
  const { app } = await createApp(t, { maxQueued: 1, runners: false })
  useOwnFormat(app)
  addCakes(app)
  t.match((await order(app, {})).json(), { error: { code: 'InvalidRequest' } })
  t.match((await app.inject(`/cakes/jobs/${'A'.repeat(44)}`)).json(), { error: { code: 'JobNotFound' } })
  await order(app)
  t.match((await order(app)).json(), { error: { code: 'QueueFull' } })
})

test('an errorHandler given for the operation gets what is not ours, and the scope\'s handler what that throws', async (t) => {
  const { app } = await createApp(t)
  useOwnFormat(app)
  addCakes(app, { preHandler: refuse, errorHandler: (error: Error, _request: unknown, reply: FastifyReply) => reply.code(401).send({ own: error.message }) })
  addCakes(app, { schema: { operationId: 'Thrown' }, preHandler: refuse, errorHandler: () => { throw new Error('not mine') } }, '/thrown')
  addCakes(app, { schema: { operationId: 'Late' }, preHandler: refuse, errorHandler: async (_error: Error, _request: unknown, reply: FastifyReply) => { reply.code(401); return { late: true } } }, '/late')
  t.same((await order(app)).json(), { own: 'who are you?' })
  t.same((await app.inject({ method: 'POST', url: '/thrown', payload: { flavour: 'plum' } })).json(), { problem: 'not mine' })
  t.same((await app.inject({ method: 'POST', url: '/late', payload: { flavour: 'plum' } })).json(), { late: true })
  t.match((await order(app, {})).json(), { error: { code: 'InvalidRequest' } })
})

test('the nearest scope\'s error handler is used', async (t) => {
  const { app } = await createApp(t)
  useOwnFormat(app)
  await app.register(async (scope) => {
    scope.setErrorHandler((error, _request, reply) => reply.code(401).send({ inner: (error as Error).message }))
    addCakes(scope, { preHandler: refuse })
  })
  t.same((await order(app)).json(), { inner: 'who are you?' })
})

test('a hook that throws what is no Error refuses all the same, as on any route of Fastify', async (t) => {
  const { app } = await createApp(t)
  let thrown: unknown
  const preHandler = async () => { throw thrown }
  addCakes(app, { preHandler })
  app.post('/plain', { preHandler }, async () => '')
  app.register(async (scope) => {
    useOwnFormat(scope)
    addCakes(scope, { schema: { operationId: 'BakeInScope' }, preHandler }, '/scope')
  })
  for (thrown of [{ statusCode: 401, message: 'who are you?' }, { statusCode: 401 }, 'text', 7, {}, null, undefined]) {
    const expected = await app.inject({ method: 'POST', url: '/plain', payload: {} })
    t.ok(expected.statusCode >= 400)
    const refused = await order(app)
    t.same([refused.statusCode, refused.body], [expected.statusCode, expected.body], inspect(thrown))
  }
  thrown = { statusCode: 401, message: 'who are you?' }
  const refused = await app.inject({ method: 'POST', url: '/scope', payload: {} })
  t.same([refused.statusCode, refused.json()], [401, { problem: 'who are you?' }])
})

test('an Ajv with verbose writes no input to the log', async (t) => {
  const { app, logs } = await createApp(t, {}, { ajv: { customOptions: { verbose: true } } })
  addCakes(app)
  const refused = await order(app, { flavour: { secret: 'S3cret' } })
  t.match(refused.json(), { error: { code: 'InvalidRequest', details: [{ path: 'body/flavour', message: 'must be string' }] } })
  t.match(logs.find(({ err }) => err !== undefined), { err: { code: 'FST_ERR_VALIDATION', validation: [{ instancePath: '/flavour', keyword: 'type', params: { type: 'string' } }] } })
  t.notMatch(JSON.stringify(logs), /S3cret|parentSchema|"schema"/)
})

test('setSchemaErrorFormatter and attachValidation of the host keep their meaning, but no job starts from a body that does not fit', async (t) => {
  const { app } = await createApp(t)
  app.setSchemaErrorFormatter(() => new Error('in our own words'))
  let seen: string | undefined
  addCakes(app)
  addCakes(app, {
    schema: { operationId: 'Attached', body: { type: 'object', required: ['flavour'] } },
    attachValidation: true,
    preHandler: async (request: { validationError?: Error }) => { seen = request.validationError?.message }
  }, '/attached')
  t.match((await order(app, {})).json(), { error: { code: 'InvalidRequest', message: 'in our own words' } })
  t.equal((await app.inject({ method: 'POST', url: '/attached', payload: {} })).statusCode, 400)
  t.same(await app.logicApps.jobs.list(), [])
  t.equal(seen, 'in our own words')
})

test('no answer may be kept by anything between, errors and refusals included', async (t) => {
  const { app, clock } = await createApp(t, { maxQueued: 2 })
  app.addHook('onRequest', async ({ headers }) => { if (headers.refuse !== undefined) await refuse() })
  addCakes(app, { bodyLimit: 100 })
  const accepted = await order(app)
  await clock.advance(0)
  const location = pathOf(accepted.headers.location)
  const operation = location.replace('/jobs/', '/operations/')
  const headers = { refuse: 'yes' }
  const burnt = await order(app, { flavour: 'burnt', seconds: 0 })
  await clock.advance(0)
  const answers = [
    accepted, await poll(app, accepted), await poll(app, burnt),
    await order(app, {}), await order(app, { flavour: 'x'.repeat(200) }), await order(app, {}, headers),
    await app.inject({ method: 'POST', url: '/cakes', payload: '<a/>', headers: { 'content-type': 'application/xml' } }),
    await app.inject({ url: location, headers }), await app.inject({ method: 'HEAD', url: location }), await app.inject(operation), await app.inject({ url: operation, headers }),
    await app.inject(`/cakes/jobs/${'A'.repeat(44)}`), await app.inject(`/cakes/operations/${'A'.repeat(44)}`),
    await app.inject({ method: 'DELETE', url: location, headers }), await app.inject({ method: 'DELETE', url: location }), await poll(app, accepted),
    await app.inject({ method: 'DELETE', url: pathOf(burnt.headers.location) })
  ]
  t.same(answers.map(({ statusCode }) => statusCode), [202, 202, 409, 400, 413, 401, 415, 401, 202, 200, 401, 404, 404, 401, 204, 422, 409])
  for (const answer of answers) t.equal(answer.headers['cache-control'], 'no-store', String(answer.statusCode))
})
