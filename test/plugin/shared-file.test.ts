import { test } from 'tap'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createApp, pathOf, pollUntilEnded, type GivenOptions } from '../helpers/app.ts'
import { addCakes, cancel, idOf, order, poll, readOperation } from '../helpers/cakes.ts'
import { createTempDir } from '../helpers/temp-dir.ts'

const secrets = ['a', 'b', 'c'].map((letter) => letter.repeat(32)) as [string, string, string]

/** Apps on one database file, each as given. */
async function createApps (t: Parameters<typeof createApp>[0], ...options: GivenOptions[]) {
  const file = `${createTempDir(t)}/jobs.db`
  return await Promise.all(options.map((one) => createApp(t, { store: sqliteStore({ file }), ...one })))
}

test('a job of one app can be polled, read and canceled on the other', async (t) => {
  const [one, two] = await createApps(t, {}, { runners: false })
  for (const { app } of [one!, two!]) addCakes(app)
  const accepted = await order(one!.app)
  await one!.clock.advance(0)
  const polled = await poll(two!.app, accepted)
  t.equal(polled.statusCode, 202)
  t.equal(polled.headers.location, accepted.headers.location)
  t.match(polled.json(), { id: idOf(accepted), status: 'Running', percentComplete: 50 })
  t.match((await readOperation(two!.app, accepted)).json(), { status: 'Running' })
  await one!.clock.advance(10_000)
  t.same((await poll(two!.app, accepted)).json(), { flavour: 'lemon' })
  const unwanted = await order(one!.app)
  t.equal((await cancel(two!.app, unwanted)).statusCode, 204)
  t.match((await poll(one!.app, unwanted)).json(), { error: { code: 'JobCanceled' } })
})

test('an app with runners: false only accepts; the other does the work', async (t) => {
  const [api, worker] = await createApps(t, { runners: false }, {})
  for (const { app } of [api!, worker!]) addCakes(app)
  await worker!.app.ready()
  const accepted = await order(api!.app)
  await api!.clock.advance(60_000)
  t.match((await poll(api!.app, accepted)).json(), { status: 'NotStarted' })
  await worker!.clock.advance(20_000)
  t.same((await poll(api!.app, accepted)).json(), { flavour: 'lemon' })
})

test('a cancel on one app fires the signal of a handler on the other within a second', async (t) => {
  const [one, two] = await createApps(t, {}, { runners: false })
  let reason: unknown
  for (const { app } of [one!, two!]) {
    app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' } }, async (job) => {
      job.signal.addEventListener('abort', () => { reason = job.signal.reason })
      await job.sleep(60_000)
    })
  }
  const accepted = await order(one!.app)
  await one!.clock.advance(0)
  t.equal((await cancel(two!.app, accepted)).statusCode, 204)
  await one!.clock.advance(1000)
  t.match(reason, { code: 'FST_LOGIC_APPS_LEASE_LOST' })
})

test('a deferred job of one app can be completed on the other', async (t) => {
  const [one, two] = await createApps(t, {}, { runners: false })
  for (const { app } of [one!, two!]) app.asyncAction('/approvals', { schema: { operationId: 'Approve' } }, (job) => job.defer())
  const accepted = await one!.app.inject({ method: 'POST', url: '/approvals' })
  await one!.clock.advance(0)
  await two!.app.logicApps.jobs.complete(idOf(accepted), 'yes')
  t.equal((await poll(one!.app, accepted)).json(), 'yes')
  await t.rejects(one!.app.logicApps.jobs.complete(idOf(accepted), 'no'), { code: 'FST_LOGIC_APPS_JOB_ALREADY_ENDED' })
})

test('an app completes only jobs of operations it declares, and runs only those', async (t) => {
  const [one, two] = await createApps(t, { runners: false }, {})
  addCakes(one!.app)
  const accepted = await order(one!.app)
  await two!.app.ready()
  await two!.clock.advance(20_000)
  t.match((await poll(one!.app, accepted)).json(), { status: 'NotStarted' })
  await t.rejects(two!.app.logicApps.jobs.complete(idOf(accepted), {}), { code: 'FST_LOGIC_APPS_OPERATION_NOT_FOUND', message: /"BakeCake"/ })
  await two!.app.logicApps.jobs.cancel(idOf(accepted))
  t.equal((await poll(one!.app, accepted)).statusCode, 422)
})

test('an idempotency key holds across the apps', async (t) => {
  const [one, two] = await createApps(t, {}, {})
  for (const { app } of [one!, two!]) addCakes(app)
  const first = await order(one!.app, { flavour: 'lemon' }, { 'idempotency-key': 'one' })
  t.equal((await order(two!.app, { flavour: 'lemon' }, { 'idempotency-key': 'one' })).headers.location, first.headers.location)
  t.equal((await order(two!.app, { flavour: 'plum' }, { 'idempotency-key': 'one' })).statusCode, 422)
})

test('after a restart a job goes on, and its URLs are good', async (t) => {
  const file = `${createTempDir(t)}/jobs.db`
  const before = await createApp(t, { store: sqliteStore({ file }), drainSeconds: 0 })
  addCakes(before.app)
  const accepted = await order(before.app)
  await before.clock.advance(1000)
  await Promise.all([before.app.close(), before.clock.advance(1000)])
  const after = await createApp(t, { store: sqliteStore({ file }) })
  addCakes(after.app)
  const ended = await pollUntilEnded(after.app, after.clock, await poll(after.app, accepted))
  t.same(ended.json(), { flavour: 'lemon' })
  t.match(await after.app.logicApps.jobs.get(idOf(accepted)), { attempt: 2, status: 'succeeded' })
})

test('a secret is rotated by putting the new one in front: old URLs stay good', async (t) => {
  const [old, rotated, done] = await createApps(t, { secret: secrets[0] }, { secret: [secrets[1], secrets[0]] }, { secret: secrets[1] })
  for (const { app } of [old!, rotated!, done!]) addCakes(app)
  const accepted = await order(old!.app)
  t.equal((await poll(rotated!.app, accepted)).statusCode, 202)
  const moved = (await poll(rotated!.app, accepted)).headers.location
  t.not(moved, accepted.headers.location, 'a poll hands out the URL of the new secret')
  t.equal((await done!.app.inject(pathOf(moved))).statusCode, 202)
  t.equal((await poll(done!.app, accepted)).statusCode, 404, 'a secret that is gone opens nothing')
  t.equal((await old!.app.inject(pathOf(moved))).statusCode, 404)
  t.equal(idOf(await poll(rotated!.app, accepted)), idOf(accepted), 'the id in logs stays the same')
})

test('a token of one secret says nothing to an app with another', async (t) => {
  const [one, two] = await createApps(t, { secret: secrets[0] }, { secret: Buffer.from(secrets[2]) })
  for (const { app } of [one!, two!]) addCakes(app)
  t.equal((await poll(two!.app, await order(one!.app))).statusCode, 404)
})

test('bytes and text of the same secret are the same', async (t) => {
  const [one, two] = await createApps(t, { secret: secrets[0] }, { secret: Buffer.from(secrets[0]) })
  for (const { app } of [one!, two!]) addCakes(app)
  t.equal((await poll(two!.app, await order(one!.app))).statusCode, 202)
})
