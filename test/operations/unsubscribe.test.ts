import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'tap'
import { createApp, pathOf } from '../helpers/app.ts'
import { callbacksSettled } from '../helpers/callback-receiver.ts'
import { idOf, orderSchema } from '../helpers/cakes.ts'
import { createLatch } from '../helpers/latch.ts'
import { actionUrl, addCalls, addHooks, createWebhookApp, post, publish, subscribeCall, subscribeHook, triggerUrl, unsubscribe, type WebhookApp } from '../helpers/webhooks.ts'

const count = async ({ app }: Pick<WebhookApp, 'app'>): Promise<number> => (await app.logicApps.subscriptions.list()).length
const json = { 'content-type': 'application/json' }

test('DELETE of the Location ends a subscription: 200, and again 200 (engine 2.3, rule 14)', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, receiver, clock } = parts
  addHooks(app)
  const subscribed = await subscribeHook(app, triggerUrl(receiver))
  for (let times = 0; times < 3; times++) {
    const answer = await unsubscribe(app, subscribed)
    t.equal(answer.statusCode, 200)
    t.same(answer.json(), {})
    t.equal(answer.headers['cache-control'], 'no-store')
  }
  t.equal(await count(parts), 0)
  await publish(app, { n: 1 })
  await clock.advance(5000)
  t.equal(receiver.calls.length, 0)
})

test('DELETE takes whatever body, content type and authorization come with it', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, receiver } = parts
  addHooks(app, { bodyLimit: 300 })
  for (const { payload, headers = {} } of [
    {},
    { headers: json },
    { payload: '', headers: json },
    { payload: '{"callbackUrl":"x"}', headers: json },
    { payload: '{"half":', headers: json },
    { payload: '<x/>', headers: { 'content-type': 'application/xml' } },
    { payload: 'x', headers: { 'content-type': 'foo' } },
    { payload: 'x' },
    { payload: 'x'.repeat(2_000_000), headers: { 'content-type': 'text/plain' } },
    { headers: { authorization: 'Bearer whatever' } },
    { headers: { 'x-ms-client-tracking-id': 'other', 'x-ms-workflow-operation-name': 'other' } }
  ] as { payload?: string, headers?: Record<string, string> }[]) {
    const subscribed = await subscribeHook(app, triggerUrl(receiver))
    const answer = await app.inject({ method: 'DELETE', url: pathOf(subscribed.headers.location), headers, ...(payload === undefined ? {} : { payload }) })
    t.equal(answer.statusCode, 200, JSON.stringify({ payload: payload?.slice(0, 30), headers }))
    t.equal(await count(parts), 0)
  }
})

test('over a socket too, chunked or with a length', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, receiver } = parts
  addHooks(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  for (const [method, path] of [['DELETE', undefined], ['POST', '/hooks/unsubscribe']] as const) {
    for (const headers of [{ 'transfer-encoding': 'chunked' }, { 'transfer-encoding': 'chunked', ...json }, { 'transfer-encoding': 'chunked', 'content-type': 'foo/bar' }, {}] as Record<string, string>[]) {
      const url = triggerUrl(receiver)
      const subscribed = await subscribeHook(app, url)
      const body = JSON.stringify({ callbackUrl: url })
      const framing = headers['transfer-encoding'] === undefined ? { 'content-length': String(body.length) } : {}
      const outgoing = request({ port, host: '127.0.0.1', method, path: path ?? pathOf(subscribed.headers.location), headers: { ...headers, ...framing } })
      outgoing.write(body.slice(0, 20))
      outgoing.end(body.slice(20))
      const [answer] = await once(outgoing, 'response') as [IncomingMessage]
      await answer.resume().toArray()
      t.equal(answer.statusCode, 200, JSON.stringify({ method, headers }))
      t.equal(await count(parts), 0)
    }
  }
})

test('tokens that are none, of another operation, or of another kind remove nothing and are 200', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, receiver } = parts
  addHooks(app)
  addHooks(app, { schema: { operationId: 'OnPie' } }, '/pies')
  addCalls(app)
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' } }, (job) => job.defer())
  const hook = pathOf((await subscribeHook(app, triggerUrl(receiver))).headers.location)
  const call = pathOf((await subscribeCall(app, actionUrl(receiver))).headers.location)
  const job = pathOf((await post(app, '/cakes', {})).headers.location)
  const tokenOf = (path: string): string => path.split('/').at(-1)!
  for (const url of [
    '/hooks/x', `/hooks/${'A'.repeat(44)}`, `${hook.slice(0, -1)}${hook.endsWith('A') ? 'B' : 'A'}`, `/hooks/${tokenOf(hook).slice(0, 22)}`, '/hooks/unsubscribe',
    `/pies/${tokenOf(hook)}`, `/calls/${tokenOf(hook)}`, `/hooks/${tokenOf(call)}`, `/hooks/${tokenOf(job)}`, `/calls/${tokenOf(job)}`, '/hooks/%00', `/hooks/${'x'.repeat(100)}`
  ]) {
    t.equal((await app.inject({ method: 'DELETE', url })).statusCode, 200, url)
  }
  t.equal(await count(parts), 2)
  t.match(await app.logicApps.jobs.list(), [{ endedAt: null }, { endedAt: null }])
})

test('POST unsubscribe takes the URL as a property, a JSON string or a bare one, under any content type or none', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, receiver } = parts
  addHooks(app)
  const url = triggerUrl(receiver)
  const bodies = [JSON.stringify({ callbackUrl: url }), JSON.stringify({ callbackUrl: url, more: [1] }, null, 2), JSON.stringify(url), url, ` ${url}\r\n`, ` ${JSON.stringify(url)} `]
  const types = [undefined, 'application/json', 'application/json; charset=utf-8', 'text/plain', 'application/xml', 'application/x-www-form-urlencoded', 'multipart/form-data', 'foo', '']
  for (const payload of bodies) {
    for (const type of types) {
      await subscribeHook(app, url)
      const answer = await post(app, '/hooks/unsubscribe', payload, type === undefined ? {} : { 'content-type': type })
      t.equal(answer.statusCode, 200, `${String(type)}: ${payload.slice(0, 30)}`)
      t.equal(await count(parts), 0)
    }
  }
})

const tracking = { 'x-ms-client-tracking-id': 'client-1', 'x-ms-workflow-operation-name': 'When_an_order' }

test('with nothing usable in the body the tracking headers name the subscription, if exactly one (engine 2.5)', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, receiver } = parts
  addHooks(app)
  for (const payload of [undefined, '', ' ', '{}', '[]', 'null', '7', 'true', '""', '{"callbackUrl":null}', '{"callbackUrl":7}', '{"callbackUrl":""}', '{"callbackUrl":{"a":1}}', '{"other":"x"}', '{"callbackUrl":"http', '@{listCallbackUrl()}', 'null null', '\u0000', '{"__proto__":{"callbackUrl":"x"}}', `${'['.repeat(10_000)}`]) {
    await subscribeHook(app, triggerUrl(receiver), tracking)
    await subscribeHook(app, triggerUrl(receiver, 'w2'), { ...tracking, 'x-ms-client-tracking-id': 'client-2' })
    const answer = await app.inject({ method: 'POST', url: '/hooks/unsubscribe', headers: { ...tracking, ...json }, ...(payload === undefined ? {} : { payload }) })
    t.equal(answer.statusCode, 200, String(payload).slice(0, 30))
    t.equal(await count(parts), 1)
    await post(app, '/hooks/unsubscribe', triggerUrl(receiver, 'w2'))
    t.equal(await count(parts), 0)
  }
})

test('a URL that is unknown names nothing, whatever the headers say: it may be of the version before', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, receiver } = parts
  addHooks(app)
  await subscribeHook(app, triggerUrl(receiver, 'w1', '2'), tracking)
  await post(app, '/hooks/unsubscribe', { callbackUrl: triggerUrl(receiver, 'w1', '1') }, tracking)
  t.equal(await count(parts), 1)
})

test('tracking headers that name none, two, another owner\'s or another run\'s remove nothing', async (t) => {
  const parts = await createWebhookApp(t, { owner: ({ headers }) => String(headers['x-tenant'] ?? 'north') })
  const { app, receiver } = parts
  addHooks(app)
  const unsubscribeBy = async (headers: Record<string, string>): Promise<number> => {
    const before = await count(parts)
    t.equal((await post(app, '/hooks/unsubscribe', '', headers)).statusCode, 200)
    return before - await count(parts)
  }
  const ids = { 'x-ms-workflow-run-id': 'run-1', 'x-ms-workflow-id': 'workflow-1' }
  await subscribeHook(app, triggerUrl(receiver), { ...tracking, ...ids })
  t.equal(await unsubscribeBy({}), 0, 'no headers')
  t.equal(await unsubscribeBy({ 'x-ms-client-tracking-id': 'client-1' }), 0, 'one of the two')
  t.equal(await unsubscribeBy({ 'x-ms-workflow-operation-name': 'When_an_order' }), 0, 'the other')
  t.equal(await unsubscribeBy({ ...ids }), 0, 'run and workflow alone')
  t.equal(await unsubscribeBy({ ...tracking, 'x-ms-client-tracking-id': 'client-2' }), 0)
  t.equal(await unsubscribeBy({ ...tracking, 'x-ms-workflow-operation-name': 'when_an_order' }), 0)
  t.equal(await unsubscribeBy({ ...tracking, 'x-ms-workflow-run-id': 'run-2' }), 0, 'another run')
  t.equal(await unsubscribeBy({ ...tracking, 'x-ms-workflow-id': 'workflow-2' }), 0, 'another workflow')
  t.equal(await unsubscribeBy({ ...tracking, ...ids, 'x-tenant': 'south' }), 0, 'another owner')
  t.equal(await unsubscribeBy({ ...tracking, 'x-ms-workflow-run-id': 'run-1' }), 1, 'the workflow id is not asked where one call had none')

  await subscribeHook(app, triggerUrl(receiver, 'w1'), tracking)
  await subscribeHook(app, triggerUrl(receiver, 'w2'), tracking)
  t.equal(await unsubscribeBy(tracking), 0, 'two')
  await post(app, '/hooks/unsubscribe', triggerUrl(receiver, 'w2'))
  t.equal(await unsubscribeBy({ ...tracking, ...ids }), 1, 'the subscribe call had no run id')

  await subscribeHook(app, triggerUrl(receiver, 'w1'), { ...tracking, 'x-ms-workflow-run-id': 'run-1' })
  await subscribeHook(app, triggerUrl(receiver, 'w2'), { ...tracking, 'x-ms-workflow-run-id': 'run-2' })
  t.equal(await unsubscribeBy({ ...tracking, 'x-ms-workflow-run-id': 'run-2' }), 1, 'the run id tells two apart')
  t.match((await app.logicApps.subscriptions.list()).length, 1)
})

test('the tracking headers of one operation name no subscription of another', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, receiver } = parts
  addHooks(app)
  addHooks(app, { schema: { operationId: 'OnPie' } }, '/pies')
  await subscribeHook(app, triggerUrl(receiver), tracking)
  await post(app, '/pies/unsubscribe', '', tracking)
  await post(app, '/pies/unsubscribe', triggerUrl(receiver))
  t.equal(await count(parts), 1)
})

test('the end of a subscription drops what is still owed to it', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, receiver, clock } = parts
  addHooks(app)
  receiver.answer(503)
  const subscribed = await subscribeHook(app, triggerUrl(receiver))
  await publish(app, { n: 1 })
  await clock.advance(1000)
  await callbacksSettled(parts)
  t.match(await app.logicApps.deliveries.list(), [{ status: 'pending', attempts: 1 }])
  await unsubscribe(app, subscribed)
  t.same(await app.logicApps.deliveries.list({ status: 'pending' }), [])
  await clock.advance(600_000)
  t.equal(receiver.calls.length, 1)
})

for (const [way, end] of Object.entries({
  DELETE: async ({ app }: WebhookApp, subscribed: Parameters<typeof unsubscribe>[1]) => unsubscribe(app, subscribed),
  'POST with the URL': async ({ app, receiver }: WebhookApp) => post(app, '/calls/unsubscribe', { callbackUrl: actionUrl(receiver) }),
  'POST with tracking headers': async ({ app }: WebhookApp) => post(app, '/calls/unsubscribe', '', tracking),
  'subscriptions.remove': async ({ app }: WebhookApp) => { await app.logicApps.subscriptions.remove((await app.logicApps.subscriptions.list())[0]!.id) }
})) {
  test(`it cancels a webhook action's job, whose signal fires, and nothing is called back: ${way}`, async (t) => {
    const parts = await createWebhookApp(t)
    const { app, receiver, clock } = parts
    const aborted = createLatch<unknown>()
    app.webhookAction('/calls', { schema: { operationId: 'BakeCakeAndCall', body: orderSchema } }, async ({ signal }) => {
      signal.addEventListener('abort', () => { aborted.open(signal.reason) })
      return await new Promise(() => {})
    })
    const subscribed = await subscribeCall(app, actionUrl(receiver), tracking)
    await clock.advance(2000)
    await end(parts, subscribed)
    t.match(await aborted.promise, { name: 'JobEndedReason', message: 'the job ended as canceled' })
    t.match(await app.logicApps.jobs.get(idOf(subscribed)), { status: 'canceled', error: { code: 'JobCanceled' } })
    t.equal(await count(parts), 0)
    t.equal((await unsubscribe(app, subscribed)).statusCode, 200)
    await clock.advance(60_000)
    t.equal(receiver.calls.length, 0)
  })
}

test('an action\'s unsubscribe after its callback is a 200 and changes nothing (engine 2.3)', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, receiver, clock } = parts
  addCalls(app)
  const subscribed = await subscribeCall(app, actionUrl(receiver))
  await clock.advance(10_000)
  await callbacksSettled(parts)
  for (const answer of [await unsubscribe(app, subscribed), await post(app, '/calls/unsubscribe', { callbackUrl: actionUrl(receiver) })]) t.equal(answer.statusCode, 200)
  t.match(await app.logicApps.jobs.get(idOf(subscribed)), { status: 'succeeded' })
  t.match(await app.logicApps.deliveries.list(), [{ status: 'delivered' }])
})

test('an action\'s job that ended while its receiver was away owes nothing after the unsubscribe', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, receiver, clock } = parts
  addCalls(app)
  receiver.answer(503)
  const subscribed = await subscribeCall(app, actionUrl(receiver))
  await clock.advance(10_000)
  await callbacksSettled(parts)
  await unsubscribe(app, subscribed)
  await clock.advance(600_000)
  t.equal(receiver.calls.length, 1)
  t.match(await app.logicApps.jobs.get(idOf(subscribed)), { status: 'succeeded' })
})

test('an unsubscribe call with a body that is too large is a 413', async (t) => {
  const { app } = await createApp(t)
  addHooks(app)
  t.equal((await post(app, '/hooks/unsubscribe', 'x'.repeat(2_000_000))).statusCode, 413)
})

test('a host without any parser of texts, or with an odd one, is unsubscribed from all the same', async (t) => {
  for (const change of ['remove', 'replace', 'child'] as const) {
    const parts = await createWebhookApp(t)
    const { app, receiver } = parts
    if (change === 'child') {
      await app.register(async (child) => {
        addHooks(child)
        child.removeAllContentTypeParsers()
        child.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => { done(null, JSON.parse(body as string)) })
      })
    } else {
      addHooks(app)
      app.removeContentTypeParser('text/plain')
      if (change === 'replace') app.addContentTypeParser('text/plain', { parseAs: 'string' }, (_request, body, done) => { done(null, { odd: body }) })
    }
    const url = triggerUrl(receiver)
    await subscribeHook(app, url)
    const answer = await post(app, '/hooks/unsubscribe', { callbackUrl: url })
    t.equal(answer.statusCode, 200, change)
    t.equal(await count(parts), 0, change)
  }
})
