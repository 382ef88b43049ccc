import { test } from 'tap'
import { createApp } from '../helpers/app.ts'
import { addCakes, cancel, order, poll } from '../helpers/cakes.ts'

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
