import { test } from 'tap'
import { createApp } from '../helpers/app.ts'

test('context(request) is read at the start, async or not, and kept with the job', async (t) => {
  const { app, clock } = await createApp(t)
  const seen: unknown[] = []
  const context = ({ headers }: { headers: Record<string, unknown> }) => ({ user: headers['x-user'], at: new Date(0) })
  app.asyncAction('/now', { schema: { operationId: 'Now' }, context }, (job) => { seen.push(job.context) })
  app.asyncAction('/later', { schema: { operationId: 'Later' }, context: async (request) => context(request) }, (job) => { seen.push(job.context) })
  app.asyncAction('/never', { schema: { operationId: 'Never' }, context: () => undefined }, (job) => { seen.push(job.context) })
  for (const url of ['/now', '/later', '/never']) await app.inject({ method: 'POST', url, headers: { 'x-user': 'ada' } })
  await clock.advance(0)
  // What a resumed job would find is what the first attempt finds: JSON.
  t.same(new Set(seen.map((value) => JSON.stringify(value))), new Set(['{"user":"ada","at":"1970-01-01T00:00:00.000Z"}', undefined]))
  t.equal(seen.length, 3)
})

test('contextSchema coerces and fills in', async (t) => {
  const { app, clock } = await createApp(t)
  let seen: unknown
  app.asyncAction('/cakes', {
    schema: { operationId: 'BakeCake' },
    context: ({ headers }) => ({ tenant: headers['x-tenant'] }),
    contextSchema: { type: 'object', properties: { tenant: { type: 'integer' }, plan: { type: 'string', default: 'free' } } }
  }, (job) => { seen = job.context })
  await app.inject({ method: 'POST', url: '/cakes', headers: { 'x-tenant': '7' } })
  await clock.advance(0)
  t.same(seen, { tenant: 7, plan: 'free' })
})

test('a context that does not fit is a 500 that names the operation and the fault, and nothing is stored', async (t) => {
  const circular: Record<string, unknown> = {}
  circular.self = circular
  for (const [value, fault] of [
    [{ tenant: 'seven' }, 'does not fit contextSchema: /tenant must be integer'],
    [{}, "does not fit contextSchema: / must have required property 'tenant'"],
    [undefined, 'does not fit contextSchema: / must be object'],
    [circular, 'is no JSON value'],
    [{ tenant: 1n }, 'is no JSON value']
  ] as const) {
    const { app, logs } = await createApp(t)
    app.asyncAction('/cakes', {
      schema: { operationId: 'BakeCake' },
      context: () => value as unknown,
      contextSchema: { type: 'object', properties: { tenant: { type: 'integer' } }, required: ['tenant'] }
    }, () => {})
    const refused = await app.inject({ method: 'POST', url: '/cakes' })
    t.equal(refused.statusCode, 500)
    t.same(refused.json(), { error: { code: 'InvalidContext', message: `the context of BakeCake ${fault}` } })
    t.equal(logs.filter(({ level }) => level === 50).length, 1)
    t.same(await app.logicApps.jobs.list(), [])
  }
})

test('a context function that throws is the host\'s error, and nothing is stored', async (t) => {
  const { app } = await createApp(t)
  const context = () => { throw Object.assign(new Error('who are you?'), { statusCode: 403 }) }
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' }, context }, () => {})
  const refused = await app.inject({ method: 'POST', url: '/cakes' })
  t.equal(refused.statusCode, 403)
  t.same(refused.json(), { statusCode: 403, error: 'Forbidden', message: 'who are you?' })
  t.same(await app.logicApps.jobs.list(), [])
})

test('the context is no part of what a repeat is recognised by', async (t) => {
  const { app } = await createApp(t)
  let calls = 0
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' }, context: () => ++calls }, () => {})
  const start = () => app.inject({ method: 'POST', url: '/cakes', headers: { 'idempotency-key': 'one' } })
  const first = await start()
  const second = await start()
  t.equal(second.statusCode, 202)
  t.equal(second.headers.location, first.headers.location)
})
