import { test } from 'tap'
import { profiles } from '../../../src/testing/index.ts'
import { createRandom } from '../../../src/testing/engine/random.ts'
import { createRetryWaits, exponentialBounds } from '../../../src/testing/engine/retry.ts'
import { createEngine, waitsOf } from '../../helpers/engine.ts'

const call = (retryPolicy?: object): { type: 'Http', inputs: object } => ({ type: 'Http', inputs: { method: 'POST', uri: '/cakes', ...(retryPolicy === undefined ? {} : { retryPolicy }) } })

test('the default policy waits 7.5, 15, 30 and 45 seconds, as was measured (engine 6.1)', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': (_, reply) => reply.code(503).send() })
  for (const definition of [call(), call({ type: 'default' })]) {
    const result = await engine.run(definition)
    t.match(result, { status: 'Failed', code: 'ServiceUnavailable' })
    t.same(waitsOf(result.history), [7.5, 15, 30, 45])
  }
})

test('the host setting of Standard lets the waits grow longer (engine 6.5)', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': (_, reply) => reply.code(503).send() }, { profile: 'standard' })
  t.same(waitsOf((await engine.run(call())).history), [7, 14, 28, 56])
})

test('the default policy may also be drawn at random within its bounds (engine 6.4)', async (t) => {
  const waits = async (seed: number): Promise<number[]> => {
    const engine = await createEngine(t, { 'POST /cakes': (_, reply) => reply.code(503).send() }, { seed, unknowns: { defaultRetryWaits: 'random' } })
    return waitsOf((await engine.run(call())).history)
  }
  const first = await waits(7)
  for (const [index, [from, to]] of ([[5, 7.5], [7.5, 15], [15, 30], [30, 45]] as const).entries()) t.ok(first[index]! >= from && first[index]! <= to, `${first[index]}`)
  t.same(await waits(7), first, 'the same seed draws the same')
  t.not(String(await waits(8)), String(first))
})

test('a fixed policy waits exactly as long as it says (engine 6.3)', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': (_, reply) => reply.code(500).send() })
  t.same(waitsOf((await engine.run(call({ type: 'fixed', count: 3, interval: 'PT20S' }))).history), [20, 20, 20])
})

test('an exponential policy draws the n-th wait from [2^(n-2), 2^(n-1)] intervals, within minimum and maximum (engine 6.4)', async (t) => {
  const bounds = exponentialBounds(10_000, 5_000, 60_000)
  t.same([1, 2, 3, 4, 5, 6].map(bounds), [[5000, 10_000], [10_000, 20_000], [20_000, 40_000], [40_000, 60_000], [60_000, 60_000], [60_000, 60_000]])
  const random = createRandom(3)
  const policy = { type: 'exponential', count: 5, interval: 'PT10S', minimumInterval: 'PT5S', maximumInterval: 'PT1M' } as const
  for (let round = 0; round < 200; round++) {
    const waits = createRetryWaits(policy, { profile: profiles.consumption, random, defaultWaits: 'measured' })
    for (const retry of [1, 2, 3, 4, 5]) {
      const [from, to] = bounds(retry)
      if (waits(retry)! < from || waits(retry)! > to) t.fail(`retry ${retry}: ${waits(retry)} is not in [${from}, ${to}]`)
    }
    t.equal(waits(6), undefined)
  }
})

test('408, 429, 5xx and connection errors are retried, nothing else is (engine 6.2)', async (t) => {
  for (const [status, requests] of [[408, 5], [429, 5], [500, 5], [502, 5], [599, 5], [400, 1], [401, 1], [404, 1], [409, 1], [422, 1], [302, 1]] as const) {
    const engine = await createEngine(t, { 'POST /cakes': (_, reply) => reply.code(status).send() })
    t.equal((await engine.run(call())).history.length, requests, String(status))
  }
  const nowhere = await createEngine(t, {})
  t.equal((await nowhere.run({ type: 'Http', inputs: { method: 'GET', uri: 'https://elsewhere.example/' } })).history.length, 5)
})

test('with policy none nothing is retried (engine 6.3)', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': (_, reply) => reply.code(503).send() })
  t.equal((await engine.run(call({ type: 'none' }))).history.length, 1)
})

test('Retry-After sets the wait, on 429 or on all that is retried (engine 6.6)', async (t) => {
  for (const [retryAfterOnErrors, waits] of [['all', [100, 100]], ['429', [100, 30]]] as const) {
    const engine = await createEngine(t, { 'POST /cakes': (_, reply, count) => count === 3 ? 'done' : reply.code(count === 1 ? 429 : 503).header('retry-after', '100').send() }, { unknowns: { retryAfterOnErrors } })
    t.same(waitsOf((await engine.run(call({ type: 'fixed', count: 4, interval: 'PT30S' }))).history), waits)
  }
})

test('a policy that the cloud would not save is refused (engine 6.3)', async (t) => {
  const engine = await createEngine(t, {})
  for (const [policy, message] of [
    [{ type: 'fixed', count: 91, interval: 'PT20S' }, /count must be an integer from 1 to 90/],
    [{ type: 'fixed', count: 0, interval: 'PT20S' }, /count must be/],
    [{ type: 'fixed', count: 4 }, /interval is missing/],
    [{ type: 'fixed', count: 4, interval: 'PT4S' }, /interval must be from 5 seconds to 86400 seconds/],
    [{ type: 'fixed', count: 4, interval: 'P2D' }, /interval must be from/],
    [{ type: 'fixed', count: 4, interval: '20' }, /must be an ISO 8601 duration/],
    [{ type: 'exponential', count: 4, interval: 'PT20S', minimumInterval: 'PT1H', maximumInterval: 'PT1M' }, /minimumInterval must not be longer/],
    [{ type: 'linear', count: 4, interval: 'PT20S' }, /type must be "none", "fixed", "exponential" or "default"/]
  ] as const) await t.rejects(engine.run(call(policy)), { message })
})

test('stateless workflows may retry after a second (engine 6.3)', async (t) => {
  const engine = await createEngine(t, { 'POST /cakes': (_, reply, count) => count === 1 ? reply.code(500).send() : 'done' }, { profile: 'standard-stateless' })
  t.same(waitsOf((await engine.run(call({ type: 'fixed', count: 1, interval: 'PT1S' }))).history), [1])
})
