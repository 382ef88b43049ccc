import type { FastifyServerOptions } from 'fastify'
import { once } from 'node:events'
import { connect, type IncomingHttpHeaders } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { test } from 'tap'
import { createApp, pathOf, pollUntilEnded } from '../helpers/app.ts'
import { addCakes, cancel, idOf, order, poll, readOperation } from '../helpers/cakes.ts'

const retentionMs = 604_800_000

test('a poll of a job that waits or runs is a 202 with both headers and what is known (engine 1.2, rule 6)', async (t) => {
  const { app, clock } = await createApp(t, { concurrency: 1 })
  addCakes(app)
  const running = await order(app)
  await clock.advance(0)
  const queued = await order(app)
  await clock.advance(2000)
  for (const [accepted, expected] of [
    [running, { status: 'Running', percentComplete: 50, message: 'In the oven', createdAt: '2026-01-01T00:00:00.000Z' }],
    [queued, { status: 'NotStarted', percentComplete: 0, message: '', createdAt: '2026-01-01T00:00:00.000Z' }]
  ] as const) {
    const polled = await poll(app, accepted)
    t.equal(polled.statusCode, 202)
    t.equal(polled.headers.location, accepted.headers.location)
    t.equal(polled.headers['operation-location'], accepted.headers['operation-location'])
    t.equal(polled.headers['retry-after'], '5')
    t.equal(polled.headers['content-type'], 'application/json; charset=utf-8')
    t.same(polled.json(), { id: idOf(accepted), ...expected })
  }
})

test('a poll of a succeeded job is a 200 with the result, as often as it is asked (engine rule 8)', async (t) => {
  const { app, clock } = await createApp(t)
  addCakes(app)
  const accepted = await order(app)
  await clock.advance(10_000)
  for (let polls = 0; polls < 3; polls++) {
    const ended = await poll(app, accepted)
    t.equal(ended.statusCode, 200)
    t.equal(ended.headers['content-type'], 'application/json; charset=utf-8')
    t.notOk('location' in ended.headers)
    t.notOk('retry-after' in ended.headers)
    t.same(ended.json(), { flavour: 'lemon' })
  }
})

test('a job without result is a 204, with or without a schema for its body', async (t) => {
  const { app, clock } = await createApp(t)
  app.asyncAction('/clean', { schema: { operationId: 'Clean' } }, () => undefined)
  const accepted = await app.inject({ method: 'POST', url: '/clean' })
  await clock.advance(0)
  const ended = await poll(app, accepted)
  t.equal(ended.statusCode, 204)
  t.equal(ended.body, '')
  t.equal((await readOperation(app, accepted)).json<{ status: string }>().status, 'Succeeded')
})

test('any JSON value is a result', async (t) => {
  const { app, clock } = await createApp(t)
  app.asyncAction('/echo', { schema: { operationId: 'Echo' } }, ({ input }) => (input as { value: unknown }).value)
  for (const value of [null, false, 0, '', 'cake', [], [1, null], {}, { a: { b: 'ü🎂' } }]) {
    const accepted = await app.inject({ method: 'POST', url: '/echo', payload: { value } })
    await clock.advance(0)
    const ended = await poll(app, accepted)
    t.equal(ended.statusCode, 200)
    t.equal(ended.body, JSON.stringify(value))
    t.same((await readOperation(app, accepted)).json<{ result: unknown }>().result, value)
  }
})

test('HEAD answers as GET does, without the body', async (t) => {
  const { app, clock } = await createApp(t)
  addCakes(app)
  const accepted = await order(app)
  const url = pathOf(accepted.headers.location)
  const running = await app.inject({ method: 'HEAD', url })
  t.equal(running.statusCode, 202)
  t.equal(running.headers.location, accepted.headers.location)
  t.equal(running.headers['retry-after'], '5')
  t.equal(running.body, '')
  await clock.advance(10_000)
  const ended = await app.inject({ method: 'HEAD', url })
  t.equal(ended.statusCode, 200)
  t.equal(ended.headers['content-length'], String(JSON.stringify({ flavour: 'lemon' }).length))
  t.equal(ended.body, '')
})

test('what was never issued is a 404 in our form, on every route', async (t) => {
  const { app } = await createApp(t)
  addCakes(app)
  const token = pathOf((await order(app)).headers.location).split('/').at(-1)!
  const flip = (index: number) => token.slice(0, index) + (token[index] === 'A' ? 'B' : 'A') + token.slice(index + 1)
  const forged = ['x', token.slice(0, -1), `${token}A`, flip(0), flip(21), flip(22), flip(43), token.slice(0, 22), 'ü'.repeat(44), '%00'.repeat(15)]
  for (const wrong of forged) {
    for (const [method, part] of [['GET', 'jobs'], ['DELETE', 'jobs'], ['GET', 'operations']] as const) {
      const answer = await app.inject({ method, url: `/cakes/${part}/${encodeURI(wrong)}` })
      t.equal(answer.statusCode, 404, `${method} ${part} ${wrong}`)
      t.same(answer.json(), { error: { code: 'JobNotFound', message: 'no such job' } })
    }
  }
})

test('a token opens the job of its own operation alone', async (t) => {
  const { app } = await createApp(t)
  addCakes(app)
  addCakes(app, { schema: { operationId: 'BakePie' } }, '/pies')
  const accepted = await order(app)
  for (const method of ['GET', 'DELETE'] as const) {
    t.equal((await app.inject({ method, url: pathOf(accepted.headers.location).replace('/cakes/', '/pies/') })).statusCode, 404)
  }
  t.equal((await poll(app, accepted)).statusCode, 202)
})

test('past retention, 7 days after the end, every route answers 410: the job was there (design 3.5)', async (t) => {
  const { app, clock } = await createApp(t)
  addCakes(app)
  const accepted = await order(app)
  const failed = await order(app, { flavour: 'burnt' })
  await clock.advance(10_000)
  clock.jump(retentionMs - 120_000)
  await clock.advance(60_000)
  t.equal((await poll(app, accepted)).statusCode, 200, 'a minute before it is still there')
  await clock.advance(120_000)
  for (const answer of [await poll(app, accepted), await poll(app, failed), await readOperation(app, accepted), await cancel(app, accepted)]) {
    t.equal(answer.statusCode, 410)
    t.same(answer.json(), { error: { code: 'JobExpired', message: 'the job ended and its result is past retention' } })
  }
  t.equal((await app.inject(`/cakes/jobs/${'A'.repeat(44)}`)).statusCode, 404)
})

test('retentionSeconds sets how long a result stays, and a job that has not ended stays for ever', async (t) => {
  const { app, clock } = await createApp(t, { retentionSeconds: 60, concurrency: 1 })
  addCakes(app)
  const accepted = await order(app, { flavour: 'lemon', seconds: 1 })
  await clock.advance(1000)
  const running = await order(app, { flavour: 'plum', seconds: 3000 })
  const waiting = await order(app)
  await clock.advance(180_000)
  t.equal((await poll(app, accepted)).statusCode, 410)
  t.equal((await poll(app, running)).statusCode, 202)
  t.equal((await poll(app, waiting)).statusCode, 202)
})

test('polls have no side effect: a job does not care how often it is asked for', async (t) => {
  const { app, clock } = await createApp(t)
  let runs = 0
  app.asyncAction('/count', { schema: { operationId: 'Count' } }, async (job) => {
    await job.sleep(1000)
    return ++runs
  })
  const accepted = await app.inject({ method: 'POST', url: '/count' })
  await Promise.all(Array.from({ length: 100 }, () => poll(app, accepted)))
  await clock.advance(1000)
  const bodies = await Promise.all(Array.from({ length: 100 }, async () => (await poll(app, accepted)).body))
  t.same(new Set(bodies), new Set(['1']))
})

const createdAt = '2026-01-01T00:00:00.000Z'

test('Operation-Location always answers 200 with the status document, and Retry-After until the job has ended', async (t) => {
  const { app, clock } = await createApp(t, { concurrency: 1 })
  addCakes(app)
  const accepted = await order(app)
  const second = await order(app, { flavour: 'burnt' })
  await clock.advance(0)
  const id = idOf(accepted)
  const waits = async (): Promise<unknown> => {
    const { statusCode, headers, body } = await readOperation(app, accepted)
    t.equal(statusCode, 200)
    t.equal(headers['content-type'], 'application/json; charset=utf-8')
    t.notOk('location' in headers)
    return { retryAfter: headers['retry-after'], ...JSON.parse(body) as object }
  }
  t.same(await waits(), { retryAfter: '5', id, status: 'Running', percentComplete: 50, message: 'In the oven', createdAt })
  t.same((await readOperation(app, second)).json(), { id: idOf(second), status: 'NotStarted', percentComplete: 0, message: '', createdAt })
  await clock.advance(10_000)
  const succeeded = { retryAfter: undefined, id, status: 'Succeeded', percentComplete: 100, message: 'In the oven', createdAt, result: { flavour: 'lemon' } }
  t.same(await waits(), succeeded)
  t.same(await waits(), succeeded, 'and again')
})

test('the document of a failed job has its error, that of a canceled one too', async (t) => {
  const { app, clock } = await createApp(t)
  addCakes(app)
  const failed = await order(app, { flavour: 'burnt' })
  const canceled = await order(app)
  await clock.advance(0)
  await cancel(app, canceled)
  await clock.advance(10_000)
  const common = { percentComplete: 50, message: 'In the oven', createdAt }
  t.same((await readOperation(app, failed)).json(), {
    id: idOf(failed), status: 'Failed', ...common, error: { code: 'CakeBurnt', message: 'The cake burnt.', details: { flavour: 'burnt' } }
  })
  t.same((await readOperation(app, canceled)).json(), {
    id: idOf(canceled), status: 'Canceled', ...common, error: { code: 'JobCanceled', message: 'The job was canceled.' }
  })
  t.equal((await readOperation(app, failed)).statusCode, 200)
  t.equal((await readOperation(app, canceled)).statusCode, 200)
})

test('a result is put into the document as the schema wrote it', async (t) => {
  const { app, clock } = await createApp(t)
  app.asyncAction('/cakes', {
    schema: { operationId: 'BakeCake' },
    result: { type: 'object', properties: { bakedAt: { type: 'string', format: 'date-time' } } }
  }, () => ({ bakedAt: new Date(0), secret: 'recipe' }))
  const accepted = await app.inject({ method: 'POST', url: '/cakes' })
  await clock.advance(0)
  t.same((await readOperation(app, accepted)).json<{ result: unknown }>().result, { bakedAt: '1970-01-01T00:00:00.000Z' })
})

test('a start answers 202 with absolute Location and whole Retry-After, and the last poll the result (engine 1.1, 1.2)', async (t) => {
  const { app, clock } = await createApp(t)
  app.asyncAction('/double', {
    schema: { operationId: 'Double', body: { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] } },
    result: { type: 'object', properties: { doubled: { type: 'number' } }, required: ['doubled'] }
  }, async (job) => {
    await job.sleep(7000)
    return { doubled: (job.input as { n: number }).n * 2 }
  })

  const accepted = await app.inject({ method: 'POST', url: '/double', payload: { n: 21 } })
  t.equal(accepted.statusCode, 202)
  t.match(accepted.headers.location, /^https:\/\/api\.example\/double\/jobs\/[\w-]{44}$/)
  t.equal(accepted.headers['retry-after'], '5')

  const early = await app.inject({ method: 'GET', url: pathOf(accepted.headers.location) })
  t.equal(early.statusCode, 202)
  t.equal(early.headers.location, accepted.headers.location)

  const ended = await pollUntilEnded(app, clock, early)
  t.equal(ended.statusCode, 200)
  t.same(ended.json(), { doubled: 42 })
})

test('over HTTP/2 a job is started, polled and canceled as over HTTP/1.1', async (t) => {
  const { app } = await createApp(t, { baseUrl: undefined }, { http2: true } as FastifyServerOptions)
  addCakes(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const base = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  const session = connect(base)
  t.teardown(() => { session.destroy() })
  const send = async (method: string, path: string, body?: string, contentType = 'application/json'): Promise<IncomingHttpHeaders> => {
    const stream = session.request({ ':method': method, ':path': path, ...(body === undefined ? {} : { 'content-type': contentType }) }, { endStream: body === undefined })
    if (body !== undefined) stream.end(body)
    const [headers] = await once(stream, 'response') as [IncomingHttpHeaders]
    await stream.resume().toArray()
    return headers
  }
  const accepted = await send('POST', '/cakes', '{"flavour":"lemon"}')
  t.equal(accepted[':status'], 202)
  t.ok(accepted.location!.startsWith(`${base}/cakes/jobs/`))
  const path = pathOf(accepted.location)
  t.match(await send('GET', path), { ':status': 202, location: accepted.location, 'retry-after': '5' })
  t.equal((await send('DELETE', path, 'whatever', 'foo/bar'))[':status'], 204)
  t.equal((await send('GET', path))[':status'], 422)
})
