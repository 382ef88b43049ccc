import { stateParameter } from '../../protocol/trigger-url.ts'
import type { OperationDescription, ConnectorRoute } from '../operation.ts'
import { isForAuthors } from '../operation.ts'
import { convertSchema, type Position } from '../schema/convert.ts'
import type { Conversion } from '../schema/conversion.ts'
import { isSchemaObject } from '../schema/json-schema.ts'
import type { SwaggerExtensions, SwaggerOperation, SwaggerParameter, SwaggerSchema, SwaggerSecurityDefinition } from '../swagger.ts'
import { convertBody, convertParameters } from './parameters.ts'
import { namesIn } from './path.ts'
import { describeResponses } from './patterns.ts'
import { describeSubscription } from './webhook.ts'

/** An operation of the document, and what it puts on the path item above it. */
export interface DescribedOperation {
  operation: SwaggerOperation
  pathItem: SwaggerExtensions
}

export interface Describing {
  route: ConnectorRoute
  /** Of the document: `/cakes/{token}`. */
  path: string
  description: OperationDescription | undefined
  conversion: Conversion
  toJsonSchema: (schema: unknown) => unknown
  securityDefinitions: Record<string, SwaggerSecurityDefinition>
  security: readonly Record<string, unknown>[]
}

/** What the path item carries, for every operation on the path (openapi 0.3): on an operation the designer would not see it. */
const notificationContent = 'x-ms-notification-content'

/** Everything the document says of one route. */
export function describeOperation (describing: Describing): DescribedOperation {
  const { route, conversion, toJsonSchema } = describing
  const description = readableDescription(describing.description, toJsonSchema)
  const schema = Object.fromEntries(Object.entries(route.schema).map(([part, value]) => [part, partNames.includes(part) && value !== undefined ? toJsonSchema(value) : value]))
  const scope = { roots: [], shared: route.shared() }
  const at = (part: string): Position => ({ conversion, scope, path: part })
  const body = convertBody(schema.body, listOf(schema.consumes), at('body'))
  const hidden = apiKeyNames(describing)
  const parameters = [
    ...convertParameters(schema.params, 'path', at('params')),
    ...withState(convertParameters(schema.querystring ?? schema.query, 'query', at('querystring')), route.role),
    ...convertParameters(schema.headers, 'header', at('headers')),
    ...body.parameters
  ].filter((parameter) => !hidden.has(keyOf(parameter)))
  const { responses, produces } = describeResponses(description, route.role, schema.response, toJsonSchema, at('response'))
  const { [notificationContent]: notification, ...extensions } = extensionsOf(schema)
  const consumes = listOf(schema.consumes).length > 0 ? listOf(schema.consumes) : body.consumes

  const described: DescribedOperation = {
    operation: {
      ...textsOf(schema),
      ...(consumes.length === 0 ? {} : { consumes }),
      ...(produces.length === 0 && listOf(schema.produces).length === 0 ? {} : { produces: listOf(schema.produces).length > 0 ? listOf(schema.produces) : produces }),
      ...securityOf(describing),
      ...triggerOf(description, route.role),
      ...extensions,
      ...(isForAuthors(route.role) ? {} : { 'x-ms-visibility': 'internal' }),
      // Never left out: the designer fails on path-item parameters beside an operation without any (openapi 0.11).
      parameters: [...parameters, ...undeclaredPathParameters(describing.path, parameters)],
      responses
    },
    pathItem: notification === undefined ? {} : { [notificationContent]: convertNotification(notification, at(notificationContent)) }
  }
  return describeSubscription(described, { ...describing, description }, at('callback'))
}

/** The schemas that a decorator knows, made JSON Schema by the host. */
function readableDescription (description: OperationDescription | undefined, toJsonSchema: (schema: unknown) => unknown): OperationDescription | undefined {
  if (description === undefined) return undefined
  const given = (schema: unknown): unknown => schema === undefined ? undefined : toJsonSchema(schema)
  switch (description.kind) {
    case 'asyncAction': return { ...description, result: given(description.result) }
    case 'pollingTrigger': return { ...description, item: given(description.item) }
    default: return { ...description, payload: given(description.payload) }
  }
}

/** Those that the host may make JSON Schema of another kind of schema; a response has one for each code. */
const partNames = ['body', 'querystring', 'query', 'params', 'headers']

function textsOf ({ operationId, summary, description, tags, deprecated, externalDocs }: Record<string, unknown>): SwaggerOperation {
  return Object.fromEntries(Object.entries({ operationId, summary, description, tags, deprecated, externalDocs }).filter(([, value]) => value !== undefined))
}

function extensionsOf (schema: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(schema).filter(([keyword]) => keyword.startsWith('x-')).map(([keyword, value]) => [keyword, structuredClone(value)]))
}

const listOf = (value: unknown): string[] => Array.isArray(value) ? value.map(String) : []

function triggerOf (description: OperationDescription | undefined, role: ConnectorRoute['role']): SwaggerExtensions {
  if (description?.kind === 'webhookTrigger' && role === 'subscribe') return { 'x-ms-trigger': 'single' }
  return description?.kind === 'pollingTrigger' && role === 'poll' ? { 'x-ms-trigger': description.mode } : {}
}

/**
 * The state of a polling trigger stands in the `Location` that the engine follows (engine 3.6): its author neither fills it
 * in nor sees it. Marked here and not in the route's schema, since a host's own validator may be strict.
 */
function withState (parameters: SwaggerParameter[], role: ConnectorRoute['role']): SwaggerParameter[] {
  if (role !== 'poll') return parameters
  const written = parameters.find(({ name }) => name === stateParameter) ?? { name: stateParameter, in: 'query', type: 'string', 'x-ms-summary': 'Trigger state' }
  return [...parameters.filter(({ name }) => name !== stateParameter), { ...written, 'x-ms-visibility': 'internal' }]
}

/** A key that the connection sends is no input of the author (openapi 4, apiKey header). Header names have no case. */
function apiKeyNames ({ route, security, securityDefinitions }: Describing): Set<string> {
  const used = [...security, ...Array.isArray(route.schema.security) ? route.schema.security : []].filter(isSchemaObject).flatMap((requirement) => Object.keys(requirement))
  const keys = used.map((name) => securityDefinitions[name]).filter((definition) => definition?.type === 'apiKey' && definition.name !== undefined)
  return new Set(keys.map((definition) => keyOf({ name: definition!.name!, in: definition!.in ?? 'header' })))
}

const keyOf = ({ name, in: place }: Pick<SwaggerParameter, 'name' | 'in'>): string => `${place} ${place === 'header' ? name.toLowerCase() : name}`

function securityOf ({ route, securityDefinitions, conversion }: Describing): SwaggerOperation {
  const { security } = route.schema
  if (!Array.isArray(security)) return {}
  for (const name of security.filter(isSchemaObject).flatMap((requirement) => Object.keys(requirement))) {
    if (securityDefinitions[name] !== undefined) continue
    conversion.fault('security', `names "${name}", which is no security definition`, 'define it in the option connector.securityDefinitions')
    return {}
  }
  return { security: security as Record<string, string[]>[] }
}

/** `/cakes/{id}` without a schema for `id`. */
function undeclaredPathParameters (path: string, parameters: SwaggerParameter[]): SwaggerParameter[] {
  return namesIn(path).filter((name) => !parameters.some((parameter) => parameter.in === 'path' && parameter.name === name))
    .map((name) => ({ name, in: 'path', required: true, type: 'string', 'x-ms-url-encoding': 'single' }))
}

/** By hand, on an ordinary route: `schema['x-ms-notification-content']`. */
function convertNotification (notification: unknown, at: Position): unknown {
  if (!isSchemaObject(notification) || notification.schema === undefined) return notification
  const schema: SwaggerSchema = convertSchema(notification.schema, at)
  return { ...notification, schema }
}
