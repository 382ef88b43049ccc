import type { FastifyServerOptions } from 'fastify'
import { test } from 'tap'
import { createApp, pathOf } from '../helpers/app.ts'
import { addCakes } from '../helpers/cakes.ts'

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
