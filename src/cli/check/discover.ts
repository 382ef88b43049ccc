import type { OperationConfig } from './operations.ts'
import { operationsOf, type SwaggerDocument } from './probe-document.ts'

interface Schema {
  $ref?: string
  type?: string
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  enum?: unknown[]
  default?: unknown
  example?: unknown
  minimum?: number
  minLength?: number
  format?: string
  'x-ms-test-value'?: unknown
  'x-ms-notification-url'?: boolean
}

interface Operation {
  operationId?: string
  parameters?: (Schema & { in?: string, name?: string, required?: boolean, schema?: Schema })[]
  responses?: Record<string, { schema?: Schema }>
  'x-ms-trigger'?: string
  'x-ms-visibility'?: string
}

/**
 * What a document says that there is to check, with samples made from its schemas. How to make an event happen, and
 * what fails, no document tells: that is the config's.
 */
export function discoverOperations (document: SwaggerDocument & { basePath?: string }, baseUrl: string): Record<string, OperationConfig> {
  const found: Record<string, OperationConfig> = {}
  const base = addressOf(document, baseUrl)
  for (const { path, method, operation } of operationsOf(document) as { path: string, method: string, operation: Operation }[]) {
    const { operationId, parameters = [] } = operation
    if (operationId === undefined || path.includes('{')) continue
    const given = parameters.find((parameter) => parameter.in === 'body')?.schema
    const body = given === undefined ? undefined : resolve(document, given)
    const kind = kindOf(method, operation, hasNotificationUrl(document, body))
    if (kind === undefined) continue
    const sample = body === undefined ? undefined : sampleOf(document, body)
    found[operationId] = {
      kind,
      method,
      path: base + path,
      ...(sample === undefined ? {} : { body: sample }),
      ...queriesOf(document, parameters),
      ...(kind === 'polling-trigger' && operation['x-ms-trigger'] === 'batch' ? { items: itemsOf(document, operation) } : {})
    }
  }
  return found
}

/** A `basePath` begins at the host, whatever path the API's address has itself; without one the address is all there is. */
function addressOf ({ basePath = '' }: { basePath?: string }, baseUrl: string): string {
  const below = basePath.replaceAll(/^\/+|\/+$/g, '')
  return below === '' ? baseUrl.replace(/\/+$/, '') : `${new URL(baseUrl).origin}/${below}`
}

function kindOf (method: string, { responses = {}, 'x-ms-trigger': trigger, 'x-ms-visibility': visibility }: Operation, hasUrl: boolean): OperationConfig['kind'] | undefined {
  if (visibility === 'internal') return undefined
  if (trigger !== undefined) return method === 'GET' ? 'polling-trigger' : 'webhook-trigger'
  if (hasUrl) return 'webhook-action'
  return responses['202'] === undefined ? undefined : 'async-action'
}

function resolve (document: SwaggerDocument, schema: Schema): Schema {
  return schema.$ref === undefined ? schema : (document.definitions?.[schema.$ref.replace('#/definitions/', '')] ?? {}) as Schema
}

function hasNotificationUrl (document: SwaggerDocument, schema: Schema | undefined): boolean {
  return Object.values(schema?.properties ?? {}).some((property) => resolve(document, property)['x-ms-notification-url'] === true)
}

function queriesOf (document: SwaggerDocument, parameters: NonNullable<Operation['parameters']>): { queries?: Record<string, string> } {
  const needed = parameters.filter((parameter) => parameter.in === 'query' && parameter.required === true)
  return needed.length === 0 ? {} : { queries: Object.fromEntries(needed.map((parameter) => [parameter.name!, String(sampleOf(document, parameter))])) }
}

/** Where the array is: the body itself, or its first array. */
function itemsOf (document: SwaggerDocument, { responses = {} }: Operation): string {
  const schema = resolve(document, responses['200']?.schema ?? {})
  if (schema.type === 'array') return ''
  return Object.entries(schema.properties ?? {}).find(([, property]) => resolve(document, property).type === 'array')?.[0] ?? 'value'
}

const maxDepth = 8

/** A value that fits, as far as a schema tells: required properties, with the values its author gave where there are any. */
function sampleOf (document: SwaggerDocument, given: Schema, depth = 0): unknown {
  const schema = resolve(document, given)
  for (const value of [schema['x-ms-test-value'], schema.example, schema.default, schema.enum?.[0]]) if (value !== undefined) return value
  if (depth > maxDepth) return null
  switch (schema.type) {
    case 'string': return schema.format === 'date-time' ? '2026-01-01T00:00:00Z' : 'check'.padEnd(schema.minLength ?? 0, '-')
    case 'integer':
    case 'number': return schema.minimum ?? 1
    case 'boolean': return true
    case 'array': return [sampleOf(document, schema.items ?? {}, depth + 1)]
    default: return Object.fromEntries((schema.required ?? [])
      .map((name): [string, Schema] => [name, schema.properties?.[name] ?? {}])
      .filter(([, property]) => resolve(document, property)['x-ms-notification-url'] !== true)
      .map(([name, property]) => [name, sampleOf(document, property, depth + 1)]))
  }
}
