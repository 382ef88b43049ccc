import pg from 'pg'
import t, { test } from 'tap'
import type { PostgresPool } from '../../src/stores/postgres/dependencies.ts'
import type { DeliverySettlement, NewJob, Store } from '../../src/work/store.ts'
import { createPool } from '../helpers/postgres.ts'
import { createReplicas } from '../helpers/replicas.ts'

// A server of its own: a busy machine takes its time.
t.setTimeout(300_000)

const start = Date.UTC(2026, 0, 1)
const operation = 'OnOrder'
const canceled = { status: 'canceled', failure: { code: 'JobCanceled', message: '', statusCode: 409 }, endedAt: start, expiresAt: start } as const

test('replicas that change subscriptions, fan out and settle at the same time get in nobody\'s way for good', { timeout: 60_000 }, async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const replicas = await Promise.all([open(), open(), open()])
  // Always the same choices; in which order they meet is up to the server.
  let seed = 7
  const random = (below: number): number => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed % below
  }
  const subscribe = (store: Store): Promise<unknown> => {
    const [workflow, version] = [random(3), random(4)]
    const url = `${workflow}-${version}`
    return store.subscribe({
      operation, owner: '', topic: 'orders', urlDigest: url, versionlessDigest: `workflow ${workflow}`, sealedUrl: Buffer.from(url), urlHint: url, host: url, input: '{}', tracking: {}, createdAt: start
    })
  }
  const fanOut = async (store: Store): Promise<void> => {
    for (const debt of await store.findFanOuts({ operations: [operation], strangersBefore: 0, limit: 5 })) {
      const found = await store.findSubscribers(debt, 100)
      const of = (wanted: string): number[] => found.filter(({ status }) => status === wanted).map(({ number }) => number)
      await store.fanOut({
        event: debt.event,
        operation,
        from: debt.cursor,
        round: debt.round,
        to: null,
        owed: of('active').map((subscription) => ({ subscription, dueAt: start })),
        skipped: of('suspended'),
        failed: [],
        now: start
      })
    }
  }
  const deliver = async (store: Store): Promise<void> => {
    const { deliveries } = await store.claimDeliveries({ operations: [operation], exceptHosts: [], limit: 20, now: start + random(10) })
    await store.settleDeliveries(deliveries.map(({ number, claim }): DeliverySettlement => {
      const attempt = { at: start, durationMs: 1, statusCode: 200, answer: '' }
      const lease = { number, claim }
      const [to, subscription] = ([
        [{ status: 'delivered' }, 'confirmed'], [{ status: 'delivered' }, 'confirmed'], [{ status: 'pending', dueAt: start + 5 }, 'failing'],
        [{ status: 'dead' }, 'unchanged'], [{ status: 'dead' }, 'suspended'], [{ status: 'dead' }, 'retired']
      ] as const)[random(6)]!
      return { lease, attempt, to, subscription }
    }))
  }
  const remove = async (store: Store): Promise<void> => {
    const all = await store.listSubscriptions({ limit: 20 })
    if (all.length > 0) await store.unsubscribe(all[random(all.length)]!.number, canceled)
  }
  const steps = [
    subscribe, subscribe, fanOut, fanOut, deliver, deliver, remove,
    (store: Store) => store.publish([{ topic: 'orders', body: '{}', createdAt: start, expiresAt: start }]),
    (store: Store) => store.redeliver({ limit: 5 }, start),
    (store: Store) => store.sweep(start + 1, 50),
    (store: Store) => store.heartbeat([])
  ]
  await Promise.all(replicas.flatMap(({ store }) => [1, 2, 3].map(async () => {
    for (let round = 0; round < 60; round++) await steps[random(steps.length)]!(store)
  })))

  const rows = async (text: string): Promise<unknown[]> => (await server.pool.query(text.replaceAll('@.', `${schema}.`))).rows
  t.same(await rows('SELECT versionless_digest FROM @.subscriptions WHERE status = \'active\' GROUP BY 1 HAVING count(*) > 1'), [], 'one version of a workflow is active')
  t.same(await rows(`
    SELECT number FROM @.subscriptions AS one WHERE predecessor IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM @.subscriptions AS before WHERE before.number = one.predecessor AND before.status = 'superseded')`), [], 'whatever is behind one is there, and superseded')
  t.same(await rows('SELECT predecessor FROM @.subscriptions WHERE predecessor IS NOT NULL GROUP BY 1 HAVING count(*) > 1'), [], 'a row has no branches')
  t.same(await rows(`
    SELECT number FROM @.deliveries WHERE status = 'pending' AND worker IS NULL
      AND NOT EXISTS (SELECT 1 FROM @.subscriptions WHERE subscriptions.number = subscription)`), [], 'nothing is owed to nobody')
  t.same(await rows('SELECT number FROM @.deliveries WHERE (status = \'pending\') <> (due_at IS NOT NULL OR worker IS NOT NULL)'), [], 'what is pending is due or under way')
})

test('a repeat whose job is swept by another replica in that moment is a first start, and costs those that share its commit nothing', async (t) => {
  let sweeps = 0
  let sweep = async (): Promise<unknown> => undefined
  class Client extends pg.Client {
    override query (...values: unknown[]): never {
      const ask = (): unknown => (super.query as (...values: unknown[]) => unknown)(...values)
      if (sweeps > 0 || !(values[0] as { text: string }).text.includes('.jobs WHERE number = ANY')) return ask() as never
      sweeps++
      return sweep().then(ask) as never
    }
  }
  // Before the replicas, so that it is ended after them.
  const pool = await createPool(t, { max: 6, Client })
  const { server, schema, open } = await createReplicas(t)
  sweep = () => server.pool.query(`DELETE FROM ${schema}.jobs WHERE idempotency_key = 'known'`)
  const { store } = await open({ pool: pool as unknown as PostgresPool })
  const jobOf = (key: string): NewJob => ({ operation: 'Bake', owner: '', input: '{}', createdAt: start, idempotency: { key, fingerprint: 'f' } })
  await store.submit([jobOf('known')], { maxQueued: 10 })
  const outcomes = await store.submit([jobOf('one'), jobOf('known'), jobOf('other')], { maxQueued: 10 })
  t.equal(sweeps, 1)
  t.same(outcomes.map(({ outcome }) => outcome), ['accepted', 'accepted', 'accepted'])
  t.same((await server.pool.query(`SELECT idempotency_key AS key FROM ${schema}.jobs ORDER BY 1`)).rows, [{ key: 'known' }, { key: 'one' }, { key: 'other' }])
})
