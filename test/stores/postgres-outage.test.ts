import pg from 'pg'
import t, { test } from 'tap'
import type { ClaimRequest, JobRecord, Settlement, Store } from '../../src/work/store.ts'
import { leaseMs } from '../../src/work/job-runner.ts'
import { createLatch } from '../helpers/latch.ts'
import { createPool } from '../helpers/postgres.ts'
import { createReplicas } from '../helpers/replicas.ts'
import { createTcpProxy } from '../helpers/tcp-proxy.ts'
import { until } from '../helpers/until.ts'

// A server of its own: a busy machine takes its time.
t.setTimeout(300_000)

const start = Date.UTC(2026, 0, 1)
const away = { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE' }
const bake: ClaimRequest = { operations: [{ operation: 'Bake', limit: 100 }], limit: 100, now: start }
const newJob = { operation: 'Bake', owner: '', input: '{}', createdAt: start }
const succeeded = (job: { number: number, attempt: number }): Settlement =>
  ({ lease: { number: job.number, attempt: job.attempt }, to: { status: 'succeeded', result: '"cake"', endedAt: start, expiresAt: start } })

async function accept (store: Store, count = 1): Promise<JobRecord[]> {
  const outcomes = await store.submit(Array.from({ length: count }, () => newJob), { maxQueued: 1000 })
  return outcomes.map((outcome) => (outcome as { job: JobRecord }).job)
}

/** The same pool, whose commits come by here. */
function withCommits (pool: pg.Pool, onCommit: (commit: () => Promise<unknown>) => Promise<unknown>): pg.Pool {
  return new Proxy(pool, {
    get (target, name) {
      if (name !== 'connect') return Reflect.get(target, name).bind?.(target) as unknown
      return async () => new Proxy(await target.connect(), {
        get (inner, method) {
          const member = Reflect.get(inner, method) as unknown
          if (method !== 'query') return typeof member === 'function' ? member.bind(inner) as unknown : member
          return async (query: { text: string }) => {
            const run = (): Promise<unknown> => inner.query(query as pg.QueryConfig)
            return await (query.text.endsWith('COMMIT') ? onCommit(run) : run())
          }
        }
      })
    }
  })
}

test('while the server is away every call says so, and the store goes on by itself', async (t) => {
  const { server, clock, open } = await createReplicas(t)
  const { store, logs } = await open()
  const other = await open()
  await accept(store, 2)
  const { jobs } = await store.claim(bake)
  await server.stop()
  const calls: Record<string, () => Promise<unknown>> = {
    submit: () => accept(store),
    get: () => store.get([1]),
    claim: () => store.claim(bake),
    heartbeat: () => store.heartbeat(jobs),
    settle: () => store.settle(jobs.map(succeeded)),
    end: () => store.end(1, { status: 'succeeded', result: null, endedAt: 1, expiresAt: 1 }),
    publish: () => store.publish([{ topic: 'orders', body: '{}', createdAt: start, expiresAt: start }]),
    claimDeliveries: () => store.claimDeliveries({ operations: ['Bake'], exceptHosts: [], limit: 1, now: start }),
    recover: () => store.recover(),
    sweep: () => store.sweep(start, 10)
  }
  for (const [name, call] of Object.entries(calls)) await t.rejects(call(), away, name)
  await until(() => logs.some(({ msg }) => msg.includes('lost the connection')))
  await server.start()
  t.same(await store.settle(jobs.map(succeeded)), [true, true], 'the result of a handler that ended meanwhile')
  // The news come again, too, and something may have been missed.
  const before = other.wakes()
  await until(async () => {
    await clock.advance(1000)
    return other.wakes() > before
  })
  const [job] = await accept(other.store)
  await until(() => logs.some(({ msg }) => msg.includes('told of other replicas')))
  t.same((await store.claim(bake)).jobs.map(({ number }) => number), [job!.number])
})

test('after an outage longer than a lease nobody is taken for dead who had no chance to say otherwise', async (t) => {
  const { server, clock, open } = await createReplicas(t)
  const { store } = await open()
  const { store: other } = await open()
  await accept(store)
  const { jobs } = await store.claim(bake)
  t.equal(await other.recover(), 0)
  await server.stop()
  await clock.advance(4 * leaseMs)
  await t.rejects(other.recover(), away)
  await server.start()
  t.equal(await other.recover(), 0, 'the other looks before the holder of the job could move')
  t.same(await store.settle(jobs.map(succeeded)), [true], 'and the result counts')

  await accept(store)
  await store.claim(bake)
  let recovered = 0
  for (let waited = 0; waited <= leaseMs + 5000; waited += 5000) {
    await clock.advance(5000)
    recovered += await other.recover()
  }
  t.equal(recovered, 1, 'who does not move while it could is')
})

test('a replica that was idle for long, forgotten by one other and comes back, is not taken for dead by a third', async (t) => {
  const { clock, open } = await createReplicas(t)
  const [{ store }, { store: second }, { store: third }] = [await open(), await open(), await open()]
  await store.heartbeat([])
  await second.recover()
  await third.recover()
  await clock.advance(leaseMs + 1)
  await second.recover()
  await accept(store)
  const { jobs } = await store.claim(bake)
  t.equal(await third.recover(), 0)
  t.same(await store.findLost(jobs), [])
})

test('connections that are cut lose no call for good, and nothing is done twice', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const replicas = [await open(), await open()]
  await server.pool.query(`
    CREATE TABLE ${schema}.ends (job bigint);
    CREATE FUNCTION ${schema}.note_end () RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO ${schema}.ends VALUES (new.number); RETURN new; END $$;
    CREATE TRIGGER note_end AFTER UPDATE ON ${schema}.jobs FOR EACH ROW WHEN (new.status = 'succeeded' AND old.status <> 'succeeded') EXECUTE FUNCTION ${schema}.note_end()`)
  const accepted = new Set<number>()
  let faults = 0
  const over = new AbortController()
  const persist = async <T>(work: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await work()
      } catch (error) {
        t.match(error, away)
        faults++
      }
    }
  }
  t.teardown(() => { over.abort() })
  const cut = (async () => {
    while (!over.signal.aborted) {
      await server.pool.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = \'fastify-logic-apps\' AND random() < 0.3')
      await new Promise((resolve) => { setTimeout(resolve, 20) })
    }
  })()
  await Promise.all(replicas.map(async ({ store }, index) => {
    for (let round = 0; round < 25; round++) {
      const key = `${index}-${round}`
      // A start that was cut off is repeated with its key, as the engine does: it may have been accepted.
      const [outcome] = await persist(() => store.submit([{ ...newJob, idempotency: { key, fingerprint: '' } }], { maxQueued: 1000 }))
      accepted.add((outcome as { job: JobRecord }).job.number)
      const { jobs } = await persist(() => store.claim(bake))
      await persist(() => store.settle(jobs.map(succeeded)))
    }
  }))
  over.abort()
  await cut
  t.ok(faults > 0, `${faults} calls were cut off`)
  t.equal(accepted.size, 50)
  // A claim whose answer was lost is this replica's still, until its next claim or its end gives it back.
  for (const { store } of replicas) await store.close()
  const { store } = await open()
  const { jobs } = await store.claim(bake)
  await store.settle(jobs.map(succeeded))
  t.same((await store.list({ limit: 100 })).map(({ number, status }) => [number, status]), [...accepted].sort((a, b) => b - a).map((number) => [number, 'succeeded']))
  const ends = (await server.pool.query(`SELECT job FROM ${schema}.ends`)).rows.map(({ job }: { job: string }) => Number(job))
  t.same(ends.sort((a, b) => a - b), [...accepted].sort((a, b) => a - b), 'each end once')
})

test('a claim that was committed, and whose answer was lost, is made again; what is under way goes on', async (t) => {
  const pool = await createPool(t, { max: 6 })
  const { open } = await createReplicas(t)
  let loses = false
  const losing = withCommits(pool, async (commit) => {
    const result = await commit()
    if (loses) throw new Error('Connection terminated unexpectedly')
    return result
  })
  const { store, logs } = await open({ pool: losing })
  const lose = async (call: () => Promise<unknown>): Promise<void> => {
    loses = true
    await t.rejects(call(), away)
    loses = false
  }

  const [kept] = await accept(store)
  const { jobs: [running] } = await store.claim(bake)
  t.equal(running!.number, kept!.number)
  // One that waits for its deadline, too.
  const [deferred] = await accept(store)
  const { jobs: [first] } = await store.claim(bake)
  await store.settle([{ lease: first!, to: { status: 'running', deadline: start - 1 } }])
  const [waiting] = await accept(store)
  await lose(() => store.claim(bake))
  t.match(await store.get([waiting!.number]), [{ status: 'running', attempt: 1 }])
  const { jobs } = await store.claim(bake)
  t.match(jobs, [{ number: deferred!.number, due: 'deadline', crashes: 0 }, { number: waiting!.number, due: 'run', attempt: 2, crashes: 0 }])
  t.same(await store.heartbeat([running!, ...jobs]), [])
  t.same(await store.settle([running!, ...jobs].map(succeeded)), [true, true, true])

  for (const url of ['a', 'b']) {
    await store.subscribe({ operation: 'OnOrder', owner: '', topic: url, urlDigest: url, versionlessDigest: null, sealedUrl: Buffer.from(url), urlHint: url, host: url, input: '{}', tracking: {}, createdAt: start })
    await store.publish([{ topic: url, body: '{}', createdAt: start, expiresAt: start }])
    for (const debt of await store.findFanOuts({ operations: ['OnOrder'], strangersBefore: 0, limit: 5 })) {
      const owed = (await store.findSubscribers(debt, 9)).map(({ number }) => ({ subscription: number, dueAt: start }))
      await store.fanOut({ event: debt.event, operation: 'OnOrder', from: debt.cursor, round: debt.round, to: null, owed, skipped: [], failed: [], now: start })
    }
  }
  const send = { operations: ['OnOrder'], exceptHosts: [], limit: 1, now: start }
  const { deliveries: [sending] } = await store.claimDeliveries(send)
  await lose(() => store.claimDeliveries(send))
  const { deliveries } = await store.claimDeliveries({ ...send, limit: 9 })
  t.match(deliveries, [{ urlHint: 'b', claim: 2 }])
  t.same(await store.settleDeliveries([sending!, ...deliveries].map(({ number, claim }) => ({
    lease: { number, claim }, attempt: undefined, to: { status: 'delivered' }, subscription: 'confirmed'
  }))), ['kept', 'kept'])
  t.equal(logs.filter(({ msg }) => msg.startsWith('gave back')).length, 2)
})

test('an exhausted pool is an outage of a second, not a hang', async (t) => {
  // Which alone would wait for ever.
  const pool = await createPool(t, { max: 4 })
  const { open } = await createReplicas(t)
  const { store } = await open({ pool, timeoutSeconds: 1 })
  const taken = await Promise.all([pool.connect(), pool.connect(), pool.connect()])
  await t.rejects(accept(store), { ...away, message: /timeout exceeded/ })
  for (const client of taken) client.release()
  t.equal((await accept(store)).length, 1)
  await until(() => pool.waitingCount === 0 && pool.idleCount === pool.totalCount - 1)
  t.pass('what came too late was given back')
})

test('a connection whose other end is gone without a word is found out, and replaced', async (t) => {
  const { server, clock, open } = await createReplicas(t)
  const proxy = await createTcpProxy(t, server.port)
  const url = new URL(server.url)
  url.port = String(proxy.port)
  const { store, logs } = await open({ connection: { connectionString: url.href }, timeoutSeconds: 1 })
  await accept(store)
  proxy.freeze()
  await t.rejects(store.claim(bake), away)
  proxy.thaw()
  t.equal((await store.claim(bake)).jobs.length, 1)
  // The one that listens says nothing by itself: it is asked now and then.
  await clock.advance(15_000)
  await until(() => logs.some(({ msg }) => msg.includes('lost the connection')))
  await clock.advance(1000)
  await until(() => logs.some(({ msg }) => msg.includes('told of other replicas')))
})

test('a transaction that somebody else holds open for minutes holds up nothing', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const { store } = await open({ timeoutSeconds: 1 })
  const client = new pg.Client({ connectionString: server.url })
  await client.connect()
  t.teardown(() => client.end())
  await client.query(`BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM ${schema}.jobs`)
  await store.publishIn!([{ topic: 'orders', body: '{"late":1}', createdAt: start, expiresAt: start }], client)
  for (let round = 0; round < 3; round++) {
    await accept(store, 5)
    const { jobs } = await store.claim(bake)
    t.same(await store.settle(jobs.map(succeeded)), Array(5).fill(true))
    t.equal((await store.publish([{ topic: 'orders', body: '{}', createdAt: start, expiresAt: start }])).length, 1)
  }
  t.equal(await store.sweep(start + 1, 100), 15)
})

test('a publish that waited too long, and said so, does not happen afterwards', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const { store } = await open({ timeoutSeconds: 1 })
  const client = await server.pool.connect()
  await client.query(`BEGIN; SELECT ${schema}.take_numbers(0)`)
  await t.rejects(store.publish([{ topic: 'orders', body: '{}', createdAt: start, expiresAt: start }]), { ...away, message: /lock/ })
  await client.query('COMMIT')
  client.release()
  t.equal((await store.publish([{ topic: 'orders', body: '{"second":1}', createdAt: start, expiresAt: start }])).length, 1)
  t.same((await server.pool.query(`SELECT body FROM ${schema}.events`)).rows, [{ body: '{"second":1}' }])
})

test('idle connections that are cut are told without what they were made of', async (t) => {
  const { server, open } = await createReplicas(t)
  const { store, logs } = await open()
  await Promise.all([store.list({ limit: 1 }), store.list({ limit: 1 })])
  await server.pool.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = \'fastify-logic-apps\'')
  await until(() => logs.some(({ msg }) => msg.includes('an idle connection')))
  t.notMatch(JSON.stringify(logs), /secretKey|"client"/)
})

test('a replica that is frozen in the middle of a transaction holds up the others no longer than its limit', async (t) => {
  const pool = await createPool(t, { max: 6 })
  const { open } = await createReplicas(t)
  const frozen = createLatch()
  const reached = createLatch()
  let freezes = false
  /** The process does nothing more, and its sockets stay open. */
  const freezing = withCommits(pool, async (commit) => {
    if (freezes) {
      reached.open(undefined)
      await frozen.promise
    }
    return await commit()
  })
  const slow = await open({ pool: freezing, timeoutSeconds: 1 })
  const other = await open({ timeoutSeconds: 3 })
  const subscribe = (store: Store, url: string): ReturnType<Store['subscribe']> => store.subscribe({
    operation: 'OnOrder', owner: '', topic: 'orders', urlDigest: url, versionlessDigest: null, sealedUrl: Buffer.from(url), urlHint: url, host: url, input: '{}', tracking: {}, createdAt: start
  })
  freezes = true
  const lost = subscribe(slow.store, 'a')
  await reached.promise
  // It waits for the other's lock.
  t.equal((await subscribe(other.store, 'b')).outcome, 'created')
  frozen.open(undefined)
  await t.rejects(lost, away)
  freezes = false
  t.same((await other.store.listSubscriptions({ limit: 9 })).map(({ urlDigest }) => urlDigest), ['b'])
})
