import { test } from 'tap'
import { createAddressGuard } from '../../src/callbacks/address-guard.ts'
import { createSealer } from '../../src/protocol/seal.ts'
import { createIdCodec } from '../../src/protocol/token.ts'
import { createLatch } from '../helpers/latch.ts'
import { linesOf, warn } from '../helpers/runner.ts'
import { createWebhookWorker, workflowUrl, type Reply, type WebhookWorkerOptions } from '../helpers/webhook-worker.ts'

const url = 'https://prod-01.westeurope.logic.azure.com/workflows/w1/runs/r1/actions/a/run?sp=%2f&sig=S3cret%2B-_~'
const dayMs = 86_400_000

test('a callback is sent once, byte for byte, and is delivered', async (t) => {
  const { clock, sender, orders, ...worker } = await createWebhookWorker(t)
  const { urlHint } = await worker.subscribe(url)
  await orders.publish({ name: 'crème', n: 1e21 })
  await clock.advance(600_000)
  const [delivery] = await worker.list()
  const [view] = await worker.subscriptions.deliveries.list()
  t.same(sender.sent.map(({ url, body, id }) => ({ url, body, id })), [{ url, body: '{"name":"crème","n":1e+21}', id: view!.id }])
  t.match(view, { status: 'delivered', attempts: 1, url: urlHint, operationId: 'OnOrder', owner: 'default' })
  t.match(delivery, { dueAt: null })
  t.same(worker.news, [])
  t.same(linesOf(worker.logs, warn), [])
})

const again: Reply[] = [408, 425, 429, 500, 502, 503, 504, 599, { statusCode: null, text: 'ECONNREFUSED' }]
const rows: { name: string, replies: Reply[], delivery: string, subscription: string | undefined, news: string[] }[] = [
  { name: 'is delivered', replies: [200, 201, 202, 204, 299], delivery: 'delivered', subscription: 'active', news: [] },
  { name: 'is tried again', replies: again, delivery: 'pending', subscription: 'active', news: [] },
  { name: 'retires the subscription', replies: [404, 410], delivery: 'dead', subscription: undefined, news: ['retired'] },
  {
    name: 'suspends the subscription',
    replies: [401, 403, { statusCode: 400, text: '{"error":{"code":"WorkflowTriggerIsNotEnabled","message":"…"}}' }],
    delivery: 'dead',
    subscription: 'suspended',
    news: ['suspended']
  },
  {
    name: 'leaves a dead letter',
    replies: [301, 302, 307, 308, 400, { statusCode: 400, text: 'InvalidTemplate' }, 402, 405, 406, 409, 413, 422, 451, 304, 100],
    delivery: 'dead',
    subscription: 'active',
    news: ['dead']
  }
]

for (const { name, replies, delivery: status, subscription, news } of rows) {
  for (const reply of replies) {
    test(`a callback that is answered ${JSON.stringify(reply)} ${name}`, async (t) => {
      const { clock, sender, orders, store, ...worker } = await createWebhookWorker(t)
      const record = await worker.subscribe(url)
      sender.receive = () => reply
      await orders.publish({})
      await clock.advance(0)
      t.equal(sender.sent.length, 1)
      const [delivery] = await worker.list()
      t.match(delivery, { status, attempts: 1 })
      t.equal((await store.getSubscription(record.number))?.status, subscription)
      t.equal((await store.getSubscription(record.number))?.failingSince ?? null, status === 'pending' || news[0] === 'dead' ? clock.now() : null)
      const [attempt, ...others] = (await store.getAttempts(delivery!.number))!
      t.same(others, [])
      const { statusCode = null, text = '' } = typeof reply === 'number' ? { statusCode: reply } : reply
      t.same(attempt, { at: clock.now(), durationMs: 3, statusCode, answer: text })
      t.same(worker.news, news.map((outcome) => ({
        outcome,
        operationId: 'OnOrder',
        owner: 'default',
        subscriptionId: worker.news[0]!.subscriptionId,
        deliveryId: sender.sent[0]!.id,
        urlHint: record.urlHint,
        statusCode
      })))
      if (subscription !== undefined) t.same((await worker.subscriptions.list()).map(({ id }) => id), worker.news.length === 0 ? [(await worker.subscriptions.list())[0]!.id] : [worker.news[0]!.subscriptionId])
      t.notMatch(JSON.stringify([worker.logs, worker.news]), /S3cret/, 'no secret is told')
      await clock.advance(10_000)
      t.equal(sender.sent.length > 1, status === 'pending')
    })
  }
}

test('an attempt that is never answered is given up after the time limit, and made again', async (t) => {
  const { clock, sender, orders, store, ...worker } = await createWebhookWorker(t)
  await worker.subscribe(url)
  sender.receive = () => new Promise(() => {})
  await orders.publish({})
  await clock.advance(14_999)
  t.match(await worker.list(), [{ attempts: 0, dueAt: null }])
  await clock.advance(1)
  t.match(await worker.list(), [{ status: 'pending', attempts: 1 }])
  t.match(await store.getAttempts(1), [{ statusCode: null, answer: 'no answer in time' }])
  sender.receive = () => 200
  await clock.advance(6000)
  t.match(await worker.list(), [{ status: 'delivered', attempts: 2 }])
})

test('a callback is tried as often as the schedule says, with one id, and is a dead letter then', async (t) => {
  const schedule = [0, 5, 30, 120, 600]
  const { clock, sender, orders, store, ...worker } = await createWebhookWorker(t, { schedule })
  const record = await worker.subscribe(url)
  sender.receive = () => 503
  const started = clock.now()
  await orders.publish({ n: 1 })
  await clock.advance(1_000_000)
  const times = [started, ...sender.sent.map(({ at }) => at)]
  t.equal(sender.sent.length, schedule.length)
  for (const [index, seconds] of schedule.entries()) {
    const wait = times[index + 1]! - times[index]!
    t.ok(wait >= seconds * 800 && wait <= seconds * 1200, `attempt ${index + 1} after ${wait} ms`)
  }
  t.equal(new Set(sender.sent.map(({ id, body }) => id + body)).size, 1)
  t.match(await worker.list(), [{ status: 'dead', attempts: schedule.length, dueAt: null }])
  t.equal((await store.getAttempts(1))!.length, schedule.length)
  t.match(worker.news, [{ outcome: 'dead', statusCode: 503, deliveryId: sender.sent[0]!.id }])
  t.match(await store.getSubscription(record.number), { status: 'active', failingSince: started })
  t.same(linesOf(worker.logs, warn), ['callback given up'])

  sender.receive = () => 200
  t.equal(await worker.subscriptions.deliveries.redeliver({ operationId: 'OnOrder' }), 1)
  await clock.advance(0)
  t.match(await worker.list(), [{ status: 'delivered', attempts: 1 }], 'the schedule begins anew')
  t.equal((await store.getAttempts(1))!.length, schedule.length + 1)
  t.equal(sender.sent.at(-1)!.id, sender.sent[0]!.id)
  t.match(await store.getSubscription(record.number), { failingSince: null })
})

test('a receiver is heeded that asks for more time than the schedule has, not for less', async (t) => {
  const { clock, sender, orders, ...worker } = await createWebhookWorker(t)
  await worker.subscribe(url)
  sender.receive = () => ({ statusCode: 429, retryAfterMs: 3_600_000 })
  await orders.publish({})
  await clock.advance(0)
  t.match(await worker.list(), [{ dueAt: clock.now() + 3_600_000 }])
  sender.receive = () => ({ statusCode: 503, retryAfterMs: 1000 })
  clock.jump(3_600_000)
  await clock.advance(5000)
  t.equal(sender.sent.length, 2)
  const [{ dueAt } = { dueAt: 0 }] = await worker.list()
  t.ok(dueAt! - sender.sent[1]!.at >= 24_000)
})

test('a subscription of which everything failed for five days is suspended', async (t) => {
  const schedule = Array<number>(400).fill(3600)
  const { clock, sender, orders, store, ...worker } = await createWebhookWorker(t, { schedule })
  const record = await worker.subscribe(url)
  sender.receive = () => 503
  await orders.publish({ n: 1 })
  await clock.advance(0)
  clock.jump(5 * dayMs - 10_000)
  await clock.advance(5000)
  t.equal(sender.sent.length, 2)
  t.match(await worker.list(), [{ status: 'pending', attempts: 2 }])
  await orders.publish({ n: 2 })
  clock.jump(dayMs)
  await clock.advance(5000)
  t.match(await store.getSubscription(record.number), { status: 'suspended' })
  t.same((await worker.list()).map(({ status }) => status), ['dead', 'dead'])
  t.match(worker.news, [{ outcome: 'suspended', statusCode: 503 }])
})

test('one failure after quiet days does not suspend a subscription of rare events', async (t) => {
  const { clock, sender, orders, store, ...worker } = await createWebhookWorker(t)
  const record = await worker.subscribe(url)
  sender.receive = () => 503
  await orders.publish({ n: 1 })
  await clock.advance(60_000)
  t.match(await worker.list(), [{ status: 'dead' }])
  clock.jump(10 * dayMs)
  await orders.publish({ n: 2 })
  await clock.advance(0)
  t.match(await store.getSubscription(record.number), { status: 'active', failingSince: record.createdAt })
  t.match((await worker.list())[1], { status: 'pending', attempts: 1 })
  sender.receive = () => 200
  await clock.advance(6000)
  t.match((await worker.list())[1], { status: 'delivered' })
  t.match(await store.getSubscription(record.number), { status: 'active', failingSince: null })
  t.same(worker.news.map(({ outcome }) => outcome), ['dead'])
})

test('a whole schedule that fails after days without a success suspends it', async (t) => {
  const { clock, sender, orders, store, ...worker } = await createWebhookWorker(t)
  const record = await worker.subscribe(url)
  sender.receive = () => 503
  await orders.publish({ n: 1 })
  await clock.advance(60_000)
  clock.jump(10 * dayMs)
  await orders.publish({ n: 2 })
  await clock.advance(7000)
  t.match(await store.getSubscription(record.number), { status: 'active' })
  t.match((await worker.list())[1], { status: 'pending', attempts: 2 })
  await clock.advance(60_000)
  t.match((await worker.list())[1], { status: 'dead', attempts: 3 })
  t.match(await store.getSubscription(record.number), { status: 'suspended' })
  t.same(worker.news.map(({ outcome }) => outcome), ['dead', 'suspended'])
})

test('a subscription of which everything was refused for good for five days is suspended', async (t) => {
  const { clock, sender, orders, store, ...worker } = await createWebhookWorker(t)
  const record = await worker.subscribe(url)
  sender.receive = () => 400
  await orders.publish({ n: 1 })
  await clock.advance(0)
  clock.jump(5 * dayMs - 1)
  await orders.publish({ n: 2 })
  await clock.advance(0)
  t.match(await store.getSubscription(record.number), { status: 'active', failingSince: record.createdAt })
  clock.jump(1)
  await orders.publish({ n: 3 })
  await clock.advance(0)
  t.match(await store.getSubscription(record.number), { status: 'suspended' })
  t.same((await worker.list()).map(({ status, attempts }) => [status, attempts]), Array(3).fill(['dead', 1]))
  t.same(worker.news.map(({ outcome }) => outcome), ['dead', 'dead', 'suspended'])
})

test('refused for good and then taken, a subscription begins its five days anew', async (t) => {
  const { clock, sender, orders, store, ...worker } = await createWebhookWorker(t)
  const record = await worker.subscribe(url)
  for (const reply of [400, 200, 400]) {
    sender.receive = () => reply
    await orders.publish({ reply })
    await clock.advance(0)
    clock.jump(5 * dayMs)
  }
  t.match(await store.getSubscription(record.number), { status: 'active', failingSince: clock.now() - 5 * dayMs })
  t.same(worker.news.map(({ outcome }) => outcome), ['dead', 'dead'])
})

test('one success within the five days begins them anew', async (t) => {
  const { clock, sender, orders, store, ...worker } = await createWebhookWorker(t, { schedule: Array<number>(400).fill(3600) })
  const record = await worker.subscribe(url)
  sender.receive = () => 503
  await orders.publish({ n: 1 })
  await clock.advance(0)
  clock.jump(3 * dayMs)
  sender.receive = ({ body }) => body === '{"n":2}' ? 200 : 503
  await orders.publish({ n: 2 })
  await clock.advance(5000)
  t.match((await worker.list()).map(({ status }) => status), ['pending', 'delivered'])
  clock.jump(3 * dayMs)
  await clock.advance(5000)
  t.match(await store.getSubscription(record.number), { status: 'active' })
})

test('a URL that was sealed with a secret that is gone is tried again until it is a dead letter, and the log names the mend', async (t) => {
  const { clock, sender, orders, store, ...worker } = await createWebhookWorker(t)
  await worker.subscribe(url, { sealedUrl: Buffer.alloc(60, 1) })
  await orders.publish({})
  await clock.advance(60_000)
  t.equal(sender.sent.length, 0)
  t.match(await worker.list(), [{ status: 'dead', attempts: 3 }])
  t.match(await store.getAttempts(1), Array(3).fill({ statusCode: null, answer: /sealed with a secret that is not given any more.*Put the secret .* back on the list/ }))
  t.match(worker.news, [{ outcome: 'dead', statusCode: null }])
  t.match(worker.logs.find(({ msg }) => msg === 'callback given up'), { answer: /Put the secret/ })
})

const stricter: { name: string, url: string, policy: WebhookWorkerOptions['policy'], answer: string }[] = [
  { name: 'a host that was taken off the list', url: 'https://a.example/x?sig=S3cret', policy: { allowedHosts: ['b.example', '*.a.example'] }, answer: 'the host a.example is not on callbacks.allowedHosts any more' },
  { name: 'http', url: 'http://a.example/x?sig=S3cret', policy: { allowHttp: false }, answer: 'the callback URL is http, and callbacks.allowHttp is not set any more' },
  { name: 'an address of a network that was taken off', url: 'https://10.0.0.7/x?sig=S3cret', policy: { guard: createAddressGuard([]) }, answer: 'the address 10.0.0.7 is not within callbacks.networks any more' }
]
for (const { name, url, policy, answer } of stricter) {
  test(`not allowed any more: ${name}: nothing is sent, and the dead letter says why`, async (t) => {
    const { clock, sender, orders, store, ...worker } = await createWebhookWorker(t, { policy: policy! })
    const record = await worker.subscribe(url)
    await worker.subscribe('https://b.example/x')
    await orders.publish({})
    await clock.advance(0)
    t.same(sender.sent.map(({ host }) => host), ['b.example'])
    t.match(await worker.list(), [{ status: 'dead', attempts: 1, dueAt: null }, { status: 'delivered' }])
    t.same(await store.getAttempts(1), [{ at: clock.now(), durationMs: 0, statusCode: null, answer }])
    t.match(worker.news, [{ outcome: 'dead', statusCode: null, urlHint: record.urlHint }])
    t.match(worker.logs.find(({ msg }) => msg === 'callback given up'), { answer })
    t.match(await store.getSubscription(record.number), { status: 'active', failingSince: clock.now() })
    t.notMatch(JSON.stringify([worker.logs, worker.news]), /S3cret/)
  })
}

test('a subscription whose host is off the list for five days is suspended', async (t) => {
  const { clock, sender, orders, store, ...worker } = await createWebhookWorker(t, { policy: { allowedHosts: ['b.example'] } })
  const record = await worker.subscribe('https://a.example/x?sig=S3cret')
  await orders.publish({ n: 1 })
  await clock.advance(0)
  clock.jump(5 * dayMs)
  await orders.publish({ n: 2 })
  await clock.advance(0)
  t.equal(sender.sent.length, 0)
  t.match(await store.getSubscription(record.number), { status: 'suspended' })
  t.same(worker.news.map(({ outcome }) => outcome), ['dead', 'suspended'])
})

test('a URL that is read more strictly than when it was kept is not sent to either', async (t) => {
  const { clock, sender, orders, store, ...worker } = await createWebhookWorker(t)
  await worker.subscribe(url, { sealedUrl: createSealer(['a secret of the test'], 'callback URLs').seal('https://a.example./x?sig=S3cret') })
  await orders.publish({})
  await clock.advance(0)
  t.equal(sender.sent.length, 0)
  t.match(await worker.list(), [{ status: 'dead', attempts: 1 }])
  t.match(await store.getAttempts(1), [{ statusCode: null, answer: 'the callback URL must name its host in the ordinary form' }])
})

test('allowed again, a dead letter can be sent', async (t) => {
  const allowedHosts = ['b.example']
  const { clock, sender, orders, ...worker } = await createWebhookWorker(t, { policy: { allowedHosts } })
  await worker.subscribe(url)
  await orders.publish({})
  await clock.advance(0)
  t.match(await worker.list(), [{ status: 'dead' }])
  allowedHosts.push('*.logic.azure.com')
  t.equal(await worker.subscriptions.deliveries.redeliver({}), 1)
  await clock.advance(0)
  t.match(await worker.list(), [{ status: 'delivered' }])
  t.equal(sender.sent.length, 1)
})

test('what a host does on news that throws costs nothing', async (t) => {
  const { clock, sender, orders, ...worker } = await createWebhookWorker(t, { onNews () { throw new Error('odd') } })
  await worker.subscribe(url)
  sender.receive = () => 422
  await orders.publish({ n: 1 })
  await orders.publish({ n: 2 })
  await clock.advance(0)
  t.same((await worker.list()).map(({ status }) => status), ['dead', 'dead'])
  t.same(linesOf(worker.logs, 50), Array(2).fill('a callback could not be handled'))
})

test('a save of the workflow: what is owed goes to the new URL, not before its caller has read our answer', async (t) => {
  const { clock, sender, orders, store, ...worker } = await createWebhookWorker(t, { callbackDelayMs: 1000 })
  const before = await worker.subscribe(workflowUrl('1'))
  sender.receive = () => 503
  await clock.advance(1000)
  await orders.publish({ n: 1 })
  await clock.advance(0)
  t.equal(sender.sent.length, 1)
  sender.receive = () => 202
  clock.jump(60_000)
  const after = await worker.subscribe(workflowUrl('2'))
  worker.deliveries.wake()
  await clock.advance(999)
  t.equal(sender.sent.length, 1)
  t.match(await worker.list(), [{ attempts: 0, status: 'pending' }], 'waiting is no attempt')
  await clock.advance(1)
  t.same(sender.sent.map(({ url }) => url), [workflowUrl('1'), workflowUrl('2')])
  t.equal(sender.sent[1]!.id, sender.sent[0]!.id)
  t.equal(await store.getSubscription(before.number), undefined)
  t.match(await store.getSubscription(after.number), { status: 'active' })
})

test('a forged version is found out by the answer, and the real one gets everything', async (t) => {
  const { clock, sender, orders, store, ...worker } = await createWebhookWorker(t)
  const real = await worker.subscribe(workflowUrl('1'))
  await worker.subscribe(workflowUrl('forged'))
  sender.receive = ({ url }) => url.text === workflowUrl('1') ? 202 : 401
  await Promise.all([1, 2, 3].map((n) => orders.publish({ n })))
  await clock.advance(0)
  t.same((await worker.list()).map(({ status, subscription }) => [status, subscription]), Array(3).fill(['delivered', real.number]))
  t.match(await store.getSubscription(real.number), { status: 'active' })
  t.same(worker.news, [], 'nobody was given up')
  t.same(linesOf(worker.logs, warn), [])
  const refused = sender.sent.filter(({ url }) => url === workflowUrl('forged'))
  t.ok(refused.length > 0)
  t.match(worker.logs.filter(({ level }) => level === 30), refused.map(() => ({ msg: 'the callback goes to another URL of this workflow', statusCode: 401 })))
})

const refusals: Reply[] = [401, 404, 410, 422, 302]
for (const reply of refusals) {
  test(`a callback that an unproved URL answers ${String(reply)} goes to the one before at once, its schedule anew, and is no news`, async (t) => {
    const { clock, sender, orders, store, ...worker } = await createWebhookWorker(t)
    const real = await worker.subscribe(workflowUrl('1'))
    await worker.subscribe(workflowUrl('2'))
    sender.receive = ({ url }) => url.text === workflowUrl('1') ? 503 : reply
    await orders.publish({})
    await clock.advance(0)
    t.same(sender.sent.map(({ url }) => url), [workflowUrl('2'), workflowUrl('1')])
    t.match(await worker.list(), [{ status: 'pending', subscription: real.number, attempts: 1 }])
    t.same(worker.news, [])
    sender.receive = () => 202
    await clock.advance(10_000)
    t.match(await worker.list(), [{ status: 'delivered', attempts: 2 }])
    t.same(worker.news, [])
    t.match((await store.getAttempts(1))!.map(({ statusCode }) => statusCode), [reply, 503, 202])
  })
}

test('a callback that is refused while its workflow is saved goes to the new URL, and is no news', async (t) => {
  for (const reply of [401, 410, 422, 503]) {
    const { clock, sender, orders, store, ...worker } = await createWebhookWorker(t)
    await worker.subscribe(workflowUrl('1'))
    const latch = createLatch<Reply>()
    sender.receive = ({ url }) => url.text === workflowUrl('1') ? latch.promise : 202
    await orders.publish({})
    await clock.advance(0)
    const after = await worker.subscribe(workflowUrl('2'))
    latch.open(reply)
    await clock.advance(0)
    t.same(sender.sent.map(({ url }) => url), [workflowUrl('1'), workflowUrl('2')], String(reply))
    t.match(await worker.list(), [{ status: 'delivered', subscription: after.number }])
    t.same(worker.news, [])
    t.same(linesOf(worker.logs, warn), [])
  }
})

test('a refused URL that stood in nobody\'s place is news, as ever', async (t) => {
  const { clock, sender, orders, store, ...worker } = await createWebhookWorker(t)
  const first = await worker.subscribe(workflowUrl('1'))
  await orders.publish({ n: 1 })
  await clock.advance(0)
  sender.receive = () => 410
  await orders.publish({ n: 2 })
  await clock.advance(0)
  t.match(worker.news, [{ outcome: 'retired', statusCode: 410 }])
  t.equal(await store.getSubscription(first.number), undefined)
})

test('the id of a callback is that of its record, whatever its attempt', async (t) => {
  const { clock, sender, orders, ...worker } = await createWebhookWorker(t)
  await worker.subscribe(url)
  await orders.publish({})
  await clock.advance(0)
  const [view] = await worker.subscriptions.deliveries.list()
  t.equal(sender.sent[0]!.id, view!.id)
  t.match(view!.id, /^[\w-]{22}$/)
  t.equal(createIdCodec(Buffer.alloc(16), 'delivery').decode(view!.id), undefined)
})
