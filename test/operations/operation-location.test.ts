import { test } from 'tap'
import { createApp } from '../helpers/app.ts'
import { addCakes, cancel, idOf, order, readOperation } from '../helpers/cakes.ts'

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
