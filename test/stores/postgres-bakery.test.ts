import t, { test, type Test } from 'tap'
import { buildApp } from '../../examples/bakery/app.ts'
import { createReceiver } from '../helpers/callback-receiver.ts'
import { startPostgres } from '../helpers/postgres.ts'
import { until } from '../helpers/until.ts'

// A server of its own: a busy machine takes its time.
t.setTimeout(300_000)

/** Several bakeries on one database, as with `DATABASE_URL`. */
async function openBakeries (t: Test): Promise<Awaited<ReturnType<typeof buildApp>>[]> {
  const server = await startPostgres()
  const name = server.newSchema()
  await server.pool.query(`CREATE DATABASE ${name}`)
  const databaseUrl = server.url.replace(/postgres$/, name)
  const apps = [1, 2, 3].map(() => buildApp({ dataDir: '.', databaseUrl, baseUrl: 'https://bakery.example', secret: 'a secret of the bakery, of 32 bytes or more', allowLocalCallbacks: true }))
  t.teardown(async () => {
    for (const app of apps) await (await app).close()
    await server.pool.query(`DROP DATABASE ${name}`)
  })
  const bakeries = await Promise.all(apps)
  for (const bakery of bakeries) await bakery.ready()
  return bakeries
}

const pathOf = (location: unknown): string => new URL(location as string).pathname

test('a cake is ordered at one bakery and polled at another', async (t) => {
  const [one, two] = await openBakeries(t)
  const started = await one!.inject({ method: 'POST', url: '/cakes', payload: { flavour: 'lemon', seconds: 0 } })
  t.equal(started.statusCode, 202)
  let answer = started
  await until(async () => {
    answer = await two!.inject({ method: 'GET', url: pathOf(started.headers.location) })
    return answer.statusCode !== 202
  })
  t.equal(answer.statusCode, 200)
  t.match(answer.json(), { flavour: 'lemon' })
})

test('subscribed at one bakery, told of what another publishes, unsubscribed at a third', async (t) => {
  const receiver = await createReceiver(t)
  const [one, two, three] = await openBakeries(t)
  const callbackUrl = `${receiver.origin}/orders?sig=1`
  const subscribed = await one!.inject({ method: 'POST', url: '/hooks/orders', payload: { callbackUrl } })
  t.equal(subscribed.statusCode, 201)
  const publish = async (orderId: string): Promise<number> => (await two!.inject({ method: 'POST', url: '/orders', payload: { orderId, flavour: 'lemon' } })).statusCode
  t.equal(await publish('42'), 201)
  t.match(JSON.parse((await receiver.call(0)).body), { orderId: '42' })
  // The receiver has it before it is recorded that it has.
  await until(async () => (await three!.logicApps.deliveries.list({ status: 'delivered' })).length === 1)
  const unsubscribed = await three!.inject({ method: 'DELETE', url: pathOf(subscribed.headers.location) })
  t.ok(unsubscribed.statusCode < 300)
  t.equal(await publish('43'), 201)
  t.same(await one!.logicApps.subscriptions.list({}), [])
  t.equal((await one!.logicApps.deliveries.list({})).length, 1)
  t.equal(receiver.calls.length, 1)
})
