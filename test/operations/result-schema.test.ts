import { test } from 'tap'
import { createApp } from '../helpers/app.ts'
import { idOf, poll } from '../helpers/cakes.ts'
import { isWritable } from '../helpers/json.ts'

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
