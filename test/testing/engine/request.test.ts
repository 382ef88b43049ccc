import Fastify from 'fastify'
import { test } from 'tap'
import { createRandom } from '../../../src/testing/engine/random.ts'
import { createRetryWaits, exponentialBounds } from '../../../src/testing/engine/retry.ts'
import { createLogicAppsEngine, profiles } from '../../../src/testing/index.ts'
import { createEngine, waitsOf } from '../../helpers/engine.ts'

const action = (inputs: object, more: object = {}): never => ({ type: 'Http', inputs: { method: 'POST', uri: '/cakes', ...inputs }, ...more }) as never

test('bodies are encoded as the engine does it (engine 1.25)', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': ({ headers, body }) => ({ type: headers['content-type'] ?? null, body: body ?? null }) })
  for (const [body, type, text] of [
    ['text', 'text/plain; charset=utf-8', 'text'], [{ a: 1 }, 'application/json; charset=utf-8', { a: 1 }], [[1], 'application/json; charset=utf-8', [1]],
    [7, 'application/json; charset=utf-8', 7], [{ '$content-type': 'image/png', $content: Buffer.from('png').toString('base64') }, 'image/png', 'png'], [undefined, null, null]
  ] as const) t.same((await engine.run(action(body === undefined ? {} : { body }))).outputs!.body, { type, body: text })
})

test('a form with files is sent as one', async (t) => {
  const engine = await createEngine(t, {
    async 'POST /cakes' ({ headers, body }) {
      const form = await new Response(body as string, { headers: { 'content-type': headers['content-type']! } }).formData()
      const file = form.get('file') as File
      return { flavour: form.get('flavour'), file: file.name, type: file.type, text: await file.text() }
    }
  })
  const part = (disposition: string, body: unknown): object => ({ headers: { 'Content-Disposition': `form-data; ${disposition}` }, body })
  const $multipart = [part('name="flavour"', 'lemon'), part('name="file"; filename="a.png"', { '$content-type': 'image/png', $content: Buffer.from('a part of it').toString('base64') })]
  for (const type of ['multipart/form-data', 'multipart/form-data; boundary=own']) {
    const { outputs } = await engine.run(action({ body: { '$content-type': type, $multipart } }))
    t.same(outputs!.body, { flavour: 'lemon', file: 'a.png', type: 'image/png', text: 'a part of it' }, type)
  }
  await t.rejects(engine.run(action({ body: { $multipart } })), /a body with \$multipart must have a \$content-type that is multipart/)
})

test('queries take the place of the query in the URI (engine 1.26)', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': ({ url }, reply) => reply.type('text/plain').send(url) })
  t.equal((await engine.run(action({ uri: '/cakes?sig=secret', queries: { a: 'b c' } }))).outputs!.body, '/cakes?a=b%20c')
  t.equal((await engine.run(action({ uri: '/cakes?sig=secret' }))).outputs!.body, '/cakes?sig=secret')
})

test('answers are parsed by their content type (engine 1.27)', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': ({ query }, reply) => reply.type((query as { type: string }).type).send(Buffer.from((query as { body: string }).body)) })
  const outputs = async (type: string, body: string): Promise<unknown> => await engine.run(action({ queries: { type, body } }))
  t.match(await outputs('application/json', '{"a":1}'), { status: 'Succeeded', outputs: { body: { a: 1 } } })
  t.match(await outputs('application/problem+json; charset=utf-8', '{"a":1}'), { outputs: { body: { a: 1 } } })
  t.match(await outputs('application/json', '<p>'), { status: 'Failed', code: 'BadRequest', error: { message: /content type says JSON/ } })
  t.match(await outputs('text/html', '<p>'), { status: 'Succeeded', outputs: { body: '<p>' } })
  t.match(await outputs('application/xml', '<p>'), { outputs: { body: { '$content-type': 'application/xml', $content: Buffer.from('<p>').toString('base64') } } })
  t.notOk('body' in (await engine.run(action({ queries: { type: 'text/plain', body: '' } }))).outputs!)
})

test('headers that an author cannot send are taken out in silence (engine 1.28)', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': ({ headers }) => headers })
  const { outputs } = await engine.run(action({
    body: {},
    cookie: 'a=b',
    headers: { 'Accept-Charset': 'utf-8', 'Accept-Version': '2', Accept: 'text/html', 'Content-MD5': 'x', 'Content-Type': 'application/merge-patch+json', Expires: '0', Host: 'evil.example', 'Last-Modified': 'x', Origin: 'x', 'Transfer-Encoding': 'chunked', Allow: 'GET', 'X-Own': '1', Cookie: 'c=d' }
  }))
  const headers = outputs!.body as Record<string, string>
  t.match(headers, { 'accept-version': '2', accept: 'text/html', 'content-type': 'application/merge-patch+json', 'x-own': '1', cookie: 'a=b', host: 'api.example' })
  for (const name of ['accept-charset', 'content-md5', 'expires', 'last-modified', 'origin', 'allow']) t.notOk(name in headers, name)
})

test('the headers of the engine say who calls, and can be suppressed (engine 5.1, 5.2, 5.6)', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': ({ headers }) => headers })
  const { outputs } = await engine.run(action({}), { name: 'Bake_a_cake' })
  t.match(outputs!.body, {
    'user-agent': /^azure-logic-apps\/1\.0 \(workflow [0-9a-f]{32}; version \d{20}\)$/,
    'x-ms-workflow-operation-name': 'Bake_a_cake',
    'x-ms-workflow-run-id': /^08585\d{24}CU\d\d$/,
    'x-ms-workflow-system-id': /^\/locations\/westeurope\/scaleunits\/prod-00\/workflows\/[0-9a-f]{32}$/
  })
  const headers = outputs!.body as Record<string, string>
  t.equal(headers['x-ms-tracking-id'], headers['x-ms-correlation-id'])
  t.notOk('accept' in headers || 'traceparent' in headers)
  const suppressed = await engine.run(action({}, { operationOptions: 'SuppressWorkflowHeaders' }))
  t.same(Object.keys(suppressed.outputs!.body as object).filter((name) => name.startsWith('x-ms-')), [])
})

test('what profiles say of themselves differs (engine 5.1, 5.7, 5.8)', async (t) => {
  for (const [options, expected] of [
    [{ profile: 'power-automate' }, { 'user-agent': / microsoft-flow\/1\.0$/, 'x-ms-workflow-subscription-id': '' }],
    [{ profile: 'custom-connector' }, { 'x-ms-apim-referrer': /./ }],
    [{ unknowns: { traceparent: 'send' } }, { traceparent: /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/ }]
  ] as const) {
    const engine = await createEngine(t, { 'POST /cakes': ({ headers }) => headers }, options)
    t.match((await engine.run(action({}))).outputs!.body, expected)
  }
})

test('authentication becomes a header (engine 8.1)', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': ({ headers }, reply) => reply.type('text/plain').send(headers.authorization ?? 'none') }, { tokenFor: ({ audience }) => `token for ${String(audience)}` })
  for (const [authentication, header] of [
    [{ type: 'None' }, 'none'], [{ type: 'Basic', username: 'a', password: 'b' }, 'Basic YTpi'], [{ type: 'Raw', value: 'ApiKey 1' }, 'ApiKey 1'],
    [{ type: 'ManagedServiceIdentity', audience: 'api://cakes' }, 'Bearer token for api://cakes'], [{ type: 'ActiveDirectoryOAuth', audience: 'api://cakes' }, 'Bearer token for api://cakes']
  ] as const) t.equal((await engine.run(action({ authentication }))).outputs!.body, header)
  await t.rejects(engine.run(action({ authentication: { type: 'ClientCertificate' } })), /authentication\.type "ClientCertificate" is not played/)
})

test('what is not played is refused by its name (issue 7)', async (t) => {
  const engine = await createEngine(t, {})
  for (const [definition, message] of [
    [{ type: 'Function', inputs: {} }, /actions of type "Function" are not played here; there are Http and HttpWebhook/],
    [action({}, { runtimeConfiguration: { contentTransfer: { transferMode: 'Chunked' } } }), /runtimeConfiguration\.contentTransfer is not played/],
    [action({}, { operationOptions: 'Sequential' }), /operationOptions "Sequential" is not played/],
    [{ type: 'HttpWebhook', inputs: { subscribe: { method: 'POST', uri: '/hooks' } }, operationOptions: 'SuppressWorkflowHeaders' }, /operationOptions "SuppressWorkflowHeaders" is not played by this engine; it plays none here/],
    [action({ uri: undefined }), /uri is missing/],
    [action({ uri: 'cakes' }), /uri must be an absolute/],
    [action({}, { limit: { timeout: '1 hour' } }), /limit\.timeout must be an ISO 8601 duration/],
    [action({ body: '@formatDateTime(utcNow())' }), /the function (?:utcNow|formatDateTime)\(\) is not played here; there are /]
  ] as const) await t.rejects((async () => engine.run(definition as never))(), { message })
  const trigger = { type: 'HttpWebhook', inputs: { subscribe: { method: 'POST', uri: '/hooks' } }, operationOptions: 'SuppressWorkflowHeaders' }
  t.throws(() => engine.trigger(trigger as never), { message: /operationOptions "SuppressWorkflowHeaders" is not played/ }, 'two of the headers are promised to webhooks')
})

test('wrong options are refused by their name', async (t) => {
  const app = Fastify()
  for (const [options, message] of [
    [{}, /needs app or baseUrl/], [{ app, profile: 'premium' }, /profile must be one of consumption, /], [{ app, unknowns: { fate: 1 } }, /unknowns\.fate is not known; there are relativeLocation/],
    [{ app, unknowns: { relativeLocation: 'maybe' } }, /unknowns\.relativeLocation must be one of "refuse", "resolve"/], [{ app, quirks: { mood: 1 } }, /quirks\.mood is not known/],
    [{ app, quirks: { polls: 'never' } }, /quirks\.polls must be one of/], [{ baseUrl: 'cakes' }, /"cakes" must be an absolute/], [{ app, patience: 'long' }, /patience must be/]
  ] as const) await t.rejects(createLogicAppsEngine(options as never), { message })
})

test('an app below a path prefix is called as a proxy would call it', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': ({ url, headers }) => ({ url, host: headers.host }) }, { baseUrl: 'https://gateway.example/bakery/' })
  t.same((await engine.run(action({ uri: '/cakes?a=1' }))).outputs!.body, { url: '/cakes?a=1', host: 'gateway.example' })
  t.match(await engine.run(action({ uri: 'https://gateway.example/bakeries', retryPolicy: { type: 'none' } })), { code: 'UnresolvableHostName' })
})

const call = (retryPolicy?: object): { type: 'Http', inputs: object } => ({ type: 'Http', inputs: { method: 'POST', uri: '/cakes', ...(retryPolicy === undefined ? {} : { retryPolicy }) } })

test('the default policy waits 7.5, 15, 30 and 45 seconds, as was measured (engine 6.1)', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': (_, reply) => reply.code(503).send() })
  for (const definition of [call(), call({ type: 'default' })]) {
    const result = await engine.run(definition)
    t.match(result, { status: 'Failed', code: 'ServiceUnavailable' })
    t.same(waitsOf(result.history), [7.5, 15, 30, 45])
  }
})

test('the host setting of Standard lets the waits grow longer (engine 6.5)', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': (_, reply) => reply.code(503).send() }, { profile: 'standard' })
  t.same(waitsOf((await engine.run(call())).history), [7, 14, 28, 56])
})

test('the default policy may also be drawn at random within its bounds (engine 6.4)', async (t) => {
  const waits = async (seed: number): Promise<number[]> => {
    const engine = await createEngine(t, { 'POST /cakes': (_, reply) => reply.code(503).send() }, { seed, unknowns: { defaultRetryWaits: 'random' } })
    return waitsOf((await engine.run(call())).history)
  }
  const first = await waits(7)
  for (const [index, [from, to]] of ([[5, 7.5], [7.5, 15], [15, 30], [30, 45]] as const).entries()) t.ok(first[index]! >= from && first[index]! <= to, `${first[index]}`)
  t.same(await waits(7), first, 'the same seed draws the same')
  t.not(String(await waits(8)), String(first))
})

test('a fixed policy waits exactly as long as it says (engine 6.3)', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': (_, reply) => reply.code(500).send() })
  t.same(waitsOf((await engine.run(call({ type: 'fixed', count: 3, interval: 'PT20S' }))).history), [20, 20, 20])
})

test('an exponential policy draws the n-th wait from [2^(n-2), 2^(n-1)] intervals, within minimum and maximum (engine 6.4)', async (t) => {
  const bounds = exponentialBounds(10_000, 5_000, 60_000)
  t.same([1, 2, 3, 4, 5, 6].map(bounds), [[5000, 10_000], [10_000, 20_000], [20_000, 40_000], [40_000, 60_000], [60_000, 60_000], [60_000, 60_000]])
  const random = createRandom(3)
  const policy = { type: 'exponential', count: 5, interval: 'PT10S', minimumInterval: 'PT5S', maximumInterval: 'PT1M' } as const
  for (let round = 0; round < 200; round++) {
    const waits = createRetryWaits(policy, { profile: profiles.consumption, random, defaultWaits: 'measured' })
    for (const retry of [1, 2, 3, 4, 5]) {
      const [from, to] = bounds(retry)
      if (waits(retry)! < from || waits(retry)! > to) t.fail(`retry ${retry}: ${waits(retry)} is not in [${from}, ${to}]`)
    }
    t.equal(waits(6), undefined)
  }
})

test('408, 429, 5xx and connection errors are retried, nothing else is (engine 6.2)', async (t) => {
  for (const [status, requests] of [[408, 5], [429, 5], [500, 5], [502, 5], [599, 5], [400, 1], [401, 1], [404, 1], [409, 1], [422, 1], [302, 1]] as const) {
    const engine = await createEngine(t, { 'POST /cakes': (_, reply) => reply.code(status).send() })
    t.equal((await engine.run(call())).history.length, requests, String(status))
  }
  const nowhere = await createEngine(t, {})
  t.equal((await nowhere.run({ type: 'Http', inputs: { method: 'GET', uri: 'https://elsewhere.example/' } })).history.length, 5)
})

test('with policy none nothing is retried (engine 6.3)', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': (_, reply) => reply.code(503).send() })
  t.equal((await engine.run(call({ type: 'none' }))).history.length, 1)
})

test('Retry-After sets the wait, on 429 or on all that is retried (engine 6.6)', async (t) => {
  for (const [retryAfterOnErrors, waits] of [['all', [100, 100]], ['429', [100, 30]]] as const) {
    const engine = await createEngine(t, { 'POST /cakes': (_, reply, count) => count === 3 ? 'done' : reply.code(count === 1 ? 429 : 503).header('retry-after', '100').send() }, { unknowns: { retryAfterOnErrors } })
    t.same(waitsOf((await engine.run(call({ type: 'fixed', count: 4, interval: 'PT30S' }))).history), waits)
  }
})

test('a policy that the cloud would not save is refused (engine 6.3)', async (t) => {
  const engine = await createEngine(t, {})
  for (const [policy, message] of [
    [{ type: 'fixed', count: 91, interval: 'PT20S' }, /count must be an integer from 1 to 90/],
    [{ type: 'fixed', count: 0, interval: 'PT20S' }, /count must be/],
    [{ type: 'fixed', count: 4 }, /interval is missing/],
    [{ type: 'fixed', count: 4, interval: 'PT4S' }, /interval must be from 5 seconds to 86400 seconds/],
    [{ type: 'fixed', count: 4, interval: 'P2D' }, /interval must be from/],
    [{ type: 'fixed', count: 4, interval: '20' }, /must be an ISO 8601 duration/],
    [{ type: 'exponential', count: 4, interval: 'PT20S', minimumInterval: 'PT1H', maximumInterval: 'PT1M' }, /minimumInterval must not be longer/],
    [{ type: 'linear', count: 4, interval: 'PT20S' }, /type must be "none", "fixed", "exponential" or "default"/]
  ] as const) await t.rejects(engine.run(call(policy)), { message })
})

test('stateless workflows may retry after a second (engine 6.3)', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': (_, reply, count) => count === 1 ? reply.code(500).send() : 'done' }, { profile: 'standard-stateless' })
  t.same(waitsOf((await engine.run(call({ type: 'fixed', count: 1, interval: 'PT1S' }))).history), [1])
})
