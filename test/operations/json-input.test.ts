import { test } from 'tap'
import { createApp } from '../helpers/app.ts'
import { poll } from '../helpers/cakes.ts'

/** Starts a job with this body and gives back what its poll answers: the input as the handler found it. */
async function echo (t: Parameters<typeof createApp>[0], payload: string, options: object = {}) {
  const { app, clock, logs } = await createApp(t)
  app.asyncAction('/echo', { schema: { operationId: 'Echo' }, ...options }, ({ input }) => ({ input }))
  const started = await app.inject({ method: 'POST', url: '/echo', payload, headers: { 'content-type': 'application/json' } })
  t.ok(started.statusCode < 500, `${started.statusCode} for ${payload.slice(0, 30)}`)
  t.same(logs.filter(({ level }) => level >= 50), [])
  if (started.statusCode !== 202) return { statusCode: started.statusCode, started }
  await clock.advance(0)
  const polled = await poll(app, started)
  t.ok(polled.statusCode < 500)
  return { statusCode: 202, started, polled }
}

const nested = (depth: number) => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth)

test('__proto__ and constructor.prototype are refused as Fastify refuses them: 400', async (t) => {
  for (const payload of ['{"__proto__":{"admin":true}}', '{"a":{"__proto__":null}}', '{"constructor":{"prototype":{"admin":true}}}', '{"\\u005f_proto__":1}']) {
    const { statusCode, started } = await echo(t, payload)
    t.equal(statusCode, 400)
    t.match(started.json(), { error: { code: 'InvalidJson' } })
  }
})

test('where the host lets __proto__ pass, it stays data', async (t) => {
  const { app, clock } = await createApp(t, {}, { onProtoPoisoning: 'ignore' })
  let seen: unknown
  app.asyncAction('/echo', { schema: { operationId: 'Echo' } }, ({ input }) => { seen = input })
  const payload = '{"__proto__":{"admin":true}}'
  const started = await app.inject({ method: 'POST', url: '/echo', payload, headers: { 'content-type': 'application/json' } })
  t.equal(started.statusCode, 202)
  await clock.advance(0)
  t.equal((seen as { admin?: boolean }).admin, undefined)
  t.equal(({} as { admin?: boolean }).admin, undefined)
})

test('100,000 levels of nesting are a 400, with or without a schema that follows them', async (t) => {
  const recursive = { $id: 'node', properties: { a: { $ref: '#' } } }
  for (const schema of [{ operationId: 'Echo' }, { operationId: 'Echo', body: { type: 'object' } }, { operationId: 'Echo', body: recursive }]) {
    for (const bodyLimit of [undefined, 50_000_000]) {
      const { statusCode, started } = await echo(t, nested(100_000), { schema, ...(bodyLimit === undefined ? {} : { bodyLimit }) })
      t.equal(statusCode, 400)
      t.match(started.json(), { error: { code: 'InvalidRequest', message: 'the request body is nested too deeply' } })
    }
  }
  t.equal((await echo(t, '['.repeat(2_000_000) + ']'.repeat(2_000_000), { bodyLimit: 50_000_000 })).statusCode, 400)
  t.equal((await echo(t, '['.repeat(600_000) + ']'.repeat(600_000))).statusCode, 413, 'over the limit')
})

test('a thousand levels are fine, all the way through', async (t) => {
  const { polled } = await echo(t, nested(1000))
  t.equal(polled?.body, `{"input":${nested(1000)}}`)
})

test('lone surrogates, NUL and other odd characters come back as they were sent', async (t) => {
  for (const text of ['\\ud800', '\\udc00\\ud800', '\\u0000', 'a\\u0000b', '\\u2028\\u2029', '\\ufeff', '\\uffff', '🎂', 'ü'.repeat(1000)]) {
    const payload = `{"text":"${text}","${text}":1}`
    for (const result of [undefined, { type: 'object', properties: { input: { type: 'object', additionalProperties: true } } }]) {
      const { polled } = await echo(t, payload, { result })
      t.same(polled?.json(), { input: JSON.parse(payload) as unknown }, text)
    }
  }
})

test('an odd text in message, code and owner is no harm either', async (t) => {
  const { app, clock } = await createApp(t, { owner: () => 'a\ud800' })
  app.asyncAction('/odd', { schema: { operationId: 'Odd' } }, async (job) => {
    await job.progress(1, 'a\u0000b\ud800')
    await job.sleep(1000)
  })
  const started = await app.inject({ method: 'POST', url: '/odd', headers: { 'idempotency-key': 'é\u00ff' } })
  await clock.advance(0)
  const polled = await poll(app, started)
  t.equal(polled.statusCode, 202)
  t.match(polled.json<{ message: string }>().message, /^a\ufffdb/)
})

test('huge numbers are refused by a schema, and are null without one, as JSON has no Infinity', async (t) => {
  const number = { operationId: 'Echo', body: { type: 'object', properties: { n: { type: 'number' } } } }
  t.equal((await echo(t, '{"n":1e400}', { schema: number })).statusCode, 400)
  t.equal((await echo(t, '{"n":-1e400}', { schema: number })).statusCode, 400)
  t.equal((await echo(t, '{"n":1e400}')).polled?.body, '{"input":{"n":null}}')
  t.equal((await echo(t, '{"n":123456789012345678901234567890,"m":1e-400}')).polled?.body, '{"input":{"n":1.2345678901234568e+29,"m":0}}')
  t.equal((await echo(t, `{"n":${'9'.repeat(100_000)}}`)).polled?.body, '{"input":{"n":null}}')
})

test('an empty JSON body is a 400, and any JSON value an input', async (t) => {
  t.equal((await echo(t, '')).statusCode, 400)
  for (const payload of ['null', '0', '""', '[]', 'false', '[[],{}]']) {
    t.equal((await echo(t, payload)).polled?.body, `{"input":${payload}}`)
  }
})

test('odd but valid JSON is no harm: many keys, doubled keys, keys like numbers and methods', async (t) => {
  const many = JSON.stringify(Object.fromEntries(Array.from({ length: 50_000 }, (_, index) => [`key${index}`, index])))
  t.equal((await echo(t, many, { bodyLimit: 2_000_000 })).polled?.body, `{"input":${many}}`)
  t.equal((await echo(t, '{"a":1,"a":2}')).polled?.body, '{"input":{"a":2}}')
  t.same((await echo(t, '{"toJSON":1,"hasOwnProperty":2,"then":3,"1":4,"":5}')).polled?.json(), { input: { toJSON: 1, hasOwnProperty: 2, then: 3, 1: 4, '': 5 } })
})

test('inputs of 10 MB are kept and come back whole where bodyLimit allows them', async (t) => {
  const payload = JSON.stringify({ text: 'x'.repeat(10_000_000) })
  t.equal((await echo(t, payload)).statusCode, 413)
  const { polled } = await echo(t, payload, { bodyLimit: 20_000_000 })
  t.ok(polled?.body === `{"input":${payload}}`)
})
