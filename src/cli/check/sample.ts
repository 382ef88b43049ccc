import type { SwaggerDocument } from './probe-document.ts'

export interface Schema {
  $ref?: string
  allOf?: Schema[]
  type?: string
  properties?: Record<string, Schema>
  required?: string[] | boolean
  items?: Schema
  enum?: unknown[]
  default?: unknown
  example?: unknown
  minimum?: number
  maximum?: number
  exclusiveMinimum?: boolean
  minLength?: number
  maxLength?: number
  pattern?: string
  format?: string
  'x-ms-test-value'?: unknown
  'x-ms-notification-url'?: boolean
}

/** No value can be made up that is sure to fit. */
export class NoSampleError extends Error {
  override readonly name = 'NoSampleError'
}

/** With what `allOf` adds. */
export function resolve (document: SwaggerDocument, schema: Schema, depth = 0): Schema {
  const found = schema.$ref === undefined ? schema : (document.definitions?.[schema.$ref.replace('#/definitions/', '')] ?? {}) as Schema
  if (found.allOf === undefined || depth > maxDepth) return found
  const parts = [...found.allOf.map((part) => resolve(document, part, depth + 1)), found]
  return {
    ...Object.assign({}, ...parts) as Schema,
    properties: Object.assign({}, ...parts.map(({ properties }) => properties)) as Record<string, Schema>,
    required: parts.flatMap(({ required }) => Array.isArray(required) ? required : [])
  }
}

const maxDepth = 8

const samplesOfFormats: Record<string, string> = {
  'date-time': '2026-01-01T00:00:00Z',
  date: '2026-01-01',
  time: '00:00:00Z',
  uuid: '3f2b8c1e-5d47-4a90-8b6c-1e2f3a4b5c6d',
  email: 'check@example.com',
  uri: 'https://example.com/check',
  url: 'https://example.com/check',
  hostname: 'example.com',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  byte: 'Y2hlY2s='
}

/**
 * A value that fits, as far as a schema tells: required properties, with the values its author gave where there are any.
 *
 * @throws {NoSampleError} for a field of which a schema says more than can be made up here.
 */
export function sampleOf (document: SwaggerDocument, given: Schema, field: string, depth = 0): unknown {
  const schema = resolve(document, given)
  for (const value of [schema['x-ms-test-value'], schema.example, schema.default, schema.enum?.[0]]) if (value !== undefined) return value
  if (depth > maxDepth) throw new NoSampleError(field)
  switch (schema.type) {
    case 'string': return textOf(schema, field)
    case 'integer':
    case 'number': return numberOf(schema, field)
    case 'boolean': return true
    case 'array': return [sampleOf(document, schema.items ?? {}, field, depth + 1)]
    default: return Object.fromEntries((Array.isArray(schema.required) ? schema.required : [])
      .map((name): [string, Schema] => [name, schema.properties?.[name] ?? {}])
      .filter(([, property]) => resolve(document, property)['x-ms-notification-url'] !== true)
      .map(([name, property]) => [name, sampleOf(document, property, name, depth + 1)]))
  }
}

function textOf ({ format = '', pattern, minLength = 0, maxLength = Infinity }: Schema, field: string): string {
  const text = samplesOfFormats[format] ?? 'check'.padEnd(minLength, '-').slice(0, maxLength)
  if (text.length < minLength || text.length > maxLength || (pattern !== undefined && !fits(pattern, text))) throw new NoSampleError(field)
  return text
}

function fits (pattern: string, text: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(text)
  } catch {
    // Of another language.
    return false
  }
}

function numberOf ({ minimum, maximum = Infinity, exclusiveMinimum = false }: Schema, field: string): number {
  const number = minimum === undefined ? Math.min(1, maximum) : minimum + (exclusiveMinimum ? 1 : 0)
  if (number > maximum) throw new NoSampleError(field)
  return number
}
