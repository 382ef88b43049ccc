import { test } from 'tap'
import { createApp } from '../helpers/app.ts'
import { cancel, poll, readOperation } from '../helpers/cakes.ts'

/** As Zod's, and as strict about what it is given: a JSON Schema is none. */
const schemaOf = (isCake: (value: unknown) => boolean) => ({
  safeParse: (value: unknown) => isCake(value) ? { success: true, data: value } : { success: false, error: new Error('no cake') }
})
type Schema = ReturnType<typeof schemaOf>

test('a scope whose compilers read another kind of schema can have operations, polls and all', async (t) => {
  const { app, clock } = await createApp(t, { connector: false })
  app.setValidatorCompiler<Schema>(({ schema }) => (value: unknown) => {
    const { success, data, error } = schema.safeParse(value) as { success: boolean, data: unknown, error: Error }
    return success ? { value: data } : { error }
  })
  app.setSerializerCompiler<Schema>(({ schema }) => {
    if (typeof schema.safeParse !== 'function') throw new TypeError('this is no schema of mine')
    return (value: unknown) => JSON.stringify(value)
  })
  const cake = schemaOf((value) => (value as { id?: number } | undefined)?.id !== undefined)
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake', body: cake }, result: cake }, (job) => job.input)
  app.asyncAction('/crumbs', { schema: { operationId: 'MakeCrumbs' }, result: cake }, () => ({ crumbs: true }))

  t.equal((await app.inject({ method: 'POST', url: '/cakes', payload: { flavour: 'lemon' } })).statusCode, 400)
  const accepted = await app.inject({ method: 'POST', url: '/cakes', payload: { id: 1 } })
  const crumbs = await app.inject({ method: 'POST', url: '/crumbs' })
  t.equal((await readOperation(app, accepted)).statusCode, 200)
  await clock.advance(0)
  t.same((await poll(app, accepted)).json(), { id: 1 })
  t.match((await poll(app, crumbs)).json(), { error: { code: 'InvalidResult' } })
  t.equal((await cancel(app, accepted)).statusCode, 409)
})

test('a serializer that gives no text fails its own job, and no other', async (t) => {
  const { app, clock } = await createApp(t)
  await app.register(async (scope) => {
    scope.setSerializerCompiler(() => () => Buffer.from('{}') as unknown as string)
    scope.asyncAction('/cakes', { schema: { operationId: 'BakeCake' }, result: { type: 'object' } }, () => ({ id: 1 }))
  })
  app.asyncAction('/pies', { schema: { operationId: 'BakePie' } }, () => ({ id: 2 }))
  const [cake, pie] = await Promise.all(['/cakes', '/pies'].map(async (url) => await app.inject({ method: 'POST', url })))
  await clock.advance(0)
  t.match((await poll(app, cake!)).json(), { error: { code: 'InvalidResult' } })
  t.same((await poll(app, pie!)).json(), { id: 2 })
})

test('a maxParamLength that the tokens would not pass is refused at register', async (t) => {
  await t.rejects(createApp(t, {}, { routerOptions: { maxParamLength: 40 } }), { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: /maxParamLength is 40/ })
})

test('a body that is bytes is refused, since a job is kept as JSON', async (t) => {
  const { app } = await createApp(t)
  app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) => { done(null, body) })
  app.addContentTypeParser('video/mp4', (_request, payload, done) => { done(null, payload) })
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' } }, () => null)
  for (const type of ['application/octet-stream', 'video/mp4']) {
    const answer = await app.inject({ method: 'POST', url: '/cakes', payload: Buffer.of(1, 2, 3), headers: { 'content-type': type } })
    t.equal(answer.statusCode, 415)
    t.match(answer.json(), { error: { code: 'UnsupportedMediaType' } })
  }
  t.same(await app.logicApps.jobs.list(), [])
})

test('a host\'s own endless recursion is its own error, not the caller\'s', async (t) => {
  const recurse = (): number => recurse() + 1
  const { app } = await createApp(t)
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' }, context: recurse }, () => null)
  t.equal((await app.inject({ method: 'POST', url: '/cakes', payload: {} })).statusCode, 500)
})

test('app.logicApps.jobs shows what a host may do, and no more', async (t) => {
  const { app } = await createApp(t)
  t.same(Object.keys(app.logicApps.jobs).toSorted(), ['cancel', 'complete', 'fail', 'get', 'list'])
  t.equal(await app.logicApps.jobs.get(undefined as unknown as string), undefined)
  await t.rejects(app.logicApps.jobs.list({ limit: 'many' as unknown as number }), { name: 'TypeError', message: /limit/ })
})
