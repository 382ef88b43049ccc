import t, { test } from 'tap'
import { createReplicas } from '../helpers/replicas.ts'

// A server of its own: a busy machine takes its time.
t.setTimeout(300_000)

const start = Date.UTC(2026, 0, 1)

test('thousands of callbacks to a host that is closed do not hide those to another, due or still to come', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const { store } = await open()
  const numbers: number[] = []
  for (const host of ['closed', 'open']) {
    const { subscription } = await store.subscribe({
      operation: 'OnOrder', owner: '', topic: 'orders', urlDigest: host, versionlessDigest: null, sealedUrl: Buffer.from(host), urlHint: host, host, input: '{}', tracking: {}, createdAt: start
    })
    numbers.push(subscription.number)
  }
  const [closed, other] = numbers
  const owe = (subscription: number, host: string, dueAt: number, count: number): Promise<unknown> => server.pool.query(`
    INSERT INTO ${schema}.deliveries (operation, owner, subscription, subscription_created_at, url_hint, host, status, due_at, created_at, job, body)
    SELECT 'OnOrder', '', $1, $2, '', $3::text, 'pending', $4, $2, place, $3 FROM generate_series(1, $5::int) AS place`, [subscription, start, host, dueAt, count])
  await owe(closed!, 'closed', start, 2500)
  await owe(closed!, 'closed', start + 10, 2500)
  const request = { operations: ['OnOrder'], exceptHosts: ['closed'], limit: 10, now: start + 5 }
  t.same(await store.claimDeliveries(request), { deliveries: [], nextDueAt: null })
  await owe(other!, 'open', start + 20, 1)
  t.same(await store.claimDeliveries(request), { deliveries: [], nextDueAt: start + 20 })
  await owe(other!, 'open', start + 4, 2)
  const { deliveries, nextDueAt } = await store.claimDeliveries(request)
  t.same(deliveries.map(({ body }) => body), ['open', 'open'])
  t.equal(nextDueAt, start + 20)
  t.equal((await store.claimDeliveries({ ...request, exceptHosts: [] })).deliveries.length, 10)
})
