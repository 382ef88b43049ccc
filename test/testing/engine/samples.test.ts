/*
 * The public samples, played again: what the engine makes of each, faults of theirs included.
 */
import { test } from 'tap'
import { createEngine, traceOf, waitsOf } from '../../helpers/engine.ts'

test('ASYNC: polls every 20 seconds, and the result is there once (engine 12.1)', async (t) => {
  let startedAt: number | undefined
  const engine = await createEngine(t, ({ clock }) => ({
    'POST /api/startwork': (_, reply) => {
      startedAt = clock.now()
      return reply.code(202).headers({ location: 'https://api.example/api/status/1', 'retry-after': '20' }).send()
    },
    'GET /api/status/1': (_, reply) => {
      if (startedAt === undefined) return reply.code(400).send()
      if (clock.now() - startedAt < 120_000) return reply.code(202).headers({ location: 'https://api.example/api/status/1', 'retry-after': '20' }).send()
      startedAt = undefined
      return reply.type('application/json').send('"Task Completed"')
    }
  }))
  const { history, outputs } = await engine.run({ type: 'Http', inputs: { method: 'POST', uri: '/api/startwork' } })
  t.equal(outputs!.body, 'Task Completed')
  t.same(traceOf(history), [
    '0 start POST /api/startwork 202', ...[20, 40, 60, 80, 100].map((second) => `${second} poll GET /api/status/1 202`), '120 poll GET /api/status/1 200'
  ])
})

test('ASYNC: off its usual port, the Location it makes leads nowhere (engine 12.1, rule 5)', async (t) => {
  const engine = await createEngine(t, {
    'POST /api/startwork': ({ protocol, hostname }, reply) => reply.code(202).headers({ location: `${protocol}://${hostname}/api/status/1`, 'retry-after': '20' }).send()
  }, { baseUrl: 'http://api.example:8080' })
  t.match(await engine.run({ type: 'Http', inputs: { method: 'POST', uri: '/api/startwork' } }), { status: 'Failed', code: 'UnresolvableHostName' })
})

test('TRIG: a polling trigger that fires every two minutes, with no body (engine 12.2)', async (t) => {
  const engine = await createEngine(t, ({ clock }) => ({
    'GET /api/polltrigger': ({ query }, reply) => {
      const { triggerState } = query as { triggerState?: string }
      const at = (state: number): void => { reply.headers({ location: `https://api.example/api/polltrigger?triggerState=${state}`, 'retry-after': '15' }) }
      if (triggerState === undefined) at(clock.now())
      else if (Number(triggerState) < clock.now()) {
        at(clock.now() + 120_000)
        return reply.code(200).send()
      } else at(Number(triggerState))
      return reply.code(202).send()
    }
  }))
  const trigger = engine.trigger({ type: 'Http', inputs: { method: 'GET', uri: '/api/polltrigger' }, recurrence: { frequency: 'Second', interval: 30 } })
  await trigger.enable()
  await trigger.advance('PT170S')
  t.same(trigger.history.map(({ code, at }) => `${(at - trigger.history[0]!.at) / 1000} ${code}`), [
    '0 Accepted', '30 OK', '45 Accepted', '75 Accepted', '105 Accepted', '135 Accepted', '165 OK'
  ])
  t.same(trigger.runs.map(({ body }) => body), [undefined, undefined])
})

test('TRIG: a webhook trigger that posts JSON within JSON (engine 12.3)', async (t) => {
  const engine = await createEngine(t, ({ callbacks: { dispatcher } }) => {
    const subscribers = new Set<string>()
    const urlIn = (body: unknown): string => body as string
    return {
      'POST /api/webhooktrigger/subscribe': ({ body }) => { subscribers.add(urlIn(body)); return '' },
      'POST /api/webhooktrigger/unsubscribe': ({ body }) => { subscribers.delete(urlIn(body)); return '' },
      'GET /api/webhooktrigger/trigger': async (_, reply) => {
        for (const url of subscribers) {
          const { origin } = new URL(url)
          await (await dispatcher.request({ origin, path: url.slice(origin.length), method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify('{"trigger":"fired"}') })).body.dump()
        }
        return await reply.code(202).send({ called: subscribers.size })
      }
    }
  })
  const call = (uri: string): object => ({ method: 'POST', uri, headers: { 'Content-Type': 'application/json' }, body: '"@{listCallbackUrl()}"' })
  const trigger = engine.trigger({ type: 'HttpWebhook', inputs: { subscribe: call('/api/webhooktrigger/subscribe'), unsubscribe: call('/api/webhooktrigger/unsubscribe') } })
  await trigger.enable()
  const fire = { type: 'Http', inputs: { method: 'GET', uri: '/api/webhooktrigger/trigger' } } as const
  t.match((await engine.run(fire)).outputs!.body, { called: 1 })
  t.equal(trigger.runs[0]!.body, '{"trigger":"fired"}', 'a string, not an object (rule 18)')
  await trigger.disable()
  t.match((await engine.run(fire)).outputs!.body, { called: 0 })
  await engine.expectQuiet()
})

test('TREX: a polling trigger with Retry-After 0 on its 202s, which the recurrence outlasts (engine 12.5, 3.5)', async (t) => {
  const engine = await createEngine(t, {
    'GET /text': ({ query }, reply, count) => {
      const { lastResult } = query as { lastResult?: string }
      const hash = count < 3 ? 'a' : 'b'
      reply.headers({ location: `https://api.example/text?lastResult=${hash}`, 'retry-after': '0' })
      return lastResult === undefined || lastResult === hash ? reply.code(202).send() : reply.send({ text: hash })
    }
  })
  const trigger = engine.trigger({ type: 'Http', inputs: { method: 'GET', uri: '/text' }, recurrence: { frequency: 'Minute', interval: 1 } })
  await trigger.enable()
  await trigger.advance('PT2M')
  t.same(waitsOf(trigger.exchanges), [60, 60, 0])
  t.equal(trigger.runs.length, 1)
})

test('TREX: a subscription with a Location that a connector deletes (engine 12.5, 4.4)', async (t) => {
  const engine = await createEngine(t, {
    'POST /api/marketwatcher/$subscriptions': (_, reply) => reply.code(201).header('location', 'https://api.example/api/marketwatcher/$subscriptions/7').send(),
    'DELETE /api/marketwatcher/$subscriptions/7': () => ''
  }, { profile: 'custom-connector' })
  const trigger = engine.trigger({ type: 'HttpWebhook', inputs: { subscribe: { method: 'POST', uri: '/api/marketwatcher/$subscriptions', body: { callbackUrl: '@{listCallbackUrl()}' } } } })
  await trigger.enable()
  await trigger.disable()
  t.same(traceOf(trigger.exchanges), ['0 subscribe POST /api/marketwatcher/$subscriptions 201', '0 unsubscribe DELETE /api/marketwatcher/$subscriptions/7 200'])
  await engine.expectQuiet()
})

test('DURABLE: 10 seconds, then 5; a failed orchestration is a success, or with the flag ends as 500 after all retries (engine 12.6, 1.12)', async (t) => {
  for (const [statusOfFailure, expected] of [[200, { status: 'Succeeded', code: 'OK' }], [500, { status: 'Failed', code: 'InternalServerError' }]] as const) {
    const engine = await createEngine(t, {
      'POST /start': (_, reply) => reply.code(202).headers({ location: 'https://api.example/instances/1', 'retry-after': '10' }).send(),
      'GET /instances/1': (_, reply, count) => count < 3
        ? reply.code(202).headers({ location: 'https://api.example/instances/1', 'retry-after': '5' }).send()
        : reply.code(statusOfFailure).send({ runtimeStatus: 'Failed' })
    })
    const result = await engine.run({ type: 'Http', inputs: { method: 'POST', uri: '/start' } })
    t.match(result, expected)
    t.same(waitsOf(result.history), statusOfFailure === 200 ? [10, 5, 5] : [10, 5, 5, 7.5, 15, 30, 45])
  }
})
