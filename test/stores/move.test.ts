import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test, type Test } from 'tap'
import { fastifyLogicApps, type Job } from '../../src/index.ts'
import { moveStore, postgresStore } from '../../src/stores/postgres/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createManualClock } from '../../src/testing/index.ts'
import { acceptAndClaim, accept, claim, failed, hourMs, leaseMs, numbersOf, plenty, settle, start, succeeded } from '../../src/testing/store-contract/bench.ts'
import {
  answer, claimDeliveries, claimDelivery, debtsOf, fanOutStep, findFanOuts, newSubscription, only, operation, owing, publishAndOwe, publishOne, save,
  statusesOf, step, subscribe, topic, type Answer
} from '../../src/testing/store-contract/webhook-bench.ts'
import type { Store } from '../../src/work/store.ts'
import { createServer, type TestApp } from '../helpers/app.ts'
import { createReceiver, localCallbacks } from '../helpers/callback-receiver.ts'
import { createLatch } from '../helpers/latch.ts'
import { startPostgres } from '../helpers/postgres.ts'
import { createLog } from '../helpers/runner.ts'
import { createTempDir } from '../helpers/temp-dir.ts'
import { until } from '../helpers/until.ts'

const documented = (operationId: string): { operationId: string, summary: string, description: string } => ({ operationId, summary: operationId, description: `${operationId}.` })
const pathOf = (location: unknown): string => String(location).replace('https://api.example', '')

async function openApp (t: Test, store: Store, bake: (job: Job) => unknown): Promise<TestApp['app']> {
  const { app } = createServer()
  t.teardown(() => app.close())
  await app.register(fastifyLogicApps, { store, secret: 'a secret of the tests, of 32 bytes and more', baseUrl: 'https://api.example', drainSeconds: 0, callbacks: localCallbacks })
  app.asyncAction('/cakes', { schema: documented('Bake') }, bake)
  const topic = app.logicApps.topic('orders')
  app.webhookTrigger('/hooks', { schema: documented('OnOrder'), topic })
  app.pollingTrigger('/poll', { schema: documented('PollOrders'), topic })
  app.post('/orders', async (request) => { await topic.publish(request.body as object) })
  await app.ready()
  return app
}

test('what was handed out by a file is good on PostgreSQL after the move', { timeout: 60_000 }, async (t) => {
  const server = await startPostgres()
  const schema = server.newSchema()
  t.teardown(() => server.drop(schema))
  const receiver = await createReceiver(t)
  const file = join(createTempDir(t), 'work.db')
  const running = createLatch()
  let first = true
  const old = await openApp(t, sqliteStore({ file }), async () => {
    if (first) {
      first = false
      return 'old'
    }
    running.open(undefined)
    await new Promise(() => {})
  })
  const order = async (): Promise<string> => pathOf((await old.inject({ method: 'POST', url: '/cakes', payload: {} })).headers.location)
  const ended = await order()
  await until(async () => (await old.inject(ended)).statusCode === 200)
  const open = await order()
  await running.promise
  const poll = pathOf((await old.inject('/poll')).headers.location)
  const hook = pathOf((await old.inject({ method: 'POST', url: '/hooks', payload: { callbackUrl: `${receiver.origin}/orders` } })).headers.location)
  await old.inject({ method: 'POST', url: '/orders', payload: { order: 1 } })
  await receiver.call(0)
  const to = { connectionString: server.url, schema }
  await t.rejects(moveStore({ file }, to), { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE' }, 'a file in use')
  await old.close()

  t.match(await moveStore({ file }, to), { jobs: 2, subscriptions: 1, events: 1 })
  await t.rejects(moveStore({ file }, to), { code: 'FST_LOGIC_APPS_INVALID_DATABASE' }, 'a schema that is not empty')
  const app = await openApp(t, postgresStore(to), async () => 'new')
  t.equal((await app.inject(ended)).json(), 'old')
  await until(async () => (await app.inject(open)).statusCode !== 202)
  t.equal((await app.inject(open)).json(), 'new', 'what was open is done')
  await app.inject({ method: 'POST', url: '/orders', payload: { order: 2 } })
  t.same((await app.inject(poll)).json(), { value: [{ order: 1 }, { order: 2 }] })
  await until(() => receiver.calls.some(({ body }) => body === '{"order":2}'))
  t.equal((await app.inject({ method: 'DELETE', url: hook })).statusCode, 200)
  t.same(await app.logicApps.subscriptions.list({}), [])
  t.equal((await app.inject({ method: 'POST', url: '/cakes', payload: {} })).statusCode, 202, 'numbers go on')
})

test('a job that was deferred is completed on PostgreSQL by its id, and a dead letter sent again by its own', { timeout: 60_000 }, async (t) => {
  const server = await startPostgres()
  const schema = server.newSchema()
  t.teardown(() => server.drop(schema))
  const receiver = await createReceiver(t, 400)
  const file = join(createTempDir(t), 'work.db')
  const deferred = createLatch<string>()
  const old = await openApp(t, sqliteStore({ file }), (job) => {
    deferred.open(job.id)
    return job.defer()
  })
  const poll = pathOf((await old.inject({ method: 'POST', url: '/cakes', payload: {} })).headers.location)
  const id = await deferred.promise
  await old.inject({ method: 'POST', url: '/hooks', payload: { callbackUrl: `${receiver.origin}/orders` } })
  await old.inject({ method: 'POST', url: '/orders', payload: { order: 1 } })
  await until(async () => (await old.logicApps.deliveries.list({ status: 'dead' })).length === 1)
  const [letter] = await old.logicApps.deliveries.list()
  const attempts = await old.logicApps.deliveries.attempts(letter!.id)
  await old.close()

  const to = { connectionString: server.url, schema }
  await moveStore({ file }, to)
  const app = await openApp(t, postgresStore(to), () => t.fail('nobody runs it again'))
  t.same(await app.logicApps.deliveries.list(), [letter])
  t.same(await app.logicApps.deliveries.attempts(letter!.id), attempts)
  await app.logicApps.jobs.complete(id, { cake: 1 })
  t.same((await app.inject(poll)).json(), { cake: 1 })
  receiver.answer(202)
  t.equal(await app.logicApps.deliveries.redeliver(letter!.id), 1)
  t.equal((await receiver.call(1)).headers['webhook-id'], receiver.calls[0]!.headers['webhook-id'])
  await until(async () => (await app.logicApps.deliveries.list({ status: 'delivered' })).length === 1)
})

/** Stores as they are without an app, so that nothing works on what they hold. */
async function openStore (t: Test, store: Store): Promise<Store> {
  t.teardown(() => store.close())
  await store.open({ clock: createManualClock(), log: createLog().log, leaseMs, deliveryRetentionMs: 7 * 24 * hourMs, wake () {} })
  return store
}

async function movedTo (t: Test, file: string): Promise<{ store: Store, counts: object, inputs: () => Promise<string[]> }> {
  const server = await startPostgres()
  const to = { connectionString: server.url, schema: server.newSchema() }
  const counts = await moveStore({ file }, to)
  const store = await openStore(t, postgresStore(to))
  t.teardown(async () => {
    await store.close()
    await server.drop(to.schema)
  })
  const inputs = async (): Promise<string[]> => (await server.pool.query(`SELECT input FROM ${to.schema}.jobs ORDER BY number`)).rows.map(({ input }) => input as string)
  return { store, counts, inputs }
}

/** All that the port shows. */
async function everythingIn (store: Store): Promise<object> {
  const jobs = await store.list({ limit: plenty })
  const deliveries = await store.listDeliveries({ limit: plenty })
  const debts = await findFanOuts(store, { strangersBefore: Number.MAX_SAFE_INTEGER })
  return {
    jobs,
    subscriptions: await store.listSubscriptions({ limit: plenty }),
    deliveries,
    attempts: await Promise.all(deliveries.map(({ number }) => store.getAttempts(number))),
    debts,
    subscribers: await Promise.all(debts.map((debt) => store.findSubscribers(debt, plenty))),
    log: await store.readLog([{ topic, after: 0, limit: plenty }]),
    jobsDueAt: (await store.claim({ operations: [{ operation: 'Bake', limit: 1 }], limit: 0, now: start })).nextDueAt,
    deliveriesDueAt: (await store.claimDeliveries({ operations: [operation], exceptHosts: [], limit: 0, now: start })).nextDueAt
  }
}

const everAfter = start + 100 * 365 * 24 * hourMs

test('whatever waits arrives as it was, and goes on where it was', { timeout: 60_000 }, async (t) => {
  const file = join(createTempDir(t), 'work.db')
  const old = await openStore(t, sqliteStore({ file }))
  const deferred = await acceptAndClaim(old, { idempotency: { key: 'once', fingerprint: 'f' }, subscription: newSubscription({ url: 'caller', operation: 'Bake', topic: null }) })
  await settle(old, deferred, { status: 'running', deadline: start + 9 * hourMs })
  const late = await acceptAndClaim(old)
  await settle(old, late, { status: 'running', deadline: start + 2 * hourMs })
  const later = await acceptAndClaim(old, { input: '{"later":1}' })
  await old.progress([{ lease: later, percentComplete: 12.5, message: 'In the oven' }])
  await settle(old, later, { status: 'queued', dueAt: start + hourMs, failures: 1 })
  const [queued] = await accept(old, { input: '{"at":"once"}' })

  const [dead, failing, suspended] = await subscribe(old, { url: 'dead' }, { url: 'failing' }, { url: 'suspended' })
  const versions = await save(old, 'v1', 'v2', 'v3')
  const [v1, v2, v3] = versions
  const event = { expiresAt: everAfter }
  await publishAndOwe(old, { ...event, body: '{"first":1}' }, only('dead', 'failing', 'suspended'))
  const answers: Record<number, Answer> = { [dead!.number]: 'refused', [failing!.number]: 'again', [suspended!.number]: 'suspended' }
  for (const delivery of await claimDeliveries(old)) await answer(old, delivery, answers[delivery.subscription]!)
  const half = await publishOne(old, event)
  await old.fanOut(step(half, { to: suspended!.number, owed: [dead!], skipped: [suspended!.number] }))
  const whole = await publishOne(old, event)
  t.same(await statusesOf(old, ...versions, suspended!), ['superseded', 'superseded', 'active', 'suspended'])
  const before = await everythingIn(old)
  await old.close()

  const { store, counts } = await movedTo(t, file)
  t.same(counts, { jobs: 4, subscriptions: 7, events: 3, deliveries: 4 })
  t.same(await everythingIn(store), before)

  t.same(numbersOf(await claim(store)), [queued!.number], 'what is due')
  t.match(await claim(store, { now: start + hourMs }), [{ number: later.number, due: 'run', input: '{"later":1}', attempt: 2, failures: 1, crashes: 0 }])
  t.match(await store.get([later.number]), [{ percentComplete: 12.5 }])
  t.match(await claim(store, { now: start + 2 * hourMs }), [{ number: late.number, due: 'deadline' }])
  t.match(await store.end(deferred.number, { ...succeeded(), ...owing('"done"', start) }), { ended: true, job: { status: 'succeeded' } })
  t.match(await claimDelivery(store, { operations: ['Bake'] }), { urlHint: 'https://caller.example/', body: '"done"' })
  t.match(await store.submit([{ operation: 'Bake', owner: 'anna', input: '{}', createdAt: start, idempotency: { key: 'once', fingerprint: 'f' } }], { maxQueued: 9 }), [{ outcome: 'repeated', job: { number: deferred.number } }])

  const [letter] = await store.listDeliveries({ subscription: dead!.number, status: 'dead', limit: plenty })
  t.match(letter, { attempts: 1 })
  t.equal(await store.redeliver({ subscription: dead!.number, limit: plenty }, start), 1)
  t.match(await claimDeliveries(store), [{ number: letter!.number, attempts: 0, body: '{"first":1}' }, { event: half, attempts: 0 }], 'the dead letter, and what was due')
  t.match(await claimDeliveries(store, { now: start + 5000 }), [{ subscription: failing!.number, attempts: 1, failingSince: start }], 'one that waited for its next attempt')
  t.ok(await store.resume(suspended!.number))
  t.equal(await store.redeliver({ subscription: suspended!.number, limit: plenty }, start), 1)
  t.match(await claimDeliveries(store), [{ subscription: suspended!.number, body: '{"first":1}' }])

  await fanOutStep(store, half)
  await fanOutStep(store, whole)
  t.same((await debtsOf(store)).filter(([, event]) => event === half), [['pending', half, dead!.number], ['pending', half, v3!.number]], 'one that was begun is not begun again')
  t.same((await debtsOf(store)).filter(([, event]) => event === whole).map(([, , subscription]) => subscription), [dead!.number, failing!.number, suspended!.number, v3!.number])
  await answer(store, (await claimDeliveries(store)).find(({ subscription }) => subscription === v3!.number)!, 'retired')
  t.same(await statusesOf(store, v1!, v2!, v3!), ['superseded', 'active', undefined], 'the version before has its place again')
  const [newest] = await subscribe(store, { url: 'newest' })
  t.equal(newest!.number, v3!.number + 1)
})

test('of a job that succeeded the input stays behind, as PostgreSQL forgets it', { timeout: 60_000 }, async (t) => {
  const file = join(createTempDir(t), 'work.db')
  const old = await openStore(t, sqliteStore({ file }))
  await settle(old, await acceptAndClaim(old, { input: '{"succeeds":1}' }), { ...succeeded(), expiresAt: everAfter })
  await settle(old, await acceptAndClaim(old, { input: '{"fails":1}' }), { ...failed(), expiresAt: everAfter })
  await accept(old, { input: '{"waits":1}' })
  await old.close()
  const { inputs } = await movedTo(t, file)
  t.same(await inputs(), ['', '{"fails":1}', '{"waits":1}'])
})

test('what a file may hold and PostgreSQL may not does not keep it from moving', { timeout: 60_000 }, async (t) => {
  const file = join(createTempDir(t), 'work.db')
  const old = await openStore(t, sqliteStore({ file }))
  await subscribe(old, { url: 'odd' })
  await publishAndOwe(old, { expiresAt: everAfter, body: '{"nul":"\\u0000"}' })
  const delivery = await claimDelivery(old)
  await old.settleDeliveries([{ lease: delivery, attempt: { at: start, durationMs: 1, statusCode: 503, answer: 'nul \0 inside' }, to: { status: 'pending', dueAt: start }, subscription: 'failing' }])
  const job = await acceptAndClaim(old)
  await old.progress([{ lease: job, percentComplete: 1, message: 'nul \0 inside' }])
  await old.close()
  const { store } = await movedTo(t, file)
  t.match(await store.getAttempts(delivery.number), [{ answer: 'nul \0 inside' }])
  // The SQLite of Node.js 22 gives back what stands before it.
  const readsNul = (new DatabaseSync(':memory:').prepare('SELECT ? AS text').get('a\0b') as { text: string }).text === 'a\0b'
  t.match(await store.get([job.number]), [{ message: readsNul ? 'nul \ufffd inside' : 'nul ' }])
  t.match(await claimDelivery(store), { body: '{"nul":"\\u0000"}' })
})

test('of a job that expired nothing is moved, and everything while its callback is still owed', { timeout: 60_000 }, async (t) => {
  const file = join(createTempDir(t), 'work.db')
  const old = await openStore(t, sqliteStore({ file }))
  const [gone, owed] = await accept(old, ...['gone', 'owed'].map((url) => ({ subscription: newSubscription({ url, operation: 'Bake', topic: null }) })))
  await old.end(gone!.number, succeeded())
  await old.end(owed!.number, { ...succeeded(), ...owing() })
  await old.close()
  const { store } = await movedTo(t, file)
  t.same(numbersOf(await store.list({ limit: plenty })), [owed!.number])
  t.same((await store.listSubscriptions({ limit: plenty })).map(({ job }) => job), [owed!.number])
})
