import Fastify, { type FastifyInstance } from 'fastify'
import { test, type Test } from 'tap'
import { request } from 'undici'
import { createLogicAppsEngine, createManualClock, type LogicAppsEngine } from '../../../src/testing/index.ts'
import { createEngine } from '../../helpers/engine.ts'
import { findPort } from '../../helpers/find-port.ts'
import { createLatch } from '../../helpers/latch.ts'

async function listen (t: Test, add: (app: FastifyInstance, origin: string) => void): Promise<{ engine: LogicAppsEngine, origin: string }> {
  const app = Fastify()
  t.teardown(() => app.close())
  const port = await findPort()
  const origin = `http://127.0.0.1:${port}`
  add(app, origin)
  await app.listen({ port, host: '127.0.0.1' })
  const engine = await createLogicAppsEngine({ baseUrl: origin, unknowns: { defaultRetryAfterSeconds: 0 } })
  t.teardown(() => engine.close())
  return { engine, origin }
}

test('an action over HTTP is polled, with path and query as they stand', async (t) => {
  const targets: string[] = []
  const { engine } = await listen(t, (app, origin) => {
    app.post('/cakes', async (_, reply) => await reply.code(202).header('location', `${origin}/jobs/a%2Fb?sp=%2Fruns%2f1&c='x'`).send())
    app.get('/jobs/*', async ({ raw }) => { targets.push(raw.url!); return { cake: 'lemon' } })
  })
  t.match(await engine.run({ type: 'Http', inputs: { method: 'POST', uri: '/cakes', body: {} } }), { status: 'Succeeded', outputs: { body: { cake: 'lemon' } } })
  t.same(targets, ["/jobs/a%2Fb?sp=%2Fruns%2f1&c='x'"])
})

test('a server that is not there is a connection error', async (t) => {
  const { engine } = await listen(t, () => {})
  t.match(await engine.run({ type: 'Http', inputs: { method: 'GET', uri: `http://127.0.0.1:${await findPort()}/`, retryPolicy: { type: 'none' } } }), { status: 'Failed', code: 'ECONNREFUSED' })
})

test('callbacks come to a port, and its URLs have the engine\'s form (engine 2.8)', async (t) => {
  const subscribed = createLatch<string>()
  const { engine } = await listen(t, (app) => {
    app.post('/calls', async ({ body }) => { subscribed.open((body as { callbackUrl: string }).callbackUrl); return {} })
  })
  const action = engine.start({ type: 'HttpWebhook', inputs: { subscribe: { method: 'POST', uri: '/calls', body: { callbackUrl: '@{listCallbackUrl()}' } } } }, { name: 'Bake' })
  const url = await subscribed.promise
  t.ok(url.startsWith(`${engine.callbacks.origin!}/workflows/`))
  engine.callbacks.script(['reset', 503])
  const send = (to: string): ReturnType<typeof request> => request(to, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"cake":"lemon"}' })
  await t.rejects(send(url))
  t.equal((await send(url)).statusCode, 503)
  t.equal((await send(`${url}x`)).statusCode, 401)
  t.equal((await send(url)).statusCode, 200)
  t.match(await action.done, { status: 'Succeeded', outputs: { body: { cake: 'lemon' } } })
  t.same(engine.callbacks.received.map(({ statusCode }) => statusCode), [undefined, 503, 401, 200])
})

test('another app can take the place of the one before, as a deployment does', async (t) => {
  const engine = await createEngine(t, { 'GET /version': () => 'one' })
  const ask = async (): Promise<unknown> => (await engine.run({ type: 'Http', inputs: { method: 'GET', uri: '/version' } })).outputs!.body
  t.equal(await ask(), 'one')
  const next = Fastify()
  next.get('/version', async () => 'two')
  engine.replaceApp(next)
  t.equal(await ask(), 'two')
})

test('whoever waits for a callback is told when it comes, also of one that came', async (t) => {
  let url = ''
  const engine = await createEngine(t, { 'POST /calls': ({ body }) => { url = (body as { callbackUrl: string }).callbackUrl; return '' } })
  const action = engine.start({ type: 'HttpWebhook', inputs: { subscribe: { method: 'POST', uri: '/calls', body: { callbackUrl: '@{listCallbackUrl()}' } } } })
  await engine.advance(0)
  const first = engine.callbacks.when(() => true)
  const { origin } = new URL(url)
  await (await engine.callbacks.dispatcher.request({ origin, path: url.slice(origin.length), method: 'POST', body: Buffer.from('7'), headers: ['content-type', 'application/json'] })).body.dump()
  t.match(await first, { taken: true, statusCode: 200 })
  t.equal(await engine.callbacks.when(({ taken }) => taken), await first)
  t.match(await action.done, { outputs: { body: 7 } })
})

test('a closed engine waits for nothing and sends nothing more, whatever was under way', async (t) => {
  let requests = 0
  const app = Fastify()
  t.teardown(() => app.close())
  app.all('/*', async (_, reply) => { requests++; return await reply.code(202).header('retry-after', '5').send() })
  const clock = createManualClock()
  const engine = await createLogicAppsEngine({ app, clock, baseUrl: 'https://api.example', unknowns: { acceptedWithoutLocation: 'wait' } })
  await engine.trigger({ type: 'Http', inputs: { method: 'GET', uri: '/orders' }, recurrence: { frequency: 'Minute', interval: 1 } }).enable()
  const action = engine.start({ type: 'Http', inputs: { method: 'POST', uri: '/cakes' }, limit: { timeout: 'PT1H' } })
  await engine.advance('PT1S')
  t.ok(clock.pending > 0)
  await engine.close()
  t.equal(clock.pending, 0, 'no timer is left')
  await clock.advance(86_400_000)
  t.equal(requests, 2)
  t.equal(await Promise.race([action.done, 'under way']), 'under way')
})

test('onTraffic is told of each request and each callback, in order', async (t) => {
  const told: string[] = []
  let url = ''
  const engine = await createEngine(t, { 'POST /calls': ({ body }) => { url = (body as { callbackUrl: string }).callbackUrl; return '' } }, {
    onTraffic: (one) => { told.push('target' in one ? `callback ${one.name} ${one.statusCode}` : `${one.purpose} ${one.request.method} ${one.response?.statusCode}`) }
  })
  const call = { method: 'POST', uri: '/calls', body: { callbackUrl: '@{listCallbackUrl()}' } }
  const action = engine.start({ type: 'HttpWebhook', inputs: { subscribe: call, unsubscribe: call } }, { name: 'Bake' })
  await engine.advance(0)
  engine.callbacks.script([503])
  const { origin } = new URL(url)
  for (let attempt = 0; attempt < 2; attempt++) await (await engine.callbacks.dispatcher.request({ origin, path: url.slice(origin.length), method: 'POST', body: '{}', headers: ['content-type', 'application/json'] })).body.dump()
  await action.done
  t.same(told, ['subscribe POST 200', 'callback Bake 503', 'callback Bake 200', 'unsubscribe POST 200'])
})
