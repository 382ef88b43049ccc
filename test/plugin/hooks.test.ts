import type { FastifyRequest } from 'fastify'
import { test } from 'tap'
import { createApp, pathOf, type TestApp } from '../helpers/app.ts'
import { addCakes, bake, cancel, order, orderSchema, poll, readOperation } from '../helpers/cakes.ts'

/** A hook that notes what it saw. */
function createRecorder () {
  const seen: string[] = []
  return {
    seen,
    as: (name: string) => async ({ routeOptions: { config } }: FastifyRequest) => {
      const marked = config.logicApps
      seen.push(`${name} ${typeof marked === 'object' ? marked.role : String(marked)}`)
    }
  }
}

/** Start, poll, read, cancel. */
async function visitAll (app: Parameters<typeof order>[0]): Promise<void> {
  const accepted = await order(app)
  await poll(app, accepted)
  await readOperation(app, accepted)
  await cancel(app, accepted)
}

test('hooks of the route run for the start alone', async (t) => {
  const { app } = await createApp(t)
  const { seen, as } = createRecorder()
  addCakes(app, { onRequest: as('onRequest'), preValidation: [as('preValidation')], preHandler: as('preHandler'), onSend: as('onSend'), onResponse: as('onResponse') })
  await visitAll(app)
  t.same(seen, ['onRequest', 'preValidation', 'preHandler', 'onSend', 'onResponse'].map((name) => `${name} start`))
})

test('hooks of the scope run everywhere, also those added after the operation', async (t) => {
  const { app } = await createApp(t)
  const { seen, as } = createRecorder()
  app.addHook('onRequest', as('before'))
  addCakes(app)
  app.addHook('onRequest', as('after'))
  await visitAll(app)
  t.same(seen, ['start', 'status', 'operation', 'cancel'].flatMap((role) => [`before ${role}`, `after ${role}`]))
})

test('hooks of another scope do not run', async (t) => {
  const { app } = await createApp(t)
  const { seen, as } = createRecorder()
  await app.register(async (scope) => { scope.addHook('onRequest', as('other')) })
  addCakes(app)
  await visitAll(app)
  t.same(seen, [])
})

test('monitorHooks of the plugin run for all but the starts', async (t) => {
  const { seen, as } = createRecorder()
  const { app } = await createApp(t, { monitorHooks: { onRequest: as('onRequest'), preHandler: [as('one'), as('two')], onSend: as('onSend') } })
  addCakes(app)
  await visitAll(app)
  t.same(seen, ['status', 'operation', 'cancel'].flatMap((role) => ['onRequest', 'one', 'two', 'onSend'].map((name) => `${name} ${role}`)))
})

test('monitorHooks of an operation stand for the plugin\'s', async (t) => {
  const { seen, as } = createRecorder()
  const { app } = await createApp(t, { monitorHooks: { onRequest: as('plugin') } })
  addCakes(app, { monitorHooks: { onRequest: as('operation') } })
  app.asyncAction('/teas', { schema: { operationId: 'MakeTea' } }, () => {})
  await visitAll(app)
  t.same(seen, ['operation status', 'operation operation', 'operation cancel'])
  seen.length = 0
  await poll(app, await app.inject({ method: 'POST', url: '/teas' }))
  t.same(seen, ['plugin status'])
})

test('a monitor hook can refuse, and the scope\'s hooks come before it', async (t) => {
  const { seen, as } = createRecorder()
  const { app } = await createApp(t, { monitorHooks: { onRequest: async (_request, reply) => await reply.code(403).send({ no: true }) } })
  app.addHook('onRequest', as('scope'))
  addCakes(app)
  const accepted = await order(app)
  for (const answer of [await poll(app, accepted), await readOperation(app, accepted), await cancel(app, accepted)]) {
    t.equal(answer.statusCode, 403)
    t.same(answer.json(), { no: true })
  }
  t.equal(seen.length, 4)
  t.equal((await app.logicApps.jobs.list({ status: 'canceled' })).length, 0)
})

test('every generated route says in config.logicApps what it is for, beside the host\'s own config', async (t) => {
  const { app } = await createApp(t)
  const routes: unknown[] = []
  app.addHook('onRoute', ({ method, url, config }) => {
    if (method !== 'HEAD') routes.push([method, url, config?.logicApps, (config as { mine?: string }).mine])
  })
  addCakes(app, { config: { mine: 'x' } })
  app.get('/plain', { schema: { operationId: 'Plain' }, config: { logicApps: true } }, async () => '')
  const marked = (role: string) => ({ operationId: 'BakeCake', role })
  t.same(routes, [
    ['POST', '/cakes', marked('start'), 'x'],
    ['GET', '/cakes/jobs/:token', marked('status'), undefined],
    ['GET', '/cakes/operations/:token', marked('operation'), undefined],
    ['DELETE', '/cakes/jobs/:token', marked('cancel'), undefined],
    ['GET', '/plain', true, undefined]
  ])
})

test('a preValidation hook can change the body, and the handler gets what it made', async (t) => {
  const { app, clock } = await createApp(t)
  let seen: unknown
  app.asyncAction('/cakes', {
    schema: { operationId: 'BakeCake', body: orderSchema },
    preValidation: async (request) => { request.body = { flavour: 'plum' } }
  }, async (job) => {
    seen = job.input
    return await bake(job)
  })
  await order(app, {})
  await clock.advance(0)
  t.same(seen, { flavour: 'plum' })
})

test('decorators and hooks of a child scope are its own', async (t) => {
  const { app } = await createApp(t)
  const { seen, as } = createRecorder()
  await app.register(async (scope) => {
    scope.addHook('onRequest', as('inside'))
    addCakes(scope)
  })
  app.asyncAction('/teas', { schema: { operationId: 'MakeTea' } }, () => {})
  await visitAll(app)
  await app.inject({ method: 'POST', url: '/teas' })
  t.same(seen, ['start', 'status', 'operation', 'cancel'].map((role) => `inside ${role}`))
})

const bearer = { authorization: 'Bearer good' }

/** As a host writes it: a bearer token, or an error that its error handler answers. */
async function requireBearer ({ headers }: FastifyRequest): Promise<void> {
  if (headers.authorization !== bearer.authorization) throw Object.assign(new Error('who are you?'), { statusCode: 401 })
}

/** The statuses that a start and its follow-up calls get, with this authorization or none. */
async function visit (app: TestApp['app'], startHeaders: Record<string, string>, headers: Record<string, string>): Promise<number[]> {
  const accepted = await order(app, { flavour: 'lemon' }, startHeaders)
  if (accepted.statusCode !== 202) return [accepted.statusCode]
  const ask = async (method: 'GET' | 'DELETE', location: unknown) => (await app.inject({ method, url: pathOf(location), headers })).statusCode
  return [202, await ask('GET', accepted.headers.location), await ask('GET', accepted.headers['operation-location']), await ask('DELETE', accepted.headers.location)]
}

const allFine = [202, 202, 200, 204]

test('bearer auth as a hook of the scope: with isCapability, polls pass with it (Logic Apps) and without (Power Automate) (engine 1.22)', async (t) => {
  const { app } = await createApp(t)
  app.addHook('onRequest', async (request) => {
    if (!app.logicApps.isCapability(request)) await requireBearer(request)
  })
  addCakes(app)
  t.same(await visit(app, {}, {}), [401])
  t.same(await visit(app, { authorization: 'Bearer bad' }, {}), [401])
  t.same(await visit(app, bearer, bearer), allFine)
  t.same(await visit(app, bearer, {}), allFine)
  t.same(await visit(app, bearer, { authorization: 'Bearer expired since' }), allFine)
})

test('bearer auth as a hook of the route: the token in the URL is the key to the rest', async (t) => {
  const { app } = await createApp(t)
  addCakes(app, { onRequest: requireBearer })
  t.same(await visit(app, {}, {}), [401])
  t.same(await visit(app, bearer, {}), allFine)
  t.same(await visit(app, bearer, bearer), allFine)
})

test('bearer auth on everything, for callers that send it again with each poll', async (t) => {
  const { app } = await createApp(t)
  app.addHook('onRequest', requireBearer)
  addCakes(app)
  t.same(await visit(app, bearer, bearer), allFine)
  t.same(await visit(app, bearer, {}), [202, 401, 401, 401])
})

test('isCapability says no to all that is no generated route with a genuine token', async (t) => {
  const { app } = await createApp(t)
  const seen: [string, boolean][] = []
  app.addHook('onRequest', async (request) => { seen.push([`${request.method} ${request.url}`, app.logicApps.isCapability(request)]) })
  addCakes(app)
  app.get('/plain/:token', { schema: { operationId: 'Plain' }, config: { logicApps: true } }, async () => '')
  app.get('/other/:token', async () => '')
  app.get('/null/:token', { config: { logicApps: null as never } }, async () => '')
  const accepted = await order(app)
  const path = pathOf(accepted.headers.location)
  const token = path.split('/').at(-1)!
  const forged = token.slice(0, -1) + (token.endsWith('A') ? 'B' : 'A')
  seen.length = 0
  const no = [`/cakes/jobs/${forged}`, '/cakes/jobs/x', `/cakes/operations/${forged}`, `/plain/${token}`, `/other/${token}`, `/null/${token}`, '/nowhere', `/nowhere/${token}`, `${path}/more`]
  const yes = [path, path.replace('/jobs/', '/operations/')]
  for (const url of [...no, ...yes]) await app.inject(url)
  await app.inject({ method: 'HEAD', url: path })
  await app.inject({ method: 'POST', url: '/cakes' })
  await app.inject({ method: 'POST', url: path })
  await app.inject({ method: 'DELETE', url: path })
  t.same(seen, [
    ...no.map((url) => [`GET ${url}`, false]),
    ...yes.map((url) => [`GET ${url}`, true]),
    [`HEAD ${path}`, true],
    ['POST /cakes', false],
    [`POST ${path}`, false],
    [`DELETE ${path}`, true]
  ])
})

test('a forged token without auth is a 401, with auth a 404: nobody learns anything by guessing', async (t) => {
  const { app } = await createApp(t)
  app.addHook('onRequest', async (request) => {
    if (!app.logicApps.isCapability(request)) await requireBearer(request)
  })
  addCakes(app)
  const url = `/cakes/jobs/${'A'.repeat(44)}`
  t.equal((await app.inject(url)).statusCode, 401)
  t.equal((await app.inject({ url, headers: bearer })).statusCode, 404)
})

test('isCapability in a later hook, and in a hook of the monitor routes', async (t) => {
  const seen: boolean[] = []
  const { app } = await createApp(t, { monitorHooks: { preHandler: async (request) => { seen.push(request.server.logicApps.isCapability(request)) } } })
  app.addHook('preHandler', async (request) => { seen.push(app.logicApps.isCapability(request)) })
  addCakes(app)
  const accepted = await order(app)
  await app.inject(pathOf(accepted.headers.location))
  t.same(seen, [false, true, true])
})
