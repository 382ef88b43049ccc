/* JSON Schema -> Swagger 2.0, row by row (openapi-facts 4). */
import { Type } from 'typebox'
import { test } from 'tap'
import { convertSchema } from '../../src/connector/schema/convert.ts'
import { createConversion, type Complaint } from '../../src/connector/schema/conversion.ts'
import { toParameter } from '../../src/connector/schema/parameter.ts'
import type { SwaggerParameter, SwaggerSchema } from '../../src/connector/swagger.ts'

interface Converted {
  schema: SwaggerSchema
  definitions: Record<string, SwaggerSchema>
  faults: Complaint[]
}

function convert (schema: unknown, shared: Record<string, unknown> = {}): Converted {
  const faults: Complaint[] = []
  const conversion = createConversion((fault) => { faults.push(fault) }, () => {})
  const roots = typeof schema === 'object' ? [schema as Record<string, unknown>] : []
  return { schema: convertSchema(schema, { conversion, scope: { roots, shared }, path: 'body' }), definitions: conversion.definitions, faults }
}

/** Without faults. */
function said (schema: unknown, shared?: Record<string, unknown>): SwaggerSchema {
  const { schema: converted, faults } = convert(schema, shared)
  if (faults.length > 0) throw new Error(JSON.stringify(faults))
  return converted
}

const query = (schema: unknown): SwaggerParameter => toParameter('q', 'query', said(schema), false, (one) => one)

const rows: [row: string, given: unknown, expected: SwaggerSchema][] = [
  ['const is an enum of one', Type.Literal('a'), { type: 'string', enum: ['a'] }],
  ['const of a number', Type.Literal(4), { type: 'number', enum: [4] }],
  ['a union of literals is an enum', Type.Union([Type.Literal('a'), Type.Literal('b')]), { type: 'string', enum: ['a', 'b'] }],
  ['titles of literals are names of values', Type.Union([Type.Literal('a', { title: 'Ay' }), Type.Literal('b', { title: 'Bee' })]), {
    type: 'string', enum: ['a', 'b'], 'x-ms-enum-values': [{ value: 'a', displayName: 'Ay' }, { value: 'b', displayName: 'Bee' }]
  }],
  ['X or null is X, nullable', Type.Union([Type.String({ title: 'T' }), Type.Null()]), { type: 'string', title: 'T', 'x-nullable': true }],
  ['literals or null', Type.Union([Type.Literal('a'), Type.Literal('b'), Type.Null()]), { type: 'string', enum: ['a', 'b'], 'x-nullable': true }],
  ['a union of one type is that type', Type.Union([Type.String({ format: 'date' }), Type.String({ format: 'email' })]), { type: 'string' }],
  ['integer or number is number', Type.Union([Type.Integer(), Type.Number()]), { type: 'number' }],
  ['a union of types has none', Type.Union([Type.String(), Type.Number()], { title: 'Either' }), { title: 'Either' }],
  ['a union of objects has the properties of all, and requires what all require',
    Type.Union([Type.Object({ kind: Type.Literal('a'), a: Type.String() }), Type.Object({ kind: Type.Literal('b'), b: Type.Optional(Type.Integer()) })]), {
      type: 'object',
      properties: { kind: { type: 'string', enum: ['a', 'b'] }, a: { type: 'string' }, b: { type: 'integer' } },
      required: ['kind']
    }],
  ['oneOf as anyOf', { oneOf: [{ type: 'array', items: { type: 'string' } }, { type: 'array', items: { type: 'integer' } }] }, { type: 'array', items: {} }],
  ['objects told apart by required alone', { type: 'object', properties: { a: { type: 'string' }, b: { type: 'string' } }, anyOf: [{ required: ['a'] }, { required: ['b'] }] }, {
    type: 'object', properties: { a: { type: 'string' }, b: { type: 'string' } }
  }],
  ['allOf is merged', Type.Intersect([Type.Object({ a: Type.String() }), Type.Object({ b: Type.Optional(Type.Number()) })]), {
    type: 'object', properties: { a: { type: 'string' }, b: { type: 'number' } }, required: ['a']
  }],
  ['allOf narrows', { allOf: [{ type: 'integer', minimum: 1, maximum: 9 }, { type: 'number', exclusiveMinimum: 1, maximum: 5 }] }, { type: 'integer', minimum: 1, exclusiveMinimum: true, maximum: 5 }],
  ['what allOf says of one property is merged', { allOf: [{ type: 'object', properties: { a: { type: 'string', minLength: 2 } } }, { properties: { a: { title: 'A', minLength: 3 } } }] }, {
    type: 'object', properties: { a: { type: 'string', minLength: 3, title: 'A' } }
  }],
  ['nullable', { type: 'string', nullable: true }, { type: 'string', 'x-nullable': true }],
  ['a list of types with null', { type: ['string', 'null'] }, { type: 'string', 'x-nullable': true }],
  ['a list of types', { type: ['object', 'string'], title: 'T', properties: { a: {} } }, { title: 'T' }],
  ['integer and number in a list of types', { type: ['integer', 'number', 'null'], minimum: 1 }, { type: 'number', minimum: 1, 'x-nullable': true }],
  ['an enum without a type', Type.Enum(['a', 'b']), { type: 'string', enum: ['a', 'b'] }],
  ['an enum of integers', { enum: [1, 2] }, { type: 'integer', enum: [1, 2] }],
  ['an enum with null', { enum: ['a', null] }, { type: 'string', enum: ['a'], 'x-nullable': true }],
  ['an enum of two types', { enum: ['a', 1] }, { enum: ['a', 1] }],
  ['a record', Type.Record(Type.String(), Type.Integer()), { type: 'object', additionalProperties: { type: 'integer' } }],
  ['a record of known names', Type.Record(Type.Union([Type.Literal('a'), Type.Literal('b')]), Type.Integer()), {
    type: 'object', properties: { a: { type: 'integer' }, b: { type: 'integer' } }, required: ['a', 'b']
  }],
  ['patterns of two kinds', { type: 'object', patternProperties: { '^a': { type: 'string' }, '^b': { type: 'number' } } }, { type: 'object', additionalProperties: {} }],
  ['a tuple of one type', Type.Tuple([Type.String(), Type.String()]), { type: 'array', minItems: 2, items: { type: 'string' } }],
  ['a tuple of two types', Type.Tuple([Type.String(), Type.Number()]), { type: 'array', minItems: 2, items: {} }],
  ['a tuple of 2020-12', { type: 'array', prefixItems: [{ type: 'string' }], items: { type: 'string', title: 'T' } }, { type: 'array', items: { type: 'string' } }],
  ['an exclusive bound is a flag', Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 10 }), { type: 'number', minimum: 0, exclusiveMinimum: true, maximum: 10, exclusiveMaximum: true }],
  ['an exclusive bound that is weaker says nothing', { type: 'number', minimum: 5, exclusiveMinimum: 3 }, { type: 'number', minimum: 5 }],
  ['a flag of draft 4 stays', { type: 'number', minimum: 0, exclusiveMinimum: true }, { type: 'number', minimum: 0, exclusiveMinimum: true }],
  ['examples', Type.String({ examples: ['x', 'y'] }), { type: 'string', example: 'x' }],
  ['base64', { type: 'string', contentEncoding: 'base64' }, { type: 'string', format: 'byte' }],
  ['a template literal', Type.TemplateLiteral('a$' + '{string}'), { type: 'string', pattern: '^a.*$' }],
  ['any', Type.Any(), {}],
  ['a date of typebox 0.34', { type: 'Date', title: 'When' }, { type: 'string', format: 'date-time', title: 'When' }],
  ['a forbidden property is no input', Type.Object({ a: Type.Optional(Type.Never()), b: Type.Optional(Type.Undefined()), c: Type.String() }), { type: 'object', properties: { c: { type: 'string' } }, required: ['c'] }],
  ['a name that must be there is an input', { type: 'object', required: ['a'] }, { type: 'object', properties: { a: {} }, required: ['a'] }],
  ['keywords of validators and of nobody are dropped', { type: 'string', $id: 'x', $schema: 'y', $comment: 'z', errorMessage: 'no', transform: ['trim'], writeOnly: true }, { type: 'string' }],
  ['extensions stay', { type: 'string', 'x-ms-summary': 'S', 'x-own': { deep: [1] } }, { type: 'string', 'x-ms-summary': 'S', 'x-own': { deep: [1] } }],
  ['if, then and else', { type: 'object', properties: { a: {} }, if: { required: ['a'] }, then: { properties: { b: { type: 'string' } }, required: ['b'] }, else: { properties: { c: { type: 'string' } } } }, {
    type: 'object', properties: { b: { type: 'string' }, c: { type: 'string' }, a: {} }
  }],
  ['Dependent', Type.Dependent(Type.String(), Type.Integer(), Type.Number()), { type: 'number' }],
  ['dependent schemas', { type: 'object', properties: { a: {} }, dependentSchemas: { a: { properties: { b: { type: 'string' } }, required: ['b'] } } }, { type: 'object', properties: { b: { type: 'string' }, a: {} } }],
  ['a property called const, or patternProperties, is one', { type: 'object', properties: { const: { type: 'string' }, patternProperties: { type: 'number' }, $ref: { type: 'string' }, enum: { type: 'string' } } }, {
    type: 'object', properties: { const: { type: 'string' }, patternProperties: { type: 'number' }, $ref: { type: 'string' }, enum: { type: 'string' } }
  }]
]

for (const [row, given, expected] of rows) {
  test(`${row} (openapi 4)`, async (t) => {
    const before = JSON.stringify(given)
    t.same(said(given), expected)
    t.equal(JSON.stringify(given), before, 'what is given stays as it is')
  })
}

test('shared schemas are definitions under the name of their $id (openapi 4)', async (t) => {
  const shared = { Flavour: { $id: 'Flavour', type: 'string', title: 'Flavour' }, 'https://x.example/schemas/cake.json': { $id: 'https://x.example/schemas/cake.json', type: 'object', properties: { flavour: { $ref: 'Flavour#' } } } }
  const { schema, definitions, faults } = convert({ type: 'object', properties: { cake: { $ref: 'https://x.example/schemas/cake.json#' }, other: { $ref: 'https://x.example/schemas/cake.json#/properties/flavour' } } }, shared)
  t.same(faults, [])
  t.same(schema.properties, { cake: { $ref: '#/definitions/cake' }, other: { $ref: '#/definitions/flavour' } })
  t.same(definitions, {
    cake: { type: 'object', properties: { flavour: { $ref: '#/definitions/Flavour' } } },
    flavour: { $ref: '#/definitions/Flavour' },
    Flavour: { type: 'string', title: 'Flavour' }
  })
})

test('nothing stands beside a $ref: what does is written out (openapi 3)', async (t) => {
  const shared = { Address: { $id: 'Address', type: 'object', properties: { city: { type: 'string' } } } }
  t.same(said({ type: 'object', properties: { from: { $ref: 'Address#', description: 'Where from' } } }, shared).properties, {
    from: { type: 'object', properties: { city: { type: 'string' } }, description: 'Where from' }
  })
  t.same(said({ anyOf: [{ $ref: 'Address#' }, { type: 'null' }] }, shared), { type: 'object', properties: { city: { type: 'string' } }, 'x-nullable': true })
  t.same(said({ allOf: [{ $ref: 'Address#' }, { type: 'object', properties: { zip: { type: 'string' } } }] }, shared), { type: 'object', properties: { city: { type: 'string' }, zip: { type: 'string' } } })
})

test('cycles are references to a definition (openapi 2, cyclic $ref)', async (t) => {
  const cyclic = convert(Type.Cyclic({ Node: Type.Object({ value: Type.String(), children: Type.Array(Type.Ref('Node')) }) }, 'Node'))
  t.same(cyclic.faults, [])
  t.same(cyclic.schema, { $ref: '#/definitions/Node' })
  t.same(cyclic.definitions.Node!.properties, { value: { type: 'string' }, children: { type: 'array', items: { $ref: '#/definitions/Node' } } })

  const self = convert({ $id: 'Tree', type: 'object', properties: { left: { $ref: '#' }, right: { $ref: '#', title: 'Right' } } })
  t.same(self.faults, [])
  t.same(self.schema.properties!.left, { $ref: '#/definitions/Tree' })
  t.match(self.schema.properties!.right, { type: 'object', title: 'Right', properties: { left: { $ref: '#/definitions/Tree' } } })

  const definitions = convert({ type: 'object', properties: { a: { $ref: '#/$defs/A' } }, $defs: { A: { type: 'object', properties: { b: { $ref: '#/$defs/B' } } }, B: { type: 'object', properties: { a: { $ref: '#/$defs/A' } } } } })
  t.same(definitions.schema.properties, { a: { $ref: '#/definitions/A' } })
  t.same(definitions.definitions, { A: { type: 'object', properties: { b: { $ref: '#/definitions/B' } } }, B: { type: 'object', properties: { a: { $ref: '#/definitions/A' } } } })
})

test('two schemas of one name get two definitions', async (t) => {
  const conversion = createConversion(() => {}, () => {})
  const at = (shared: Record<string, unknown>) => ({ conversion, scope: { roots: [], shared }, path: 'body' })
  t.same(convertSchema({ $ref: 'A#' }, at({ A: { $id: 'A', type: 'string' } })), { $ref: '#/definitions/A' })
  t.same(convertSchema({ $ref: 'A#' }, at({ A: { $id: 'A', type: 'string' } })), { $ref: '#/definitions/A' }, 'equal ones are one')
  t.same(convertSchema({ $ref: 'A#' }, at({ A: { $id: 'A', type: 'number' } })), { $ref: '#/definitions/A_2' })
  t.same(conversion.definitions, { A: { type: 'string' }, A_2: { type: 'number' } })
})

for (const name of ['constructor', '__proto__', 'toString']) {
  test(`a schema called ${name} has its definition`, async (t) => {
    const given = { type: 'object', properties: { a: { $ref: `${name}#` }, b: { $ref: `${name}#`, title: 'B' } } }
    const { schema, definitions, faults } = convert(given, Object.fromEntries([[name, { $id: name, type: 'string' }]]))
    t.same(faults, [])
    t.same(schema.properties, { a: { $ref: `#/definitions/${name}` }, b: { type: 'string', title: 'B' } })
    t.equal(JSON.stringify(definitions), `{"${name}":{"type":"string"}}`)
  })

  test(`a $ref to ${name}, which nobody added, leads nowhere`, async (t) => {
    t.match(convert({ $ref: `${name}#` }).faults, [{ message: /which is nowhere/ }])
  })
}

const faults: [what: string, given: unknown, path: string, message: RegExp][] = [
  ['a $ref to nowhere', { type: 'object', properties: { a: { $ref: 'Nobody#' } } }, 'body.a', /refers to "Nobody#", which is nowhere/],
  ['BigInt', Type.Object({ a: Type.BigInt() }), 'body.a', /the type "bigint"/],
  ['Symbol', Type.Object({ a: Type.Symbol() }), 'body.a', /the type "symbol"/],
  ['a function', Type.Array(Type.Function([], Type.String())), 'body[]', /the type "function"/],
  ['a required Never', Type.Object({ a: Type.Never() }), 'body.a', /nothing fits it/],
  ['false', { type: 'object', properties: { a: { type: 'array', items: false } } }, 'body.a[]', /no JSON Schema/],
  ['another kind of schema', { safeParse: () => ({}) }, 'body', /another kind/],
  ['allOf of two types', { allOf: [{ type: 'string' }, { type: 'number' }] }, 'body', /string and number at once/],
  ['allOf of itself', { $id: 'X', allOf: [{ $ref: '#' }] }, 'definitions.X', /with itself/]
]
for (const [what, given, path, message] of faults) {
  test(`${what} cannot be said: a fault that names the place and the mend`, async (t) => {
    const { faults } = convert(given)
    t.match(faults[0], { path, message, mend: /./ })
  })
}

test('the items of a list outside the body keep their extensions, by reference as well (openapi 1)', async (t) => {
  const dropdown = { 'x-ms-dynamic-values': { operationId: 'ListTags', parameters: {}, 'value-path': 'id' } }
  t.match(query(Type.Array(Type.String({ title: 'Tag', ...dropdown }))), { type: 'array', items: { type: 'string', ...dropdown } })
  const named = { type: 'string', enum: ['a'], 'x-ms-enum-values': [{ value: 'a', displayName: 'Ay' }] }
  const parameter = toParameter('q', 'header', { type: 'array', items: { $ref: '#/definitions/Tag' } }, false, ({ $ref, ...schema }) => $ref === undefined ? schema : named)
  t.same(parameter.items, named)
})

test('parameters have one simple type, a label, and nothing that 2.0 does not know (openapi 0.7, 0.9, 4)', async (t) => {
  t.same(query(Type.String({ title: 'Name', description: 'Whose', examples: ['x'], minLength: 1 })), { name: 'q', in: 'query', description: 'Whose', type: 'string', minLength: 1, 'x-ms-summary': 'Name' })
  t.same(query(Type.Enum(['a', 'b'])), { name: 'q', in: 'query', type: 'string', enum: ['a', 'b'] })
  t.same(query(Type.Union([Type.String(), Type.Number()])), { name: 'q', in: 'query', type: 'string' })
  t.same(query({ enum: ['a', 1] }), { name: 'q', in: 'query', type: 'string', enum: ['a', '1'] })
  t.same(query(Type.Object({ a: Type.String() })), { name: 'q', in: 'query', type: 'string' })
  t.same(query(Type.Array(Type.Integer({ title: 'T' }))), { name: 'q', in: 'query', type: 'array', items: { type: 'integer' }, collectionFormat: 'multi' })
  t.same(toParameter('id', 'path', said(Type.Union([Type.String(), Type.Null()])), false, (one) => one), { name: 'id', in: 'path', required: true, type: 'string', 'x-nullable': true, 'x-ms-url-encoding': 'single' })
})
