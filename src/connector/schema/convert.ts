import type { SwaggerSchema } from '../swagger.ts'
import type { Conversion } from './conversion.ts'
import { isForeign, isSchemaObject, type JsonSchema } from './json-schema.ts'
import { copyKeywords, typesOf } from './keywords.ts'
import { mergeSchemas } from './merge.ts'
import { resolveReference, type Scope, type Target } from './references.ts'
import { uniteSchemas } from './union.ts'

/** Where the conversion is. */
export interface Position {
  conversion: Conversion
  scope: Scope
  path: string
  /** References that are being written out in place: met again, they become a `$ref`. */
  inlined?: readonly JsonSchema[]
  /** Part of an `allOf` or `anyOf`: `required` may name properties of another part. */
  isPart?: boolean
}

/** What TypeBox has and JSON has not, and what to write instead. */
const notJson: Record<string, string> = {
  bigint: 'use Type.Integer(), or Type.String() for what is too large for a number',
  symbol: 'use Type.String()',
  function: 'leave it out: a function is no data',
  constructor: 'leave it out: a class is no data',
  undefined: 'make it optional, with Type.Optional()',
  void: 'leave it out',
  asyncIterator: 'use Type.Array()',
  iterator: 'use Type.Array()',
  promise: 'use the schema of what it resolves to',
  Uint8Array: 'use Type.String({ format: "byte" })'
}
const jsonTypes = ['string', 'number', 'integer', 'boolean', 'object', 'array']

/** A JSON Schema as Swagger 2.0 says it, in the subset that the designer reads (openapi 0.9, 4). */
export function convertSchema (schema: unknown, at: Position): SwaggerSchema {
  const { conversion, path } = at
  if (schema === true) return {}
  if (schema === false || !isSchemaObject(schema)) {
    conversion.fault(path, `is no JSON Schema (${JSON.stringify(schema) ?? typeof schema})`, 'describe it by a schema object')
    return {}
  }
  if (isForeign(schema)) {
    conversion.fault(path, 'is a schema of another kind than JSON Schema', 'turn it into JSON Schema with the option connector.toJsonSchema, or switch the document off with connector: false')
    return {}
  }
  const here = typeof schema.$id === 'string' && at.scope.roots[0] !== schema
    ? { ...at, scope: { ...at.scope, roots: [schema, ...at.scope.roots] } }
    : at
  const parts = partsOf(schema, here)
  const converted = parts.length === 1 ? parts[0]! : mergeSchemas(parts, conversion, path)
  return at.isPart === true ? converted : declareRequired(converted)
}

/** A schema is what its own keywords say, and its reference, and its combinations. */
function partsOf (schema: JsonSchema, at: Position): SwaggerSchema[] {
  const { $ref, $dynamicRef, $recursiveRef, allOf, anyOf, oneOf, ...own } = schema
  const reference = $ref ?? $dynamicRef ?? $recursiveRef
  const base = convertKeywords(own, at)
  const isBare = Object.keys(base).length === 0
  const parts: SwaggerSchema[] = []
  if (reference !== undefined) {
    const referred = convertReference(String(reference), at, isBare && allOf === undefined && anyOf === undefined && oneOf === undefined)
    if (referred.$ref !== undefined) return [referred]
    parts.push(referred)
  }
  const asPart = { ...at, isPart: true }
  for (const member of Array.isArray(allOf) ? allOf : []) parts.push(dereferenced(convertSchema(member, asPart), asPart))
  for (const members of [anyOf, oneOf]) {
    if (Array.isArray(members)) parts.push(uniteSchemas(members.map((member) => withTypeOf(base, convertSchema(member, asPart))), at.conversion, at.path))
  }
  parts.push(...conditionalParts(own, base, asPart))
  // The schema's own words last: its title and description are meant for this place.
  return [...parts, ...(isBare && parts.length > 0 ? [] : [base])]
}

/** `if` decides between two forms, and a caller must see the inputs of both. */
function conditionalParts ({ then, else: otherwise, dependentSchemas, dependencies }: JsonSchema, base: SwaggerSchema, at: Position): SwaggerSchema[] {
  const convert = (schema: unknown): SwaggerSchema => withTypeOf(base, schema === undefined ? {} : convertSchema(schema, at))
  const conditional = then === undefined && otherwise === undefined ? [] : [uniteSchemas([convert(then), convert(otherwise)], at.conversion, at.path)]
  const dependent = Object.values({ ...dependencies as object, ...dependentSchemas as object }).filter(isSchemaObject)
  return [...conditional, ...dependent.map((schema) => uniteSchemas([convert(schema), convert(undefined)], at.conversion, at.path))]
}

/** `{ type: 'object', anyOf: [{ required: ['a'] }] }`: the members are objects too. */
function withTypeOf ({ type }: SwaggerSchema, member: SwaggerSchema): SwaggerSchema {
  return type === undefined || member.type !== undefined || member.$ref !== undefined || member['x-nullable'] === true ? member : { type, ...member }
}

function dereferenced (schema: SwaggerSchema, { conversion, path }: Position): SwaggerSchema {
  const found = conversion.dereference(schema)
  if (found !== undefined) return found
  conversion.fault(path, 'combines a schema with itself, by a reference', 'write out what allOf adds')
  return {}
}

/** A `$ref` to a definition; what it says, where something stands beside it (openapi 3, AdditionalPropertyNotAllowedAdjacentToRef). */
function convertReference (reference: string, at: Position, isBare: boolean): SwaggerSchema {
  const { conversion, path, inlined = [] } = at
  const target = resolveReference(reference, at.scope)
  if (target === undefined) {
    conversion.fault(path, `refers to "${reference}", which is nowhere`, 'add the schema with app.addSchema() to the scope of the route, or define it in $defs')
    return {}
  }
  if (isBare || inlined.includes(target.schema)) return define(target, at)
  const written = convertSchema(target.schema, { ...at, scope: target.scope, inlined: [...inlined, target.schema] })
  return dereferenced(written, at)
}

function define (target: Target, { conversion }: Position): SwaggerSchema {
  const named = target.name === '' ? { ...target, name: 'Schema' } : target
  const path = `definitions.${named.name}`
  return { $ref: conversion.define(named, () => convertSchema(target.schema, { conversion, scope: target.scope, path })) }
}

/** What a schema says by keywords of its own. */
function convertKeywords (schema: JsonSchema, at: Position): SwaggerSchema {
  const { conversion, path } = at
  const converted = copyKeywords(schema)
  const { types, isNullable } = typesOf(schema)
  if (isNullable) converted['x-nullable'] = true
  if (types.includes('Date')) return { ...converted, type: 'string', format: 'date-time' }
  const strange = types.find((type) => !jsonTypes.includes(type))
  if (strange !== undefined) conversion.fault(path, `has the type "${strange}", which JSON has not`, notJson[strange] ?? `use one of ${jsonTypes.join(', ')}`)
  else if (types.length === 1) converted.type = types[0]!
  // "integer or number" is a number; of anything else only the whole can be said (openapi 4, type[]).
  else if (types.length > 1 && types.every((type) => type === 'integer' || type === 'number')) converted.type = 'number'
  if (types.length > 1 && converted.type === undefined) return withoutTypedKeywords(converted)

  Object.assign(converted, convertObject(schema, at), convertArray(schema, at))
  return converted
}

function withoutTypedKeywords ({ title, description, 'x-nullable': isNullable, ...rest }: SwaggerSchema): SwaggerSchema {
  return {
    ...(title === undefined ? {} : { title }),
    ...(description === undefined ? {} : { description }),
    ...(isNullable === undefined ? {} : { 'x-nullable': isNullable }),
    ...Object.fromEntries(Object.entries(rest).filter(([keyword]) => keyword.startsWith('x-') || keyword === 'default' || keyword === 'enum' || keyword === 'example'))
  }
}

function convertObject (schema: JsonSchema, at: Position): SwaggerSchema {
  const { properties, required, patternProperties, additionalProperties, unevaluatedProperties } = schema
  const converted: SwaggerSchema = {}
  const requiredNames = Array.isArray(required) ? required.filter((name): name is string => typeof name === 'string') : []
  if (isSchemaObject(properties)) converted.properties = convertProperties(properties, requiredNames, at)
  if (requiredNames.length > 0) converted.required = [...new Set(requiredNames)]

  // A record: names are free, values are not (openapi 4, Record).
  const values = isSchemaObject(patternProperties) ? Object.entries(patternProperties) : []
  const further = additionalProperties ?? unevaluatedProperties
  if (isSchemaObject(further)) values.push(['*', further])
  const below = values.map(([pattern, value]) => convertSchema(value, { ...at, isPart: false, path: `${at.path}[${pattern}]` }))
  if (below.length > 0) converted.additionalProperties = below.length === 1 ? below[0]! : uniteSchemas(below, at.conversion, at.path)
  else if (typeof further === 'boolean') converted.additionalProperties = further
  return converted
}

function convertProperties (properties: JsonSchema, required: string[], at: Position): Record<string, SwaggerSchema> {
  const entries = Object.entries(properties).filter(([name, value]) => !canOnlyBeAbsent(value) || required.includes(name))
  return Object.fromEntries(entries.map(([name, value]) => {
    const path = `${at.path}.${name}`
    if (canOnlyBeAbsent(value)) {
      at.conversion.fault(path, 'is required, but nothing fits it', 'make it optional, or leave it out')
      return [name, {}]
    }
    return [name, convertSchema(value, { ...at, isPart: false, path })]
  }))
}

/** `Type.Never()` and `Type.Undefined()`, as optional properties, are no inputs. */
function canOnlyBeAbsent (schema: unknown): boolean {
  if (!isSchemaObject(schema)) return schema === false
  return schema.type === 'undefined' || schema.type === 'void' || (isSchemaObject(schema.not) && Object.keys(schema.not).length === 0)
}

function convertArray (schema: JsonSchema, at: Position): SwaggerSchema {
  const { items, prefixItems, additionalItems } = schema
  const tuple = Array.isArray(prefixItems) ? prefixItems : Array.isArray(items) ? items : undefined
  const below = (value: unknown, place: string): SwaggerSchema => convertSchema(value, { ...at, isPart: false, path: `${at.path}[${place}]` })
  if (tuple === undefined) return items === undefined ? {} : { items: below(items, '') }
  // One schema for all items is all that can be said (openapi 4, Tuple).
  const rest = Array.isArray(prefixItems) ? items : additionalItems
  const members = [...tuple, ...(isSchemaObject(rest) ? [rest] : [])].map((value, index) => below(value, String(index)))
  return { items: members.length === 0 ? {} : uniteSchemas(members, at.conversion, at.path) }
}

/** A name that must be there is an input, declared or not. */
function declareRequired (schema: SwaggerSchema): SwaggerSchema {
  const { required, properties } = schema
  if (required === undefined) return schema
  const undeclared = required.filter((name) => properties === undefined || !Object.hasOwn(properties, name))
  return undeclared.length === 0 ? schema : { ...schema, properties: { ...properties, ...Object.fromEntries(undeclared.map((name) => [name, {}])) } }
}
