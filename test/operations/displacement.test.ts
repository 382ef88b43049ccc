import { test, type Test } from 'tap'
import type { LightMyRequestResponse } from 'fastify'
import { pathOf } from '../helpers/app.ts'
import { idOf } from '../helpers/cakes.ts'
import { addHooks, createWebhookApp, post, publish, sent, settle, subscribeHook, triggerUrl, unsubscribe, type WebhookApp } from '../helpers/webhooks.ts'

interface Displaced extends WebhookApp {
  genuine: LightMyRequestResponse
  /** Subscribes as somebody who knows the workflow, but no signature. */
  forge (version: string, filter?: object): Promise<LightMyRequestResponse>
  lemon (n: number): Promise<void>
}

/** A trigger whose subscribers name a flavour, and one subscriber; the receiver refuses what it has not signed. */
async function createDisplaced (t: Test): Promise<Displaced> {
  const parts = await createWebhookApp(t)
  const { app, receiver } = parts
  addHooks(app, {
    schema: { operationId: 'OnOrder', body: { type: 'object', properties: { flavour: { type: 'string' } } } },
    matches (event: { flavour: string }, { flavour }: { flavour?: string }) {
      if (flavour === 'odd') throw new TypeError('odd flavour')
      return flavour === undefined || flavour === event.flavour
    }
  })
  receiver.answer(({ target }) => target.includes('sig=forged') ? 401 : 202)
  return {
    ...parts,
    genuine: await subscribeHook(app, triggerUrl(receiver, 'w1', '1'), { 'x-ms-workflow-id': 'w1' }, { flavour: 'lemon' }),
    forge: (version, filter = {}) => subscribeHook(app, triggerUrl(receiver, 'w1', version, `forged${version}`), { 'x-ms-workflow-id': 'w1' }, filter),
    async lemon (n) {
      await publish(app, { n, flavour: 'lemon' })
      await settle(parts)
    }
  }
}

const ofGenuine = (parts: WebhookApp): string[] => sent(parts).filter((one) => one.startsWith('signature-w1-1'))
const lemons = (...numbers: number[]): string[] => numbers.map((n) => `signature-w1-1 {"n":${n},"flavour":"lemon"}`)

/** Between two versions of which the first was not proved: twice `callbacks.delaySeconds`. */
const gapMs = 2000

const filters: Record<string, object[]> = {
  'no event passes': [{ flavour: 'none' }],
  throws: [{ flavour: 'odd' }],
  'no event passes, behind which another one passes all': [{}, { flavour: 'none' }],
  'passes all, behind which another one throws': [{ flavour: 'odd' }, {}]
}

for (const [name, forged] of Object.entries(filters)) {
  test(`a forged version with a filter that ${name} does not displace the true one: it gets its events, and cannot be unsubscribed`, async (t) => {
    const parts = await createDisplaced(t)
    const { app, receiver, clock, genuine, forge, lemon } = parts
    await lemon(1)
    const locations: string[] = []
    for (const [index, filter] of forged.entries()) {
      const subscribed = await forge(String(index + 2), filter)
      t.equal(subscribed.statusCode, 201)
      await clock.advance(gapMs)
      locations.push(pathOf(subscribed.headers.location))
    }
    await lemon(2)
    await lemon(3)
    t.same(ofGenuine(parts), lemons(1, 2, 3))

    for (const callbackUrl of [triggerUrl(receiver, 'w1', '1', 'forged'), triggerUrl(receiver, 'w1', '2', 'forged2'), triggerUrl(receiver, 'w1', '1').split('&sig=')[0]!]) {
      t.equal((await post(app, '/hooks/unsubscribe', { callbackUrl }, { 'x-ms-workflow-id': 'w1' })).statusCode, 200)
    }
    await post(app, '/hooks/unsubscribe', {}, { 'x-ms-workflow-id': 'w1' })
    for (const location of locations) {
      await app.inject({ method: 'DELETE', url: location })
      // An id is no secret: it shows in logs. The rest of a token belongs to its own id.
      await app.inject({ method: 'DELETE', url: `/hooks/${idOf(genuine)}${location.slice(-22)}` })
    }
    await lemon(4)
    t.same(ofGenuine(parts), lemons(1, 2, 3, 4))
    t.match((await app.logicApps.subscriptions.list()).find(({ id }) => id === idOf(genuine)), { status: 'active' })
  })
}

test('what the true one is still owed behind a forged version goes to the next true version, though the engine unsubscribes the old one at once', async (t) => {
  const parts = await createDisplaced(t)
  const { app, receiver, clock, genuine, forge, lemon } = parts
  await forge('2', { flavour: 'none' })
  receiver.answer(503)
  await lemon(1)
  t.same(ofGenuine(parts), lemons(1))
  await clock.advance(gapMs)
  receiver.answer(({ target }) => target.includes('sig=forged') ? 401 : 202)
  const saved = await subscribeHook(app, triggerUrl(receiver, 'w1', '3'), {}, { flavour: 'lemon' })
  await unsubscribe(app, genuine)
  await settle(parts, 5000)
  t.ok(sent(parts).includes('signature-w1-3 {"n":1,"flavour":"lemon"}'))
  t.match((await app.logicApps.subscriptions.list()).map(({ id, status }) => [id, status]), [[idOf(saved), 'active']])
})

test('a forged version that is unsubscribed while it is owed something leaves that to the true one', async (t) => {
  const parts = await createDisplaced(t)
  const { app, forge } = parts
  const forged = await forge('2')
  await forge('3', { flavour: 'none' })
  await publish(app, { n: 1, flavour: 'lemon' })
  await parts.clock.advance(0)
  t.match(await app.logicApps.deliveries.list(), [{ subscriptionId: idOf(forged), status: 'pending' }])
  await unsubscribe(app, forged)
  await settle(parts, 5000)
  t.same(sent(parts), lemons(1))
})

for (const [name, status] of Object.entries({ 'a 401': 401, 'a 403': 403, 'a 404': 404, 'a 410': 410, 'a 400 that it is not enabled': 400 })) {
  test(`a forged URL of a known workflow displaces nobody: the receiver answers it with ${name}`, async (t) => {
    const parts = await createWebhookApp(t)
    const { app, receiver } = parts
    addHooks(app)
    receiver.answer(({ target }) => target.includes('sig=forged') ? { statusCode: status, body: '{"error":{"code":"WorkflowTriggerIsNotEnabled"}}' } : 202)
    const genuine = await subscribeHook(app, triggerUrl(receiver, 'w1', '1'))
    await publish(app, { n: 1 })
    const forged = await subscribeHook(app, triggerUrl(receiver, 'w1', '2', 'forged'))
    t.equal(forged.statusCode, 201)
    await publish(app, { n: 2 })
    await settle(parts)
    await settle(parts, 60_000)
    t.same(sent(parts).filter((one) => one.startsWith('signature')), ['signature-w1-1 {"n":1}', 'signature-w1-1 {"n":2}'], 'every event reached the genuine one')
    await publish(app, { n: 3 })
    await settle(parts, 60_000)
    t.equal(sent(parts).at(-1), 'signature-w1-1 {"n":3}')
    t.match((await app.logicApps.subscriptions.list()).find(({ id }) => id === idOf(genuine)), { status: 'active' })
  })
}

test('who knows a workflow id but no signature removes nothing either', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, receiver } = parts
  addHooks(app)
  await subscribeHook(app, triggerUrl(receiver, 'w1', '1'), { 'x-ms-workflow-id': 'w1' })
  const url = triggerUrl(receiver, 'w1', '1')
  for (const callbackUrl of [triggerUrl(receiver, 'w1', '1', 'forged'), triggerUrl(receiver, 'w1', '2', 'signature-w1-1'), url.split('&sig=')[0]!, url.split('?')[0]!, `${url}&x=1`, `${url}#x`, url.toUpperCase(), url.replace('http://127.0.0.1', 'http://127.0.0.1:80')]) {
    t.equal((await post(app, '/hooks/unsubscribe', { callbackUrl })).statusCode, 200)
  }
  await post(app, '/hooks/unsubscribe', {}, { 'x-ms-workflow-id': 'w1' })
  await publish(app, { n: 1 })
  await settle(parts)
  t.equal(receiver.calls.length, 1)
})

test('a forged URL that is unsubscribed at once gives the place back', async (t) => {
  const parts = await createWebhookApp(t)
  const { app, receiver } = parts
  addHooks(app)
  await subscribeHook(app, triggerUrl(receiver, 'w1', '1'))
  const forged = await subscribeHook(app, triggerUrl(receiver, 'w1', '2', 'forged'))
  await publish(app, { n: 1 })
  await unsubscribe(app, forged)
  await settle(parts)
  t.same(sent(parts), ['signature-w1-1 {"n":1}'])
})

test('versions that come faster than they can be tried, or too many of them, are refused: the true one gets its events meanwhile', async (t) => {
  const parts = await createDisplaced(t)
  const { app, clock, forge } = parts
  const codes: number[] = []
  for (let n = 2; n < 62; n++) {
    const answer = await forge(String(n))
    codes.push(answer.statusCode)
    if (answer.statusCode === 429) t.match([answer.headers['retry-after'], answer.json()], ['10', { error: { code: 'TooManyVersions' } }])
    if (n % 10 === 0) await publish(app, { n, flavour: 'lemon' })
    await clock.advance(gapMs * 0.45)
  }
  t.ok(codes.includes(201) && codes.filter((code) => code === 429).length > 20)
  await clock.advance(gapMs)
  t.same(ofGenuine(parts), lemons(10, 20, 30, 40, 50, 60))
})

test('with nothing to try them by, at most eight unproved versions stand before the true one', async (t) => {
  const parts = await createDisplaced(t)
  const codes: number[] = []
  for (let n = 2; n < 14; n++) {
    codes.push((await parts.forge(String(n))).statusCode)
    await parts.clock.advance(gapMs)
  }
  t.same(codes, [...Array<number>(8).fill(201), ...Array<number>(4).fill(429)])
  await parts.lemon(1)
  t.same(ofGenuine(parts), lemons(1))
})
