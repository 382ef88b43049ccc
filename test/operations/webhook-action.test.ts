import { test } from 'tap'
import { JobError, type Job } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createApp } from '../helpers/app.ts'
import { createAwayStore } from '../helpers/away-store.ts'
import { bake, idOf, orderSchema } from '../helpers/cakes.ts'
import { callbacksSettled } from '../helpers/callback-receiver.ts'
import { actionUrl, addCalls, createWebhookApp, errorOf, post, subscribeCall, unsubscribe, type WebhookApp } from '../helpers/webhooks.ts'

const uniform = { operationId: 'BakeCakeAndCall' }
const bodyOf = async ({ receiver }: WebhookApp, index = 0): Promise<unknown> => JSON.parse((await receiver.call(index)).body)

test('a subscribe call is a 201 with an absolute Location and the job\'s id, never a 202 (engine 2.6, 4.3)', async (t) => {
  const { app, receiver } = await createWebhookApp(t)
  addCalls(app)
  const subscribed = await subscribeCall(app, actionUrl(receiver))
  t.equal(subscribed.statusCode, 201)
  t.match(subscribed.headers, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' })
  t.match(subscribed.headers.location, /^https:\/\/api\.example\/calls\/[\w-]{44}$/)
  t.same(Object.keys(subscribed.json<object>()), ['id'])
  t.match(await app.logicApps.jobs.get(idOf(subscribed)), { operationId: 'BakeCakeAndCall', status: /queued|running/, owner: 'default' })
  t.equal(subscribed.headers['retry-after'], undefined)
})

test('the job\'s end is POSTed to the callback URL, byte for byte', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, clock, receiver } = parts
  addCalls(app)
  const url = actionUrl(receiver)
  const subscribed = await subscribeCall(app, url)
  await clock.advance(10_000)
  const call = await receiver.call(0)
  t.match(call, { method: 'POST', target: url.slice(receiver.origin.length), body: '{"flavour":"lemon"}' })
  t.equal(call.headers.authorization, undefined)
  await callbacksSettled(parts)
  const [delivery] = await app.logicApps.deliveries.list()
  t.match(delivery, { status: 'delivered', attempts: 1, operationId: 'BakeCakeAndCall', url: `${receiver.origin}/workflows/w1/…` })
  t.equal(call.headers['webhook-id'], delivery!.id)
  t.equal(call.headers['webhook-timestamp'], String(clock.now() / 1000))
  t.equal((await app.logicApps.jobs.get(idOf(subscribed)))?.status, 'succeeded')
  t.same(await app.logicApps.subscriptions.list(), [], 'and nothing more is owed')
  await clock.advance(600_000)
  t.equal(receiver.calls.length, 1)
})

test('a job without a result calls back with an empty object', async (t) => {
  const parts = await createWebhookApp(t)
  parts.app.webhookAction('/calls', { schema: uniform }, () => {})
  await subscribeCall(parts.app, actionUrl(parts.receiver))
  await parts.clock.advance(1000)
  t.same(await bodyOf(parts), {})
})

test('a job that fails calls back with its error: a callback cannot fail an action (engine 2.20)', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, clock, receiver } = parts
  addCalls(app)
  app.webhookAction('/others', { schema: { operationId: 'Other' } }, () => { throw new Error('the oven at 10.0.0.7 broke') })
  await subscribeCall(app, actionUrl(receiver), {}, { flavour: 'burnt' })
  await clock.advance(10_000)
  t.same(await bodyOf(parts), { error: { code: 'CakeBurnt', message: 'The cake burnt.', details: { flavour: 'burnt' } } })
  const other = await post(app, '/others', { callbackUrl: actionUrl(receiver, '2') })
  await clock.advance(1000)
  t.same(await bodyOf(parts, 1), { error: { code: 'JobFailed', message: `The job failed. Its id is ${idOf(other)}.` } })
})

test('a result that is no object, or does not fit, calls back with an error', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, clock, receiver } = parts
  const results = ['text', 7, [], null, true]
  for (const [index, result] of results.entries()) app.webhookAction(`/calls${index}`, { schema: { operationId: `Odd${index}` } }, () => result)
  app.webhookAction('/misfits', { schema: { operationId: 'Misfit' }, result: { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] } }, (() => ({ n: 'x' })) as never)
  for (const index of results.keys()) await post(app, `/calls${index}`, { callbackUrl: actionUrl(receiver, String(index)) })
  await post(app, '/misfits', { callbackUrl: actionUrl(receiver, 'misfit') })
  await clock.advance(1000)
  for (let index = 0; index <= results.length; index++) {
    t.same(await bodyOf(parts, index), { error: { code: 'InvalidResult', message: 'The job ended with a result that does not fit its schema.' } })
  }
})

test('a job that is canceled by its id calls back', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, clock, receiver } = parts
  addCalls(app)
  const subscribed = await subscribeCall(app, actionUrl(receiver))
  await clock.advance(2000)
  await app.logicApps.jobs.cancel(idOf(subscribed))
  await clock.advance(0)
  t.same(await bodyOf(parts), { error: { code: 'JobCanceled', message: 'The job was canceled.' } })
})

test('a deferred job calls back when it is completed or failed, days later, at once', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, clock, receiver } = parts
  app.webhookAction('/calls', { schema: uniform, result: { type: 'object', properties: { approved: { type: 'boolean' } } } }, (job) => job.defer())
  const [yes, no] = [await subscribeCall(app, actionUrl(receiver)), await subscribeCall(app, actionUrl(receiver, '2'))]
  clock.jump(3 * 86_400_000)
  await clock.advance(10_000)
  t.equal(receiver.calls.length, 0)
  await app.logicApps.jobs.complete(idOf(yes), { approved: true })
  await clock.advance(0)
  t.same(await bodyOf(parts), { approved: true })
  await app.logicApps.jobs.fail(idOf(no), new JobError('Refused', 'The manager said no.'))
  await clock.advance(0)
  t.same(await bodyOf(parts, 1), { error: { code: 'Refused', message: 'The manager said no.' } })
})

test('nothing is sent before delaySeconds have passed since the subscribe call: its caller must have read our answer', async (t) => {
  for (const [delaySeconds, delayMs] of [[undefined, 1000], [3, 3000], [0, 0]] as const) {
    const parts = await createWebhookApp(t, delaySeconds === undefined ? {} : { callbacks: { delaySeconds } })
    const { app, clock, receiver } = parts
    app.webhookAction('/calls', { schema: uniform }, () => {})
    await subscribeCall(app, actionUrl(receiver))
    const subscribedAt = clock.now()
    await clock.advance(Math.max(delayMs - 1, 0))
    if (delayMs > 0) {
      t.match(await app.logicApps.deliveries.list(), [{ status: 'pending', attempts: 0, dueAt: subscribedAt + delayMs }])
      t.equal(receiver.calls.length, 0)
    }
    await clock.advance(1)
    t.same(await bodyOf(parts), {})
  }
})

test('the callback URL is no part of the job: it is taken out of its input', async (t) => {
  const { app, clock, receiver } = await createWebhookApp(t)
  const jobs: Pick<Job, 'input' | 'query' | 'params'>[] = []
  const keep = ({ input, query, params }: Job): void => { jobs.push({ input, query, params }) }
  app.webhookAction('/shops/:shop/calls', { schema: { operationId: 'Bake', body: { ...orderSchema, additionalProperties: false }, querystring: { type: 'object', properties: { rush: { type: 'boolean' } } } } }, keep as never)
  app.webhookAction('/bare', { schema: { operationId: 'Bare' } }, keep as never)
  app.webhookAction('/named', { schema: { operationId: 'Named', body: orderSchema }, callbackUrl: { name: 'notify' } }, keep as never)
  app.webhookAction('/declared', { schema: { operationId: 'Declared', body: { type: 'object', properties: { callbackUrl: { type: 'string', pattern: '^http://127' }, n: { type: 'number' } }, required: ['n'] } } }, keep as never)
  const answers = [
    await post(app, '/shops/7/calls?rush=true', { callbackUrl: actionUrl(receiver, '1'), flavour: 'lemon' }),
    await post(app, '/bare', { callbackUrl: actionUrl(receiver, '2') }),
    await post(app, '/named', { notify: actionUrl(receiver, '3'), flavour: 'plum' }),
    await post(app, '/declared', { callbackUrl: actionUrl(receiver, '4'), n: '5' })
  ]
  for (const { statusCode } of answers) t.equal(statusCode, 201)
  await clock.advance(0)
  t.same(jobs, [
    { input: { flavour: 'lemon' }, query: { rush: true }, params: { shop: '7' } },
    { input: {}, query: {}, params: {} },
    { input: { flavour: 'plum' }, query: {}, params: {} },
    { input: { n: 5 }, query: {}, params: {} }
  ])
})

test('the callback URL is a required property, added or declared: without it a 400', async (t) => {
  const { app, receiver } = await createWebhookApp(t)
  addCalls(app)
  app.webhookAction('/declared', { schema: { operationId: 'Declared', body: { type: 'object', properties: { callbackUrl: { type: 'string', pattern: '^https' } } } } }, () => {})
  for (const [url, payload] of [['/calls', { flavour: 'lemon' }], ['/calls', { flavour: 'lemon', callbackUrl: null }], ['/calls', { flavour: 'lemon', callbackUrl: '' }], ['/calls', {}], ['/declared', {}]] as const) {
    const answer = await post(app, url, payload)
    t.equal(answer.statusCode, 400, JSON.stringify(payload))
    t.match(errorOf(answer).code, /^Invalid(Request|CallbackUrl)$/)
  }
  t.same(errorOf(await post(app, '/declared', { callbackUrl: actionUrl(receiver) })), {
    code: 'InvalidRequest',
    message: 'body/callbackUrl must match pattern "^https"',
    details: [{ path: 'body/callbackUrl', message: 'must match pattern "^https"' }]
  })
  t.same(await app.logicApps.jobs.list(), [])
})

test('callbackUrl.in "body": the whole body is the URL, a JSON string or plain text (engine 2.5a)', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, clock, receiver } = parts
  const inputs: unknown[] = []
  app.webhookAction('/calls', { schema: uniform, callbackUrl: { in: 'body' } }, (job) => { inputs.push(job.input) })
  t.equal((await post(app, '/calls', JSON.stringify(actionUrl(receiver, '1')), { 'content-type': 'application/json' })).statusCode, 201)
  t.equal((await post(app, '/calls', actionUrl(receiver, '2'), { 'content-type': 'text/plain' })).statusCode, 201)
  await clock.advance(1000)
  for (const index of [0, 1]) t.match((await receiver.call(index)).target, /\/runs\/[12]\//)
  t.same(inputs, [undefined, undefined])
  for (const [payload, type] of [['{}', 'application/json'], ['[]', 'application/json'], ['null', 'application/json'], ['7', 'application/json'], ['', 'text/plain'], ['hello', 'text/plain'], [`"${actionUrl(receiver)}"`, 'text/plain']] as const) {
    const refused = await post(app, '/calls', payload, { 'content-type': type })
    t.equal(refused.statusCode, 400, payload)
    t.match(errorOf(refused).code, /^Invalid(Request|CallbackUrl)$/)
  }
  t.equal((await app.inject({ method: 'POST', url: '/calls' })).statusCode, 400)
  t.throws(() => app.webhookAction('/both', { schema: { operationId: 'Both', body: orderSchema }, callbackUrl: { in: 'body' } }, () => {}),
    { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: 'Both: with callbackUrl.in "body" the body is the URL alone: leave schema.body out' })
})

test('callbackUrl.in "header" and "query": the body is the input, and the URL is not kept with it', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, clock, receiver } = parts
  const jobs: Pick<Job, 'input' | 'query'>[] = []
  const keep = ({ input, query }: Job): void => { jobs.push({ input, query }) }
  app.webhookAction('/headers', { schema: { operationId: 'Header', body: orderSchema }, callbackUrl: { in: 'header', name: 'X-Callback-Url' } }, keep as never)
  app.webhookAction('/queries', { schema: { operationId: 'Query', body: orderSchema, querystring: { type: 'object', properties: { rush: { type: 'boolean' } } } }, callbackUrl: { in: 'query' } }, keep as never)
  const url = actionUrl(receiver)
  const byHeader = await post(app, '/headers', { flavour: 'lemon' }, { 'x-callback-url': url })
  const byQuery = await post(app, `/queries?rush=true&callbackUrl=${encodeURIComponent(actionUrl(receiver, '2'))}`, { flavour: 'plum' })
  t.equal(byHeader.statusCode, 201)
  t.equal(byQuery.statusCode, 201)
  t.match(byQuery.headers.location, /^https:\/\/api\.example\/queries\/[\w-]{44}$/)
  await clock.advance(1000)
  t.same([(await receiver.call(0)).target, (await receiver.call(1)).target].toSorted(), [url, actionUrl(receiver, '2')].map((one) => one.slice(receiver.origin.length)))
  t.same(jobs, [{ input: { flavour: 'lemon' }, query: {} }, { input: { flavour: 'plum' }, query: { rush: true } }])
  t.match(errorOf(await post(app, '/headers', { flavour: 'lemon' })), { code: 'InvalidRequest', message: 'headers must have required property \'x-callback-url\'' })
  t.match(errorOf(await post(app, '/queries', { flavour: 'lemon' })), { code: 'InvalidRequest', message: 'querystring must have required property \'callbackUrl\'' })
})

test('a schema that cannot take the URL is refused with the way out, when the action is declared', async (t) => {
  const { app } = await createApp(t)
  for (const [index, body] of [{ type: 'array' }, { type: 'string' }, { type: ['object', 'null'] }, { $ref: 'order#' }].entries()) {
    t.throws(() => app.webhookAction('/odd', { schema: { operationId: `Odd${index}`, body } }, () => {}),
      { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: /^Odd\d: the callback URL cannot be added to a schema that is no plain object schema: .*callbackUrl\.in$/ })
  }
})

test('a wrong callbackUrl option is refused', async (t) => {
  const { app } = await createApp(t)
  t.throws(() => app.webhookAction('/odd', { schema: { operationId: 'Odd' }, callbackUrl: { in: 'cookie' as never } }, () => {}), { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: 'Odd: callbackUrl.in must be "property", "body", "header" or "query"' })
})

test('a result schema must be of an object without a property "error"', async (t) => {
  const { app } = await createApp(t)
  const declare = (operationId: string, result: unknown): void => { app.webhookAction(`/${operationId}`, { schema: { operationId }, result } as never, () => ({})) }
  for (const [index, result] of [{ type: 'array' }, { type: 'string' }, { type: 'null' }, { type: ['object', 'null'] }, {}, true, { properties: {} }].entries()) {
    t.throws(() => { declare(`No${index}`, result) }, { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: `results of No${index} must be objects (type "object"): a callback's body is one` })
  }
  t.throws(() => { declare('Error', { type: 'object', properties: { error: { type: 'string' } } }) }, { code: 'FST_LOGIC_APPS_INVALID_OPTIONS', message: 'results of Error must have no property "error": a callback with one says that the job failed' })
  for (const [index, result] of [undefined, { type: 'object' }, { type: 'object', properties: { errors: { type: 'string' } } }, { $ref: 'cake#' }, { anyOf: [{ type: 'object' }] }].entries()) {
    t.doesNotThrow(() => { declare(`Yes${index}`, result) })
  }
  app.addSchema({ $id: 'cake', type: 'object' })
  await app.ready()
})

test('a webhook action needs an operationId, a handler, and options that are options', async (t) => {
  const { app } = await createApp(t)
  const options = { code: 'FST_LOGIC_APPS_INVALID_OPTIONS' }
  t.throws(() => app.webhookAction('/a', {} as never, () => {}), options)
  t.throws(() => app.webhookAction('/a', { schema: {} } as never, () => {}), options)
  t.throws(() => app.webhookAction('/a', { schema: { operationId: 'A' } }, undefined as never), { ...options, message: /the handler is missing/ })
  t.throws(() => app.webhookAction('/a', { schema: { operationId: 'A2' }, timeoutSeconds: 0, monitorHooks: { onRequst: () => {} } as never }, () => {}), { ...options, message: /timeoutSeconds .*monitorHooks/ })
  addCalls(app)
  t.throws(() => addCalls(app, {}, '/again'), { code: 'FST_LOGIC_APPS_DUPLICATE_OPERATION' })
})

test('subscribing again with the same URL is the same job and Location, and nothing restarts', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, clock, receiver } = parts
  let runs = 0
  app.webhookAction('/calls', { schema: { ...uniform, body: orderSchema } }, async (job) => {
    runs++
    return await bake(job)
  })
  const url = actionUrl(receiver)
  const first = await subscribeCall(app, url)
  const again = async (message: string, input?: object): Promise<void> => {
    const second = await subscribeCall(app, url, { 'idempotency-key': Math.random().toString() }, input)
    t.equal(second.statusCode, 201, message)
    t.equal(second.headers.location, first.headers.location)
    t.same(second.json(), first.json())
  }
  await again('while it waits')
  await clock.advance(5000)
  await again('while it runs')
  await again('with another input: the URL is of this run alone', { flavour: 'plum' })
  await clock.advance(5000)
  await callbacksSettled(parts)
  await again('after its end')
  await clock.advance(600_000)
  t.equal(runs, 1)
  t.equal(receiver.calls.length, 1)
  t.equal((await app.logicApps.jobs.list()).length, 1)
})

test('subscribing again after an unsubscribe is that canceled job', async (t) => {
  const { app, clock, receiver } = await createWebhookApp(t)
  addCalls(app)
  const first = await subscribeCall(app, actionUrl(receiver))
  await unsubscribe(app, first)
  t.equal((await subscribeCall(app, actionUrl(receiver))).headers.location, first.headers.location)
  await clock.advance(60_000)
  t.equal(receiver.calls.length, 0)
})

test('subscribe calls at the same moment are one job', async (t) => {
  const { app, receiver } = await createWebhookApp(t)
  addCalls(app)
  const all = await Promise.all(Array.from({ length: 20 }, () => subscribeCall(app, actionUrl(receiver))))
  t.equal(new Set(all.map(({ headers }) => headers.location)).size, 1)
  t.equal((await app.logicApps.subscriptions.list()).length, 1)
})

test('one URL of two owners, or of two operations, is two jobs', async (t) => {
  const { app, receiver } = await createWebhookApp(t, { owner: ({ headers }) => String(headers['x-tenant']) })
  addCalls(app)
  addCalls(app, { schema: { operationId: 'Other', body: orderSchema } }, '/others')
  const url = actionUrl(receiver)
  const ids = [await subscribeCall(app, url, { 'x-tenant': 'north' }), await subscribeCall(app, url, { 'x-tenant': 'south' }), await post(app, '/others', { callbackUrl: url, flavour: 'plum' }, { 'x-tenant': 'north' })].map(idOf)
  t.equal(new Set(ids).size, 3)
  t.match((await app.logicApps.subscriptions.list()).map(({ owner }) => owner), ['north', 'south', 'north'])
})

test('an action of the same name in another run is another job: its URL has no version', async (t) => {
  const { app, receiver } = await createWebhookApp(t)
  addCalls(app)
  const [one, two] = [await subscribeCall(app, actionUrl(receiver, '1')), await subscribeCall(app, actionUrl(receiver, '2'))]
  t.not(idOf(one), idOf(two))
  t.match((await app.logicApps.subscriptions.list()).map(({ status }) => status), ['active', 'active'])
})

test('a queue that is full, and a store that is away: 503 with Retry-After, and nothing is kept', async (t) => {
  const { store, leave, comeBack } = createAwayStore(sqliteStore({ file: ':memory:' }))
  const { app, receiver } = await createWebhookApp(t, { maxQueued: 1, runners: false, store })
  addCalls(app)
  t.equal((await subscribeCall(app, actionUrl(receiver))).statusCode, 201)
  const full = await subscribeCall(app, actionUrl(receiver, '2'))
  t.equal(full.statusCode, 503)
  t.match(full.headers, { 'retry-after': '10' })
  t.match(errorOf(full), { code: 'QueueFull' })
  leave()
  const away = await subscribeCall(app, actionUrl(receiver, '3'))
  t.equal(away.statusCode, 503)
  t.same(errorOf(away), { code: 'StoreUnavailable', message: 'The service cannot store work at the moment. Try again later.' })
  comeBack()
  t.equal((await app.logicApps.subscriptions.list()).length, 1)
})

test('a process without runners accepts; one with them calls back', async (t) => {
  const { app, clock, receiver } = await createWebhookApp(t, { runners: false })
  addCalls(app)
  await subscribeCall(app, actionUrl(receiver))
  await clock.advance(60_000)
  t.equal(receiver.calls.length, 0)
  t.match(await app.logicApps.jobs.list(), [{ status: 'queued' }])
})
