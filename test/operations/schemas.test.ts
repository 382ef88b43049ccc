import { test } from 'tap'
import { createApp } from '../helpers/app.ts'
import { idOf, poll } from '../helpers/cakes.ts'
import { isWritable } from '../helpers/json.ts'

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

/** What a poll answers when a handler returned `value`. */
async function answerTo (t: Parameters<typeof createApp>[0], value: unknown, result: unknown, shared: object[] = []) {
  const { app, clock, logs } = await createApp(t)
  for (const schema of shared) app.addSchema(schema)
  app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' }, result }, () => value)
  const accepted = await app.inject({ method: 'POST', url: '/cakes' })
  await clock.advance(0)
  return { polled: await poll(app, accepted), id: idOf(accepted), logs }
}

const cake = { type: 'object', properties: { id: { type: 'integer' }, flavour: { type: 'string' } }, required: ['id'] }

test('a result is written as its schema has it: coerced, with defaults, without what the schema does not name', async (t) => {
  const { polled } = await answerTo(t, { id: '42', flavour: 7, recipe: 'secret' }, {
    type: 'object', properties: { id: { type: 'integer' }, flavour: { type: 'string' }, size: { type: 'string', default: 'small' } }
  })
  t.equal(polled.statusCode, 200)
  t.equal(polled.body, '{"id":42,"flavour":"7","size":"small"}')
})

test('dates and objects with toJSON are checked and written as the text they become', async (t) => {
  const { polled } = await answerTo(t, { bakedAt: new Date(0), day: new Date(0).toISOString().slice(0, 10), price: { toJSON: () => '9.50' } }, {
    type: 'object',
    properties: { bakedAt: { type: 'string', format: 'date-time' }, day: { type: 'string', format: 'date' }, price: { type: 'string' } }
  })
  t.equal(polled.body, '{"bakedAt":"1970-01-01T00:00:00.000Z","day":"1970-01-01","price":"9.50"}')
})

test('nothing answers 204 where the schema lets a result be nothing (engine 1.27: an empty body is no JSON)', async (t) => {
  const { polled } = await answerTo(t, undefined, {})
  t.equal(polled.statusCode, 204)
  t.equal(polled.body, '')
  t.match((await answerTo(t, undefined, cake)).polled.json(), { error: { code: 'InvalidResult' } })
})

test('the handler\'s own object is left as it is', async (t) => {
  const value = Object.freeze({ id: '42', recipe: 'secret' })
  const { polled } = await answerTo(t, value, cake)
  t.equal(polled.statusCode, 200)
  t.same(value, { id: '42', recipe: 'secret' })
})

test('shared schemas of the scope are found', async (t) => {
  const { polled } = await answerTo(t, [{ id: 1 }, { id: 2, flavour: 'plum', more: true }], { type: 'array', items: { $ref: 'cake#' } }, [{ $id: 'cake', ...cake }])
  t.same(polled.json(), [{ id: 1 }, { id: 2, flavour: 'plum' }])
})

test('a scope\'s own shared schemas and compiler are used', async (t) => {
  const { app, clock } = await createApp(t)
  await app.register(async (scope) => {
    scope.addSchema({ $id: 'cake', ...cake })
    scope.setValidatorCompiler(() => (value: unknown) => (value as { id: number }).id === 1 ? { value } : { error: new Error('only one cake') })
    scope.asyncAction('/cakes', { schema: { operationId: 'BakeCake' }, result: { $ref: 'cake#' } }, () => ({ id: 1, more: true }))
    scope.asyncAction('/pies', { schema: { operationId: 'BakePie' }, result: { $ref: 'cake#' } }, () => ({ id: 2 }))
  })
  const cakeJob = await app.inject({ method: 'POST', url: '/cakes' })
  const pieJob = await app.inject({ method: 'POST', url: '/pies' })
  await clock.advance(0)
  t.same((await poll(app, cakeJob)).json(), { id: 1 })
  t.match((await poll(app, pieJob)).json(), { error: { code: 'InvalidResult' } })
})

test('a result that does not fit is InvalidResult to the caller; what is wrong is for the log alone', async (t) => {
  for (const [value, fault] of [
    [{ flavour: 'secret plum' }, /must have required property 'id'/],
    [{ id: 'secret' }, /\/id must be integer/],
    [undefined, /must be object/],
    [null, /must be object/],
    ['secret', /must be object/]
  ] as const) {
    const { polled, id, logs } = await answerTo(t, value, cake)
    t.equal(polled.statusCode, 422)
    t.same(polled.json(), { error: { code: 'InvalidResult', message: 'The job ended with a result that does not fit its schema.' } })
    t.match(logs.find(({ level }) => level === 50), { jobId: id, operationId: 'BakeCake', err: { message: fault } })
  }
})

test('a result that is no JSON is InvalidResult too, with or without a schema', async (t) => {
  const circular: Record<string, unknown> = {}
  circular.self = circular
  const deep = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000)) as unknown
  for (const result of [undefined, {}]) {
    for (const value of [circular, { big: 1n }, deep, { toJSON () { throw new Error('no') } }].filter((value) => !isWritable(value))) {
      const { polled } = await answerTo(t, value, result)
      t.equal(polled.statusCode, 422)
      t.match(polled.json(), { error: { code: 'InvalidResult' } })
    }
  }
})

test('without a result schema any JSON goes, and what JSON does not know is left out', async (t) => {
  t.equal((await answerTo(t, { a: 1, b: undefined, c: () => {}, d: [undefined, Number.NaN] }, undefined)).polled.body, '{"a":1,"d":[null,null]}')
  t.equal((await answerTo(t, () => {}, undefined)).polled.statusCode, 204)
})

test('a big result comes back whole', async (t) => {
  const flavour = 'ü🎂\u2028"\\'.repeat(500_000)
  const { polled } = await answerTo(t, { id: 1, flavour }, cake)
  t.equal(polled.statusCode, 200)
  t.ok(polled.json<{ flavour: string }>().flavour === flavour)
})

test('a schema that does not compile stops the app at the start, and names its operation', async (t) => {
  for (const options of [{ result: { type: 'cake' } }, { result: { $ref: 'nowhere#' } }, { contextSchema: { type: 'cake' } }] as object[]) {
    const { app } = await createApp(t)
    app.asyncAction('/cakes', { schema: { operationId: 'BakeCake' }, ...options }, () => {})
    await t.rejects(Promise.resolve(app.ready()), { message: /BakeCake|cake|nowhere/ })
  }
})
