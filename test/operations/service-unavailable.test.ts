import { test } from 'tap'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createApp } from '../helpers/app.ts'
import { createAwayStore } from '../helpers/away-store.ts'
import { addCakes, cancel, idOf, order, poll, readOperation } from '../helpers/cakes.ts'

test('while the store is away a start is a 503 with Retry-After, whose words name no file', async (t) => {
  const { store, leave, comeBack } = createAwayStore(sqliteStore({ file: ':memory:' }))
  const { app, logs } = await createApp(t, { store })
  addCakes(app)
  await app.ready()
  leave()
  const refused = await order(app)
  t.equal(refused.statusCode, 503)
  t.equal(refused.headers['retry-after'], '10')
  t.same(refused.json(), { error: { code: 'StoreUnavailable', message: 'The service cannot store work at the moment. Try again later.' } })
  t.match(logs.find(({ level }) => level === 50), { err: { message: 'the disk that holds /srv/private/jobs.db is full' } })
  comeBack()
  t.same(await app.logicApps.jobs.list(), [], 'nothing half-written')
  t.equal((await order(app)).statusCode, 202)
})

test('while the store is away a poll with a genuine token is asked to wait: no action fails (design 3.5; engine 6.1)', async (t) => {
  const { store, leave, comeBack } = createAwayStore(sqliteStore({ file: ':memory:' }))
  const { app, clock, logs } = await createApp(t, { store })
  addCakes(app)
  const running = await order(app)
  const ended = await order(app, { flavour: 'lemon', seconds: 0 })
  await clock.advance(1000)
  t.equal((await poll(app, ended)).statusCode, 200)
  leave()
  for (const accepted of [running, ended]) {
    const polled = await poll(app, accepted)
    t.equal(polled.statusCode, 202)
    t.equal(polled.headers.location, accepted.headers.location)
    t.equal(polled.headers['operation-location'], accepted.headers['operation-location'])
    t.equal(polled.headers['retry-after'], '5')
    t.same(polled.json(), { id: idOf(accepted), status: 'Running' })
    const document = await readOperation(app, accepted)
    t.equal(document.statusCode, 200)
    t.equal(document.headers['retry-after'], '5')
    t.same(document.json(), { id: idOf(accepted), status: 'Running' })
  }
  t.match(logs.findLast(({ level }) => level === 40), { jobId: idOf(ended), msg: /a poll is asked to wait/ })
  comeBack()
  t.equal((await poll(app, ended)).statusCode, 200)
})

test('while the store is away a forged token is still a 404: it needs no read', async (t) => {
  const { store, leave, comeBack } = createAwayStore(sqliteStore({ file: ':memory:' }))
  const { app } = await createApp(t, { store })
  addCakes(app)
  await app.ready()
  leave()
  for (const part of ['jobs', 'operations']) {
    t.equal((await app.inject(`/cakes/${part}/${'A'.repeat(44)}`)).statusCode, 404)
  }
  comeBack()
})

test('while the store is away a cancel is a 503: it was not done', async (t) => {
  const { store, leave, comeBack } = createAwayStore(sqliteStore({ file: ':memory:' }))
  const { app, clock } = await createApp(t, { store })
  addCakes(app)
  const accepted = await order(app)
  await clock.advance(0)
  leave()
  const refused = await cancel(app, accepted)
  t.equal(refused.statusCode, 503)
  t.equal(refused.headers['retry-after'], '10')
  t.notMatch(refused.body, 'jobs.db')
  comeBack()
  t.equal((await cancel(app, accepted)).statusCode, 204)
})

test('a result that cannot be written at first is written when the store is back', async (t) => {
  const { store, leave, comeBack } = createAwayStore(sqliteStore({ file: ':memory:' }))
  const { app, clock } = await createApp(t, { store })
  addCakes(app)
  const accepted = await order(app, { flavour: 'lemon', seconds: 3 })
  await clock.advance(1000)
  leave()
  await clock.advance(10_000)
  t.equal((await poll(app, accepted)).statusCode, 202)
  comeBack()
  await clock.advance(1000)
  t.same((await poll(app, accepted)).json(), { flavour: 'lemon' })
})

test('more than maxQueued waiting jobs are refused with 503 and Retry-After, and not kept (engine 6.2, 6.6)', async (t) => {
  const { app } = await createApp(t, { maxQueued: 2, runners: false })
  addCakes(app)
  t.equal((await order(app)).statusCode, 202)
  t.equal((await order(app)).statusCode, 202)
  const refused = await order(app)
  t.equal(refused.statusCode, 503)
  t.equal(refused.headers['retry-after'], '10')
  t.same(refused.json(), { error: { code: 'QueueFull', message: 'too many jobs are waiting: try again later' } })
  t.equal((await app.logicApps.jobs.list()).length, 2)
})

test('the limit counts also within starts that arrive together', async (t) => {
  const { app } = await createApp(t, { maxQueued: 3, runners: false })
  addCakes(app)
  const answers = await Promise.all(Array.from({ length: 10 }, () => order(app)))
  t.equal(answers.filter(({ statusCode }) => statusCode === 202).length, 3)
  t.equal(answers.filter(({ statusCode }) => statusCode === 503).length, 7)
})

test('a repeat is answered when the queue is full, and a poll too', async (t) => {
  const { app } = await createApp(t, { maxQueued: 1, runners: false })
  addCakes(app)
  const first = await order(app, { flavour: 'lemon' }, { 'idempotency-key': 'one' })
  const again = await order(app, { flavour: 'lemon' }, { 'idempotency-key': 'one' })
  t.equal(again.statusCode, 202)
  t.equal(again.headers.location, first.headers.location)
  t.equal((await poll(app, first)).statusCode, 202)
})

test('there is room again when a job is canceled or begins to run', async (t) => {
  const { app, clock } = await createApp(t, { maxQueued: 1, concurrency: 1 })
  addCakes(app)
  await order(app)
  await clock.advance(0)
  const waiting = await order(app)
  t.equal(waiting.statusCode, 202)
  t.equal((await order(app)).statusCode, 503)
  await cancel(app, waiting)
  t.equal((await order(app)).statusCode, 202)
  t.equal((await order(app)).statusCode, 503)
  await clock.advance(10_000)
  t.equal((await order(app)).statusCode, 202)
})
