import type { OperationDescription, OperationRole } from '../operation.ts'
import type { Position } from '../schema/convert.ts'
import { isSchemaObject } from '../schema/json-schema.ts'
import type { SwaggerResponse } from '../swagger.ts'
import { convertResponses } from './responses.ts'

interface Responses {
  responses: Record<string, SwaggerResponse>
  /** Content types, where the schema names them. */
  produces: string[]
}

/** What a pattern of the engine answers, whatever the route's schema says. */
interface PatternResponses {
  /** JSON Schema of the 200. */
  output?: unknown
  responses?: Record<string, SwaggerResponse>
}

/** All that Swagger asks for. */
const anyAnswer = { 200: { description: 'OK' } }

const pollingHeaders = {
  Location: { type: 'string', description: 'Where to ask for the result.', 'x-ms-summary': 'Location' },
  'Retry-After': { type: 'integer', description: 'How long to wait before asking, in seconds.', 'x-ms-summary': 'Retry after' }
}

const accepted = { 202: { description: 'Accepted: the result is asked for at Location.', headers: pollingHeaders } }
const nothingNew = { 202: { description: 'Nothing new: the next poll goes to Location.', headers: pollingHeaders } }
const canceled = { 204: { description: 'Canceled.' } }
const unsubscribed = { 200: { description: 'Unsubscribed, or nothing was there.' } }
const subscribed = {
  201: {
    description: 'Subscribed: a DELETE of Location ends it.',
    headers: { Location: { type: 'string', description: 'What to DELETE to unsubscribe.', 'x-ms-summary': 'Location' } }
  }
}

/** The answers of one route: those of its pattern over those that its schema names. */
export function describeResponses (description: OperationDescription | undefined, role: OperationRole, own: unknown, toJsonSchema: (schema: unknown) => unknown, at: Position): Responses {
  const { output, responses } = patternOf(description, role)
  // Maps and shared objects: V8 gives an object that has a property 200 room for three hundred.
  const schemas = new Map(Object.entries(isSchemaObject(own) ? own : {}).filter(([code]) => responses === undefined || !Object.hasOwn(responses, code)))
  for (const [code, schema] of schemas) schemas.set(code, toJsonSchema(schema))
  if (output !== undefined) schemas.set('200', output)
  const converted = convertResponses(schemas, at)
  // The designer cannot read an operation without responses (openapi 0.6).
  if (converted.responses.size === 0) return { responses: responses ?? anyAnswer, produces: converted.produces }
  return { responses: { ...Object.fromEntries(converted.responses), ...responses }, produces: converted.produces }
}

function patternOf (description: OperationDescription | undefined, role: OperationRole): PatternResponses {
  // Outputs come from the 200 (openapi 0.6): the 202 has headers, and no schema that could be taken for them.
  if (description?.kind === 'asyncAction' && (role === 'start' || role === 'status')) return { output: description.result, responses: accepted }
  if (description?.kind === 'pollingTrigger' && role === 'poll') return { output: polled(description.item, description.mode), responses: nothingNew }
  if (role === 'subscribe') return { responses: subscribed }
  if (role === 'cancel') return { responses: canceled }
  if (role === 'unsubscribe') return { responses: unsubscribed }
  return {}
}

/**
 * What a poll gives: one item, or a list in an object whose only property it is, so that each item starts a run of its
 * own (openapi 0.5).
 */
function polled (item: unknown, mode: 'single' | 'batch'): unknown {
  const items = item ?? { type: 'object' }
  return mode === 'single' ? items : { type: 'object', properties: { value: { type: 'array', items } }, required: ['value'] }
}
