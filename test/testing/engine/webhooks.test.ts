import type { FastifyRequest } from 'fastify'
import { test, type Test } from 'tap'
import type { AppParts, EngineOptions, LogicAppsEngine, TriggerHandle } from '../../../src/testing/index.ts'
import { createEngine, traceOf, wait } from '../../helpers/engine.ts'

const urlOf = ({ body }: FastifyRequest): string => (body as { callbackUrl: string }).callbackUrl

/** Calls back as a plain API does, with undici's `request`. */
async function call ({ callbacks: { dispatcher } }: AppParts, url: string, { method = 'POST', headers = {}, body = '{"cake":"lemon"}' }: { method?: string, headers?: Record<string, string>, body?: string } = {}): Promise<number> {
  const { origin } = new URL(url)
  const answer = await dispatcher.request({ origin, path: url.slice(origin.length), method: method as 'POST', headers: { 'content-type': 'application/json', ...headers }, body: method === 'GET' ? null : body })
  await answer.body.dump()
  return answer.statusCode
}

/** An action that has subscribed with a URL. */
async function startWaiting (t: Test): Promise<{ engine: LogicAppsEngine, action: ReturnType<LogicAppsEngine['start']>, parts: AppParts, url: string }> {
  let parts!: AppParts
  let url = ''
  const engine = await createEngine(t, (given) => {
    parts = given
    return { 'POST /calls': (request) => { url = urlOf(request); return '' }, 'POST /calls/unsubscribe': () => '' }
  })
  const action = engine.start(wait, { name: 'Bake' })
  await engine.advance(0)
  return { engine, action, parts, url }
}

test('an action waits for its callback, which becomes its outputs (engine 2.15, 2.22)', async (t) => {
  const engine = await createEngine(t, (parts) => ({
    'POST /calls': (request) => {
      parts.clock.after(90_000, () => { call(parts, urlOf(request)).then((status) => { t.equal(status, 200) }, t.fail) })
      return ''
    },
    'POST /calls/unsubscribe': () => ''
  }))
  const result = await engine.run(wait, { name: 'Bake a cake' })
  t.match(result, { status: 'Succeeded', code: 'OK', outputs: { body: { cake: 'lemon' }, headers: { 'content-type': 'application/json' } } })
  t.same(traceOf(result.history), ['0 subscribe POST /calls 200', '90 unsubscribe POST /calls/unsubscribe 200'])
  t.equal(JSON.parse(result.history[1]!.request.body!).callbackUrl, JSON.parse(result.history[0]!.request.body!).callbackUrl)
  for (const header of ['x-ms-client-tracking-id', 'x-ms-workflow-operation-name', 'x-ms-workflow-run-id']) t.equal(result.history[0]!.request.headers[header], result.history[1]!.request.headers[header], `${header} (engine 2.5)`)
  await engine.expectQuiet()
})

test('callback URLs have the forms of each cloud (engine 2.8, 2.10, 2.11)', async (t) => {
  const tail = String.raw`/workflows/[0-9a-f]{32}/runs/(\d{29}CU\d\d)/actions/Bake_a_cake/run\?api-version=[\d-]+&sp=%2Fruns%2F\1%2Factions%2FBake_a_cake%2Frun%2C%2Fruns%2F\1%2Factions%2FBake_a_cake%2Fread&sv=1\.0&sig=[\w-]{43}$`
  for (const [profile, port, origin] of [
    ['consumption', 'omit', String.raw`https://prod-00\.westeurope\.logic\.azure\.com`], ['consumption', 'send', String.raw`https://prod-00\.westeurope\.logic\.azure\.com:443`],
    ['standard', 'omit', String.raw`https://cakes-workflows\.azurewebsites\.net/runtime/webhooks/workflow/scaleUnits/prod-00`],
    ['power-automate', 'omit', String.raw`https://default[0-9a-f]{30}\.[0-9a-f]{2}\.environment\.api\.powerplatform\.com/powerautomate/automations/direct`]
  ] as const) {
    let url = ''
    const engine = await createEngine(t, { 'POST /calls': (request, reply) => { url = urlOf(request); return reply.code(400).send() } }, { profile, unknowns: { callbackUrlPort: port } })
    await engine.run(wait, { name: 'Bake a cake' })
    t.match(url, new RegExp(`^${origin}${tail}`), profile)
  }
})

test('a refused subscribe call fails the action; one that may pass is retried (engine 2.6)', async (t) => {
  for (const [status, code, requests] of [[401, 'Unauthorized', 1], [503, 'ServiceUnavailable', 5]] as const) {
    const engine = await createEngine(t, { 'POST /calls': (_, reply) => reply.code(status).send() })
    const result = await engine.run(wait)
    t.match(result, { status: 'Failed', code })
    t.equal(result.history.length, requests)
    await engine.expectQuiet()
  }
})

test('a 202 to a subscribe call is a yes, or is polled (engine 2.6, 15.5)', async (t) => {
  for (const subscribeAccepted of ['subscribed', 'poll'] as const) {
    const engine = await createEngine(t, (parts) => ({
      'POST /calls': (request, reply) => {
        parts.clock.after(60_000, () => { call(parts, urlOf(request)).catch(t.fail) })
        return reply.code(202).headers({ location: 'https://api.example/calls/1', 'retry-after': '10' }).send()
      },
      'GET /calls/1': () => 'subscribed',
      'POST /calls/unsubscribe': () => ''
    }), { unknowns: { subscribeAccepted } })
    const { status, history } = await engine.run(wait)
    t.equal(status, 'Succeeded')
    t.equal(history.some(({ purpose }) => purpose === 'poll'), subscribeAccepted === 'poll')
  }
})

test('an action that is never called back runs until its limit, and unsubscribes (engine 2.3, 2.21)', async (t) => {
  const engine = await createEngine(t, { 'POST /calls': () => '', 'POST /calls/unsubscribe': () => '' })
  const result = await engine.run(wait)
  t.match(result, { status: 'TimedOut', code: 'ActionTimedOut' })
  t.same(traceOf(result.history), ['0 subscribe POST /calls 200', '3600 unsubscribe POST /calls/unsubscribe 200'])
  await engine.expectQuiet()
})

test('a cancelled action unsubscribes; a callback that comes then is late (engine 2.3, 2.19)', async (t) => {
  for (const lateCallbackAnswer of [404, 400, 200] as const) {
    let parts!: AppParts
    let url = ''
    const engine = await createEngine(t, (given) => {
      parts = given
      return { 'POST /calls': (request) => { url = urlOf(request); return '' }, 'POST /calls/unsubscribe': () => '' }
    }, { unknowns: { lateCallbackAnswer } })
    const action = engine.start(wait, { name: 'Bake' })
    await engine.advance('PT1M')
    action.cancel()
    t.match(await engine.until(action.done), { status: 'Cancelled' })
    t.same(traceOf(action.history), ['0 subscribe POST /calls 200', '60 unsubscribe POST /calls/unsubscribe 200'])
    t.equal(await call(parts, url), lateCallbackAnswer)
    if (lateCallbackAnswer === 200) await engine.expectQuiet()
    else await t.rejects(engine.expectQuiet(), new RegExp(`a POST to Bake was refused with ${lateCallbackAnswer}`))
    await engine.expectQuiet({ lateCallbacks: true })
  }
})

test('when an action unsubscribes: always, when it gives up, never, or twice (engine 2.3)', async (t) => {
  for (const [unsubscribe, onSuccess, onTimeout] of [['always', 1, 1], ['when-given-up', 0, 1], ['never', 0, 0], ['twice', 2, 2]] as const) {
    for (const [seconds, expected] of [[1, onSuccess], [10_000, onTimeout]] as const) {
      const engine = await createEngine(t, (parts) => ({
        'POST /calls': (request) => { parts.clock.after(seconds * 1000, () => { call(parts, urlOf(request)).catch(t.fail) }); return '' },
        'POST /calls/unsubscribe': () => ''
      }), { quirks: { unsubscribe } })
      const { history } = await engine.run(wait)
      t.equal(history.filter(({ purpose }) => purpose === 'unsubscribe').length, expected, `${unsubscribe} ${seconds}`)
    }
  }
})

test('an unsubscribe that is refused is told by expectQuiet (rule 14)', async (t) => {
  const engine = await createEngine(t, { 'POST /calls': () => '' })
  await engine.run(wait, { name: 'Bake' })
  await t.rejects(engine.expectQuiet(), /Bake: unsubscribe was answered 404/)
})

test('listCallbackUrl() in unsubscribe works, or the call is not made (engine 2.5)', async (t) => {
  for (const callbackUrlInUnsubscribe of ['works', 'fails'] as const) {
    const engine = await createEngine(t, { 'POST /calls': () => '', 'POST /calls/unsubscribe': () => '' }, { unknowns: { callbackUrlInUnsubscribe } })
    t.equal((await engine.run(wait)).history.length, callbackUrlInUnsubscribe === 'works' ? 2 : 1)
    const { body: _, ...bodyless } = wait.inputs.unsubscribe
    t.equal((await engine.run({ ...wait, inputs: { ...wait.inputs, unsubscribe: bodyless } })).history.length, 2)
  }
})

test('a connector deletes the Location of the 201, with its credentials on its own host alone (engine 4.3, 4.4, 4.6)', async (t) => {
  for (const [location, headers] of [['https://api.example/calls/7', { authorization: 'Key 1' }], ['https://other.example/calls/7', { authorization: undefined }], [undefined, undefined]] as const) {
    const engine = await createEngine(t, {
      'POST /calls': (_, reply) => reply.code(201).headers(location === undefined ? {} : { location }).send(),
      'DELETE /calls/7': (_, reply) => reply.code(204).send()
    }, { profile: 'custom-connector', hosts: ['https://other.example'] })
    const { history } = await engine.run({ ...wait, inputs: { ...wait.inputs, subscribe: { ...wait.inputs.subscribe, authentication: { type: 'Raw', value: 'Key 1' } } } })
    t.same(history.slice(1).map(({ request }) => `${request.method} ${request.url}`), location === undefined ? [] : [`DELETE ${location}`])
    if (headers !== undefined) t.equal(history[1]!.request.headers.authorization, headers.authorization)
  }
})

test('a callback must be right in every byte, a POST, and without Authorization (engine 2.16, 2.18, rule 16)', async (t) => {
  const { engine, action, parts, url } = await startWaiting(t)
  for (const [wrong, status] of [
    [decodeURIComponent(url), 401], [url.replaceAll('%2F', '%2f'), 401], [`${url}&a=1`, 401], [url.split('&sig=')[0]!, 401], [url.split('?')[0]!, 401], [url.replace('/run?', '/run/?'), 404]
  ] as const) t.equal(await call(parts, wrong), status, wrong.slice(-40))
  t.equal(await call(parts, url, { method: 'GET' }), 404)
  t.equal(await call(parts, url, { headers: { authorization: 'Bearer x' } }), 401)
  t.equal(action.history.length, 1, 'the action still waits')
  t.equal(await call(parts, url), 200)
  t.match(await engine.until(action.done), { status: 'Succeeded' })
  t.equal(await call(parts, url), 404, 'a second callback')
  await t.rejects(engine.expectQuiet(), /a GET to Bake was refused with 404/)
})

test('what a callback meets can be scripted (issue 7)', async (t) => {
  const { engine, action, parts, url } = await startWaiting(t)
  engine.callbacks.script([{ statusCode: 429, retryAfterSeconds: 9 }, 503], 'Bake')
  engine.callbacks.script(['reset', { delaySeconds: 30 }])
  engine.callbacks.script([500], 'Other')
  t.equal(await call(parts, url), 429)
  t.equal(await call(parts, url), 503)
  await t.rejects(engine.expectQuiet(), /a callback to Bake is still owed: its last attempt was answered 503/)
  await t.rejects(call(parts, url), { code: 'ECONNRESET' })
  const slow = call(parts, url)
  await engine.advance(29_999)
  t.equal(engine.callbacks.received.length, 3)
  t.equal(await engine.until(slow), 200)
  await engine.until(action.done)
  await t.rejects(engine.expectQuiet(), /1 scripted faults have met no callback/)
})

test('a callback whose body is no JSON fails the action (engine 1.27)', async (t) => {
  const engine = await createEngine(t, (parts) => ({
    'POST /calls': (request) => { parts.clock.after(1000, () => { call(parts, urlOf(request), { body: '{' }).catch(t.fail) }); return '' },
    'POST /calls/unsubscribe': () => ''
  }))
  t.match(await engine.run(wait), { status: 'Failed', code: 'BadRequest' })
})

test('the first callback to an action is answered 200, or 202 (engine 2.19, 15.4)', async (t) => {
  for (const callbackAnswer of [200, 202] as const) {
    const statuses: number[] = []
    const engine = await createEngine(t, (parts) => ({
      'POST /calls': (request) => { parts.clock.after(1000, () => { call(parts, urlOf(request)).then((status) => statuses.push(status), t.fail) }); return '' },
      'POST /calls/unsubscribe': () => ''
    }), { unknowns: { callbackAnswer } })
    await engine.run(wait)
    t.same(statuses, [callbackAnswer])
  }
})

const hook = (more: object = {}): never => ({
  type: 'HttpWebhook',
  inputs: {
    subscribe: { method: 'POST', uri: '/hooks', body: { callbackUrl: '@{listCallbackUrl()}' } },
    unsubscribe: { method: 'POST', uri: '/hooks/unsubscribe', body: { callbackUrl: '@{listCallbackUrl()}' } }
  },
  ...more
}) as never

interface Hooked {
  engine: LogicAppsEngine
  handle: TriggerHandle
  /** What the API was called for, in order. */
  calls: string[]
  send: (url: string, body?: string) => Promise<number>
}

async function hooked (t: Test, options: Omit<EngineOptions, 'app'> = {}, more: object = {}, onRun?: () => Promise<void>): Promise<Hooked> {
  const calls: string[] = []
  let parts!: AppParts
  const called = (name: string) => ({ body }: FastifyRequest) => {
    calls.push(`${name} ${/versions\/(\d+)/.exec((body as { callbackUrl: string }).callbackUrl)![1]!}`)
    return ''
  }
  const engine = await createEngine(t, (given) => {
    parts = given
    return { 'POST /hooks': called('subscribe'), 'POST /hooks/unsubscribe': called('unsubscribe') }
  }, options)
  const handle = engine.trigger(hook(more), { name: 'On_order', ...(onRun && { onRun }) })
  await handle.enable()
  return {
    engine,
    handle,
    calls,
    async send (url, body = '{"orderId":"1"}') {
      const { origin } = new URL(url)
      const answer = await parts.callbacks.dispatcher.request({ origin, path: url.slice(origin.length), method: 'POST', headers: { 'content-type': 'application/json' }, body })
      await answer.body.dump()
      return answer.statusCode
    }
  }
}
const versions = (calls: string[]): string[] => {
  const seen = [...new Set(calls.map((call) => call.split(' ')[1]!))]
  return calls.map((call) => `${call.split(' ')[0]} v${seen.indexOf(call.split(' ')[1]!) + 1}`)
}

test('each callback starts a run, answered 202 (engine 2.17, 2.22)', async (t) => {
  const { handle, engine, send } = await hooked(t)
  t.match(handle.callbackUrl, /^https:\/\/prod-00\.westeurope\.logic\.azure\.com\/workflows\/[0-9a-f]{32}\/triggers\/On_order\/versions\/\d{20}\/run\?api-version=2016-06-01&sp=%2Ftriggers%2FOn_order%2Fversions%2F\d{20}%2Frun%2C/)
  t.equal(await send(handle.callbackUrl!), 202)
  t.equal(await send(handle.callbackUrl!, '{"orderId":"2"}'), 202)
  t.same(handle.runs.map(({ body }) => body), [{ orderId: '1' }, { orderId: '2' }])
  t.match(handle.history, [{ status: 'Succeeded', runs: 1 }, { status: 'Succeeded', runs: 1 }])
  await t.rejects(engine.expectQuiet(), /On_order is still subscribed/)
  await handle.disable()
  await engine.expectQuiet()
})

test('splitOn fans an array out (engine 2.22)', async (t) => {
  const { handle, send } = await hooked(t, {}, { splitOn: '@triggerBody()' })
  t.equal(await send(handle.callbackUrl!, '[1,2]'), 202)
  t.same(handle.runs.map(({ body }) => body), [1, 2])
  t.equal(await send(handle.callbackUrl!, '{}'), 400)
})

test('a disabled trigger answers 400 WorkflowTriggerIsNotEnabled, a removed one 404 (engine 2.18)', async (t) => {
  const { handle, send, calls, engine } = await hooked(t)
  await handle.disable()
  t.equal(await send(handle.callbackUrl!), 400)
  t.same(versions(calls), ['subscribe v1', 'unsubscribe v1'])
  await handle.enable()
  t.equal(await send(handle.callbackUrl!), 202)
  await handle.remove()
  t.equal(await send(handle.callbackUrl!), 404)
  t.equal(handle.runs.length, 1)
  await t.rejects(engine.expectQuiet(), /a POST to On_order was refused with 400[^]*refused with 404/)
})

test('a save yields a new URL, and the calls come in either order (engine 2.9, rule 15)', async (t) => {
  for (const [save, order] of [['subscribe-first', ['subscribe v1', 'subscribe v2', 'unsubscribe v1']], ['unsubscribe-first', ['subscribe v1', 'unsubscribe v1', 'subscribe v2']]] as const) {
    const { handle, calls, send } = await hooked(t, { quirks: { save } })
    const old = handle.callbackUrl!
    await handle.save()
    t.not(handle.callbackUrl, old)
    t.same(versions(calls), order)
    t.equal(await send(old), 404)
    t.equal(await send(handle.callbackUrl!), 202)
  }
})

test('a restart registers again with the URL there is (engine 13, issue 7)', async (t) => {
  const { handle, calls, send } = await hooked(t, { profile: 'standard' })
  const url = handle.callbackUrl!
  await handle.restart()
  t.equal(handle.callbackUrl, url)
  t.same(versions(calls), ['subscribe v1', 'subscribe v1'])
  t.equal(await send(url), 202)
})

test('a trigger unsubscribes after a callback where one page says so (engine 2.4)', async (t) => {
  for (const [triggerUnsubscribesAfterCallback, expected] of [['no', ['subscribe v1']], ['yes', ['subscribe v1', 'unsubscribe v1', 'subscribe v1']]] as const) {
    const { handle, calls, send, engine } = await hooked(t, { unknowns: { triggerUnsubscribesAfterCallback } })
    t.equal(await send(handle.callbackUrl!), 202)
    await engine.advance(0)
    t.same(versions(calls), expected)
    t.equal(await send(handle.callbackUrl!), 202)
  }
})

test('the client tracking id at unsubscribe is that of subscribe, or another (engine 2.5, 15.6)', async (t) => {
  for (const clientTrackingIdAtUnsubscribe of ['same', 'new'] as const) {
    const { handle } = await hooked(t, { unknowns: { clientTrackingIdAtUnsubscribe } })
    await handle.disable()
    const [subscribe, unsubscribe] = handle.exchanges.map(({ request }) => request.headers['x-ms-client-tracking-id'])
    t.equal(subscribe === unsubscribe, clientTrackingIdAtUnsubscribe === 'same')
  }
})

test('a refused subscribe call is the test\'s to know: the workflow cannot be saved (engine 2.6)', async (t) => {
  const engine = await createEngine(t, { 'POST /hooks': (_, reply) => reply.code(403).send() })
  const handle = engine.trigger(hook(), { name: 'On_order' })
  await t.rejects(handle.enable(), { message: 'On_order cannot be enabled: subscribe failed with Forbidden: The API answered 403.' })
  t.notOk(handle.isEnabled)
  await engine.expectQuiet()
})

test('with concurrency on, callbacks are answered 429 while too many runs wait (engine 2.18, 3.15)', async (t) => {
  let end!: () => void
  const { engine, handle, send } = await hooked(t, {}, { runtimeConfiguration: { concurrency: { runs: 1, maximumWaitingRuns: 1 } } }, () => new Promise((resolve) => { end = resolve }))
  t.same([await send(handle.callbackUrl!), await send(handle.callbackUrl!), await send(handle.callbackUrl!)], [202, 202, 429])
  end()
  await engine.advance(0)
  t.equal(await send(handle.callbackUrl!), 202)
  t.equal(handle.runs.length, 3)
})

test('the first subscribe call may come twice (engine 6.7)', async (t) => {
  const { calls } = await hooked(t, { quirks: { firstRequest: 'again' } })
  t.same(versions(calls), ['subscribe v1', 'subscribe v1'])
})

test('a saved trigger stays what it is', async (t) => {
  const { handle } = await hooked(t)
  await t.rejects(handle.save({ type: 'Http', inputs: { uri: '/x' }, recurrence: { frequency: 'Day', interval: 1 } }), /a webhook trigger cannot be saved as "Http"/)
})
