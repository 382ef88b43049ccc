import { test } from 'tap'
import { addHooks, createWebhookApp, publish, settle, subscribeHook, triggerUrl, type WebhookApp } from '../helpers/webhooks.ts'

const missing = { code: 'FST_LOGIC_APPS_DELIVERY_NOT_FOUND', statusCode: 404 }

/** Two subscriptions, two events, of which nothing is taken. */
async function fail (t: Parameters<typeof createWebhookApp>[0], answer: Parameters<WebhookApp['receiver']['answer']>[0], callbacks: object = {}): Promise<WebhookApp & { ids: string[] }> {
  const parts = await createWebhookApp(t, { callbacks, owner: ({ headers }) => String(headers['x-tenant'] ?? 'north') })
  addHooks(parts.app)
  parts.receiver.answer(answer)
  await subscribeHook(parts.app, triggerUrl(parts.receiver, 'w1'))
  await subscribeHook(parts.app, triggerUrl(parts.receiver, 'w2'), { 'x-tenant': 'south' })
  await publish(parts.app, { n: 1 })
  await publish(parts.app, { n: 2 })
  await settle(parts)
  return { ...parts, ids: (await parts.app.logicApps.deliveries.list()).map(({ id }) => id) }
}

test('each attempt is kept: when, what came, and the beginning of it', async (t) => {
  const parts = await fail(t, { statusCode: 503, body: 'closed', headers: { 'retry-after': '60' } })
  const { app, clock, ids } = parts
  const first = clock.now()
  parts.receiver.answer({ statusCode: 418, body: 'a teapot' })
  await settle(parts, 60_000)
  t.match(await app.logicApps.deliveries.attempts(ids[0]!), [
    { at: first, statusCode: 503, answer: 'closed', durationMs: Number },
    { at: first + 60_000, statusCode: 418, answer: 'a teapot', durationMs: Number }
  ])
  t.match(await app.logicApps.deliveries.list({ limit: 1 }), [{ status: 'dead', attempts: 2, dueAt: null, endedAt: first + 60_000 }])
  for (const id of ['', 'x', 'A'.repeat(22)]) await t.rejects(app.logicApps.deliveries.attempts(id), missing)
})

test('deliveries: listed by operation, owner, subscription and status, page by page', async (t) => {
  const { app, ids } = await fail(t, 418)
  const { deliveries, subscriptions } = app.logicApps
  const list = async (filter?: Parameters<typeof deliveries.list>[0]): Promise<string[]> => (await deliveries.list(filter)).map(({ id }) => id)
  t.equal(ids.length, 4)
  t.same(await list({ operationId: 'OnOrder', status: 'dead' }), ids)
  t.same(await list({ operationId: 'Other' }), [])
  t.same(await list({ status: 'pending' }), [])
  const [south, north] = [await list({ owner: 'south' }), await list({ owner: 'north' })]
  t.same([...south, ...north].toSorted(), ids.toSorted())
  const [latest] = await subscriptions.list()
  t.same(await list({ subscriptionId: latest!.id }), south)
  t.same(await list({ limit: 3 }), ids.slice(0, 3))
  t.same(await list({ limit: 3, before: ids[2]! }), ids.slice(3))
  await t.rejects(list({ before: 'x' }), missing)
  await t.rejects(list({ subscriptionId: 'x' }), { code: 'FST_LOGIC_APPS_SUBSCRIPTION_NOT_FOUND' })
})

test('dead letters are sent again one by one or by filter, oldest first', async (t) => {
  const parts = await fail(t, 418)
  const { app, receiver, ids } = parts
  const { deliveries } = app.logicApps
  receiver.calls.length = 0
  receiver.answer(202)
  t.equal(await deliveries.redeliver(ids[0]!), 1)
  await settle(parts)
  t.equal(receiver.calls[0]?.headers['webhook-id'], ids[0], 'under the id it had')
  t.equal(await deliveries.redeliver(ids[0]!), 0, 'it is no dead letter any more')
  t.equal(await deliveries.redeliver({ owner: 'nobody' }), 0)
  t.equal(await deliveries.redeliver({ limit: 1 }), 1)
  await settle(parts)
  t.equal(receiver.calls[1]?.headers['webhook-id'], ids.at(-1))
  t.equal(await deliveries.redeliver({}), 2)
  await settle(parts)
  t.same(receiver.calls.map(({ headers }) => headers['webhook-id']).toSorted(), ids.toSorted())
  t.match((await deliveries.list()).map(({ status }) => status), Array(4).fill('delivered'))
  for (const id of ['', 'x', 'A'.repeat(22)]) await t.rejects(deliveries.redeliver(id), missing)
  await t.rejects(deliveries.redeliver({ subscriptionId: 'x' }), { code: 'FST_LOGIC_APPS_SUBSCRIPTION_NOT_FOUND' })
})

test('dead letters of a suspended subscription wait until it is resumed', async (t) => {
  const parts = await fail(t, 401)
  const { app, receiver } = parts
  const { deliveries, subscriptions } = app.logicApps
  t.match((await subscriptions.list()).map(({ status }) => status), ['suspended', 'suspended'])
  receiver.calls.length = 0
  receiver.answer(202)
  t.equal(await deliveries.redeliver({}), 0)
  await publish(app, { n: 3 })
  await settle(parts)
  t.match((await subscriptions.list()).map(({ skipped }) => skipped), [1, 1])
  for (const { id } of await subscriptions.list()) await subscriptions.resume(id)
  t.equal(await deliveries.redeliver({}), 4)
  await settle(parts)
  t.equal(receiver.calls.length, 4)
})

test('the host is told when a subscription is retired or suspended and when a callback is dead; a hook that fails is logged', async (t) => {
  for (const [outcome, hook, statusCode] of [['retired', 'onRetired', 410], ['suspended', 'onSuspended', 403], ['dead', 'onDead', 422]] as const) {
    const told: unknown[] = []
    const { receiver, logs } = await fail(t, statusCode, {
      [hook]: async (news: unknown) => {
        told.push(news)
        throw new Error('the hook broke')
      }
    })
    t.ok(told.length >= 2)
    t.match(told[0], { outcome, operationId: 'OnOrder', owner: String, subscriptionId: /^[\w-]{22}$/, deliveryId: /^[\w-]{22}$/, urlHint: `${receiver.origin}/workflows/w1/…`, statusCode })
    t.match(logs.filter(({ level }) => level === 50)[0], { msg: `callbacks.${hook} failed`, err: { message: 'the hook broke' } })
  }
})
