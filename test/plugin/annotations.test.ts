import type { FastifyInstance } from 'fastify'
import { test } from 'tap'
import { annotationNames } from '../../src/connector/annotations.ts'
import { allowAnnotations } from '../../src/operations/allow-annotations.ts'
import { addAnnotatedRoute, annotated, createUnregistered } from '../helpers/annotations.ts'
import { createApp, createServer } from '../helpers/app.ts'
import { addCakes, order, poll } from '../helpers/cakes.ts'

const unknownKeyword = (name: string) => ({ code: 'FST_ERR_SCH_VALIDATION_BUILD', message: new RegExp(`unknown keyword: "${name}"`) })
const statusOf = async (app: FastifyInstance, url: string, payload: object = {}): Promise<number> => (await app.inject({ method: 'POST', url, payload })).statusCode

test('every annotation is known by one name', async (t) => {
  t.equal(new Set(annotationNames).size, annotationNames.length)
  for (const name of annotationNames) t.match(name, /^x-ms-[A-Za-z-]+$/)
})

test('without the plugin Fastify refuses annotations', async (t) => {
  const { app } = createServer()
  addAnnotatedRoute(app)
  await t.rejects(async () => { await app.ready() }, unknownKeyword('x-ms-summary'))
})

test('every annotation passes in every part of a request and in answers, and changes nothing of validation', async (t) => {
  const { app } = await createApp(t)
  const all = Object.fromEntries(annotationNames.map((name) => [name, { anything: ['at', 'all'] }]))
  const part = (properties: object): object => ({ ...all, type: 'object', properties, additionalProperties: false })
  app.post('/cakes/:number', {
    schema: {
      body: { ...part({ flavour: { type: 'string', minLength: 1, ...all }, layers: { type: 'integer', default: 2, ...all } }), required: ['flavour'] },
      querystring: part({ urgent: { type: 'boolean', ...all }, topping: { type: 'array', items: { type: 'string', ...all } } }),
      params: part({ number: { type: 'integer', ...all } }),
      headers: { ...all, type: 'object', properties: { 'X-Oven': { type: 'integer', ...all } }, required: ['X-Oven'] },
      response: { 200: { ...part({ body: { type: 'object', additionalProperties: true, ...all }, query: {}, params: {}, oven: { type: 'integer', ...all } }) } }
    }
  }, ({ body, query, params, headers }) => ({ body, query, params, oven: headers['x-oven'], secret: 'cut off' }))
  const bake = async (payload: object, headers: Record<string, string> = { 'x-oven': '7' }) =>
    await app.inject({ method: 'POST', url: '/cakes/42?urgent=true&topping=nuts&more=1', payload, headers })

  t.same((await bake({ flavour: 'lemon', more: 1 })).json(), {
    body: { flavour: 'lemon', layers: 2 }, query: { urgent: true, topping: ['nuts'] }, params: { number: 42 }, oven: 7
  })
  t.match((await bake({ flavour: '' })).json(), { code: 'FST_ERR_VALIDATION', message: /flavour/ })
  t.match((await bake({ flavour: 'lemon' }, {})).json(), { code: 'FST_ERR_VALIDATION', message: /x-oven/ })
})

test('annotations pass wherever a schema can be: nested, combined, shared, of this scope or above, before the plugin or after it', async (t) => {
  const { app, register } = createUnregistered(t)
  const shared = ($id: string): object => ({ $id, type: 'object', 'x-ms-summary': $id, properties: { flavour: annotated }, required: ['flavour'] })
  app.addSchema(shared('before'))
  addAnnotatedRoute(app, '/before', { $ref: 'before#' })
  app.register(async (scope) => {
    scope.addSchema(shared('early'))
    addAnnotatedRoute(scope, '/early', { $ref: 'early#' })
    addAnnotatedRoute(scope, '/early/property', { $ref: 'before#/properties/flavour' })
  })
  await register()
  app.addSchema(shared('after'))
  addAnnotatedRoute(app, '/after', { $ref: 'after#' })
  app.register(async (scope) => {
    scope.addSchema(shared('late'))
    for (const name of ['before', 'after', 'late']) addAnnotatedRoute(scope, `/late/${name}`, { $ref: `${name}#` })
    scope.register(async (inner) => {
      inner.addSchema({ $id: 'inner', allOf: [{ $ref: 'late#' }] })
      addAnnotatedRoute(inner, '/inner', { $ref: 'inner#' })
    })
  })
  addAnnotatedRoute(app, '/nested', {
    type: 'object',
    properties: { cakes: { type: 'array', minItems: 1, items: { anyOf: [{ type: 'object', properties: { flavour: annotated }, required: ['flavour'] }] }, 'x-ms-summary': 'Cakes' } },
    required: ['cakes'],
    definitions: { unused: annotated }
  })

  for (const url of ['/before', '/early', '/after', '/late/before', '/late/after', '/late/late', '/inner']) {
    t.equal(await statusOf(app, url, { flavour: 'lemon' }), 200, url)
    t.equal(await statusOf(app, url, {}), 400, url)
  }
  t.equal(await statusOf(app, '/early/property', {}), 400)
  t.equal(await statusOf(app, '/nested', { cakes: [{ flavour: 'lemon' }] }), 200)
  t.equal(await statusOf(app, '/nested', { cakes: [{}] }), 400)
})

test('a plugin that nobody waits for allows them too', async (t) => {
  const { app, register } = createUnregistered(t)
  addAnnotatedRoute(app, '/before')
  register()
  addAnnotatedRoute(app, '/after')
  app.after(() => { addAnnotatedRoute(app, '/then') })
  for (const url of ['/before', '/after', '/then']) t.equal(await statusOf(app, url, { flavour: 'lemon' }), 200)
})

test('a schema that is compiled while a request is handled may have them', async (t) => {
  const { app } = await createApp(t)
  app.post('/checked', (request) => request.validateInput(request.body, { type: 'object', required: ['flavour'], 'x-ms-summary': 'Cake' }))
  t.equal((await app.inject({ method: 'POST', url: '/checked', payload: { flavour: 'lemon' } })).body, 'true')
  t.equal((await app.inject({ method: 'POST', url: '/checked', payload: {} })).body, 'false')
})

test('a keyword that is no annotation is refused as ever', async (t) => {
  for (const name of ['x-other', 'x-ms-sumary', 'requierd']) {
    const { app } = await createApp(t)
    addAnnotatedRoute(app, '/misspelt', { type: 'object', 'x-ms-summary': 'Cake', [name]: true })
    await t.rejects(async () => { await app.ready() }, unknownKeyword(name))
  }
})

test('in a scope of its own the plugin leaves the others as strict as they are, whichever is compiled first', async (t) => {
  for (const isFirst of [true, false]) {
    const { app, register } = createUnregistered(t)
    const addOutside = (): void => { app.post('/outside', { schema: { body: { type: 'object' } } }, () => 'outside') }
    if (!isFirst) addOutside()
    await app.register(async (scope) => {
      await register(scope)
      addAnnotatedRoute(scope)
    })
    if (isFirst) addOutside()
    t.equal(await statusOf(app, '/annotated', { flavour: 'lemon' }), 200)
    t.equal(await statusOf(app, '/outside'), 200)

    const { app: strict, register: registerIn } = createUnregistered(t)
    await strict.register(async (scope) => {
      await registerIn(scope)
      addAnnotatedRoute(scope)
    })
    addAnnotatedRoute(strict, '/outside')
    await t.rejects(async () => { await strict.ready() }, unknownKeyword('x-ms-summary'))
  }
})

test('two scopes can have the plugin, each its own', async (t) => {
  const { app, register } = createUnregistered(t)
  for (const prefix of ['/north', '/south']) {
    await app.register(async (scope) => {
      await register(scope)
      addAnnotatedRoute(scope)
    }, { prefix })
  }
  t.equal(await statusOf(app, '/north/annotated', { flavour: 'lemon' }), 200)
  t.equal(await statusOf(app, '/south/annotated', { flavour: 'lemon' }), 200)
})

test('an operation may have them in its input, its result and its context', async (t) => {
  const { app, clock } = await createApp(t)
  addCakes(app, {
    schema: { operationId: 'BakeCake', 'x-ms-visibility': 'important', body: { type: 'object', properties: { flavour: { ...annotated, minLength: 1 } }, required: ['flavour'] } },
    result: { type: 'object', properties: { flavour: annotated }, required: ['flavour'], 'x-ms-summary': 'Cake' },
    context: () => ({ tenant: 'north' }),
    contextSchema: { type: 'object', properties: { tenant: annotated } }
  })
  t.equal((await order(app, { flavour: '' })).statusCode, 400)
  const accepted = await order(app)
  t.equal(accepted.statusCode, 202)
  await clock.advance(10_000)
  t.same((await poll(app, accepted)).json(), { flavour: 'lemon' })
})

test('a Fastify that keeps its options elsewhere is left alone, and it is said', async (t) => {
  const { app, logs } = createServer()
  for (const elsewhere of [{ version: '5.99.0' }, { version: '5.99.0', [Symbol('fastify.options')]: {} }]) {
    const before = Reflect.ownKeys(elsewhere)
    allowAnnotations(elsewhere as unknown as FastifyInstance, app.log)
    t.same(Reflect.ownKeys(elsewhere), before)
    t.match(logs.pop(), { level: 40, msg: /^Fastify 5\.99\.0 keeps its Ajv options .*ajv\.customOptions\.keywords/ })
  }
})
