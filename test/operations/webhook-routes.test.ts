import type { FastifyRequest } from 'fastify'
import { test } from 'tap'
import type { MonitorHooks, OperationConfig } from '../../src/index.ts'
import { createApp, pathOf } from '../helpers/app.ts'
import { evasiveUrls, foreignUrls, harmlessUrls, engineUrls } from '../helpers/callback-urls.ts'
import { actionUrl, addCalls, addHooks, createWebhookApp, errorOf, post, subscribeCall, subscribeHook, triggerUrl, unsubscribe } from '../helpers/webhooks.ts'

const bearer = { authorization: 'Bearer good' }

test('generated routes say what they are for', async (t) => {
  const { app } = await createApp(t)
  const routes: Record<string, OperationConfig> = {}
  app.addHook('onRoute', ({ method, url, config }) => { routes[`${String(method)} ${url}`] = config?.logicApps as OperationConfig })
  addCalls(app)
  addHooks(app)
  await app.ready()
  t.same(routes, {
    'POST /calls': { operationId: 'BakeCakeAndCall', role: 'subscribe' },
    'DELETE /calls/:token': { operationId: 'BakeCakeAndCall', role: 'unsubscribe' },
    'POST /calls/unsubscribe': { operationId: 'BakeCakeAndCall', role: 'unsubscribe' },
    'POST /hooks': { operationId: 'OnOrder', role: 'subscribe' },
    'DELETE /hooks/:token': { operationId: 'OnOrder', role: 'unsubscribe' },
    'POST /hooks/unsubscribe': { operationId: 'OnOrder', role: 'unsubscribe' }
  })
})

test('route hooks apply to the subscribe route alone, monitorHooks to the unsubscribe routes, scope hooks to all', async (t) => {
  const seen: string[] = []
  const note = (name: string) => async (request: FastifyRequest) => { seen.push(`${name} ${request.method} ${request.routeOptions.url}`) }
  const { app, receiver } = await createWebhookApp(t, { monitorHooks: { preHandler: note('plugin') } as MonitorHooks })
  app.addHook('onRequest', note('scope'))
  addHooks(app, { onRequest: note('route') })
  addCalls(app, { preValidation: note('route'), monitorHooks: { onRequest: note('own') } })
  const hook = await subscribeHook(app, triggerUrl(receiver))
  const call = await subscribeCall(app, actionUrl(receiver))
  await unsubscribe(app, hook)
  await post(app, '/hooks/unsubscribe', {})
  await unsubscribe(app, call)
  await post(app, '/calls/unsubscribe', {})
  t.same(seen, [
    'scope POST /hooks', 'route POST /hooks',
    'scope POST /calls', 'route POST /calls',
    'scope DELETE /hooks/:token', 'plugin DELETE /hooks/:token',
    'scope POST /hooks/unsubscribe', 'plugin POST /hooks/unsubscribe',
    'scope DELETE /calls/:token', 'own DELETE /calls/:token',
    'scope POST /calls/unsubscribe', 'own POST /calls/unsubscribe'
  ])
})

test('with an auth hook of the scope the DELETE passes by its token, the rest by the caller\'s auth (rule 13)', async (t) => {
  const { app, receiver } = await createWebhookApp(t)
  app.addHook('onRequest', async (request) => {
    if (!app.logicApps.isCapability(request) && request.headers.authorization !== bearer.authorization) throw Object.assign(new Error('who are you?'), { statusCode: 401 })
  })
  addHooks(app)
  addCalls(app)
  t.equal((await subscribeHook(app, triggerUrl(receiver))).statusCode, 401)
  t.equal((await subscribeCall(app, actionUrl(receiver))).statusCode, 401)
  for (const headers of [{}, bearer, { authorization: 'Bearer expired' }]) {
    for (const subscribed of [await subscribeHook(app, triggerUrl(receiver), bearer), await subscribeCall(app, actionUrl(receiver), bearer)]) {
      t.equal(subscribed.statusCode, 201)
      t.equal((await unsubscribe(app, subscribed, headers)).statusCode, 200)
      const path = pathOf(subscribed.headers.location)
      const forged = path.slice(0, -1) + (path.endsWith('A') ? 'B' : 'A')
      t.equal((await app.inject({ method: 'DELETE', url: forged })).statusCode, 401, 'a forged one does not')
    }
  }
  t.same(await app.logicApps.subscriptions.list(), [])
  t.equal((await post(app, '/hooks/unsubscribe', { callbackUrl: triggerUrl(receiver) })).statusCode, 401)
  t.equal((await post(app, '/hooks/unsubscribe', { callbackUrl: triggerUrl(receiver) }, bearer)).statusCode, 200)
})

test('baseUrl is asked for the role "unsubscribe"', async (t) => {
  const roles: string[] = []
  const { app, receiver } = await createWebhookApp(t, {
    baseUrl (_request: FastifyRequest, role: string) {
      roles.push(role)
      return 'https://gateway.example/cakes/'
    }
  })
  addHooks(app)
  addCalls(app)
  t.match((await subscribeHook(app, triggerUrl(receiver))).headers.location, /^https:\/\/gateway\.example\/cakes\/hooks\/[\w-]{44}$/)
  t.match((await subscribeCall(app, actionUrl(receiver))).headers.location, /^https:\/\/gateway\.example\/cakes\/calls\/[\w-]{44}$/)
  t.same(roles, ['unsubscribe', 'unsubscribe'])
})

test('an address nobody can reach leaves nothing behind', async (t) => {
  const { app, receiver } = await createWebhookApp(t, { baseUrl: () => 'nonsense' })
  addHooks(app)
  addCalls(app)
  t.equal((await subscribeHook(app, triggerUrl(receiver))).statusCode, 500)
  t.equal((await subscribeCall(app, actionUrl(receiver))).statusCode, 500)
  t.same(await app.logicApps.subscriptions.list(), [])
  t.same(await app.logicApps.jobs.list(), [])
})

test('the engine\'s URLs are taken by default; of every evasive spelling none is, and none is a 5xx', async (t) => {
  for (const callbacks of [{}, { allowedHosts: ['*'], allowHttp: true }]) {
    const { app } = await createApp(t, { runners: false, callbacks })
    addCalls(app, { bodyLimit: 1_000_000 })
    addHooks(app, { callbackUrl: { in: 'body' } })
    for (const text of Object.values(evasiveUrls).flat()) {
      for (const refused of [await subscribeCall(app, text), await post(app, '/hooks', JSON.stringify(text), { 'content-type': 'application/json' }), await post(app, '/hooks', text, { 'content-type': 'text/plain; charset=utf-8' })]) {
        t.equal(refused.statusCode, 400, text.slice(0, 100).replace(/[^ -~]/g, '?'))
        t.match(errorOf(refused).code, /^(InvalidCallbackUrl|CallbackUrlNotAllowed)$/)
      }
      t.equal((await post(app, '/hooks/unsubscribe', { callbackUrl: text })).statusCode, 200)
    }
    t.same(await app.logicApps.subscriptions.list(), [])
    for (const url of Object.values(engineUrls)) t.equal((await subscribeCall(app, url)).statusCode, 201, url)
    for (const { url } of Object.values(harmlessUrls)) t.equal((await subscribeCall(app, url)).statusCode, 201, url)
    for (const url of Object.values(foreignUrls).flat()) t.equal((await subscribeCall(app, url)).statusCode, 'allowHttp' in callbacks ? 201 : 400, url)
  }
})

test('a refusal is in our form, and tells nothing of the URL but its host', async (t) => {
  const { app, logs } = await createApp(t)
  addCalls(app)
  const planted = '/planted-path?sig=planted-signature'
  const ask = async (callbackUrl: unknown): Promise<unknown> => (await post(app, '/calls', { callbackUrl, flavour: 'lemon' } as object)).json()
  t.same(await ask(`https://evil.example${planted}`), { error: { code: 'CallbackUrlNotAllowed', message: 'callbacks may not go to evil.example: its host is not on the list of allowed hosts' } })
  t.same(await ask(`http://prod-01.westeurope.logic.azure.com${planted}`), { error: { code: 'InvalidCallbackUrl', message: 'the callback URL must be an https URL' } })
  t.same(await ask(`https://user:planted@a.example${planted}`), { error: { code: 'InvalidCallbackUrl', message: 'the callback URL must be an absolute https URL without user name and fragment' } })
  for (const callbackUrl of [{ a: `https://a.example${planted}` }, [`https://a.example${planted}`, `https://a.example${planted}`], `https://a.example${planted}${'x'.repeat(5000)}`, `https://a.example${planted}\n`, true]) await ask(callbackUrl)
  const malformed = `{"callbackUrl":"https://a.example${planted}",`
  const answers = [await post(app, '/calls', malformed, { 'content-type': 'application/json' }), await post(app, '/calls', `https://a.example${planted}`, { 'content-type': 'application/json' }), await post(app, '/calls', `https://a.example${planted}`), await subscribeCall(app, `https://a.example${planted}`, {}, { flavour: '' })]
  for (const answer of answers) {
    t.ok([400, 415].includes(answer.statusCode))
    t.match(errorOf(answer).code, /^(InvalidJson|UnsupportedMediaType|InvalidRequest)$/)
    t.notMatch(answer.body, 'planted')
  }
  t.notMatch(JSON.stringify(logs), 'planted')
})

test('subscriptions: listed by operation, owner and status, page by page, removed and resumed by id', async (t) => {
  const { app, receiver } = await createWebhookApp(t, { owner: ({ headers }) => String(headers['x-tenant'] ?? 'north') })
  addHooks(app)
  addCalls(app)
  const { subscriptions } = app.logicApps
  const ids: string[] = []
  for (const workflow of ['w1', 'w2', 'w3']) ids.unshift((await subscribeHook(app, triggerUrl(receiver, workflow), workflow === 'w2' ? { 'x-tenant': 'south' } : {})).json<{ id: string }>().id)
  await subscribeCall(app, actionUrl(receiver))
  const list = async (filter?: Parameters<typeof subscriptions.list>[0]): Promise<string[]> => (await subscriptions.list(filter)).map(({ id }) => id)
  const all = await list()
  t.same(all.slice(1), ids)
  t.same(await list({ operationId: 'OnOrder' }), ids)
  t.same(await list({ operationId: 'BakeCakeAndCall' }), [all[0]])
  t.same(await list({ owner: 'south' }), [ids[1]])
  t.same(await list({ status: 'suspended' }), [])
  t.same(await list({ limit: 2 }), all.slice(0, 2))
  t.same(await list({ limit: 2, before: all[1]! }), all.slice(2))
  t.same(await list({ before: all[3]! }), [])
  await subscriptions.resume(ids[0]!)
  await subscriptions.remove(ids[0]!)
  t.same(await list(), [all[0], ids[1], ids[2]])
  const missing = { code: 'FST_LOGIC_APPS_SUBSCRIPTION_NOT_FOUND', statusCode: 404 }
  for (const id of [ids[0]!, '', 'x', 'A'.repeat(22), (await app.logicApps.jobs.list())[0]!.id]) {
    await t.rejects(subscriptions.remove(id), missing)
    await t.rejects(subscriptions.resume(id), missing)
  }
  await t.rejects(list({ before: 'x' }), missing)
})
