import { test } from 'tap'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { closeApp, createApp } from '../helpers/app.ts'
import { createAwayStore } from '../helpers/away-store.ts'
import { addCakes, order } from '../helpers/cakes.ts'

test('a job that ends within waitSeconds is answered at once, with its result', async (t) => {
  const { app, clock } = await createApp(t, { waitSeconds: 20 })
  addCakes(app)
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
  const answer = order(app)
  await clock.advance(1000)
  const closed = closeApp(app, clock)
  t.equal((await answer).statusCode, 202)
  await closed
})
