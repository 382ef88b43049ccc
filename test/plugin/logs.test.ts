import type { FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify'
import { test } from 'tap'
import { JobError } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createApp, pathOf } from '../helpers/app.ts'
import { createAwayStore } from '../helpers/away-store.ts'
import { addCakes, cancel, idOf, order } from '../helpers/cakes.ts'

/** Serializers as hosts write them, to see more of a request. */
const talkative = {
  req: ({ method, url, originalUrl, headers, params, raw }: FastifyRequest) => ({ method, url, originalUrl, headers, params, rawUrl: raw.url }),
  res: (reply: FastifyReply) => ({ statusCode: reply.statusCode, headers: typeof reply.getHeaders === 'function' ? reply.getHeaders() : undefined }),
  err: (error: Error) => ({ ...error, message: error.message, stack: error.stack })
}

/** Everything that can happen to jobs, on one app; gives back all tokens and all that was logged. */
async function beBusy (t: Parameters<typeof createApp>[0], logger: FastifyServerOptions['logger']) {
  const { store, leave, comeBack } = createAwayStore(sqliteStore({ file: ':memory:' }))
  const parts = await createApp(t, { store, retentionSeconds: 60, baseUrl: undefined }, { logger: logger!, trustProxy: true })
  const { app, clock, logs } = parts
  addCakes(app, { bodyLimit: 200 })
  app.asyncAction('/throws', { schema: { operationId: 'Throws' }, retries: 1 }, async (job) => {
    job.log.info({ job: job.id }, 'working')
    await job.progress(10)
    throw job.attempt === 1 ? new Error('no') : new JobError('No', 'No.')
  })
  app.asyncAction('/deferred', { schema: { operationId: 'Deferred' } }, (job) => job.defer())
  const started = [
    await order(app), await order(app, { flavour: 'burnt', seconds: 1 }), await order(app, { flavour: 'lemon' }, { 'idempotency-key': 'one' }),
    await app.inject({ method: 'POST', url: '/throws', headers: { prefer: 'wait=1' } }),
    await app.inject({ method: 'POST', url: '/deferred', headers: { 'x-ms-workflow-run-id': 'run-1', 'x-forwarded-prefix': '/x' } })
  ]
  const visit = async () => {
    for (const accepted of started) {
      const path = pathOf(accepted.headers.location).replace(/^\/x/, '')
      await app.inject({ url: `${path}?x=1`, headers: { host: 'cakes.contoso.com', referer: 'https://portal.example' } })
      await app.inject({ method: 'HEAD', url: path })
      await app.inject({ url: path, headers: { host: 'no host' } })
      await app.inject(path.replace('/jobs/', '/operations/'))
      await app.inject({ url: path.replace('/cakes/', '/throws/'), headers: { 'x-forwarded-prefix': '/x' } })
      await app.inject(`${path.slice(0, -1)}~`)
    }
  }
  await order(app, {})
  await order(app, { flavour: 'x'.repeat(500) })
  await order(app, { flavour: 'plum' }, { 'idempotency-key': 'one' })
  await visit()
  leave()
  await visit()
  await cancel(app, started[0]!)
  comeBack()
  await cancel(app, started[0]!)
  await clock.advance(30_000)
  await visit()
  await cancel(app, started[1]!)
  await app.logicApps.jobs.complete(idOf(started[4]!), {})
  await clock.advance(200_000)
  await visit()
  await cancel(app, started[2]!)
  const tokens = started.flatMap(({ headers }) => [headers.location, headers['operation-location']].map((url) => pathOf(url).split('/').at(-1)!))
  t.ok(tokens.every((token) => token.length === 44))
  return { ...parts, tokens, text: JSON.stringify(logs) }
}

for (const [name, logger] of Object.entries({
  'at trace level': { level: 'trace' },
  'with serializers of the host': { level: 'trace', serializers: talkative }
})) {
  test(`the whole log of a busy app holds no token, ${name} (design 3.10)`, async (t) => {
    const { tokens, text, logs } = await beBusy(t, logger as FastifyServerOptions['logger'])
    t.ok(logs.length > 150, `${logs.length} lines`)
    for (const token of tokens) {
      t.notOk(text.includes(token))
      t.notOk(text.includes(token.slice(22)), 'nor the half that makes it one')
    }
  })
}

test('the request log names the pattern of a generated route, and who asked', async (t) => {
  const { app, logs } = await createApp(t)
  addCakes(app)
  const accepted = await order(app)
  logs.length = 0
  await app.inject({ url: pathOf(accepted.headers.location), headers: { host: 'cakes.contoso.com' }, remoteAddress: '192.0.2.7' })
  t.match(logs.filter(({ req, res }) => req !== undefined || res !== undefined), [
    { msg: 'incoming request', req: { method: 'GET', url: '/cakes/jobs/:token', host: 'cakes.contoso.com', remoteAddress: '192.0.2.7' } },
    { msg: 'request completed', res: { statusCode: 202 } }
  ])
})

test('serializers of the host stay on its own routes, and an operation\'s logSerializers on the start', async (t) => {
  const { app, logs } = await createApp(t, {}, { logger: { serializers: { req: ({ url }: FastifyRequest) => ({ mine: url }) } } })
  app.get('/own', async () => 'own')
  addCakes(app, { logSerializers: { cake: (cake: string) => `a ${cake} cake` }, preHandler: async (request: FastifyRequest) => { request.log.info({ cake: 'lemon' }, 'ordered') } })
  await app.inject('/own?x=1')
  t.match(logs.find(({ msg }) => msg === 'incoming request'), { req: { mine: '/own?x=1' } })
  await order(app)
  t.match(logs.find(({ msg }) => msg === 'ordered'), { cake: 'a lemon cake' })
})

test('a job\'s log names the job, its operation, its attempt and the run that started it (engine 5.2)', async (t) => {
  const { app, clock, logs } = await createApp(t)
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' } }, (job) => { job.log.info({ oven: 2 }, 'baking') })
  const accepted = await app.inject({ method: 'POST', url: '/cakes', headers: { 'x-ms-workflow-run-id': '08585-CU42' } })
  await clock.advance(0)
  t.match(logs.find(({ msg }) => msg === 'baking'), { jobId: idOf(accepted), operationId: 'BakeCake', attempt: 1, workflowRunId: '08585-CU42', oven: 2 })
  t.match(logs.find(({ msg }) => msg === 'job accepted'), { jobId: idOf(accepted), operationId: 'BakeCake', reqId: String })
})

test('a refusal is one line: info for the caller\'s fault, error for ours', async (t) => {
  const { app, logs } = await createApp(t, { maxQueued: 1, runners: false })
  addCakes(app)
  await order(app)
  const linesOf = async (work: () => Promise<unknown>) => {
    logs.length = 0
    await work()
    return logs.filter(({ err }) => err !== undefined).map(({ level }) => level)
  }
  t.same(await linesOf(() => order(app, {})), [30])
  t.same(await linesOf(() => app.inject('/cakes/jobs/x')), [30])
  t.same(await linesOf(() => order(app)), [50])
})
