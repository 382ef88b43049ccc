import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import { test } from 'tap'
import { createApp, pathOf } from '../helpers/app.ts'
import { addCakes, bake, poll } from '../helpers/cakes.ts'

test('URLs carry the prefixes of the scopes an operation is in', async (t) => {
  const { app } = await createApp(t)
  await app.register(async (api) => {
    await api.register(async (v1) => { addCakes(v1) }, { prefix: '/v1' })
    addCakes(api, { schema: { operationId: 'BakeAtRoot' } }, '/')
    addCakes(api, { schema: { operationId: 'BakeAtNothing' } }, '/nothing')
  }, { prefix: '/api' })
  await app.register(async (kitchen) => { addCakes(kitchen, { schema: { operationId: 'BakeInKitchen' } }, '') }, { prefix: '/kitchen' })
  for (const [url, base] of [['/api/v1/cakes', '/api/v1/cakes'], ['/api', '/api'], ['/api/', '/api'], ['/kitchen', '/kitchen']] as const) {
    const accepted = await app.inject({ method: 'POST', url, payload: { flavour: 'lemon' } })
    t.match(accepted.headers.location, new RegExp(`^https://api\\.example${base}/jobs/[\\w-]{44}$`))
    const polled = await poll(app, accepted)
    t.equal(polled.statusCode, 202)
    t.equal(polled.headers.location, accepted.headers.location)
    t.equal((await app.inject(pathOf(accepted.headers['operation-location']))).statusCode, 200)
    t.equal((await app.inject({ method: 'DELETE', url: pathOf(accepted.headers.location) })).statusCode, 204)
  }
})

test('an action on / has its jobs beneath it', async (t) => {
  const { app } = await createApp(t)
  addCakes(app, {}, '/')
  const accepted = await app.inject({ method: 'POST', url: '/', payload: { flavour: 'lemon' } })
  t.match(pathOf(accepted.headers.location), /^\/jobs\/[\w-]{44}$/)
  t.equal((await poll(app, accepted)).headers.location, accepted.headers.location)
})

test('route params stand in the URLs as the caller wrote them', async (t) => {
  const { app } = await createApp(t)
  addCakes(app, {}, '/shops/:shop/cakes')
  for (const shop of ['7', 'caf%C3%A9', 'a%2Fb', 'a%20b', '%3Fx', 'a+b']) {
    const accepted = await app.inject({ method: 'POST', url: `/shops/${shop}/cakes?rush=true`, payload: { flavour: 'lemon' } })
    t.match(accepted.headers.location, `https://api.example/shops/${shop}/cakes/jobs/`)
    t.notMatch(accepted.headers.location, 'rush')
    const polled = await poll(app, accepted)
    t.equal(polled.statusCode, 202)
    t.equal(polled.headers.location, accepted.headers.location)
  }
})

test('with ignoreTrailingSlash a slash at the end changes nothing, and is never answered with a redirect (engine 1.14)', async (t) => {
  const { app } = await createApp(t, {}, { routerOptions: { ignoreTrailingSlash: true } })
  addCakes(app)
  const accepted = await app.inject({ method: 'POST', url: '/cakes/', payload: { flavour: 'lemon' } })
  t.match(accepted.headers.location, /^https:\/\/api\.example\/cakes\/jobs\/[\w-]{44}$/)
  const polled = await app.inject(`${pathOf(accepted.headers.location)}/?x=1`)
  t.equal(polled.statusCode, 202)
  t.equal(polled.headers.location, accepted.headers.location)
})

test('with caseSensitive false and ignoreDuplicateSlashes a token keeps its letters', async (t) => {
  const { app } = await createApp(t, {}, { routerOptions: { caseSensitive: false, ignoreDuplicateSlashes: true } })
  addCakes(app)
  const accepted = await app.inject({ method: 'POST', url: '//CAKES', payload: { flavour: 'lemon' } })
  t.equal(accepted.statusCode, 202)
  t.equal((await poll(app, accepted)).statusCode, 202)
})

test('with rewriteUrl the URLs are those the caller knows', async (t) => {
  const { app } = await createApp(t, {}, { rewriteUrl: ({ url }) => url!.replace(/^\/outside/, '') })
  addCakes(app)
  const accepted = await app.inject({ method: 'POST', url: '/outside/cakes', payload: { flavour: 'lemon' } })
  t.match(accepted.headers.location, /^https:\/\/api\.example\/outside\/cakes\/jobs\/[\w-]{44}$/)
  const polled = await poll(app, accepted)
  t.equal(polled.statusCode, 202)
  t.equal(polled.headers.location, accepted.headers.location)
})

test('constraints are of the start alone: a poll carries no version', async (t) => {
  const { app } = await createApp(t)
  for (const [version, operationId] of [['1.0.0', 'BakeOne']] as const) {
    app.asyncAction('/cakes', { schema: { operationId }, constraints: { version } }, bake)
  }
  const start = (headers: Record<string, string>) => app.inject({ method: 'POST', url: '/cakes', payload: { flavour: 'lemon' }, headers })
  t.equal((await start({})).statusCode, 404)
  const accepted = await start({ 'accept-version': '1.x' })
  t.equal(accepted.statusCode, 202)
  t.equal((await poll(app, accepted)).statusCode, 202)
})

test('a request whose target is a whole URL, or has a fragment, is told the same path as any other', async (t) => {
  const { app } = await createApp(t)
  addCakes(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  for (const target of ['/cakes', 'http://evil.example/cakes', 'http://evil.example/cakes?x=1', '/cakes#part']) {
    const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
    const body = '{"flavour":"lemon"}'
    socket.write(`POST ${target} HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`)
    socket.setEncoding('utf8')
    let answer = ''
    socket.on('data', (chunk: string) => { answer += chunk })
    await once(socket, 'close')
    t.match(answer, /^HTTP\/1\.1 202 /, target)
    t.match(answer, /^location: https:\/\/api\.example\/cakes\/jobs\/[\w-]{44}\r$/m, target)
  }
})
