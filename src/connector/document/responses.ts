import { convertSchema, type Position } from '../schema/convert.ts'
import { isSchemaObject, type JsonSchema } from '../schema/json-schema.ts'
import { toHeader } from '../schema/parameter.ts'
import type { SwaggerHeader, SwaggerResponse, SwaggerSchema } from '../swagger.ts'

// Not imported: an ES module that imports node:http is given all its exports, of which one loads Node's fetch (25 ms of a start).
const { STATUS_CODES } = process.getBuiltinModule('node:http')

export interface Responses {
  responses: Map<string, SwaggerResponse>
  /** Content types, where the schema names them. */
  produces: string[]
}

/**
 * Fastify's response schemas as Swagger has them. The designer reads one schema, that of 200 or else 201 (openapi 0.6);
 * those of errors it could take for the output, so they are left out (openapi 3, DefaultResponseHasSchema).
 */
export function convertResponses (schemas: ReadonlyMap<string, unknown>, at: Position): Responses {
  const produces = new Set<string>()
  const responses = new Map<string, SwaggerResponse>()
  const hasSuccess = [...schemas.keys()].some((code) => code.startsWith('2'))
  for (const [code, schema] of schemas) {
    const explicit = explicitCode(code)
    // 2xx stands behind a 200 of its own.
    if (explicit !== code && schemas.has(explicit)) continue
    const isSuccess = explicit.startsWith('2') || (explicit === 'default' && !hasSuccess)
    responses.set(explicit, convertResponse(schema, explicit, isSuccess, produces, { ...at, path: `${at.path}.${code}` }))
  }
  return { responses, produces: [...produces] }
}

/** Swagger 2.0 knows codes and `default` (openapi 4, response "4xx"). */
function explicitCode (code: string): string {
  return /^[1-5]xx$/i.test(code) ? `${code[0]}00` : code
}

function convertResponse (given: unknown, code: string, isSuccess: boolean, produces: Set<string>, at: Position): SwaggerResponse {
  const text = describe(given, code)
  if (!isSchemaObject(given)) return { description: text }
  const { headers, content, description: _, 'x-response-description': __, ...schema } = given
  const response: SwaggerResponse = { description: text }
  if (isSchemaObject(headers)) response.headers = convertHeaders(headers, at)
  const [unwrapped, types] = isSchemaObject(content) ? unwrapContent(content) : [schema, []]
  for (const type of types) produces.add(type)
  // A description or headers alone say that nothing is in it; `{}` says that anything may be.
  const saysNothing = !isSchemaObject(content) && Object.keys(schema).length === 0 && Object.keys(given).length > 0
  if (!isSuccess || saysNothing || hasNoContent(unwrapped)) return response
  // What is left of the given object when headers and the like are taken out is another one each time.
  const key = unwrapped === schema ? given : unwrapped
  response.schema = at.conversion.once('output', key, at.scope.shared, () => convertOutput(unwrapped, at))
  return response
}

/** A description at the root would be the label of the whole output, in place of "Body" (openapi 2). */
function convertOutput (given: unknown, at: Position): SwaggerSchema {
  if (!isSchemaObject(given)) return convertSchema(given, at)
  const { description: _, ...schema } = given
  return convertSchema(schema, withRoot(at, given))
}

/** A `$ref` of `#` means the schema as it was written. */
function withRoot (at: Position, root: JsonSchema): Position {
  return { ...at, scope: { ...at.scope, roots: [root] } }
}

function describe (given: unknown, code: string): string {
  const { 'x-response-description': own, description } = isSchemaObject(given) ? given : {}
  return String(own ?? description ?? STATUS_CODES[code] ?? 'Any other answer')
}

/** `T.Null()`, with headers or without: a 204, or a 202 that is told by its headers (openapi 4, T.Null()). */
function hasNoContent (schema: unknown): boolean {
  return isSchemaObject(schema) && ['null', 'void', 'undefined'].includes(schema.type as string)
}

const isJson = (type: string): boolean => /[/+]json\b/.test(type)

/** The form with content types: JSON's schema, or that of the first (openapi 4, content). */
export function unwrapContent (content: JsonSchema): [schema: unknown, types: string[]] {
  const types = Object.keys(content)
  const chosen = types.find(isJson) ?? types[0]
  const media = chosen === undefined ? undefined : content[chosen]
  const schema = isSchemaObject(media) ? media.schema : undefined
  const isUnsaid = schema === undefined || (isSchemaObject(schema) && Object.keys(schema).length === 0)
  // Bytes: `type: "file"` would be no output at all (openapi 2).
  return [isUnsaid && chosen !== undefined && !isJson(chosen) ? { type: 'string', format: 'binary' } : schema ?? {}, types]
}

function convertHeaders (headers: JsonSchema, at: Position): Record<string, SwaggerHeader> {
  const dereference = (schema: SwaggerSchema): SwaggerSchema => at.conversion.dereference(schema) ?? {}
  // Shorthand for { type: 'object', properties }.
  const properties = headers.type === 'object' && isSchemaObject(headers.properties) ? headers.properties : headers
  return Object.fromEntries(Object.entries(properties).map(([name, schema]) =>
    [name, toHeader(name, dereference(convertSchema(schema, { ...at, path: `${at.path}.headers.${name}` })), dereference)]))
}
