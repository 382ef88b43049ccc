import { test } from 'tap'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { closeApp, createApp, pathOf } from '../helpers/app.ts'
import { createAwayStore } from '../helpers/away-store.ts'
import { addCakes, idOf, order, poll } from '../helpers/cakes.ts'

test('an accepted start answers 202 with absolute URLs, whole seconds and {id, status} (engine 1.1, 1.3, 1.4)', async (t) => {
  const { app } = await createApp(t)
  addCakes(app)
  const accepted = await order(app)
  t.equal(accepted.statusCode, 202)
  t.match(accepted.headers.location, /^https:\/\/api\.example\/cakes\/jobs\/[\w-]{44}$/)
  t.equal(accepted.headers['operation-location'], (accepted.headers.location as string).replace('/jobs/', '/operations/'))
  t.equal(accepted.headers['retry-after'], '5')
  t.equal(accepted.headers['content-type'], 'application/json; charset=utf-8')
  t.same(accepted.json(), { id: idOf(accepted), status: 'NotStarted' })
})

test('the token in the URLs is at most 100 characters (engine 9.1)', async (t) => {
  const { app } = await createApp(t)
  addCakes(app)
  const accepted = await order(app)
  t.ok(pathOf(accepted.headers.location).split('/').at(-1)!.length <= 100)
})

test('retryAfterSeconds of the plugin holds for all operations, that of an operation for its own', async (t) => {
  const { app } = await createApp(t, { retryAfterSeconds: 20 })
  addCakes(app)
  app.asyncAction('/teas', { schema: { operationId: 'MakeTea' }, retryAfterSeconds: 7 }, () => 'tea')
  t.equal((await order(app)).headers['retry-after'], '20')
  t.equal((await app.inject({ method: 'POST', url: '/teas' })).headers['retry-after'], '7')
})

test('the first poll finds the job, however early it comes (engine 1.9, rule 3)', async (t) => {
  const { app } = await createApp(t)
  addCakes(app)
  const starts = await Promise.all(Array.from({ length: 50 }, async () => {
    const accepted = await order(app)
    return [accepted.headers.location, (await poll(app, accepted)).statusCode]
  }))
  t.equal(new Set(starts.map(([location]) => location)).size, 50)
  t.ok(starts.every(([, statusCode]) => statusCode === 202))
})

test('a handler is given body, params and query as the schema has them', async (t) => {
  const { app, clock } = await createApp(t)
  let seen: unknown
  app.asyncAction('/shops/:shop/cakes', {
    schema: {
      operationId: 'BakeCake',
      params: { type: 'object', properties: { shop: { type: 'integer' } } },
      querystring: { type: 'object', properties: { rush: { type: 'boolean', default: false } } },
      body: { type: 'object', properties: { flavour: { type: 'string' }, tiers: { type: 'integer', default: 1 } }, additionalProperties: false }
    }
  }, ({ input, params, query, context }) => { seen = { input, params, query, context } })
  await app.inject({ method: 'POST', url: '/shops/7/cakes?rush=true', payload: { flavour: 'lemon', colour: 'red' } })
  await clock.advance(0)
  t.same(seen, { input: { flavour: 'lemon', tiers: 1 }, params: { shop: 7 }, query: { rush: true }, context: undefined })
})

test('a start without body is a job without input', async (t) => {
  const { app, clock } = await createApp(t)
  let seen: unknown = 'nothing yet'
  app.asyncAction('/clean', { schema: { operationId: 'Clean' } }, ({ input }) => { seen = input })
  const accepted = await app.inject({ method: 'POST', url: '/clean' })
  t.equal(accepted.statusCode, 202)
  await clock.advance(0)
  t.equal(seen, undefined)
})

test('text is accepted as text, as the engine sends a string (engine 1.25)', async (t) => {
  const { app, clock } = await createApp(t)
  let seen: unknown
  app.asyncAction('/notes', { schema: { operationId: 'KeepNote' } }, ({ input }) => { seen = input })
  await app.inject({ method: 'POST', url: '/notes', payload: 'less sugar', headers: { 'content-type': 'text/plain; charset=utf-8' } })
  await clock.advance(0)
  t.equal(seen, 'less sugar')
})

test('a start that cannot be read is refused with the reason, and leaves no job', async (t) => {
  const { app } = await createApp(t)
  addCakes(app, { bodyLimit: 100 })
  const cases = [
    { payload: '{"flavour":', statusCode: 400, code: 'InvalidJson' },
    { payload: '', statusCode: 400, code: 'InvalidJson' },
    { payload: '{}', statusCode: 400, code: 'InvalidRequest' },
    { payload: '[]', statusCode: 400, code: 'InvalidRequest' },
    { payload: 'null', statusCode: 400, code: 'InvalidRequest' },
    { payload: '<cake/>', contentType: 'application/xml', statusCode: 415, code: 'UnsupportedMediaType' },
    { payload: 'a=b', contentType: 'application/x-www-form-urlencoded', statusCode: 415, code: 'UnsupportedMediaType' },
    { payload: '{}', contentType: 'nonsense', statusCode: 415, code: 'UnsupportedMediaType' },
    { payload: JSON.stringify({ flavour: 'x'.repeat(100) }), statusCode: 413, code: 'BodyTooLarge' }
  ]
  for (const { payload, contentType = 'application/json', statusCode, code } of cases) {
    const refused = await app.inject({ method: 'POST', url: '/cakes', payload, headers: { 'content-type': contentType } })
    t.equal(refused.statusCode, statusCode, payload)
    t.equal(refused.headers['content-type'], 'application/json; charset=utf-8')
    t.equal(refused.json<{ error: { code: string } }>().error.code, code)
  }
  t.same(await app.logicApps.jobs.list(), [])
})

test('a start that does not fit the schema is told where', async (t) => {
  const { app } = await createApp(t)
  addCakes(app, {}, '/cakes')
  const refused = await order(app, { flavour: '', seconds: 'many' })
  t.equal(refused.statusCode, 400)
  const { error } = refused.json<{ error: { code: string, message: string, details: { path: string, message: string }[] } }>()
  t.equal(error.code, 'InvalidRequest')
  t.match(error.message, /^body\//)
  t.match(error.details[0], { path: /^body\/(flavour|seconds)$/, message: /^must / })
})

test('a job that ends within waitSeconds is answered at once, with its result', async (t) => {
  const { app, clock } = await createApp(t, { waitSeconds: 20 })
  addCakes(app)
  await app.ready()
  const answer = order(app)
  await clock.advance(10_000)
  const ended = await answer
  t.equal(ended.statusCode, 200)
  t.same(ended.json(), { flavour: 'lemon' })
  t.notOk('location' in ended.headers)
  t.notOk('retry-after' in ended.headers)
})

test('a job that fails within waitSeconds is answered with its failure', async (t) => {
  const { app, clock } = await createApp(t)
  addCakes(app, { waitSeconds: 20 })
  await app.ready()
  const answer = order(app, { flavour: 'burnt' })
  await clock.advance(10_000)
  const ended = await answer
  t.equal(ended.statusCode, 409)
  t.same(ended.json(), { error: { code: 'CakeBurnt', message: 'The cake burnt.', details: { flavour: 'burnt' } } })
})

test('a job without result that ends within waitSeconds is a 204', async (t) => {
  const { app } = await createApp(t, { waitSeconds: 20 })
  app.asyncAction('/clean', { schema: { operationId: 'Clean' } }, () => {})
  t.equal((await app.inject({ method: 'POST', url: '/clean' })).statusCode, 204)
})

test('a job that takes longer than waitSeconds is a 202 then', async (t) => {
  const { app, clock } = await createApp(t, { waitSeconds: 3 })
  addCakes(app)
  await app.ready()
  const answer = order(app)
  await clock.advance(3000)
  const accepted = await answer
  t.equal(accepted.statusCode, 202)
  t.ok(accepted.headers.location)
  t.equal(accepted.headers['retry-after'], '5')
})

test('Prefer lowers the wait and never raises it (RFC 7240)', async (t) => {
  const { app, clock } = await createApp(t)
  addCakes(app, { waitSeconds: 30 })
  addCakes(app, { schema: { operationId: 'BakeSlowly' } }, '/slow')
  const cases = [
    // The job takes 10 s. Wait for so long, and find it ended or not.
    { prefer: 'wait=0', statusCode: 202, waitedMs: 0 },
    { prefer: 'respond-async', statusCode: 202, waitedMs: 0 },
    { prefer: 'wait=4', statusCode: 202, waitedMs: 4000 },
    { prefer: 'respond-async, wait=4', statusCode: 202, waitedMs: 4000 },
    { prefer: 'Wait="4"; x=y', statusCode: 202, waitedMs: 4000 },
    { prefer: 'wait=99', statusCode: 200, waitedMs: 10_000 },
    { prefer: 'wait=-1', statusCode: 200, waitedMs: 10_000 },
    { prefer: 'wait=soon', statusCode: 200, waitedMs: 10_000 },
    { prefer: 'return=minimal', statusCode: 200, waitedMs: 10_000 }
  ]
  await app.ready()
  for (const { prefer, statusCode, waitedMs } of cases) {
    let answered = false
    const answer = order(app, { flavour: 'lemon' }, { prefer }).finally(() => { answered = true })
    if (waitedMs > 0) {
      await clock.advance(waitedMs - 1)
      t.notOk(answered, prefer)
      await clock.advance(1)
    }
    t.equal((await answer).statusCode, statusCode, prefer)
  }
  const answer = await app.inject({ method: 'POST', url: '/slow', payload: { flavour: 'lemon' }, headers: { prefer: 'wait=60' } })
  t.equal(answer.statusCode, 202, 'without waitSeconds nothing is waited for')
})

test('a wait whose store goes away ends in a 202: the job is accepted', async (t) => {
  const { store, leave, comeBack } = createAwayStore(sqliteStore({ file: ':memory:' }))
  const { app, clock, logs } = await createApp(t, { store, waitSeconds: 20 })
  addCakes(app)
  await app.ready()
  const answer = order(app)
  await clock.advance(1000)
  leave()
  await clock.advance(1000)
  t.equal((await answer).statusCode, 202)
  t.ok(logs.some(({ level, msg }) => level === 40 && msg.includes('answering 202')))
  comeBack()
})

test('a wait ends when the server closes, in a 202', async (t) => {
  const { app, clock } = await createApp(t, { waitSeconds: 100, drainSeconds: 0 })
  addCakes(app)
  await app.ready()
  const answer = order(app)
  await clock.advance(1000)
  const closed = closeApp(app, clock)
  t.equal((await answer).statusCode, 202)
  await closed
})
