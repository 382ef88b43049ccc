import { test } from 'tap'
import { JobError } from '../../src/index.ts'
import { createApp, type TestApp } from '../helpers/app.ts'
import { addCakes, idOf, order, poll, readOperation } from '../helpers/cakes.ts'

const day = Date.UTC(2026, 0, 1)
const unknownIds = ['', 'x', 'A'.repeat(22), 'A'.repeat(44)]

/** An app with one deferred job, `POST /approvals`. */
async function defer (t: Parameters<typeof createApp>[0], options: object = {}): Promise<TestApp & { id: string, accepted: Awaited<ReturnType<typeof order>> }> {
  const parts = await createApp(t)
  parts.app.asyncAction('/approvals', {
    schema: { operationId: 'Approve' },
    result: { type: 'object', properties: { approved: { type: 'boolean' } }, required: ['approved'] },
    ...options
  }, (job) => job.defer())
  const accepted = await parts.app.inject({ method: 'POST', url: '/approvals' })
  await parts.clock.advance(0)
  return { ...parts, accepted, id: idOf(accepted) }
}

test('get tells all of a job, in each of its states', async (t) => {
  const { app, clock } = await createApp(t, { concurrency: 1 })
  addCakes(app)
  const { jobs } = app.logicApps
  await order(app, { flavour: 'plum', seconds: 5 })
  await clock.advance(0)
  const id = idOf(await order(app))
  const common = { id, operationId: 'BakeCake', owner: 'default', createdAt: day }
  t.same(await jobs.get(id), { ...common, status: 'queued', attempt: 0, percentComplete: 0, message: '', startedAt: null, endedAt: null })
  await clock.advance(5000)
  const running = { ...common, attempt: 1, percentComplete: 50, message: 'In the oven', startedAt: day + 5000 }
  t.same(await jobs.get(id), { ...running, status: 'running', endedAt: null })
  await clock.advance(10_000)
  t.same(await jobs.get(id), { ...running, status: 'succeeded', percentComplete: 100, endedAt: day + 15_000, result: { flavour: 'lemon' } })
  const burnt = idOf(await order(app, { flavour: 'burnt' }))
  await clock.advance(10_000)
  t.match(await jobs.get(burnt), { status: 'failed', error: { code: 'CakeBurnt', message: 'The cake burnt.', statusCode: 409, details: { flavour: 'burnt' } } })
})

test('get knows nothing of an id that was never given, and of a job past retention', async (t) => {
  const { app, clock } = await createApp(t, { retentionSeconds: 60 })
  addCakes(app)
  for (const id of unknownIds) t.equal(await app.logicApps.jobs.get(id), undefined)
  const id = idOf(await order(app))
  await clock.advance(200_000)
  t.equal(await app.logicApps.jobs.get(id), undefined)
})

test('list gives the newest first, by operation, owner and status, page by page', async (t) => {
  const { app, clock } = await createApp(t, { owner: ({ headers }) => String(headers['x-tenant']), concurrency: 3 })
  addCakes(app)
  addCakes(app, { schema: { operationId: 'BakePie' } }, '/pies')
  const ids: string[] = []
  for (const tenant of ['north', 'south', 'north']) ids.unshift(idOf(await order(app, { flavour: 'lemon' }, { 'x-tenant': tenant })))
  ids.unshift(idOf(await app.inject({ method: 'POST', url: '/pies', payload: { flavour: 'plum' }, headers: { 'x-tenant': 'north' } })))
  await clock.advance(0)
  const list = async (filter?: Parameters<typeof app.logicApps.jobs.list>[0]) => (await app.logicApps.jobs.list(filter)).map(({ id }) => id)
  t.same(await list(), ids)
  t.same(await list({ operationId: 'BakePie' }), [ids[0]])
  t.same(await list({ owner: 'south' }), [ids[2]])
  t.same(await list({ owner: 'north', operationId: 'BakeCake' }), [ids[1], ids[3]])
  t.equal((await list({ status: 'running' })).length, 3)
  t.equal((await list({ status: 'queued' })).length, 1)
  t.same(await list({ status: 'failed' }), [])
  t.same(await list({ limit: 2 }), ids.slice(0, 2))
  t.same(await list({ limit: 2, before: ids[1]! }), ids.slice(2))
  t.same(await list({ before: ids[3]! }), [])
  await t.rejects(list({ before: 'x' }), { code: 'FST_LOGIC_APPS_JOB_NOT_FOUND' })
})

test('cancel ends a job; a job canceled before stays so, one that ended otherwise is a typed error', async (t) => {
  const { app, clock } = await createApp(t)
  addCakes(app)
  const { jobs } = app.logicApps
  const [canceled, succeeded] = [await order(app), await order(app)]
  await clock.advance(0)
  await jobs.cancel(idOf(canceled))
  await jobs.cancel(idOf(canceled))
  t.match((await poll(app, canceled)).json(), { error: { code: 'JobCanceled' } })
  await clock.advance(10_000)
  await t.rejects(jobs.cancel(idOf(succeeded)), { code: 'FST_LOGIC_APPS_JOB_ALREADY_ENDED', statusCode: 409, message: `job ${idOf(succeeded)} has already ended as succeeded` })
  for (const id of unknownIds) await t.rejects(jobs.cancel(id), { code: 'FST_LOGIC_APPS_JOB_NOT_FOUND', statusCode: 404 })
})

test('a deferred job waits without a worker, until it is completed by its id', async (t) => {
  const { app, clock, id, accepted } = await defer(t)
  await clock.advance(600_000)
  t.match((await poll(app, accepted)).json(), { status: 'Running' })
  await app.logicApps.jobs.complete(id, { approved: 'true', by: 'ada' })
  const polled = await poll(app, accepted)
  t.equal(polled.statusCode, 200)
  t.equal(polled.body, '{"approved":true}', 'as the schema has it')
})

test('a deferred job can be failed', async (t) => {
  const { app, id, accepted } = await defer(t)
  await app.logicApps.jobs.fail(id, new JobError('Refused', 'The manager said no.', { statusCode: 409, details: { by: 'ada' } }))
  const polled = await poll(app, accepted)
  t.equal(polled.statusCode, 409)
  t.same(polled.json(), { error: { code: 'Refused', message: 'The manager said no.', details: { by: 'ada' } } })
  const second = await defer(t, { failureStatusCode: 424 })
  await second.app.logicApps.jobs.fail(second.id, new JobError('Refused', 'No.'))
  t.equal((await poll(second.app, second.accepted)).statusCode, 424)
})

test('a deferred job that nobody completes fails after deferTimeoutSeconds', async (t) => {
  const { app, clock, accepted } = await defer(t, { deferTimeoutSeconds: 60 })
  await clock.advance(55_000)
  t.equal((await poll(app, accepted)).statusCode, 202)
  await clock.advance(10_000)
  t.same((await poll(app, accepted)).json(), { error: { code: 'JobTimedOut', message: 'Nobody completed the job in time.' } })
})

test('a result that does not fit is refused, and nothing is recorded: the right one can follow', async (t) => {
  const { app, id, accepted } = await defer(t)
  const { jobs } = app.logicApps
  const circular: Record<string, unknown> = {}
  circular.self = circular
  for (const wrong of [undefined, null, {}, { approved: 'perhaps' }, circular]) {
    await t.rejects(jobs.complete(id, wrong), { code: 'FST_LOGIC_APPS_INVALID_RESULT', message: /^the result of Approve does not fit its schema: / })
  }
  t.match(await jobs.get(id), { status: 'running' })
  t.equal((await poll(app, accepted)).statusCode, 202)
  await jobs.complete(id, { approved: true })
  t.match(await jobs.get(id), { status: 'succeeded' })
})

test('complete and fail of an ended job are a typed error, and change nothing', async (t) => {
  const { app, id, accepted } = await defer(t)
  const { jobs } = app.logicApps
  await jobs.complete(id, { approved: true })
  const ended = { code: 'FST_LOGIC_APPS_JOB_ALREADY_ENDED', statusCode: 409, message: `job ${id} has already ended as succeeded` }
  await t.rejects(jobs.complete(id, { approved: false }), ended)
  await t.rejects(jobs.fail(id, new JobError('Refused', 'No.')), ended)
  await t.rejects(jobs.cancel(id), ended)
  t.same((await poll(app, accepted)).json(), { approved: true })
})

test('of completes that come together one wins', async (t) => {
  const { app, id, accepted } = await defer(t)
  const answers = await Promise.allSettled([true, false, true].map((approved) => app.logicApps.jobs.complete(id, { approved })))
  t.equal(answers.filter(({ status }) => status === 'fulfilled').length, 1)
  t.same((await poll(app, accepted)).json(), { approved: answers[1]!.status === 'rejected' })
})

test('complete and fail of an unknown job are a typed error, fail without a JobError a TypeError', async (t) => {
  const { app, id } = await defer(t)
  const { jobs } = app.logicApps
  for (const unknown of unknownIds) {
    await t.rejects(jobs.complete(unknown, {}), { code: 'FST_LOGIC_APPS_JOB_NOT_FOUND' })
    await t.rejects(jobs.fail(unknown, new JobError('No', 'No.')), { code: 'FST_LOGIC_APPS_JOB_NOT_FOUND' })
  }
  await t.rejects(jobs.fail(id, new Error('no') as JobError), { name: 'TypeError', message: /error must be a JobError/ })
  t.match(await jobs.get(id), { status: 'running' })
})

test('a job that runs or waits can be completed from outside too; its handler\'s signal fires', async (t) => {
  const { app, clock } = await createApp(t, { concurrency: 1 })
  let reason: unknown
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' } }, async (job) => {
    job.signal.addEventListener('abort', () => { reason = job.signal.reason })
    await job.sleep(60_000)
    return 'late'
  })
  const [running, waiting] = [await order(app), await order(app)]
  await clock.advance(0)
  await app.logicApps.jobs.complete(idOf(waiting), 'early')
  await app.logicApps.jobs.complete(idOf(running), 'early')
  await clock.advance(0)
  t.match(reason, { name: 'JobEndedReason' })
  for (const accepted of [running, waiting]) t.equal((await poll(app, accepted)).json(), 'early')
  t.equal((await readOperation(app, running)).json<{ result: unknown }>().result, 'early')
})
