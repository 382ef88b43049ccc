import type { SwaggerSchema } from '../swagger.ts'
import type { JsonSchema } from './json-schema.ts'

/** Keywords that mean the same in Swagger 2.0. All others are dropped: they narrow what fits, and hide no input. */
const sameKeywords = [
  'title', 'description', 'default', 'format', 'multipleOf', 'maximum', 'minimum', 'maxLength', 'minLength', 'pattern', 'maxItems',
  'minItems', 'uniqueItems', 'maxProperties', 'minProperties', 'readOnly', 'xml', 'externalDocs', 'example'
] as const

export function copyKeywords (schema: JsonSchema): SwaggerSchema {
  const copied: Record<string, unknown> = {}
  for (const keyword of sameKeywords) {
    if (schema[keyword] !== undefined) copied[keyword] = schema[keyword]
  }
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword.startsWith('x-')) copied[keyword] = structuredClone(value)
  }
  if (Array.isArray(schema.examples) && schema.examples.length > 0) copied.example ??= schema.examples[0]
  if (typeof schema.discriminator === 'string') copied.discriminator = schema.discriminator
  // What JSON Schema says of bytes in a text, Swagger says as a format.
  if (schema.contentEncoding === 'base64') copied.format ??= 'byte'
  if (schema.contentEncoding === 'binary') copied.format ??= 'binary'
  // Beside a dropdown that an operation fills, the designer would offer the fixed values.
  const isDynamic = ['x-ms-dynamic-values', 'x-ms-dynamic-list', 'x-ms-dynamic-tree'].some((extension) => Object.hasOwn(copied, extension))
  return { ...copied, ...boundsOf(schema), ...(isDynamic ? {} : enumOf(schema)) }
}

/** Since draft 6 an exclusive bound is a number, in Swagger 2.0 a flag beside the bound (openapi 4, exclusiveMinimum). */
function boundsOf ({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: JsonSchema): SwaggerSchema {
  const bounds: SwaggerSchema = {}
  if (exclusiveMinimum === true) bounds.exclusiveMinimum = true
  else if (typeof exclusiveMinimum === 'number' && !(typeof minimum === 'number' && minimum > exclusiveMinimum)) Object.assign(bounds, { minimum: exclusiveMinimum, exclusiveMinimum: true })
  if (exclusiveMaximum === true) bounds.exclusiveMaximum = true
  else if (typeof exclusiveMaximum === 'number' && !(typeof maximum === 'number' && maximum < exclusiveMaximum)) Object.assign(bounds, { maximum: exclusiveMaximum, exclusiveMaximum: true })
  return bounds
}

function enumOf (schema: JsonSchema): SwaggerSchema {
  const values = valuesOf(schema)?.filter((value) => value !== null)
  return values === undefined || values.length === 0 ? {} : { enum: [...new Set(values)] }
}

function valuesOf ({ enum: values, const: value }: JsonSchema): unknown[] | undefined {
  if (value !== undefined) return [value]
  return Array.isArray(values) ? values : undefined
}

/** The types a schema allows, `null` apart; inferred where it names none (openapi 4: enum without type, nullable, type[]). */
export function typesOf (schema: JsonSchema): { types: string[], isNullable: boolean } {
  const values = valuesOf(schema)
  const named = [schema.type ?? []].flat().map(String)
  const types = named.filter((type) => type !== 'null')
  const isNullable = schema.nullable === true || named.includes('null') || (named.length === 0 && values?.includes(null) === true)
  return { types: types.length > 0 || named.length > 0 ? types : inferTypes(schema, values?.filter((value) => value !== null)), isNullable }
}

function inferTypes (schema: JsonSchema, values: unknown[] | undefined): string[] {
  if (values !== undefined) return [...new Set(values.map(typeOfValue))]
  const has = (...keywords: string[]): boolean => keywords.some((keyword) => schema[keyword] !== undefined)
  if (has('properties', 'patternProperties', 'required', 'additionalProperties', 'minProperties', 'maxProperties')) return ['object']
  if (has('items', 'prefixItems', 'minItems', 'maxItems', 'uniqueItems')) return ['array']
  if (has('pattern', 'minLength', 'maxLength', 'contentEncoding')) return ['string']
  if (has('minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf')) return ['number']
  return []
}

export function typeOfValue (value: unknown): string {
  if (Array.isArray(value)) return 'array'
  return Number.isInteger(value) ? 'integer' : typeof value
}

export function isNull (schema: SwaggerSchema): boolean {
  return schema['x-nullable'] === true && ['type', '$ref', 'enum', 'properties', 'items'].every((keyword) => !Object.hasOwn(schema, keyword))
}
