/* Every TypeBox type in every place, and every extension: nothing may be lost, and nothing invalid written. */
import { Type, type TSchema } from 'typebox'
import { test } from 'tap'
import { annotationNames } from '../../src/connector/annotations.ts'
import { helperReference } from '../../src/connector/helpers/reference.ts'
import * as helpers from '../../src/connector/index.ts'
import { createApp } from '../helpers/app.ts'
import { bodySchemaOf, documentOf, itemOf, operationOf } from '../helpers/swagger.ts'

const Pet = Type.Object({ kind: Type.Literal('pet'), name: Type.String() })
const Plant = Type.Object({ kind: Type.Literal('plant'), leaves: Type.Integer() })

/** By name: every type that JSON has a form for. */
const types: Record<string, TSchema> = {
  Any: Type.Any(),
  Unknown: Type.Unknown(),
  String: Type.String({ title: 'String', examples: ['x'], format: 'email' }),
  Number: Type.Number({ exclusiveMinimum: 0 }),
  Integer: Type.Integer({ minimum: 1 }),
  Boolean: Type.Boolean(),
  Null: Type.Null(),
  Literal: Type.Literal('a'),
  LiteralNumber: Type.Literal(1),
  LiteralBoolean: Type.Literal(true),
  Enum: Type.Enum(['a', 'b']),
  EnumMixed: Type.Enum(['a', 1]),
  UnionOfLiterals: Type.Union([Type.Literal('a', { title: 'Ay' }), Type.Literal('b', { title: 'Bee' })]),
  UnionNullable: Type.Union([Type.String(), Type.Null()]),
  UnionOfTypes: Type.Union([Type.String(), Type.Integer()]),
  UnionOfObjects: Type.Union([Pet, Plant]),
  Object: Type.Object({ a: Type.String(), b: Type.Optional(Type.Number()) }),
  Array: Type.Array(Type.String()),
  ArrayOfObjects: Type.Array(Pet),
  Tuple: Type.Tuple([Type.String(), Type.Number()]),
  Record: Type.Record(Type.String(), Type.Integer()),
  Intersect: Type.Intersect([Type.Object({ a: Type.String() }), Type.Object({ b: Type.Number() })]),
  Interface: Type.Interface([Pet], { age: Type.Integer() }),
  Cyclic: Type.Cyclic({ Node: Type.Object({ value: Type.String(), next: Type.Optional(Type.Ref('Node')) }) }, 'Node'),
  Module: Type.Module({ Outer: Type.Object({ inner: Type.Ref('Inner') }), Inner: Type.Object({ v: Type.String() }) }).Outer,
  Shared: Type.Ref('Shared'),
  TemplateLiteral: Type.TemplateLiteral('a$' + '{string}'),
  Dependent: Type.Dependent(Type.String(), Type.String(), Type.Number()),
  Refine: Type.Refine(Type.String(), () => true),
  Codec: Type.Codec(Type.String()).Decode((value) => value).Encode((value) => value),
  KeyOf: Type.KeyOf(Pet),
  Partial: Type.Partial(Pet),
  Pick: Type.Pick(Pet, ['name']),
  Omit: Type.Omit(Pet, ['name']),
  Index: Type.Index(Pet, Type.Literal('name')),
  Exclude: Type.Exclude(Type.Union([Type.Literal('a'), Type.Literal('b')]), Type.Literal('a')),
  Mapped: Type.Required(Type.Partial(Plant)),
  Unsafe: Type.Unsafe({ type: ['string', 'null'], nullable: true }),
  Capitalize: Type.Capitalize(Type.Literal('abc'))
}
/** JSON has no form for these. */
const strange: Record<string, TSchema> = {
  BigInt: Type.BigInt(),
  Symbol: Type.Symbol(),
  Function: Type.Function([], Type.String()),
  Constructor: Type.Constructor([], Type.String()),
  Undefined: Type.Undefined(),
  Void: Type.Void(),
  Never: Type.Never()
}
const names = Object.keys(types)
const all = (): Record<string, TSchema> => Object.fromEntries(names.map((name) => [name, Type.Optional(types[name]!)]))
const anyValue = { setValidatorCompiler: () => () => true }

test('every type lands in body, query, path, header and response, and the document is valid (openapi 4)', async (t) => {
  const { app } = await createApp(t)
  // Fastify itself would not compile all of these for a query.
  app.setValidatorCompiler(anyValue.setValidatorCompiler)
  app.setSerializerCompiler(() => (value) => JSON.stringify(value))
  app.addSchema({ $id: 'Shared', type: 'string', title: 'Shared', description: 'By app.addSchema.' })
  app.post(`/torture/${names.map((name) => `:${name}`).join('/')}`, {
    config: { logicApps: true },
    schema: {
      operationId: 'Torture',
      summary: 'Torture',
      params: Type.Object({ ...types }),
      querystring: Type.Object(all()),
      headers: Type.Object(all()),
      body: Type.Object({ ...types }),
      response: { 200: Type.Object({ ...types }), '4xx': Type.Object({ ...types }), default: Pet }
    }
  }, () => ({}))
  names.forEach((name, index) => {
    app.post(`/roots/${index}`, { config: { logicApps: true }, schema: { operationId: `Root${name}`, body: types[name], response: { 200: types[name], 201: Type.Null() } } as object }, () => ({}))
  })

  const document = await documentOf(t, app)
  const { parameters, responses } = operationOf(document, 'Torture')
  for (const place of ['path', 'query', 'header']) {
    const found = parameters!.filter((parameter) => parameter.in === place)
    t.same(found.map(({ name }) => name), names, `every type is a ${place} parameter`)
    for (const { name, type, required } of found) {
      t.ok(['string', 'number', 'integer', 'boolean', 'array'].includes(type!), `${place} ${name} is ${type}`)
      t.equal(required, place === 'path' ? true : undefined)
    }
  }
  const body = bodySchemaOf(document, 'Torture')
  t.same(Object.keys(body.properties!), names)
  t.same([...body.required!].sort(), [...names].sort())
  t.same(responses!['200']!.schema, body, 'an output is said as the same input is')
  t.same(Object.keys(responses!), ['200', '400', 'default'])
  t.same([responses!['400']!.schema, responses!.default!.schema], [undefined, undefined], 'schemas of errors would be taken for outputs')

  // What a comment says here is what the designer reads (openapi 0.9).
  const unread = JSON.stringify(document, (key, value: unknown) => ['anyOf', 'oneOf', 'allOf', 'const', 'nullable', '$defs', '$id', 'patternProperties', 'prefixItems', 'examples', 'not', 'if'].includes(key) ? `UNREAD ${key}` : value)
  t.notMatch(unread, 'UNREAD')
  for (const name of names) t.ok('schema' in parametersOf(document, `Root${name}`)[0]!, `${name} is a body`)
  t.same(document.definitions!.Node, { type: 'object', properties: { value: { type: 'string' }, next: { $ref: '#/definitions/Node' } }, required: ['value'] })
  t.match(body.properties, {
    UnionOfObjects: { type: 'object', properties: { kind: { enum: ['pet', 'plant'] }, name: {}, leaves: {} }, required: ['kind'] },
    UnionNullable: { type: 'string', 'x-nullable': true },
    Record: { additionalProperties: { type: 'integer' } },
    Shared: { $ref: '#/definitions/Shared' },
    Enum: { type: 'string', enum: ['a', 'b'] }
  })
})

const parametersOf = (document: helpers.SwaggerDocument, operationId: string): helpers.SwaggerParameter[] => operationOf(document, operationId).parameters!

test('what JSON has no form for fails the boot with one error that names operation, place and mend, each', async (t) => {
  const { app } = await createApp(t)
  app.setValidatorCompiler(anyValue.setValidatorCompiler)
  app.setSerializerCompiler(() => (value) => JSON.stringify(value))
  app.post('/strange', { config: { logicApps: true }, schema: { operationId: 'Strange', body: Type.Object(strange), querystring: Type.Object({ big: Type.BigInt() }), response: { 200: Type.Object({ big: Type.BigInt() }) } } }, () => ({}))
  const error = await app.ready().then(() => undefined, (error: Error) => error)
  t.match(error, { code: 'FST_LOGIC_APPS_INVALID_CONNECTOR' })
  for (const name of Object.keys(strange)) t.match(error!.message, new RegExp(`Strange body\\.${name}: .*: .*`))
  t.match(error!.message, 'Strange querystring.big')
  t.match(error!.message, 'Strange response.200.big')
})

test('forms, files, content types and bytes (openapi 4, multipart, content)', async (t) => {
  const { app } = await createApp(t)
  app.post('/form', {
    config: { logicApps: true },
    schema: {
      operationId: 'Upload',
      consumes: ['multipart/form-data'],
      body: Type.Object({ file: Type.String({ contentEncoding: 'binary', title: 'File' }), note: Type.Optional(Type.String()), other: Type.Unsafe({ type: 'string', format: 'binary' }) }),
      response: { 200: { content: { 'image/png': { schema: { type: 'string', format: 'binary' } } } } }
    } as object
  }, () => '')
  app.post('/content', {
    config: { logicApps: true },
    schema: { operationId: 'Content', body: { content: { 'text/plain': { schema: { type: 'string' } }, 'application/json': { schema: { type: 'object', properties: { a: { type: 'string' } } } } } }, response: { 200: { description: 'Pic', content: { 'image/png': { schema: {} } } } } } as object
  }, () => '')
  const document = await documentOf(t, app)
  t.match(parametersOf(document, 'Upload'), [{ name: 'file', in: 'formData', type: 'file', required: true, 'x-ms-summary': 'File' }, { name: 'note', in: 'formData', type: 'string' }, { name: 'other', type: 'file' }])
  t.same(operationOf(document, 'Upload').consumes, ['multipart/form-data'])
  t.same(operationOf(document, 'Upload').produces, ['image/png'])
  t.same(operationOf(document, 'Upload').responses!['200']!.schema, { type: 'string', format: 'binary' })
  t.same(bodySchemaOf(document, 'Content'), { type: 'object', properties: { a: { type: 'string' } } })
  t.same(operationOf(document, 'Content').consumes, ['text/plain', 'application/json'])
  t.match(operationOf(document, 'Content').responses!['200'], { description: 'Pic', schema: { type: 'string', format: 'binary' } })
})

test('every extension of the helpers is in the document, where it belongs, with default Fastify (openapi 1)', async (t) => {
  const { dynamicValues, dynamicSchema, dynamicTree, fromInput, selectedItem } = helpers
  const list = { operationId: 'ListThings', parameters: { kind: 'x', near: fromInput('place'), shop: fromInput('body/shop') }, items: 'value', value: 'id', title: 'name' }
  const { app } = await createApp(t, {
    connector: {
      info: { title: 'Torture', description: 'Every extension that there is, in one document.', version: '1', ...helpers.apiStatus('Preview'), ...helpers.deploymentVersion('1.0'), ...helpers.keywords(['x']) },
      ...helpers.capabilities(helpers.testConnection('ListThings', { kind: 'x', near: 'here', shop: 's' }), helpers.filePickerCapability({
        open: { operationId: 'ListThings' }, browse: { operationId: 'ListThings', parameters: { kind: { 'value-property': 'id' } } }, items: 'value', title: 'name', folder: 'isFolder', media: 'media'
      })),
      ...helpers.connectorMetadata({ website: 'https://x.example', privacyPolicy: 'https://x.example/p', categories: ['Commerce'] }),
      ...helpers.docs([{ url: 'https://x.example/docs' }])
    }
  })
  app.get('/things', {
    config: { logicApps: true },
    schema: {
      operationId: 'ListThings',
      summary: 'List things',
      ...helpers.visibility('internal'),
      querystring: Type.Object({ kind: Type.String(), near: Type.String(), shop: Type.String() }),
      response: { 200: Type.Object({ value: Type.Array(Type.Object({ id: Type.String(), name: Type.String() })), schema: Type.Object({}) }) }
    } as object
  }, () => ({}))
  app.post('/things/:place', {
    config: { logicApps: true },
    schema: {
      operationId: 'UseThings_V2',
      summary: 'Use things',
      description: 'Uses things.',
      ...helpers.apiAnnotation({ family: 'UseThings', revision: 2, status: 'Production' }),
      ...helpers.pageable(),
      ...helpers.chunkTransfer(),
      ...helpers.noGenericTest(),
      ...helpers.safeOperation(),
      ...helpers.requireUserConfirmation(false),
      ...helpers.agenticProtocol(),
      ...helpers.operationContext('ListThings', { kind: 'x', near: 'y', shop: 'z' }),
      ...helpers.forModel({ name: 'use_things', description: 'Use things' }),
      params: Type.Object({ place: Type.String({ title: 'Place', ...helpers.urlEncoding('double') }) }),
      querystring: Type.Object({ state: Type.Optional(Type.String({ title: 'State', ...helpers.triggerValue('value', 'id') })) }),
      body: Type.Object({
        shop: Type.String({ ...helpers.summary('Shop'), ...helpers.visibility('important'), ...helpers.testValue('s'), ...helpers.localizeDefaultValue(), default: 's' }),
        thing: Type.String({ title: 'Thing', ...dynamicValues(list) }),
        many: Type.Array(Type.String(dynamicValues(list)), { title: 'Many' }),
        form: Type.Object({}, dynamicSchema({ operationId: 'ListThings', parameters: list.parameters, schema: 'schema/properties' })),
        folder: Type.String({ title: 'Folder', ...dynamicTree({ open: list, browse: { ...list, parameters: { kind: selectedItem('id'), near: 'x', shop: 'y' } } }) }),
        size: Type.Enum(['s', 'l'], { title: 'Size', ...helpers.enumValues({ s: 'Small', l: 'Large' }) }),
        image: Type.String({ title: 'Image', ...helpers.mediaKind('image'), ...helpers.explicitInput() }),
        file: Type.String({ title: 'File', ...helpers.filePicker('id') }),
        person: Type.String({ title: 'Person', ...helpers.peoplePicker() }),
        code: Type.String({ title: 'Code', ...helpers.editor('code', { language: 'js' }) })
      }),
      response: { 200: Type.Object({ done: Type.Boolean({ title: 'Done' }) }) }
    } as object
  }, () => ({}))
  app.post('/hooks', {
    config: { logicApps: true },
    schema: {
      operationId: 'OnThing',
      ...helpers.trigger('single'),
      ...helpers.triggerHint('Wait.'),
      ...helpers.notificationContent({ description: 'A thing', schema: Pet }),
      body: Type.Object({ url: Type.String(helpers.notificationUrl()) }),
      response: { 201: Type.Null() }
    } as object
  }, () => '')
  app.get('/poll', {
    config: { logicApps: true },
    schema: { operationId: 'PollThings', ...helpers.trigger('single'), ...helpers.triggerMetadata(), ...helpers.notification('OnThing'), response: { 200: Pet } } as object
  }, () => '')

  const document = await documentOf(t, app)
  t.same(app.logicApps.connector.findings().filter(({ severity }) => severity === 'error'), [])
  const { thing, many, form, folder } = bodySchemaOf(document, 'UseThings_V2').properties!
  t.same(thing!['x-ms-dynamic-values'], { operationId: 'ListThings', parameters: { kind: 'x', near: { parameter: 'place' }, shop: { parameter: 'shop' } }, 'value-collection': 'value', 'value-path': 'id', 'value-title': 'name' })
  t.same(thing!['x-ms-dynamic-list'], { operationId: 'ListThings', parameters: { kind: { value: 'x' }, near: { parameterReference: 'place' }, shop: { parameterReference: 'body/shop' } }, itemsPath: 'value', itemValuePath: 'id', itemTitlePath: 'name' })
  t.ok(many!.items!['x-ms-dynamic-values'])
  t.match(form, { 'x-ms-dynamic-schema': { 'value-path': 'schema/properties' }, 'x-ms-dynamic-properties': { itemValuePath: 'schema' } })
  t.match(folder, { 'x-ms-dynamic-tree': { settings: { canSelectParentNodes: true }, browse: { parameters: { kind: { selectedItemValuePath: 'id' } } } } })
  t.ok('x-ms-notification-content' in itemOf(document, '/hooks'))

  const written = new Set(JSON.stringify(document).match(/x-ms-[\w-]+(?=":)/g))
  const missing = helpersWrite().filter((name) => !written.has(name))
  t.same(missing, [], 'every extension that a helper writes is there')
  t.same([...written].filter((name) => !annotationNames.includes(name)), [], 'and each is on the list that validators are told of')
})

function helpersWrite (): string[] {
  return [...new Set(helperReference.flatMap(({ writes }) => writes))]
}

test('the reference of the helpers names each, and what it writes', async (t) => {
  const takesNothing = { x: {} as never }
  const called = new Map(helperReference.map((entry) => [entry.call.replace(/\(.*/, ''), entry]))
  const apart = ['fromInput', 'selectedItem', 'lintDocument', 'describeFinding', 'createBundle', 'diffDocuments', 'describeChange']
  const exported = Object.entries(helpers).filter(([name, value]) => typeof value === 'function' && !apart.includes(name))
  t.same([...called.keys()].sort(), exported.map(([name]) => name).sort())
  const samples: Record<string, unknown[]> = {
    dynamicValues: [{ operationId: 'A', value: 'b' }],
    dynamicSchema: [{ operationId: 'A' }],
    dynamicTree: [{ open: { operationId: 'A', value: 'v', title: 't' }, browse: { operationId: 'A', value: 'v', title: 't' } }],
    enumValues: [[[1, 'One']]],
    editor: ['code', {}],
    forModel: [{ name: 'n', description: 'd' }],
    notificationContent: [{ schema: {} }],
    apiAnnotation: [{ family: 'F', revision: 1 }],
    filePickerCapability: [takesNothing],
    capabilities: [helpers.testConnection('A')],
    connectorMetadata: [{ website: '', privacyPolicy: '', categories: [] }]
  }
  for (const [name, helper] of exported) {
    const written = (helper as unknown as (...given: unknown[]) => object)(...samples[name] ?? ['x', 'y'])
    t.same(Object.keys(written), called.get(name)!.writes, name)
  }
})
