import type { FastifyReply } from 'fastify'
import { test } from 'tap'
import type { LogicAppsEngine, TriggerHandle } from '../../../src/testing/index.ts'
import { createEngine, type Routes, waitsOf } from '../../helpers/engine.ts'

const minute = { frequency: 'Minute', interval: 1 } as const
const trigger = (more: object = {}): never => ({ type: 'Http', inputs: { method: 'GET', uri: '/orders' }, recurrence: minute, ...more }) as never
const nothing = (reply: FastifyReply, headers: Record<string, string> = {}): FastifyReply => reply.code(202).headers(headers).send()

async function enabled (t: Parameters<typeof createEngine>[0], routes: Routes, more: object = {}, options: Parameters<typeof createEngine>[2] = {}): Promise<{ engine: LogicAppsEngine, handle: TriggerHandle }> {
  const engine = await createEngine(t, routes, options)
  const handle = engine.trigger(trigger(more), { name: 'Orders' })
  await handle.enable()
  return { engine, handle }
}

test('the wait after each answer is that of the table (engine 3.2, 3.5, 3.12)', async (t) => {
  for (const [status, retryAfter, wait] of [
    [200, undefined, 60], [200, '10', 10], [200, '0', 0], [200, '300', 300],
    [202, undefined, 60], [202, '10', 60], [202, '300', 300], [202, '0', 60], [400, undefined, 60], [404, '5', 60]
  ] as const) {
    const { handle } = await enabled(t, { 'GET /orders': (_, reply, count) => reply.code(count > 1 ? 202 : status).headers(retryAfter === undefined ? {} : { 'retry-after': retryAfter }).send() })
    await handle.advance(wait * 1000)
    t.same(waitsOf(handle.exchanges), [wait], `${status} ${retryAfter}`)
    t.equal(handle.runs.length, status === 200 ? 1 : 0)
    t.match(handle.history[0], { status: status === 200 ? 'Succeeded' : status === 202 ? 'Skipped' : 'Failed' }, 'a 202 shows as Skipped (engine 3.9)')
  }
})

test('a poll answered 5xx is retried by the policy, then waits for the recurrence (engine 3.2)', async (t) => {
  const { handle } = await enabled(t, { 'GET /orders': (_, reply, count) => reply.code(count <= 5 ? 500 : 202).send() })
  t.match(handle.history, [{ status: 'Failed', code: 'InternalServerError', runs: 0 }])
  await handle.advance('PT1M')
  t.same(waitsOf(handle.exchanges), [7.5, 15, 30, 45, 60])
})

test('the engine remembers the Location, and nothing else of the state (engine 3.1, 3.4, 3.6)', async (t) => {
  const urls: string[] = []
  const { handle } = await enabled(t, {
    'GET /orders': ({ url }, reply, count) => {
      urls.push(url)
      if (count === 4) return nothing(reply)
      return reply.code(count === 2 ? 200 : 202).headers({ location: `https://api.example/orders?triggerState=${count}%2F`, 'retry-after': count === 2 ? '0' : '15' }).send()
    }
  })
  t.match(handle.nextPoll, { url: 'https://api.example/orders?triggerState=1%2F' })
  await handle.advance('PT3M')
  t.same(urls, ['/orders', '/orders?triggerState=1%2F', '/orders?triggerState=2%2F', '/orders?triggerState=3%2F', '/orders'])
  t.equal(handle.runs.length, 1)
})

test('a save forgets the state, or keeps it (engine 3.6)', async (t) => {
  for (const stateAfterSave of ['forgotten', 'kept'] as const) {
    const urls: string[] = []
    const { handle } = await enabled(t, { 'GET /orders': ({ url }, reply) => { urls.push(url); return nothing(reply, { location: 'https://api.example/orders?s=1' }) } }, {}, { unknowns: { stateAfterSave } })
    await handle.save()
    t.same(urls, ['/orders', stateAfterSave === 'forgotten' ? '/orders' : '/orders?s=1'])
    await handle.restart()
    t.equal(urls.at(-1), '/orders?s=1', 'a restart forgets nothing')
  }
})

test('only a 200 starts a run, or anything below 300 but 202 (engine 3.8, 3.10)', async (t) => {
  for (const [triggerFiresOn, fires] of [['200', { 200: 1, 201: 0, 204: 0, 202: 0, 302: 0 }], ['2xx', { 200: 1, 201: 1, 204: 1, 202: 0, 302: 0 }]] as const) {
    for (const [status, runs] of Object.entries(fires)) {
      const { handle } = await enabled(t, { 'GET /orders': (_, reply) => reply.code(Number(status)).send() }, {}, { unknowns: { triggerFiresOn } })
      t.equal(handle.runs.length, runs, `${triggerFiresOn} ${status}`)
    }
  }
})

test('an empty 200 starts a run with nothing in it (engine 3.10)', async (t) => {
  const { handle } = await enabled(t, { 'GET /orders': (_, reply) => reply.code(200).send() })
  t.match(handle.runs, [{ body: undefined, outputs: { statusCode: 200 } }])
})

test('splitOn starts a run for each element, all with one client tracking id (engine 3.14)', async (t) => {
  const { handle } = await enabled(t, { 'GET /orders': () => ({ next: 'x', value: [{ id: 1 }, { id: 2 }, { id: 3 }] }) }, { splitOn: "@triggerBody()?['value']" })
  t.same(handle.runs.map(({ body }) => body), [{ id: 1 }, { id: 2 }, { id: 3 }])
  t.equal(new Set(handle.runs.map(({ clientTrackingId }) => clientTrackingId)).size, 1)
  t.match(handle.history, [{ status: 'Succeeded', runs: 3 }])
})

test('splitOn over what is no array fails the trigger, and so do too many items (engine 3.14)', async (t) => {
  for (const [body, more, message] of [
    [{ value: 'x' }, {}, /gives no array but "x"/], [{}, {}, /gives no array but null/],
    [{ value: Array(101).fill(1) }, { runtimeConfiguration: { concurrency: { runs: 1 } } }, /gives 101 items; the limit is 100/], [{ value: Array(100_001).fill(1) }, {}, /the limit is 100000/]
  ] as const) {
    const { handle } = await enabled(t, { 'GET /orders': () => body }, { splitOn: "@triggerBody()?['value']", ...more })
    t.match(handle.history, [{ status: 'Failed', code: 'InvalidTemplate', message }])
    t.equal(handle.runs.length, 0)
  }
})

test('trigger conditions decide too (engine 3.8)', async (t) => {
  const { handle } = await enabled(t, { 'GET /orders': (_, __, count) => ({ paid: count === 2 }) }, { conditions: [{ expression: "@equals(triggerBody()?['paid'], true)" }, { expression: "@equals(triggers().code, 'OK')" }] })
  await handle.advance('PT1M')
  t.match(handle.history, [{ status: 'Skipped', runs: 0 }, { status: 'Succeeded', runs: 1 }])
})

test('an API names the runs by a header (engine 3.23)', async (t) => {
  const { handle } = await enabled(t, { 'GET /orders': (_, reply) => reply.header('x-ms-client-tracking-id', 'order-7').send({}) })
  t.equal(handle.runs[0]!.clientTrackingId, 'order-7')
})

test('with concurrency on, polls are skipped while too many runs wait (engine 3.15)', async (t) => {
  const ends: (() => void)[] = []
  const engine = await createEngine(t, { 'GET /orders': () => ({}) })
  const handle = engine.trigger(trigger({ runtimeConfiguration: { concurrency: { runs: 1, maximumWaitingRuns: 2 } } }), { onRun: () => new Promise((resolve) => { ends.push(resolve) }) })
  await handle.enable()
  await handle.advance('PT4M')
  t.same(handle.history.map(({ code }) => code), ['OK', 'OK', 'OK', 'WaitingRunsLimit', 'WaitingRunsLimit'])
  t.equal(handle.exchanges.length, 3, 'nothing is sent for them')
  ends[0]!()
  await handle.advance('PT1M')
  t.equal(handle.runs.length, 4)
})

test('a relative Location fails the poll, or is resolved (engine 1.3)', async (t) => {
  for (const [relativeLocation, next] of [['refuse', '/orders'], ['resolve', '/orders?s=1']] as const) {
    const { handle } = await enabled(t, { 'GET /orders': (_, reply) => reply.header('location', '/orders?s=1').send({}) }, {}, { unknowns: { relativeLocation } })
    t.equal(handle.history[0]!.code, relativeLocation === 'refuse' ? 'InvalidLocation' : 'OK')
    t.equal(handle.nextPoll!.url, `https://api.example${next}`)
  }
})

test('a disabled trigger polls no more, and an enabled one is not quiet', async (t) => {
  const { engine, handle } = await enabled(t, { 'GET /orders': (_, reply) => nothing(reply) })
  await t.rejects(engine.expectQuiet(), /Orders is still polled/)
  await handle.disable()
  t.notOk(handle.isEnabled)
  await engine.expectQuiet({ after: 'P1D' })
  t.equal(handle.exchanges.length, 1)
  await handle.enable()
  t.equal(handle.exchanges.length, 2)
  await handle.remove()
  await engine.expectQuiet()
})

test('authentication and the author\'s headers go with each poll', async (t) => {
  const { handle } = await enabled(t, { 'GET /orders': (_, reply) => nothing(reply, { location: 'https://api.example/orders?s=1' }) }, { inputs: { method: 'GET', uri: '/orders', queries: { flavour: 'lemon' }, headers: { 'x-key': '1' }, authentication: { type: 'Raw', value: 'Key 1' } } })
  await handle.advance('PT1M')
  t.same(handle.exchanges.map(({ request }) => `${request.url} ${request.headers['x-key']} ${request.headers.authorization}`), ['https://api.example/orders?flavour=lemon 1 Key 1', 'https://api.example/orders?s=1 1 Key 1'])
})

test('a recurrence that the cloud would not save is refused (engine 3.11)', async (t) => {
  const engine = await createEngine(t, {})
  for (const [recurrence, message] of [
    [undefined, /recurrence\.frequency must be one of Second, Minute/], [{ frequency: 'Second', interval: 0 }, /interval must be an integer from 1 to 9999999/], [{ frequency: 'Day', interval: 501 }, /from 1 to 500 for Day/],
    [{ frequency: 'Hour', interval: 1.5 }, /interval must be/], [{ frequency: 'Minute', interval: 1, schedule: {} }, /recurrence\.schedule is not played/]
  ] as const) t.throws(() => engine.trigger(trigger({ recurrence })), { message })
  t.throws(() => engine.trigger({ type: 'Recurrence' } as never, { name: 'Timer' }), { message: /Timer: triggers of type "Recurrence" are not played here/ })
  t.throws(() => engine.trigger(trigger({ operationOptions: 'SingleInstance' })), { message: /operationOptions "SingleInstance" is not played/ })
})
