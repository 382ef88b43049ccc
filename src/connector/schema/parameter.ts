import type { ParameterPlace, SwaggerHeader, SwaggerParameter, SwaggerSchema } from '../swagger.ts'
import { typeOfValue } from './keywords.ts'

/** Keywords that a parameter, a header and their items may have. Titles, examples and the like they may not (openapi 4, examples). */
const parameterKeywords = [
  'type', 'format', 'default', 'enum', 'multipleOf', 'maximum', 'exclusiveMaximum', 'minimum', 'exclusiveMinimum', 'maxLength', 'minLength',
  'pattern', 'maxItems', 'minItems', 'uniqueItems'
] as const

/**
 * The schema of one input outside the body, as a parameter says it: always one type, since the designer drops a parameter
 * without (openapi 2), and its label in `x-ms-summary`, since a parameter's title is ignored (openapi 0.7).
 *
 * @param schema Written out, without a reference at its root.
 */
export function toParameter (name: string, place: ParameterPlace, schema: SwaggerSchema, isRequired: boolean, dereference: (schema: SwaggerSchema) => SwaggerSchema): SwaggerParameter {
  const { description, title } = schema
  return {
    name,
    in: place,
    // A path has all its parts (openapi 0.11).
    ...(place === 'path' ? { required: true } : isRequired ? { required: true } : {}),
    ...(description === undefined ? {} : { description }),
    ...simplify(schema, dereference),
    // Fastify reads `?a=1&a=2` as a list, and `?a=1,2` as one text.
    ...(schema.type === 'array' && (place === 'query' || place === 'formData') ? { collectionFormat: 'multi' } : {}),
    ...extensionsOf(schema),
    ...(title === undefined || schema['x-ms-summary'] !== undefined ? {} : { 'x-ms-summary': title }),
    ...(place === 'path' && schema['x-ms-url-encoding'] === undefined ? { 'x-ms-url-encoding': 'single' } : {})
  }
}

/** A header of a response. Without a label of its own the designer calls it "Body" (openapi 2, response headers). */
export function toHeader (name: string, schema: SwaggerSchema, dereference: (schema: SwaggerSchema) => SwaggerSchema): SwaggerHeader {
  const { description, title } = schema
  return {
    ...(description === undefined ? {} : { description }),
    ...simplify(schema, dereference),
    ...extensionsOf(schema),
    'x-ms-summary': schema['x-ms-summary'] ?? title ?? labelOf(name)
  }
}

function simplify (schema: SwaggerSchema, dereference: (schema: SwaggerSchema) => SwaggerSchema): Record<string, unknown> & { type: string } {
  const type = schema.type ?? 'string'
  // A text in the place of what 2.0 has no parameter for (openapi 4: object or untyped property).
  if (type === 'object' || schema.type === undefined) {
    const values = schema.enum?.every((value) => typeof value !== 'object') === true ? { enum: schema.enum.map(String) } : {}
    return { type: 'string', ...values, ...(typeof schema.default === 'string' ? { default: schema.default } : {}) }
  }
  const kept: Record<string, unknown> = {}
  for (const keyword of parameterKeywords) {
    if (schema[keyword] !== undefined) kept[keyword] = schema[keyword]
  }
  if (kept.default === null) delete kept.default
  return {
    ...kept,
    type,
    ...(type === 'array' ? { items: simplifyItems(dereference(schema.items ?? {}), dereference) } : {})
  }
}

/** The dropdown of a list stands on its items (openapi 1, x-ms-dynamic-values). */
function simplifyItems (items: SwaggerSchema, dereference: (schema: SwaggerSchema) => SwaggerSchema): Record<string, unknown> {
  return { ...simplify(items, dereference), ...extensionsOf(items) }
}

function extensionsOf (schema: SwaggerSchema): Record<string, unknown> {
  return Object.fromEntries(Object.entries(schema).filter(([keyword]) => keyword.startsWith('x-')))
}

/** `retry-after` is labelled "Retry After". */
export function labelOf (name: string): string {
  return name.split(/[-_\s]+/).filter((word) => word !== '').map((word) => word[0]!.toUpperCase() + word.slice(1)).join(' ')
}

/** Whether a value is of a Swagger type. */
export function fitsType (value: unknown, type: string): boolean {
  const actual = typeOfValue(value)
  return actual === type || (actual === 'integer' && type === 'number')
}
