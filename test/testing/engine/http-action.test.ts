import type { FastifyReply } from 'fastify'
import { test } from 'tap'
import { createEngine, traceOf, waitsOf } from '../../helpers/engine.ts'

const start = { type: 'Http', inputs: { method: 'POST', uri: 'https://api.example/cakes', body: { flavour: 'lemon' } } } as const
const accepted = (reply: FastifyReply, headers: Record<string, string> = {}): FastifyReply =>
  reply.code(202).headers({ location: 'https://api.example/cakes/1', 'retry-after': '10', ...headers }).send()

test('a 202 with Location is polled until the answer is something else (engine 1.1, 1.2)', async (t) => {
  const engine = await createEngine(t, {
    'POST /cakes': (_, reply) => accepted(reply),
    'GET /cakes/1': (_, reply, count) => count < 3 ? accepted(reply, { 'retry-after': '20' }) : { cake: 'lemon' }
  })
  const result = await engine.run(start, { name: 'Bake' })
  t.match(result, { name: 'Bake', status: 'Succeeded', code: 'OK', outputs: { statusCode: 200, body: { cake: 'lemon' } }, error: undefined })
  t.same(traceOf(result.history), ['0 start POST /cakes 202', '10 poll GET /cakes/1 202', '30 poll GET /cakes/1 202', '50 poll GET /cakes/1 200'])
  const { request: { headers, body } } = result.history[1]!
  t.equal(body, undefined, 'a poll has no body')
  t.notOk('content-type' in headers || 'accept' in headers)
  await engine.expectQuiet()
})

test('a poll goes to the Location of the latest 202 (engine 1.8)', async (t) => {
  const engine = await createEngine(t, {
    'POST /cakes': (_, reply) => accepted(reply, { location: 'https://api.example/a' }),
    'GET /a': (_, reply) => accepted(reply, { location: 'https://api.example/b?c=%2Fd' }),
    'GET /b': () => 'done'
  })
  t.same(traceOf((await engine.run(start)).history).slice(1), ['10 poll GET /a 202', '20 poll GET /b?c=%2Fd 200'])
})

test('the wait without Retry-After is the default that is asked for (engine 1.5)', async (t) => {
  for (const seconds of [1, 20, 0] as const) {
    const engine = await createEngine(t, {
      'POST /cakes': (_, reply) => reply.code(202).header('location', 'https://api.example/cakes/1').send(),
      'GET /cakes/1': () => 'done'
    }, { unknowns: { defaultRetryAfterSeconds: seconds } })
    t.same(waitsOf((await engine.run(start)).history), [seconds])
  }
})

test('a Retry-After with a date counts where it is said to (engine 1.6)', async (t) => {
  for (const [retryAfterDate, wait] of [['ignore', 1], ['accept', 90]] as const) {
    const engine = await createEngine(t, ({ clock }) => ({
      'POST /cakes': (_, reply) => accepted(reply, { 'retry-after': new Date(clock.now() + 90_000).toUTCString() }),
      'GET /cakes/1': () => 'done'
    }), { unknowns: { retryAfterDate } })
    t.same(waitsOf((await engine.run(start)).history), [wait])
  }
})

test('Retry-After is kept in ARM\'s bounds where it is said to be (engine 1.7)', async (t) => {
  for (const [retryAfterClamp, waits] of [['none', [3, 1000]], ['arm', [10, 600]]] as const) {
    const engine = await createEngine(t, {
      'POST /cakes': (_, reply) => accepted(reply, { 'retry-after': '3' }),
      'GET /cakes/1': (_, reply, count) => count === 1 ? accepted(reply, { 'retry-after': '1000' }) : 'done'
    }, { unknowns: { retryAfterClamp } })
    t.same(waitsOf((await engine.run(start)).history), waits)
  }
})

test('a relative Location fails the action, or is resolved (engine 1.3)', async (t) => {
  for (const relativeLocation of ['refuse', 'resolve'] as const) {
    const engine = await createEngine(t, { 'POST /cakes': (_, reply) => accepted(reply, { location: '/cakes/1' }), 'GET /cakes/1': () => 'done' }, { unknowns: { relativeLocation } })
    const result = await engine.run(start)
    if (relativeLocation === 'refuse') t.match(result, { status: 'Failed', code: 'InvalidLocation', error: { message: /absolute URL.*"\/cakes\/1"/ }, outputs: { statusCode: 202 } })
    else t.match(result, { status: 'Succeeded', outputs: { body: 'done' } })
  }
})

test('a 202 without Location ends the action, or makes it wait for ever (engine 1.10)', async (t) => {
  for (const acceptedWithoutLocation of ['finish', 'wait'] as const) {
    const engine = await createEngine(t, { 'POST /cakes': (_, reply) => reply.code(202).send() }, { unknowns: { acceptedWithoutLocation } })
    const result = await engine.run({ ...start, limit: { timeout: 'PT1H' } })
    t.match(result, acceptedWithoutLocation === 'finish' ? { status: 'Succeeded', code: 'Accepted' } : { status: 'TimedOut', code: 'ActionTimedOut' })
    t.equal(result.history.length, 1)
  }
})

test('an early 404 fails the action (engine 1.9)', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': (_, reply) => accepted(reply) })
  t.match(await engine.run(start), { status: 'Failed', code: 'NotFound', outputs: { statusCode: 404 } })
})

test('the status alone decides: what the body of a 200 says is not read (engine 1.11, 1.12)', async (t) => {
  for (const [status, ending] of [
    [200, { status: 'Succeeded', code: 'OK' }], [201, { status: 'Succeeded', code: 'Created' }], [204, { status: 'Succeeded', code: 'NoContent' }],
    [302, { status: 'Succeeded', code: 'Found' }], [400, { status: 'Failed', code: 'BadRequest' }], [409, { status: 'Failed', code: 'Conflict' }], [422, { status: 'Failed', code: '422' }]
  ] as const) {
    const engine = await createEngine(t, {
      'POST /cakes': (_, reply) => accepted(reply),
      'GET /cakes/1': (_, reply) => reply.code(status).send(status === 204 ? undefined : { status: 'Failed' })
    })
    const result = await engine.run(start)
    t.match(result, ending, String(status))
    t.equal(result.history.length, 2, 'none of them is retried')
  }
})

for (const status of [408, 429, 500, 503]) {
  test(`a poll answered ${status} is repeated, or the whole action is (engine 1.13, 15.2)`, async (t) => {
    for (const afterPollFailure of ['repeat', 'restart'] as const) {
      let starts = 0
      const engine = await createEngine(t, {
        'POST /cakes': (_, reply) => { starts++; return accepted(reply) },
        'GET /cakes/1': (_, reply, count) => count === 1 ? reply.code(status).send() : 'done'
      }, { unknowns: { afterPollFailure } })
      const result = await engine.run(start)
      t.match(result, { status: 'Succeeded' })
      t.equal(starts, afterPollFailure === 'repeat' ? 1 : 2)
      t.same(waitsOf(result.history), afterPollFailure === 'repeat' ? [10, 7.5] : [10, 7.5, 10])
    }
  })
}

test('a job that keeps failing with 500 ends the action when its retries are used up, in both readings (engine 1.13)', async (t) => {
  for (const [afterPollFailure, requests] of [['repeat', 6], ['restart', 10]] as const) {
    const engine = await createEngine(t, { 'POST /cakes': (_, reply) => accepted(reply), 'GET /cakes/1': (_, reply) => reply.code(500).send() }, { unknowns: { afterPollFailure } })
    const result = await engine.run(start)
    t.match(result, { status: 'Failed', code: 'InternalServerError' })
    t.equal(result.history.length, requests)
  }
})

test('a redirected poll ends the action, or is followed (engine 1.14, 15.3)', async (t) => {
  for (const [pollRedirects, code] of [['end', 'Found'], ['follow', 'OK']] as const) {
    const engine = await createEngine(t, {
      'POST /cakes': (_, reply) => accepted(reply),
      'GET /cakes/1': (_, reply) => reply.redirect('https://api.example/cakes/2'),
      'GET /cakes/2': () => 'done'
    }, { unknowns: { pollRedirects } })
    t.match(await engine.run(start), { status: 'Succeeded', code })
  }
})

test('a redirected start is not followed (engine 1.14)', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': (_, reply) => reply.redirect('https://api.example/cakes/', 308) }, { unknowns: { pollRedirects: 'follow' } })
  t.equal((await engine.run(start)).history.length, 1)
})

test('a call that takes longer than the profile allows is lost and sent again (engine 1.15, 6.8)', async (t) => {
  for (const [profile, seconds] of [['consumption', 120], ['standard', 225]] as const) {
    const engine = await createEngine(t, ({ clock }) => ({
      'POST /cakes': async (_, reply, count) => {
        if (count === 1) await new Promise<void>((resolve) => { clock.after(seconds * 1000 + 1, resolve) })
        return await reply.send('done')
      }
    }), { profile })
    const { history, status } = await engine.run({ ...start, inputs: { ...start.inputs, retryPolicy: { type: 'fixed', count: 1, interval: 'PT30S' } } })
    t.equal(status, 'Succeeded')
    t.same(traceOf(history), ['0 start POST /cakes RequestTimedOut', `${seconds + 30} start POST /cakes 200`])
  }
})

test('limit.timeout ends the polls, and nothing is sent to say so (engine 1.17, 1.18)', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': (_, reply) => accepted(reply), 'GET /cakes/1': (_, reply) => accepted(reply) })
  const result = await engine.run({ ...start, limit: { timeout: 'PT35S' } })
  t.match(result, { status: 'TimedOut', code: 'ActionTimedOut', outputs: undefined })
  t.same(traceOf(result.history), ['0 start POST /cakes 202', '10 poll GET /cakes/1 202', '20 poll GET /cakes/1 202', '30 poll GET /cakes/1 202'])
  await engine.advance('PT10M')
  t.equal(result.history.length, 4)
})

test('a cancelled action stops its polls (engine 1.18)', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': (_, reply) => accepted(reply), 'GET /cakes/1': (_, reply) => accepted(reply) })
  const action = engine.start(start, { name: 'Bake' })
  await engine.advance('PT25S')
  t.equal(action.history.length, 3)
  await t.rejects(engine.expectQuiet(), /Bake is still running: its last request, GET https:\/\/api\.example\/cakes\/1, was answered 202/)
  action.cancel()
  t.match(await action.done, { status: 'Cancelled' })
  await engine.expectQuiet({ after: 'PT1H' })
  t.equal(action.history.length, 3)
})

test('with DisableAsyncPattern, and in stateless workflows, the 202 is the result (engine 1.19, 1.21)', async (t) => {
  for (const [definition, profile] of [[{ ...start, operationOptions: 'DisableAsyncPattern' }, 'consumption'], [start, 'standard-stateless']] as const) {
    const engine = await createEngine(t, { 'POST /cakes': (_, reply) => accepted(reply) }, { profile })
    const result = await engine.run(definition)
    t.match(result, { status: 'Succeeded', code: 'Accepted', outputs: { statusCode: 202, headers: { location: 'https://api.example/cakes/1' } } })
    t.equal(result.history.length, 1)
  }
})

test('authentication goes along with polls, but not from Power Automate (engine 1.22)', async (t) => {
  for (const [profile, isSent] of [['consumption', true], ['standard', true], ['power-automate', false], ['custom-connector', false]] as const) {
    const engine = await createEngine(t, { 'POST /cakes': (_, reply) => accepted(reply), 'GET /cakes/1': () => 'done' }, { profile })
    const authentication = { type: 'Basic', username: 'baker', password: 'x' }
    const { history } = await engine.run({ ...start, inputs: { ...start.inputs, authentication } })
    t.same(history.map(({ request }) => request.headers.authorization), ['Basic YmFrZXI6eA==', isSent ? 'Basic YmFrZXI6eA==' : undefined], profile)
  }
})

test('authentication to a Location on another host goes along, or not (engine 1.23, 15.3)', async (t) => {
  for (const authenticationOnOtherHost of ['send', 'omit'] as const) {
    const engine = await createEngine(t, { 'POST /cakes': (_, reply) => accepted(reply, { location: 'https://status.example/cakes/1' }), 'GET /cakes/1': () => 'done' }, {
      hosts: ['https://status.example'], unknowns: { authenticationOnOtherHost }
    })
    const { history } = await engine.run({ ...start, inputs: { ...start.inputs, authentication: { type: 'Raw', value: 'Key 1' } } })
    t.equal(history[1]!.request.headers.authorization, authenticationOnOtherHost === 'send' ? 'Key 1' : undefined)
  }
})

test('a Location that leads nowhere is a connection error, retried like one (rule 5)', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': (_, reply) => accepted(reply, { location: 'http://localhost/cakes/1' }) })
  const result = await engine.run(start)
  t.match(result, { status: 'Failed', code: 'UnresolvableHostName', outputs: undefined, error: { message: /nothing listens at http:\/\/localhost\/cakes\/1: the app is known as https:\/\/api\.example/ } })
  t.same(waitsOf(result.history), [10, 7.5, 15, 30, 45])
})

test('polls that come early or late find the same work (issue 7)', async (t) => {
  for (const [polls, wait] of [['on-time', 10], ['early', 5], ['late', 20]] as const) {
    const engine = await createEngine(t, { 'POST /cakes': (_, reply) => accepted(reply), 'GET /cakes/1': () => 'done' }, { quirks: { polls } })
    t.same(waitsOf((await engine.run(start)).history), [wait])
  }
})

test('the first request comes twice, with the same ids or with others (engine 5.4, 6.7, 6.8)', async (t) => {
  for (const [firstRequest, waits] of [['again', [0]], ['at-once', [0]], ['answer-lost', [7.5]]] as const) {
    for (const trackingIdOnRetry of ['same', 'new'] as const) {
      let starts = 0
      const engine = await createEngine(t, { 'POST /cakes': () => `start ${++starts}` }, { quirks: { firstRequest }, unknowns: { trackingIdOnRetry } })
      const { history, outputs } = await engine.run({ ...start, inputs: { ...start.inputs, retryPolicy: { type: 'none' } } })
      t.same(waitsOf(history), waits, firstRequest)
      const ids = new Set(history.map(({ request }) => request.headers['x-ms-action-tracking-id']))
      t.equal(ids.size, trackingIdOnRetry === 'same' ? 1 : 2)
      t.equal(new Set(history.map(({ request }) => request.headers['x-ms-tracking-id'])).size, 2, 'each request has an id of its own (engine 5.3)')
      t.equal(outputs!.body, 'start 2', 'the first answer is lost')
    }
  }
})

test('an action that nothing will end is told, and so is one that takes too long', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': (_, reply) => accepted(reply), 'GET /cakes/1': (_, reply) => accepted(reply) }, { patience: 'PT1H' })
  await t.rejects(engine.run(start, { name: 'Bake' }), { message: 'Bake has not ended after 3600 seconds of virtual time' })
})

test('a day of polling passes in no time (issue 7)', async (t) => {
  let polls = 0
  const engine = await createEngine(t, { 'POST /cakes': (_, reply) => accepted(reply), 'GET /cakes/1': (_, reply) => { polls++; return polls < 500 ? accepted(reply, { 'retry-after': '173' }) : 'done' } })
  const began = performance.now()
  t.match(await engine.run(start), { status: 'Succeeded' })
  t.ok(performance.now() - began < 20_000)
  t.equal(polls, 500)
})
