import type { FastifyRequest } from 'fastify'
import { test } from 'tap'
import { createApp, pathOf, type TestApp } from '../helpers/app.ts'
import { addCakes, order } from '../helpers/cakes.ts'

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
