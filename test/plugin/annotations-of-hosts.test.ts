import { TypeBoxValidatorCompiler, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifySchemaCompiler, FastifyServerOptions } from 'fastify'
import { test, type Test } from 'tap'
import Type from 'typebox'
import { addAnnotatedRoute, Ajv, annotated, buildStrictValidator, createAjvBuilder, createUnregistered, type AjvInstance, type AjvOptions, type ValidatorBuilder } from '../helpers/annotations.ts'
import { createApp, type TestApp } from '../helpers/app.ts'

type SchemaController = Parameters<FastifyInstance['setSchemaController']>[0]
type Given = { customOptions?: object, plugins?: unknown[], onCreate?: (ajv: AjvInstance) => void, mode?: 'JTD' }

const createHost = (t: Test, ajv: Given, more: FastifyServerOptions = {}): Promise<TestApp> => createApp(t, {}, { ...more, ajv: ajv as AjvOptions })
const statusOf = async (app: FastifyInstance, url: string, payload: object = { flavour: 'lemon' }): Promise<number> => (await app.inject({ method: 'POST', url, payload })).statusCode
const withBuilder = (buildValidator: unknown): SchemaController => ({ compilersFactory: { buildValidator } } as SchemaController)
const refusal = { code: 'FST_ERR_SCH_VALIDATION_BUILD', message: /unknown keyword: "x-ms-summary"/ }

/** A keyword that does something: values must be even. One of our names, or the host's own. */
const even = (keyword: string): object => ({ keyword, type: 'number', validate: (_schema: unknown, value: number) => value % 2 === 0 })
const mustBeEven = (keyword: string): object => ({ type: 'object', properties: { layers: { type: 'integer', [keyword]: true, 'x-ms-visibility': 'advanced' } } })

test('keywords that a host defines are its own, whatever they are called and wherever it defines them', async (t) => {
  const quiet = { logger: false }
  const hosts: Record<string, (keyword: string) => Given> = {
    'in a list': (keyword) => ({ customOptions: { keywords: ['x-mine', 'x-ms-visibility', even(keyword)] } }),
    'in a map': (keyword) => ({ customOptions: { ...quiet, keywords: { [keyword]: even(keyword), 'x-ms-visibility': {}, 'x-mine': {} } } }),
    'by a plugin': (keyword) => ({ plugins: [(ajv: AjvInstance) => ajv.addKeyword(even(keyword)).addKeyword('x-ms-visibility').addKeyword('x-mine')] }),
    'by a plugin with options': (keyword) => ({ plugins: [[(ajv: AjvInstance, names: string[]) => { for (const name of names) ajv.addKeyword(name) }, ['x-ms-visibility', 'x-mine']], (ajv: AjvInstance) => ajv.addKeyword(even(keyword))] }),
    'on create': (keyword) => ({ onCreate: (ajv) => { ajv.addKeyword(even(keyword)).addKeyword('x-ms-visibility').addKeyword('x-mine') } })
  }
  for (const [where, host] of Object.entries(hosts)) {
    for (const keyword of ['even', 'x-ms-summary', 'x-ms-trigger']) {
      const { app } = await createHost(t, host(keyword))
      addAnnotatedRoute(app, '/layers', mustBeEven(keyword))
      addAnnotatedRoute(app, '/mine', { type: 'object', 'x-mine': true, 'x-ms-editor': 'html' })
      t.equal(await statusOf(app, '/layers', { layers: 4 }), 200, `${keyword} ${where}`)
      t.equal(await statusOf(app, '/layers', { layers: 3 }), 400)
      t.equal(await statusOf(app, '/mine'), 200)
    }
  }
})

test('a host\'s onCreate is called as it was, for each Ajv, and finds its plugins\' work and none of ours', async (t) => {
  const seen: unknown[] = []
  const ajv = {
    plugins: [(created: AjvInstance) => created.addKeyword({ keyword: 'even' })],
    onCreate (this: unknown, created: AjvInstance) {
      seen.push(Object.keys(this as object))
      t.ok(created.getKeyword('even'))
      created.addKeyword('x-ms-summary')
    }
  }
  const { app } = await createHost(t, ajv)
  addAnnotatedRoute(app)
  app.register(async (scope) => {
    scope.addSchema({ $id: 'flavour', ...annotated })
    addAnnotatedRoute(scope, '/inner', { $ref: 'flavour#' })
  })
  await app.ready()
  t.same(seen, Array(2).fill(['customOptions', 'plugins', 'onCreate']))
  t.same(Object.keys(ajv), ['plugins', 'onCreate'])
})

test('Ajv options of a host hold as before', async (t) => {
  const body = { type: 'object', properties: { flavour: annotated, layers: { type: 'integer', default: 2, 'x-ms-summary': 'Layers' } }, required: ['flavour'], additionalProperties: false }
  const answers: Record<string, [customOptions: object, payload: object, status: number, answer: object]> = {
    'the defaults': [{}, { flavour: 1, layers: '3', more: 1 }, 200, { flavour: '1', layers: 3 }],
    'no coercion': [{ coerceTypes: false }, { flavour: 'lemon', layers: '3' }, 400, { message: 'body/layers must be integer' }],
    'no defaults': [{ useDefaults: false }, { flavour: 'lemon' }, 200, { flavour: 'lemon' }],
    'nothing removed': [{ removeAdditional: false }, { flavour: 'lemon', more: 1 }, 400, { message: 'body must NOT have additional properties' }],
    'all errors': [{ allErrors: true, coerceTypes: false }, { layers: '3' }, 400, { message: 'body must have required property \'flavour\', body/layers must be integer' }]
  }
  for (const [what, [customOptions, payload, status, answer]] of Object.entries(answers)) {
    const { app } = await createHost(t, { customOptions })
    addAnnotatedRoute(app, '/cakes', body)
    const given = await app.inject({ method: 'POST', url: '/cakes', payload })
    t.equal(given.statusCode, status, what)
    t.match(given.json(), answer, what)
    if (status === 200) t.same(given.json(), answer, what)
  }
})

test('a host that is less strict stays so', async (t) => {
  const warned: string[] = []
  const logger = { log: () => {}, error: () => {}, warn: (text: string) => { warned.push(text) } }
  for (const customOptions of [{ strict: false }, { strictSchema: false }, { strict: 'log', logger }]) {
    const { app } = await createHost(t, { customOptions })
    addAnnotatedRoute(app, '/cakes', { type: 'object', properties: { flavour: { ...annotated, 'x-other': 1 } } })
    t.equal(await statusOf(app, '/cakes'), 200)
  }
  t.same([...new Set(warned)], ['strict mode: unknown keyword: "x-other"'])
})

test('JSON Type Definition is read as before', async (t) => {
  const { app } = await createHost(t, { mode: 'JTD' })
  const body = { properties: { flavour: { type: 'string', metadata: { 'x-ms-summary': 'Flavour' } } } }
  addAnnotatedRoute(app, '/cakes', body)
  t.equal(await statusOf(app, '/cakes'), 200)
  t.equal(await statusOf(app, '/cakes', { flavour: 1, layers: 2 }), 400)
  const { app: other } = await createHost(t, { mode: 'JTD' })
  addAnnotatedRoute(other, '/cakes', { ...body, 'x-ms-summary': 'No JSON Type Definition' })
  await t.rejects(async () => { await other.ready() }, { code: 'FST_ERR_SCH_VALIDATION_BUILD', message: /schema is invalid/ })
})

test('a compiler of the host\'s own is given the schemas as they are, set before the plugin or after it, here or in a scope below', async (t) => {
  const body = { type: 'object', 'x-ms-summary': 'Cake' }
  const given: unknown[] = []
  const compiler: FastifySchemaCompiler<unknown> = ({ schema }) => {
    given.push(schema)
    return () => ({ value: 'mine' })
  }
  const ways: ((app: FastifyInstance, register: () => PromiseLike<unknown>) => Promise<unknown>)[] = [
    async (app, register) => {
      app.setValidatorCompiler(compiler)
      await register()
      addAnnotatedRoute(app, '/cakes', body)
    },
    async (app, register) => {
      await register()
      addAnnotatedRoute(app, '/cakes', body)
      app.setValidatorCompiler(compiler)
    },
    async (app, register) => {
      await register()
      await app.register(async (scope) => {
        scope.setValidatorCompiler(compiler)
        scope.addSchema({ $id: 'unused', ...annotated })
        addAnnotatedRoute(scope, '/cakes', body)
      })
    },
    async (app, register) => {
      await register()
      app.post('/cakes', { schema: { body }, validatorCompiler: compiler }, (request) => request.body)
    }
  ]
  for (const way of ways) {
    const { app, register } = createUnregistered(t)
    await way(app, register)
    addAnnotatedRoute(app)
    t.equal((await app.inject({ method: 'POST', url: '/cakes', payload: {} })).body, 'mine')
    t.ok(given.includes(body))
  }
})

test('a compiler of a scope below is no other scope\'s', async (t) => {
  const { app } = await createApp(t)
  await app.register(async (scope) => {
    scope.setValidatorCompiler(() => () => ({ error: new Error('never') }))
    addAnnotatedRoute(scope, '/below')
  })
  addAnnotatedRoute(app)
  t.equal(await statusOf(app, '/below'), 400)
  t.equal(await statusOf(app, '/annotated'), 200)
})

test('TypeBox\'s own compiler takes annotations, and coerces', async (t) => {
  const { app } = await createApp(t)
  const typed = app.withTypeProvider<TypeBoxTypeProvider>().setValidatorCompiler(TypeBoxValidatorCompiler)
  const querystring = Type.Object({ layers: Type.Integer({ 'x-ms-summary': 'Layers' }) }, { 'x-ms-summary': 'Cake' })
  typed.get('/cakes', { schema: { querystring } }, (request) => request.query)
  t.same((await app.inject('/cakes?layers=3')).json(), { layers: 3 })
  t.equal((await app.inject('/cakes?layers=many')).statusCode, 400)
})

/** Each way a host can bring a builder of its own. */
const bringings: Record<string, (t: Test, build: ValidatorBuilder, addRoutes: (scope: FastifyInstance) => void) => Promise<FastifyInstance>> = {
  async 'as an option of Fastify' (t, build, addRoutes) {
    const { app, register } = createUnregistered(t, { schemaController: withBuilder(build) as object, ajv: { customOptions: { coerceTypes: false } } })
    await register()
    addRoutes(app)
    return app
  },
  async 'before the plugin' (t, build, addRoutes) {
    const { app, register } = createUnregistered(t, { ajv: { customOptions: { coerceTypes: false } } })
    app.setSchemaController(withBuilder(build))
    addRoutes(app)
    await register()
    return app
  },
  async 'after the plugin' (t, build, addRoutes) {
    const { app, register } = createUnregistered(t, { ajv: { customOptions: { coerceTypes: false } } })
    await register()
    app.setSchemaController(withBuilder(build))
    addRoutes(app)
    return app
  },
  async 'in a scope below' (t, build, addRoutes) {
    const { app, register } = createUnregistered(t, { ajv: { customOptions: { coerceTypes: false } } })
    await register()
    addAnnotatedRoute(app, '/above')
    await app.register(async (scope) => {
      scope.setSchemaController(withBuilder(build))
      addRoutes(scope)
    })
    return app
  }
}

test('a builder of the host\'s own is asked as before', async (t) => {
  for (const [where, bring] of Object.entries(bringings)) {
    const asked: [schemas: string[], customOptions: object][] = []
    const build: ValidatorBuilder = (schemas, { customOptions }) => {
      asked.push([Object.keys(schemas), customOptions])
      return () => () => ({ value: 'mine' })
    }
    const app = await bring(t, build, (scope) => {
      scope.addSchema({ $id: 'flavour', ...annotated })
      addAnnotatedRoute(scope)
    })
    t.equal((await app.inject({ method: 'POST', url: '/annotated', payload: {} })).body, 'mine', where)
    t.match(asked, [[['flavour'], { coerceTypes: false }]])
  }
})

test('a builder that reads Fastify\'s options builds what takes annotations', async (t) => {
  for (const [where, bring] of Object.entries(bringings)) {
    const app = await bring(t, createAjvBuilder(), addAnnotatedRoute)
    t.equal(await statusOf(app, '/annotated'), 200, where)
    t.equal(await statusOf(app, '/annotated', { flavour: 1 }), 400)
  }
})

test('a builder that reads none is as strict as it was, and no stricter', async (t) => {
  for (const [where, bring] of Object.entries(bringings)) {
    const app = await bring(t, buildStrictValidator, (scope) => { addAnnotatedRoute(scope, '/plain', { type: 'object', required: ['flavour'] }) })
    t.equal(await statusOf(app, '/plain'), 200, where)
    t.equal(await statusOf(app, '/plain', {}), 400)
    const strict = await bring(t, buildStrictValidator, addAnnotatedRoute)
    await t.rejects(async () => { await strict.ready() }, refusal)
  }
})

test('custom options given to another Ajv are ones it takes', async (t) => {
  const build: ValidatorBuilder = (_schemas, { customOptions }) => {
    const ajv = new Ajv({ ...customOptions, keywords: ['x-ms-summary', 'x-ms-visibility'] })
    return ({ schema }) => ajv.compile(schema)
  }
  const { app, logs } = await createApp(t, {}, { schemaController: withBuilder(build) as object })
  addAnnotatedRoute(app)
  t.equal(await statusOf(app, '/annotated'), 200)
  t.same(logs.filter(({ level }) => level > 30), [])
})

test('a builder shared by an app without the plugin keeps the two apart', async (t) => {
  const shared = withBuilder(createAjvBuilder()) as object
  const { app: without } = createUnregistered(t, { schemaController: shared })
  without.post('/plain', { schema: { body: { type: 'object' } } }, () => 'plain')
  await without.ready()
  const { app } = await createApp(t, {}, { schemaController: shared })
  addAnnotatedRoute(app)
  t.equal(await statusOf(app, '/annotated'), 200)
})
