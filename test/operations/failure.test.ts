import { test } from 'tap'
import { JobError } from '../../src/index.ts'
import { createApp, type TestApp } from '../helpers/app.ts'
import { addCakes, cancel, idOf, order, poll, readOperation } from '../helpers/cakes.ts'

/** Starts a job whose handler throws. */
async function fail (t: Parameters<typeof createApp>[0], error: unknown, options: object = {}) {
  const parts = await createApp(t)
  parts.app.asyncAction('/fail', { schema: { operationId: 'Fail' }, ...options }, () => { throw error })
  const accepted = await parts.app.inject({ method: 'POST', url: '/fail' })
  await parts.clock.advance(0)
  return { ...parts, id: idOf(accepted), polled: await poll(parts.app, accepted), operation: await readOperation(parts.app, accepted) }
}

const causesOf = ({ logs }: Pick<TestApp, 'logs'>) => logs.filter(({ level, warnings }) => level >= 40 && warnings === undefined).map(({ err }) => (err as { message?: string } | undefined)?.message)

test('a JobError is shown as given: code, message, status and details', async (t) => {
  const error = new JobError('CakeBurnt', 'The cake burnt.', { statusCode: 409, details: { minutes: [30, null] }, cause: new Error('the oven') })
  const { polled, operation } = await fail(t, error)
  t.equal(polled.statusCode, 409)
  t.equal(polled.headers['content-type'], 'application/json; charset=utf-8')
  t.notOk('retry-after' in polled.headers)
  t.same(polled.json(), { error: { code: 'CakeBurnt', message: 'The cake burnt.', details: { minutes: [30, null] } } })
  t.same(operation.json<{ error: unknown }>().error, polled.json<{ error: unknown }>().error)
})

test('a JobError without status is answered with failureStatusCode: 422, the plugin\'s or the operation\'s', async (t) => {
  t.equal((await fail(t, new JobError('Bad', 'Bad.'))).polled.statusCode, 422)
  t.equal((await fail(t, new JobError('Bad', 'Bad.'), { failureStatusCode: 424 })).polled.statusCode, 424)
  t.equal((await fail(t, new JobError('Bad', 'Bad.', { statusCode: 400 }), { failureStatusCode: 424 })).polled.statusCode, 400)
  const { app, clock } = await createApp(t, { failureStatusCode: 409 })
  app.asyncAction('/fail', { schema: { operationId: 'Fail' } }, () => { throw new Error('no') })
  const accepted = await app.inject({ method: 'POST', url: '/fail' })
  await clock.advance(0)
  t.equal((await poll(app, accepted)).statusCode, 409)
})

test('a failed job is never a 2xx or anything that the engine retries (engine 1.12, 6.2, rule 4)', async (t) => {
  for (const statusCode of [200, 204, 302, 399, 401, 403, 404, 405, 408, 410, 429, 500, 503, 422.5, Number.NaN]) {
    t.throws(() => new JobError('Bad', 'Bad.', { statusCode }), /"statusCode" of a JobError must be a 4xx status other than/, `JobError ${statusCode}`)
    const { app } = await createApp(t)
    try {
      addCakes(app, { failureStatusCode: statusCode })
      t.fail(`failureStatusCode ${statusCode}`)
    } catch (error) {
      t.ok(error instanceof TypeError)
      t.match(error, { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: /^BakeCake \(\/cakes\): failureStatusCode must be / })
    }
  }
  t.throws(() => new JobError('', 'No code.'), TypeError)
})

test('anything else thrown shows JobFailed with the job id; the cause is for the log alone', async (t) => {
  const circular: { self?: unknown, secret: string } = { secret: 'password=123' }
  circular.self = circular
  const thrown = [
    new Error('password=123'),
    new AggregateError([new Error('password=123'), new Error('two')], 'password=123'),
    new Error('outer', { cause: new Error('password=123') }),
    'password=123', 123, null, undefined, circular, Symbol('password=123'), Object.create(null)
  ]
  for (const error of thrown) {
    const { polled, operation, id, logs } = await fail(t, error)
    t.equal(polled.statusCode, 422)
    t.same(polled.json(), { error: { code: 'JobFailed', message: `The job failed. Its id is ${id}.` } })
    t.notMatch(operation.body, 'password')
    const line = logs.find(({ level, msg }) => level === 50 && msg === 'job failed')
    t.match(line, { jobId: id, operationId: 'Fail', attempt: 1 })
    if (error instanceof Error) t.match(JSON.stringify(line), 'password=123')
  }
})

test('a rejected promise and a throw before the first await are the same', async (t) => {
  const { app, clock } = await createApp(t)
  app.asyncAction('/late', { schema: { operationId: 'Late' } }, async (job) => {
    await job.sleep(10)
    throw new JobError('TooLate', 'Too late.')
  })
  const accepted = await app.inject({ method: 'POST', url: '/late' })
  await clock.advance(10)
  t.match((await poll(app, accepted)).json(), { error: { code: 'TooLate' } })
})

test('details that are no JSON are left out, and the rest of the answer is not lost', async (t) => {
  const circular: Record<string, unknown> = {}
  circular.self = circular
  for (const details of [circular, { big: 1n }]) {
    const parts = await fail(t, new JobError('Bad', 'Bad.', { details }))
    t.same(parts.polled.json(), { error: { code: 'Bad', message: 'Bad.' } })
    t.ok(causesOf(parts).some((message) => /circular|BigInt/.test(message ?? '')))
  }
})

test('a JobError with a status made wrong by hand cannot be written: the handler fails where it is', async (t) => {
  const { app, clock } = await createApp(t)
  app.asyncAction('/fail', { schema: { operationId: 'Fail' } }, () => { throw new JobError('Gone', 'Gone.', { statusCode: 404 }) })
  const accepted = await app.inject({ method: 'POST', url: '/fail' })
  await clock.advance(0)
  const polled = await poll(app, accepted)
  t.equal(polled.statusCode, 422)
  t.equal(polled.json<{ error: { code: string } }>().error.code, 'JobFailed')
})

test('a job that takes longer than timeoutSeconds fails with JobTimedOut, and its signal says so', async (t) => {
  const { app, clock } = await createApp(t)
  let reason: unknown
  app.asyncAction('/slow', { schema: { operationId: 'Slow' }, timeoutSeconds: 30 }, async (job) => {
    await job.sleep(60_000).catch((error: unknown) => { reason = error })
    return 'too late'
  })
  const accepted = await app.inject({ method: 'POST', url: '/slow' })
  await clock.advance(29_000)
  t.equal((await poll(app, accepted)).statusCode, 202)
  await clock.advance(1000)
  const polled = await poll(app, accepted)
  t.equal(polled.statusCode, 422)
  t.same(polled.json(), { error: { code: 'JobTimedOut', message: 'The job took longer than it may.' } })
  t.match(reason, { name: 'JobTimedOutReason' })
})

test('a canceled job is answered as failed, with the code JobCanceled', async (t) => {
  const { app } = await createApp(t)
  addCakes(app, { failureStatusCode: 409 })
  const accepted = await order(app)
  await cancel(app, accepted)
  const polled = await poll(app, accepted)
  t.equal(polled.statusCode, 409)
  t.same(polled.json(), { error: { code: 'JobCanceled', message: 'The job was canceled.' } })
})
