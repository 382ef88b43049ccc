import { test } from 'tap'
import { createApp, pathOf } from '../helpers/app.ts'
import { addCakes, cancel, order, poll } from '../helpers/cakes.ts'

const retentionMs = 604_800_000

for (const header of ['idempotency-key', 'repeatability-request-id', 'x-ms-action-tracking-id']) {
  test(`a start repeated with the same ${header} is the same job, whatever its state (design 3.6; engine 6.7)`, async (t) => {
    const { app, clock } = await createApp(t)
    addCakes(app)
    const headers = { [header]: '08585-1' }
    const first = await order(app, { flavour: 'lemon' }, headers)
    const statuses = []
    for (const seconds of [0, 5, 5]) {
      await clock.advance(seconds * 1000)
      const again = await order(app, { flavour: 'lemon' }, headers)
      t.equal(again.statusCode, 202)
      t.equal(again.headers.location, first.headers.location)
      t.equal(again.headers['retry-after'], '5')
      statuses.push(again.json<{ status: string }>().status)
    }
    t.same(statuses, ['Running', 'Running', 'Succeeded'])
    t.equal((await app.logicApps.jobs.list()).length, 1)
  })
}

for (const header of ['idempotency-key', 'repeatability-request-id']) {
  test(`an explicit key with another body is a mistake: 422 (${header})`, async (t) => {
    const { app } = await createApp(t)
    addCakes(app)
    await order(app, { flavour: 'lemon' }, { [header]: 'one' })
    const refused = await order(app, { flavour: 'plum' }, { [header]: 'one' })
    t.equal(refused.statusCode, 422)
    t.equal(refused.json<{ error: { code: string } }>().error.code, 'IdempotencyKeyReused')
    t.equal((await app.logicApps.jobs.list()).length, 1)
  })
}

test('an action tracking id with another body is another job: nothing says that the id is stable (engine 5.4)', async (t) => {
  const { app } = await createApp(t)
  addCakes(app)
  const headers = { 'x-ms-action-tracking-id': 'one' }
  const first = await order(app, { flavour: 'lemon' }, headers)
  const second = await order(app, { flavour: 'plum' }, headers)
  t.equal(second.statusCode, 202)
  t.not(second.headers.location, first.headers.location)
})

test('the stronger header decides: Idempotency-Key, Repeatability-Request-ID, x-ms-action-tracking-id', async (t) => {
  const { app } = await createApp(t)
  addCakes(app)
  const locationOf = async (headers: Record<string, string>): Promise<unknown> => (await order(app, { flavour: 'lemon' }, headers)).headers.location
  const byKey = await locationOf({ 'idempotency-key': 'a', 'repeatability-request-id': 'b', 'x-ms-action-tracking-id': 'c' })
  const byRequest = await locationOf({ 'repeatability-request-id': 'b', 'x-ms-action-tracking-id': 'c' })
  const byAction = await locationOf({ 'x-ms-action-tracking-id': 'c' })
  t.equal(new Set([byKey, byRequest, byAction]).size, 3)
  t.equal(await locationOf({ 'idempotency-key': 'a', 'x-ms-action-tracking-id': 'other' }), byKey)
  t.equal(await locationOf({ 'repeatability-request-id': 'b' }), byRequest)
  t.equal(await locationOf({ 'repeatability-request-id': 'a' }) === byKey, false, 'the same word under another header is another key')
})

test('no looser guess is made: without a key, an equal start of the same run is another job (engine 5.5)', async (t) => {
  const { app } = await createApp(t)
  addCakes(app)
  const headers = { 'x-ms-workflow-run-id': 'run', 'x-ms-workflow-operation-name': 'Bake', 'x-ms-client-tracking-id': 'client', 'idempotency-key': '' }
  const first = await order(app, { flavour: 'lemon' }, headers)
  t.not((await order(app, { flavour: 'lemon' }, headers)).headers.location, first.headers.location)
})

test('an idempotency key is of its operation', async (t) => {
  const { app } = await createApp(t)
  addCakes(app)
  addCakes(app, { schema: { operationId: 'BakePie' } }, '/pies')
  const headers = { 'idempotency-key': 'one' }
  const cake = await order(app, { flavour: 'lemon' }, headers)
  const pie = await app.inject({ method: 'POST', url: '/pies', payload: { flavour: 'plum' }, headers })
  t.equal(pie.statusCode, 202)
  t.not(pathOf(pie.headers.location).split('/').at(-1), pathOf(cake.headers.location).split('/').at(-1))
})

test('the path and the query are part of what an explicit key was used for', async (t) => {
  const { app } = await createApp(t)
  addCakes(app, {}, '/shops/:shop/cakes')
  const start = (url: string) => app.inject({ method: 'POST', url, payload: { flavour: 'lemon' }, headers: { 'idempotency-key': 'one' } })
  t.equal((await start('/shops/1/cakes?rush=1')).statusCode, 202)
  t.equal((await start('/shops/1/cakes?rush=1')).statusCode, 202)
  t.equal((await start('/shops/2/cakes?rush=1')).statusCode, 422)
  t.equal((await start('/shops/1/cakes')).statusCode, 422)
})

test('repeats that arrive together are one job', async (t) => {
  const { app, clock } = await createApp(t)
  addCakes(app)
  const answers = await Promise.all(Array.from({ length: 20 }, () => order(app, { flavour: 'lemon' }, { 'idempotency-key': 'one' })))
  t.equal(new Set(answers.map(({ headers }) => headers.location)).size, 1)
  await clock.advance(10_000)
  t.equal((await app.logicApps.jobs.list()).length, 1)
})

test('a repeat of a job that failed or was canceled is answered with that job', async (t) => {
  const { app, clock } = await createApp(t)
  addCakes(app)
  await order(app, { flavour: 'burnt' }, { 'idempotency-key': 'one' })
  const unwanted = await order(app, { flavour: 'lemon' }, { 'idempotency-key': 'two' })
  await cancel(app, unwanted)
  await clock.advance(10_000)
  const again = await order(app, { flavour: 'burnt' }, { 'idempotency-key': 'one' })
  t.same([again.statusCode, again.json<{ status: string }>().status], [202, 'Failed'])
  t.equal((await poll(app, again)).statusCode, 409)
  const canceled = await order(app, { flavour: 'lemon' }, { 'idempotency-key': 'two' })
  t.same([canceled.statusCode, canceled.json<{ status: string }>().status], [202, 'Canceled'])
})

test('a key is free again once its job is past retention', async (t) => {
  const { app, clock } = await createApp(t)
  addCakes(app)
  const first = await order(app, { flavour: 'lemon' }, { 'idempotency-key': 'one' })
  await clock.advance(10_000)
  clock.jump(retentionMs)
  await clock.advance(60_000)
  const second = await order(app, { flavour: 'plum' }, { 'idempotency-key': 'one' })
  t.equal(second.statusCode, 202)
  t.not(second.headers.location, first.headers.location)
})
