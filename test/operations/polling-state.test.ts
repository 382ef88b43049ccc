import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { test } from 'tap'
import { Type } from 'typebox'
import { createApp, pathOf } from '../helpers/app.ts'
import { addNumbers, addOrders, briefOf, createPoller } from '../helpers/polling.ts'
import { errorOf, publish } from '../helpers/webhooks.ts'

const [oldSecret, newSecret] = ['an old secret of more than thirty-two bytes', 'a new secret of more than thirty-two bytes']

test('a changed state is a 400, logged with the remedy', async (t) => {
  const { app, logs } = await createApp(t)
  addOrders(app)
  const poller = createPoller(app, '/orders')
  await poller.poll()
  const { url } = poller
  for (const changed of [`${url}A`, url.slice(0, -1), url.replace('triggerState=A', 'triggerState=B'), `${url}&triggerState=x`, `${url}&${url.split('?')[1]}`, '/orders?triggerState=1', '/orders?triggerState=%00', '/orders?triggerState=2026-01-01T00:00:00Z']) {
    const refused = await app.inject(changed)
    t.equal(refused.statusCode, 400, changed)
    t.equal(errorOf(refused).code, 'InvalidTriggerState')
    t.match(errorOf(refused).message, /poll the URL without it to begin anew/)
    t.equal(refused.headers.location, undefined)
  }
  t.match(logs.filter(({ level, warnings }) => level === 40 && warnings === undefined), Array(8).fill({ operationId: 'PollOrders', fault: String, msg: /save the workflow again, so that it begins anew\. After a change of `secret`/ }))
  t.equal((await app.inject(url)).statusCode, 202)
})

test('a state of another trigger, of other path parameters or of another secret is foreign', async (t) => {
  const { app } = await createApp(t, { secret: newSecret })
  addOrders(app)
  addOrders(app, { schema: { operationId: 'Other' } }, '/others')
  addOrders(app, { schema: { operationId: 'OfShop', params: Type.Object({ shop: Type.Integer() }) } }, '/shops/:shop/orders')
  const stateOf = async (path: string): Promise<string> => pathOf((await app.inject(path)).headers.location).split('?')[1]!
  const status = async (path: string, state: string): Promise<number> => (await app.inject(`${path}?${state}`)).statusCode
  const own = await stateOf('/orders')
  t.equal(await status('/orders', own), 202)
  t.equal(await status('/others', own), 400)
  t.equal(await status('/shops/7/orders', own), 400)
  const ofShop = await stateOf('/shops/7/orders')
  t.equal(await status('/shops/7/orders', ofShop), 202)
  t.equal(await status('/shops/8/orders', ofShop), 400)
  const elsewhere = await createApp(t, { secret: oldSecret })
  addOrders(elsewhere.app)
  t.equal((await elsewhere.app.inject(`/orders?${own}`)).statusCode, 400)
})

test('a trigger that is mounted elsewhere takes its states along', async (t) => {
  const before = await createApp(t, { secret: newSecret })
  addOrders(before.app, {}, '/v1/orders')
  const state = pathOf((await before.app.inject('/v1/orders')).headers.location).split('?')[1]!
  const { app } = await createApp(t, { secret: newSecret })
  addOrders(app, {}, '/v2/orders')
  t.equal((await app.inject(`/v2/orders?${state}`)).statusCode, 202)
})

test('keys rotate: states of the old one are taken, and answered with states of the new one', async (t) => {
  const open = async (secret: string | string[]): Promise<Awaited<ReturnType<typeof createApp>>> => {
    const parts = await createApp(t, { secret })
    addNumbers(parts.app, [1, 2, 3])
    return parts
  }
  const { app } = await open(oldSecret)
  const url = pathOf((await app.inject('/numbers')).headers.location)
  const rotated = await open([newSecret, oldSecret])
  const next = await rotated.app.inject(url)
  t.equal(next.statusCode, 202)
  t.equal((await rotated.app.inject(pathOf(next.headers.location))).statusCode, 202)
  const done = await open(newSecret)
  t.equal((await done.app.inject(pathOf(next.headers.location))).statusCode, 202)
  t.equal((await done.app.inject(url)).statusCode, 400)
})

test('an empty triggerState is none: a template with nothing to put in', async (t) => {
  const { app } = await createApp(t)
  addOrders(app, { startFrom: 'beginning' })
  await publish(app, { n: 1 })
  for (const url of ['/orders?triggerState=', '/orders?triggerState']) t.same(briefOf(await app.inject(url)), [202, '15'])
})

test('the other query parameters survive in Location, as they were written', async (t) => {
  const { app } = await createApp(t)
  const queries: unknown[] = []
  addOrders(app, {
    schema: { operationId: 'PollOrders', querystring: Type.Object({ shop: Type.Optional(Type.Array(Type.Integer())), q: Type.Optional(Type.String()) }) },
    matches (_event: unknown, query: unknown) { queries.push(query); return true }
  })
  const poller = createPoller(app, '/orders?shop=7&q=a%26b+%22c%22&shop=8&code=k%3D%3D')
  await poller.poll()
  t.match(poller.url, /^\/orders\?shop=7&q=a%26b\+%22c%22&shop=8&code=k%3D%3D&triggerState=[\w-]+$/)
  await publish(app, { n: 1 })
  t.same(briefOf(await poller.poll()), [200, undefined, [{ n: 1 }]])
  t.match(poller.url, /^\/orders\?shop=7&q=a%26b\+%22c%22&shop=8&code=k%3D%3D&triggerState=[\w-]+$/)
  t.match(queries, [{ shop: [7, 8], q: 'a&b "c"', code: 'k==' }])
  t.notOk(Object.hasOwn(queries[0] as object, 'triggerState'), 'the state is no part of the query')
})

test('a query that its schema refuses is a 400, with and without a state', async (t) => {
  const { app } = await createApp(t)
  addOrders(app, { schema: { operationId: 'PollOrders', querystring: Type.Object({ shop: Type.Integer() }, { additionalProperties: false }) } })
  const poller = createPoller(app, '/orders?shop=7')
  t.equal((await poller.poll()).statusCode, 202)
  t.equal((await poller.poll()).statusCode, 202, 'the state is none of its business')
  for (const url of ['/orders', '/orders?shop=x', poller.url.replace('shop=7', 'shop=x')]) {
    const refused = await app.inject(url)
    t.equal(refused.statusCode, 400)
    t.equal(errorOf(refused).code, 'InvalidRequest')
  }
})

test('a query schema is left as it is where it is none that a parameter can be added to', async (t) => {
  const { app } = await createApp(t)
  app.addSchema({ $id: 'query', type: 'object', properties: { shop: { type: 'integer' } }, required: ['shop'], additionalProperties: false })
  addOrders(app, { schema: { operationId: 'PollOrders', querystring: { $ref: 'query#' } } })
  const poller = createPoller(app, '/orders?shop=7')
  await poller.poll()
  t.equal((await poller.poll()).statusCode, 202)
})

test('where the host set its own compilers, its schemas are its own', async (t) => {
  const { app } = await createApp(t, { connector: { toJsonSchema: (schema) => 'own' in (schema as object) ? { type: 'object' } : schema } })
  const seen: [{ own?: string }, unknown][] = []
  await app.register(async (scope) => {
    scope.setValidatorCompiler(({ schema }) => (value) => {
      seen.push([schema as { own?: string }, value])
      return { value }
    })
    scope.setSerializerCompiler(() => (value) => JSON.stringify(value))
    addNumbers(scope, [1, 2], { schema: { operationId: 'PollNumbers', querystring: { own: 'query' } }, state: { own: 'state' }, item: { own: 'item' }, start: () => 0 })
  })
  const poller = createPoller(app, '/numbers?a=1')
  await poller.poll()
  t.same(briefOf(await poller.poll()), [200, undefined, [{ n: 1 }, { n: 2 }]])
  t.same(seen.filter(([schema]) => schema.own === 'query'), Array(2).fill([{ own: 'query' }, { a: '1' }]))
  t.same(seen.filter(([schema]) => schema.own === 'item'), [[{ own: 'item' }, { n: 1 }], [{ own: 'item' }, { n: 2 }]])
})

test('Location has the base URL, prefix and path that the caller used', async (t) => {
  const roles: string[] = []
  const { app } = await createApp(t, {
    baseUrl (_request, role) {
      roles.push(role)
      return 'https://gateway.example/bakery'
    }
  })
  await app.register(async (scope) => {
    addOrders(scope)
    addOrders(scope, { schema: { operationId: 'Slash' } }, '/slash/')
    addOrders(scope, { schema: { operationId: 'Root' } }, '/')
  }, { prefix: '/v1' })
  for (const [url, location] of [
    ['/v1/orders', 'https://gateway.example/bakery/v1/orders?triggerState='],
    ['/v1/slash/', 'https://gateway.example/bakery/v1/slash/?triggerState='],
    ['/v1/', 'https://gateway.example/bakery/v1/?triggerState=']
  ] as const) {
    const first = await app.inject(url)
    t.ok(String(first.headers.location).startsWith(location), String(first.headers.location))
    const next = await app.inject(pathOf(first.headers.location).replace('/bakery', ''))
    t.equal(next.statusCode, 202)
    t.equal(next.headers.location, first.headers.location)
  }
  t.same(new Set(roles), new Set(['poll']))
})

test('a state that makes the URL 2,000 characters long is an error at the poll that made it, and says what to do', async (t) => {
  const { app, logs } = await createApp(t)
  const numbers = [1]
  let pad = ''
  const state = Type.Object({ n: Type.Integer(), pad: Type.String() })
  addNumbers(app, numbers, { state, start: () => ({ n: 0, pad: '' }), poll: () => ({ items: [{ n: 1 }], state: { n: 1, pad } }) })
  const first = pathOf((await app.inject('/numbers?q=x')).headers.location)
  const lengths: number[] = []
  for (let size = 1300; size < 1500; size++) {
    pad = 'x'.repeat(size)
    const answer = await app.inject(first)
    if (answer.statusCode === 200) {
      lengths.push(String(answer.headers.location).length)
      continue
    }
    t.equal(answer.statusCode, 500)
    t.same(answer.json(), { error: { code: 'TriggerStateTooLarge', message: 'The poll failed, and the state stays as it was. Poll again.' } })
    t.equal(answer.headers.location, undefined)
    t.match(logs.find(({ level }) => level === 50), { err: { code: 'FST_LOGIC_APPS_TRIGGER_STATE_TOO_LARGE' }, msg: /^the next poll of PollNumbers would need a URL of 20\d\d characters, \d+ of them for the state, where 1999 are allowed: keep less in the state/ })
    break
  }
  t.ok(lengths.at(-1)! > 1990 && lengths.at(-1)! < 2000, `the longest URL that was handed out has ${lengths.at(-1)} characters`)
  const long = await app.inject(`/numbers?q=${'x'.repeat(1990)}`)
  t.equal(long.statusCode, 500)
  t.equal(errorOf(long).code, 'TriggerStateTooLarge')
})

test('a triggerState URL is a capability for its trigger and its query, and for nothing else (design 3.9)', async (t) => {
  const { app } = await createApp(t)
  const seen: boolean[] = []
  for (const hook of ['onRequest', 'preHandler'] as const) app.addHook(hook, async (request) => { seen.push(app.logicApps.isCapability(request)) })
  addOrders(app, { schema: { operationId: 'PollOrders', querystring: Type.Object({ shop: Type.Optional(Type.Integer()) }) } })
  addOrders(app, { schema: { operationId: 'Other' } }, '/others')
  addOrders(app, { schema: { operationId: 'OfShop', params: Type.Object({ shop: Type.Integer() }) } }, '/shops/:shop/orders')
  const ask = async (url: string): Promise<boolean[]> => {
    seen.length = 0
    await app.inject(url)
    return [...seen]
  }
  t.same(await ask('/orders?shop=07'), [false, false])
  const url = pathOf((await app.inject('/orders?shop=07')).headers.location)
  const state = url.split('&')[1]!
  t.same(await ask(url), [true, true])
  t.same(await ask(`/orders?${state}&shop=07`), [true, true])
  for (const other of [`/orders?${state}`, `/orders?shop=7&${state}`, `/orders?shop=8&${state}`, `${url}&x=1`]) t.same(await ask(other), [false, false], other)
  t.equal((await app.inject(`/orders?shop=8&${state}`)).statusCode, 202, 'a caller who may ask so can keep the state')
  for (const other of [`${url}A`, `/others?shop=07&${state}`, `${url}&${state}`]) t.notOk((await ask(other)).includes(true), other)
  const ofShop = pathOf((await app.inject('/shops/07/orders')).headers.location)
  t.same(await ask(ofShop), [true, true], 'in every hook, though validation makes a number of it')
  t.same(await ask(ofShop.replace('/07/', '/8/')), [false, false])
})

test('auth on first contact alone: polls pass with the URL that they were given', async (t) => {
  const { app } = await createApp(t)
  app.addHook('onRequest', async (request) => {
    if (app.logicApps.isCapability(request)) return
    if (request.headers.authorization !== 'Bearer good') throw Object.assign(new Error('who are you?'), { statusCode: 401 })
  })
  addOrders(app)
  t.equal((await app.inject('/orders')).statusCode, 401)
  t.equal((await app.inject('/orders?triggerState=forged')).statusCode, 401)
  const poller = createPoller(app, '/orders')
  t.equal((await poller.poll({ authorization: 'Bearer good' })).statusCode, 202)
  t.equal((await poller.poll()).statusCode, 202)
  t.equal((await poller.poll({ authorization: 'Bearer expired since' })).statusCode, 202)
})

test('hooks of the route see each poll, and its role', async (t) => {
  const { app } = await createApp(t)
  const seen: unknown[] = []
  addOrders(app, { onRequest: async (request: { routeOptions: { config: { logicApps: unknown } } }) => { seen.push(request.routeOptions.config.logicApps) } })
  const poller = createPoller(app, '/orders')
  await poller.poll()
  await poller.poll()
  t.same(seen, Array(2).fill({ operationId: 'PollOrders', role: 'poll' }))
})

test('no state is in the log, whatever becomes of the poll (design 3.10)', async (t) => {
  const { app, logs } = await createApp(t, {}, { logger: { level: 'trace' } })
  addOrders(app, { matches (event: { n: number }) { if (event.n === 2) throw new Error('odd'); return true } })
  const poller = createPoller(app, '/orders?shop=PLANTED')
  await poller.poll()
  const { url } = poller
  await publish(app, { n: 1 })
  await poller.poll()
  await publish(app, { n: 2 })
  await poller.poll()
  for (const odd of [`${url}A`, `${url}&triggerState=x`]) await app.inject(odd)
  await app.inject({ method: 'HEAD', url })
  const states = [url, poller.url].map((one) => /triggerState=([\w-]+)/.exec(one)![1]!)
  t.ok(logs.length > 15)
  for (const line of logs) {
    const text = JSON.stringify(line)
    if (states.some((state) => text.includes(state)) || text.includes('PLANTED')) t.fail(text)
  }
})

test('over a socket: a target with bytes that no header may hold, and a HEAD', async (t) => {
  const { app } = await createApp(t)
  addOrders(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const call = async (method: string, path: string): Promise<{ statusCode: number | undefined, location: string | undefined }> => {
    const asked = request({ port, host: '127.0.0.1', method, path })
    asked.end()
    const [answer] = await once(asked, 'response') as [import('node:http').IncomingMessage]
    answer.resume()
    await once(answer, 'end')
    return { statusCode: answer.statusCode, location: answer.headers.location }
  }
  t.match(await call('GET', '/orders?q=%0d%0aset-cookie:x'), { statusCode: 202, location: /^https:\/\/api\.example\/orders\?q=%0d%0aset-cookie:x&triggerState=[\w-]+$/ })
  t.match(await call('GET', 'http://other.example/orders?q=1'), { statusCode: 202, location: /^https:\/\/api\.example\/orders\?q=1&triggerState=/ })
  t.match(await call('HEAD', '/orders'), { statusCode: 202, location: /^https:\/\/api\.example\/orders\?triggerState=/ })
})
