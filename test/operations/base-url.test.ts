import type { FastifyServerOptions } from 'fastify'
import { test } from 'tap'
import { createApp, pathOf } from '../helpers/app.ts'
import { addCakes, order, poll } from '../helpers/cakes.ts'
import { setEnv } from '../helpers/env.ts'

const baseOf = (location: unknown): string => (location as string).split('/cakes/')[0]!

test('baseUrl gives scheme, host, port and path prefix of all URLs (engine 1.3, rule 5)', async (t) => {
  for (const [baseUrl, expected] of [
    ['https://cakes.contoso.com', 'https://cakes.contoso.com'],
    ['https://cakes.contoso.com/', 'https://cakes.contoso.com'],
    ['https://cakes.contoso.com:443', 'https://cakes.contoso.com'],
    ['http://cakes.contoso.com:8080/api/v1/', 'http://cakes.contoso.com:8080/api/v1'],
    ['HTTPS://CAKES.contoso.com/Api', 'https://cakes.contoso.com/Api']
  ] as const) {
    const { app } = await createApp(t, { baseUrl }, { trustProxy: true })
    addCakes(app)
    const accepted = await order(app, { flavour: 'lemon' }, { host: 'evil.example', 'x-forwarded-host': 'evil.example' })
    t.equal(baseOf(accepted.headers.location), expected)
    t.equal(baseOf(accepted.headers['operation-location']), expected)
  }
})

test('baseUrl can be a function of the request, and of what the URL is for', async (t) => {
  const { app } = await createApp(t, { baseUrl: ({ headers }, role) => `https://${String(headers['x-tenant'])}.contoso.com/${role}/` })
  addCakes(app)
  const accepted = await order(app, { flavour: 'lemon' }, { 'x-tenant': 'north' })
  t.equal(baseOf(accepted.headers.location), 'https://north.contoso.com/status')
  t.equal(baseOf(accepted.headers['operation-location']), 'https://north.contoso.com/operation')
  const url = pathOf(accepted.headers.location).replace('/status/', '/')
  const polled = await app.inject({ url, headers: { 'x-tenant': 'south' } })
  t.equal(polled.statusCode, 202)
  t.equal(baseOf(polled.headers.location), 'https://south.contoso.com/status')
})

test('a baseUrl function that gives no URL is an error of the host: 500, and nothing is stored', async (t) => {
  for (const value of ['cakes.contoso.com', '', 'ftp://cakes.contoso.com', 'https://cakes.contoso.com?x=1', undefined]) {
    const { app, logs } = await createApp(t, { baseUrl: () => value as string })
    addCakes(app)
    t.equal((await order(app)).statusCode, 500)
    t.match(logs.find(({ level }) => level === 50), { err: { message: /^the result of baseUrl\(\) must / } })
    t.same(await app.logicApps.jobs.list(), [])
  }
})

test('without baseUrl the URLs are where the request went', async (t) => {
  const { app } = await createApp(t, { baseUrl: undefined })
  addCakes(app)
  for (const [host, expected] of [
    ['cakes.contoso.com', 'http://cakes.contoso.com'],
    ['cakes.contoso.com:8080', 'http://cakes.contoso.com:8080'],
    ['10.0.0.7:3000', 'http://10.0.0.7:3000'],
    ['[2001:db8::7]:3000', 'http://[2001:db8::7]:3000'],
    ['CAKES.contoso.com:80', 'http://cakes.contoso.com']
  ] as const) {
    const accepted = await order(app, { flavour: 'lemon' }, { host })
    t.equal(baseOf(accepted.headers.location), expected)
    t.equal((await poll(app, accepted, { host })).headers.location, accepted.headers.location)
  }
})

test('a Host header that is no host name is a 400, and nothing is stored', async (t) => {
  const { app } = await createApp(t, { baseUrl: undefined })
  addCakes(app)
  for (const host of [
    'evil.example/path', 'user@evil.example', 'user:pass@evil.example', 'evil.example?', 'evil.example#', 'evil.example\\@contoso.com',
    'evil example', 'evil.example:99999', 'evil.example:port', ':80', '[::1', 'a'.repeat(10) + ',b', '<script>', '%2f', '1.2.3.4.5.6', 'ünï.example'
  ]) {
    const refused = await order(app, { flavour: 'lemon' }, { host: Buffer.from(host).toString('latin1') })
    t.equal(refused.statusCode, 400, host)
    t.match(refused.json(), { error: { code: 'InvalidRequest', message: /is no host name/ } })
  }
  t.same(await app.logicApps.jobs.list(), [])
})

test('in production a loopback address is refused when the app registers', async (t) => {
  setEnv(t, 'NODE_ENV', 'production')
  for (const baseUrl of ['http://localhost:3000', 'http://127.0.0.1', 'http://127.9.9.9:80', 'http://[::1]:3000', 'https://api.localhost', 'http://0.0.0.0:3000', 'http://[::]', 'http://[::ffff:127.0.0.1]:3000', 'http://2130706433']) {
    await t.rejects(createApp(t, { baseUrl }), { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: /baseUrl must not be a loopback address in production/ }, baseUrl)
  }
  for (const baseUrl of ['https://127.example.com', 'https://localhost.example.com', 'http://10.0.0.1', 'http://[2001:db8::7f00]']) await t.resolves(createApp(t, { baseUrl }), baseUrl)
})

test('in production a loopback address taken from the request is a 500 and one line in the log, and nothing is stored', async (t) => {
  setEnv(t, 'NODE_ENV', 'production')
  const { app, logs } = await createApp(t, { baseUrl: undefined })
  addCakes(app)
  const refused = await order(app, { flavour: 'lemon' }, { host: 'localhost:3000' })
  t.equal(refused.statusCode, 500)
  t.match(refused.json(), { error: { code: 'LoopbackBaseUrl', message: /Set the baseUrl option, or let Fastify trust the proxy/ } })
  t.equal(logs.filter(({ level }) => level >= 50).length, 1)
  t.same(await app.logicApps.jobs.list(), [])
  t.equal((await order(app, { flavour: 'lemon' }, { host: 'cakes.contoso.com' })).statusCode, 202)
})

test('a baseUrl function that gives a loopback address in production is a 500 too', async (t) => {
  setEnv(t, 'NODE_ENV', 'production')
  const { app } = await createApp(t, { baseUrl: () => 'http://localhost:3000' })
  addCakes(app)
  t.match((await order(app)).json(), { error: { code: 'LoopbackBaseUrl' } })
})

test('elsewhere a loopback address is as good as any', async (t) => {
  setEnv(t, 'NODE_ENV', 'test')
  for (const baseUrl of ['http://localhost:3000', undefined]) {
    const { app } = await createApp(t, { baseUrl })
    addCakes(app)
    t.equal(baseOf((await order(app, { flavour: 'lemon' }, { host: 'localhost:3000' })).headers.location), 'http://localhost:3000')
  }
})

const proxy = '10.0.0.1'
const forwarded = {
  'x-forwarded-proto': 'https',
  'x-forwarded-host': 'cakes.contoso.com',
  'x-forwarded-port': '8443',
  'x-forwarded-prefix': '/bakery'
}

/** Where the job of a start is polled, when the start came over this peer with these headers. */
async function locationOf (t: Parameters<typeof createApp>[0], trustProxy: FastifyServerOptions['trustProxy'] | number, headers: Record<string, string>, remoteAddress = proxy): Promise<string> {
  const { app } = await createApp(t, { baseUrl: undefined }, { trustProxy } as FastifyServerOptions)
  addCakes(app)
  const accepted = await app.inject({ method: 'POST', url: '/cakes', payload: { flavour: 'lemon' }, headers: { host: 'inner:3000', ...headers }, remoteAddress })
  return accepted.statusCode === 202 ? (accepted.headers.location as string).replace(/\/jobs\/.*/, '') : String(accepted.statusCode)
}

test('forwarded headers tell the address where Fastify trusts the peer (design 3.8, rule 5)', async (t) => {
  for (const trustProxy of [true, proxy, '10.0.0.0/8', ['127.0.0.1', proxy], (address: string) => address === proxy]) {
    t.equal(await locationOf(t, trustProxy, forwarded), 'https://cakes.contoso.com:8443/bakery/cakes', String(trustProxy))
  }
})

test('forwarded headers are ignored where it does not', async (t) => {
  t.equal(await locationOf(t, false, forwarded), 'http://inner:3000/cakes')
  t.equal(await locationOf(t, 1, forwarded), 'http://inner:3000/cakes', 'a number of hops says nothing of the peer: Fastify trusts nobody')
  for (const trustProxy of [proxy, '10.0.0.0/8', (address: string) => address === proxy]) {
    t.equal(await locationOf(t, trustProxy, forwarded, '192.0.2.9'), 'http://inner:3000/cakes', String(trustProxy))
  }
})

test('each forwarded header counts by itself', async (t) => {
  t.equal(await locationOf(t, true, { 'x-forwarded-proto': 'https' }), 'https://inner:3000/cakes')
  t.equal(await locationOf(t, true, { 'x-forwarded-host': 'cakes.contoso.com' }), 'http://cakes.contoso.com/cakes')
  t.equal(await locationOf(t, true, { 'x-forwarded-host': 'cakes.contoso.com:8080' }), 'http://cakes.contoso.com:8080/cakes')
  t.equal(await locationOf(t, true, { 'x-forwarded-port': '8080' }), 'http://inner:8080/cakes')
  t.equal(await locationOf(t, true, { 'x-forwarded-proto': 'https', 'x-forwarded-port': '443' }), 'https://inner/cakes')
  t.equal(await locationOf(t, true, { 'x-forwarded-host': '[2001:db8::7]:80', 'x-forwarded-port': '8080' }), 'http://[2001:db8::7]:8080/cakes')
  t.equal(await locationOf(t, true, { 'x-forwarded-prefix': '/api/v1/' }), 'http://inner:3000/api/v1/cakes')
})

test('of a list the nearest proxy\'s word counts, as in Fastify', async (t) => {
  t.equal(await locationOf(t, true, {
    'x-forwarded-proto': 'http, https', 'x-forwarded-host': 'evil.example, cakes.contoso.com', 'x-forwarded-port': '1, 8443', 'x-forwarded-prefix': '/evil, /bakery'
  }), 'https://cakes.contoso.com:8443/bakery/cakes')
})

test('a port or prefix that is none is ignored, a host that is none is a 400', async (t) => {
  for (const [header, value] of [
    ['x-forwarded-port', 'https'], ['x-forwarded-port', '-1'], ['x-forwarded-port', ''], ['x-forwarded-port', '80/evil'], ['x-forwarded-port', '123456'],
    ['x-forwarded-prefix', 'bakery'], ['x-forwarded-prefix', '/'], ['x-forwarded-prefix', '//evil.example'], ['x-forwarded-prefix', '/a?b=c'], ['x-forwarded-prefix', '/a#b'],
    ['x-forwarded-prefix', '/a b'], ['x-forwarded-prefix', '@evil.example'], ['x-forwarded-prefix', '.evil.example']
  ] as const) {
    t.equal(await locationOf(t, true, { [header]: value }), 'http://inner:3000/cakes', `${header}: ${value}`)
  }
  for (const [header, value] of [['x-forwarded-host', 'evil.example/x'], ['x-forwarded-host', 'user@evil.example'], ['x-forwarded-port', '99999'], ['x-forwarded-proto', 'javascript'], ['x-forwarded-proto', 'https://evil.example/']] as const) {
    t.equal(await locationOf(t, true, { [header]: value }), '400', `${header}: ${value}`)
  }
})

test('a prefix cannot climb out of itself', async (t) => {
  t.equal(await locationOf(t, true, { 'x-forwarded-prefix': '/a/../..' }), 'http://inner:3000/cakes')
})

test('a poll through the proxy is told the same address again', async (t) => {
  const { app } = await createApp(t, { baseUrl: undefined }, { trustProxy: proxy })
  addCakes(app)
  const headers = { host: 'inner:3000', ...forwarded }
  const accepted = await app.inject({ method: 'POST', url: '/cakes', payload: { flavour: 'lemon' }, headers, remoteAddress: proxy })
  // The proxy takes its prefix off.
  const url = pathOf(accepted.headers.location).replace('/bakery', '')
  const polled = await app.inject({ url, headers, remoteAddress: proxy })
  t.equal(polled.statusCode, 202)
  t.equal(polled.headers.location, accepted.headers.location)
  t.equal(polled.headers['operation-location'], accepted.headers['operation-location'])
})
