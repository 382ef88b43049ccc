import { once } from 'node:events'
import { Agent, request, type IncomingMessage, type RequestOptions } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'tap'
import { createApp, pathOf } from '../helpers/app.ts'
import { addCakes, cancel, idOf, order, poll, readOperation } from '../helpers/cakes.ts'
import { createLatch } from '../helpers/latch.ts'

test('DELETE of a running job is a 204, and the handler\'s signal fires', async (t) => {
  const { app, clock } = await createApp(t)
  const aborted = createLatch<unknown>()
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' } }, async ({ signal }) => {
    signal.addEventListener('abort', () => { aborted.open(signal.reason) })
    return await new Promise(() => {})
  })
  const accepted = await order(app)
  await clock.advance(0)
  const canceled = await cancel(app, accepted)
  t.equal(canceled.statusCode, 204)
  t.equal(canceled.body, '')
  t.match(await aborted.promise, { name: 'JobEndedReason', message: 'the job ended as canceled' })
  t.equal((await poll(app, accepted)).json<{ error: { code: string } }>().error.code, 'JobCanceled')
})

test('DELETE of a job that waits keeps it from running', async (t) => {
  const { app, clock } = await createApp(t, { concurrency: 1 })
  let runs = 0
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' } }, async (job) => {
    runs++
    await job.sleep(1000)
  })
  await order(app)
  await clock.advance(0)
  const waiting = await order(app)
  t.equal((await cancel(app, waiting)).statusCode, 204)
  await clock.advance(10_000)
  t.equal(runs, 1)
  t.equal((await readOperation(app, waiting)).json<{ status: string }>().status, 'Canceled')
})

test('DELETE of a canceled job is a 204 again, of one that ended otherwise a 409', async (t) => {
  const { app, clock } = await createApp(t)
  addCakes(app)
  const [canceled, succeeded, failed] = [await order(app), await order(app), await order(app, { flavour: 'burnt' })]
  t.equal((await cancel(app, canceled)).statusCode, 204)
  t.equal((await cancel(app, canceled)).statusCode, 204)
  await clock.advance(10_000)
  for (const [accepted, status] of [[succeeded, 'succeeded'], [failed, 'failed']] as const) {
    const refused = await cancel(app, accepted)
    t.equal(refused.statusCode, 409)
    t.same(refused.json(), { error: { code: 'JobAlreadyEnded', message: `job ${idOf(accepted)} has already ended as ${status}` } })
  }
  t.equal((await poll(app, succeeded)).statusCode, 200)
})

test('what a handler returns after the cancel is not recorded', async (t) => {
  const { app, clock } = await createApp(t)
  const latch = createLatch<string>()
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' } }, () => latch.promise)
  const accepted = await order(app)
  await clock.advance(0)
  await cancel(app, accepted)
  latch.open('done after all')
  await clock.advance(1000)
  t.equal((await readOperation(app, accepted)).json<{ status: string }>().status, 'Canceled')
})

test('DELETE ignores whatever body and content type come with it', async (t) => {
  const { app } = await createApp(t)
  addCakes(app, { bodyLimit: 50 })
  const cases: { payload?: string, headers?: Record<string, string> }[] = [
    {},
    { headers: { 'content-type': 'application/json' } },
    { payload: '', headers: { 'content-type': 'application/json' } },
    { payload: '{"reason":"changed my mind"}', headers: { 'content-type': 'application/json' } },
    { payload: '{"reason":', headers: { 'content-type': 'application/json' } },
    { payload: '<reason/>', headers: { 'content-type': 'application/xml' } },
    { payload: 'reason', headers: { 'content-type': 'foo' } },
    { payload: 'reason' },
    { payload: 'x'.repeat(10_000), headers: { 'content-type': 'text/plain' } }
  ]
  for (const { payload, headers } of cases) {
    const accepted = await order(app)
    const answer = await app.inject({
      method: 'DELETE',
      url: pathOf(accepted.headers.location),
      ...(payload === undefined ? {} : { payload }),
      ...(headers === undefined ? {} : { headers })
    })
    t.equal(answer.statusCode, 204, JSON.stringify({ payload: payload?.slice(0, 30), headers }))
    t.equal((await poll(app, accepted)).statusCode, 422)
  }
})

test('over a socket too, chunked or with a length, and the connection can be used again', async (t) => {
  const { app } = await createApp(t)
  addCakes(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => { agent.destroy() })
  const send = async (options: RequestOptions, chunks: string[]): Promise<number | undefined> => {
    const outgoing = request({ port, host: '127.0.0.1', agent, ...options })
    for (const chunk of chunks) outgoing.write(chunk)
    outgoing.end()
    const [answer] = await once(outgoing, 'response') as [IncomingMessage]
    await answer.resume().toArray()
    return answer.statusCode
  }
  for (const headers of [
    { 'transfer-encoding': 'chunked' },
    { 'transfer-encoding': 'chunked', 'content-type': 'application/json' },
    { 'transfer-encoding': 'chunked', 'content-type': 'foo/bar' },
    { 'content-length': '8', 'content-type': 'foo/bar' }
  ]) {
    const path = pathOf((await order(app)).headers.location)
    t.equal(await send({ method: 'DELETE', path, headers }, ['{"a"', ':1} ']), 204, JSON.stringify(headers))
    t.equal(await send({ method: 'GET', path }, []), 422)
  }
})

test('a hook of the host sees the DELETE before its body is dropped', async (t) => {
  const { app } = await createApp(t)
  const seen: unknown[] = []
  app.addHook('onRequest', async ({ method, headers }) => { if (method === 'DELETE') seen.push(headers['content-type']) })
  addCakes(app)
  await app.inject({ method: 'DELETE', url: pathOf((await order(app)).headers.location), payload: 'x', headers: { 'content-type': 'foo/bar' } })
  t.same(seen, ['foo/bar'])
})
