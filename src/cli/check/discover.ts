import type { OperationConfig } from './operations.ts'
import { operationsOf, type SwaggerDocument } from './probe-document.ts'
import { NoSampleError, resolve, sampleOf, type Schema } from './sample.ts'

type Parameter = Schema & { in?: string, name?: string, schema?: Schema }

interface Operation {
  operationId?: string
  parameters?: Parameter[]
  consumes?: string[]
  responses?: Record<string, { schema?: Schema }>
  'x-ms-trigger'?: string
  'x-ms-visibility'?: string
}

export interface Discovered {
  operations: Record<string, OperationConfig>
  /** What had to be made up and could not: the config may know. */
  unsampled: { name: string, member: 'body' | 'queries' | 'headers', field: string }[]
}

type Document = SwaggerDocument & { basePath?: string, consumes?: string[] }

/**
 * What a document says that there is to check, with samples made from its schemas. How to make an event happen, and
 * what fails, no document tells: that is the config's.
 */
export function discoverOperations (document: Document, baseUrl: string): Discovered {
  const found: Discovered = { operations: {}, unsampled: [] }
  const base = addressOf(document, baseUrl)
  for (const { path, method, operation } of operationsOf(document) as { path: string, method: string, operation: Operation }[]) {
    const { operationId: name, parameters = [] } = operation
    if (name === undefined || path.includes('{')) continue
    const given = parameters.find((parameter) => parameter.in === 'body')?.schema
    const body = given === undefined ? undefined : resolve(document, given)
    const kind = kindOf(method, operation, hasNotificationUrl(document, body))
    if (kind === undefined) continue

    const sampled = <Value>(member: Discovered['unsampled'][number]['member'], make: () => Value): Value | undefined => {
      try {
        return make()
      } catch (error) {
        if (!(error instanceof NoSampleError)) throw error
        found.unsampled.push({ name, member, field: error.message })
        return undefined
      }
    }
    const form = sampled('body', () => formOf(document, operation))
    const sample = body === undefined ? form?.body : sampled('body', () => sampleOf(document, body, 'body'))
    // One by one: the config may know those that cannot be made up.
    const headers: Record<string, string> = Object.assign({}, form?.headers, ...parameters.map((parameter) => sampled('headers', () => valuesOf(document, [parameter], 'header'))))
    const queries = sampled('queries', () => valuesOf(document, parameters, 'query'))
    found.operations[name] = {
      kind,
      method,
      path: base + path,
      ...(sample === undefined ? {} : { body: sample }),
      ...(queries === undefined ? {} : { queries }),
      ...(Object.keys(headers).length === 0 ? {} : { headers }),
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

function hasNotificationUrl (document: SwaggerDocument, schema: Schema | undefined): boolean {
  return Object.values(schema?.properties ?? {}).some((property) => resolve(document, property)['x-ms-notification-url'] === true)
}

function valuesOf (document: SwaggerDocument, parameters: Parameter[], place: string): Record<string, string> | undefined {
  const needed = parameters.filter((parameter) => parameter.in === place && parameter.required === true)
  return needed.length === 0 ? undefined : Object.fromEntries(needed.map((parameter) => [parameter.name!, String(sampleOf(document, parameter, parameter.name!))]))
}

/** `undefined` where nothing of a form is required. */
function formOf (document: Document, { parameters = [], consumes = document.consumes ?? [] }: Operation): { body: unknown, headers?: Record<string, string> } | undefined {
  const file = parameters.find((parameter) => parameter.in === 'formData' && parameter.required === true && parameter.type === 'file')
  if (file !== undefined) throw new NoSampleError(file.name)
  const values = valuesOf(document, parameters, 'formData')
  if (values === undefined) return undefined
  if (!consumes.includes('multipart/form-data')) return { body: new URLSearchParams(values).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded' } }
  const parts = Object.entries(values).map(([name, value]) => ({ headers: { 'Content-Disposition': `form-data; name="${name}"` }, body: value }))
  return { body: { '$content-type': 'multipart/form-data', $multipart: parts } }
}

/** Where the array is: the body itself, or its first array. */
function itemsOf (document: SwaggerDocument, { responses = {} }: Operation): string {
  const schema = resolve(document, responses['200']?.schema ?? {})
  if (schema.type === 'array') return ''
  return Object.entries(schema.properties ?? {}).find(([, property]) => resolve(document, property).type === 'array')?.[0] ?? 'value'
}
