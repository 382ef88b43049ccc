import type { OperationDescription, OperationRole } from '../operation.ts'
import type { Position } from '../schema/convert.ts'
import { isSchemaObject } from '../schema/json-schema.ts'
import type { SwaggerResponse } from '../swagger.ts'
import { convertResponses, type Responses } from './responses.ts'

/** What a pattern of the engine answers, whatever the route's schema says. */
interface PatternResponses {
  /** JSON Schemas, by code. */
  schemas?: Record<string, unknown>
  responses?: Record<string, SwaggerResponse>
}

const pollingHeaders = {
  Location: { type: 'string', description: 'Where to ask for the result.', 'x-ms-summary': 'Location' },
  'Retry-After': { type: 'integer', description: 'How long to wait before asking, in seconds.', 'x-ms-summary': 'Retry after' }
}

/** The answers of one route: those of its pattern over those that its schema names. */
export function describeResponses (description: OperationDescription | undefined, role: OperationRole, own: unknown, at: Position): Responses {
  const { schemas = {}, responses = {} } = patternOf(description, role)
  const rest = Object.entries(isSchemaObject(own) ? own : {}).filter(([code]) => !Object.hasOwn(responses, code))
  const converted = convertResponses({ ...Object.fromEntries(rest), ...schemas }, at)
  const all = { ...converted.responses, ...responses }
  // The designer cannot read an operation without responses (openapi 0.6).
  return { ...converted, responses: Object.keys(all).length === 0 ? { 200: { description: 'OK' } } : all }
}

function patternOf (description: OperationDescription | undefined, role: OperationRole): PatternResponses {
  if (description?.kind === 'asyncAction' && (role === 'start' || role === 'status')) return asyncResponses(description.result)
  if (description?.kind === 'pollingTrigger' && role === 'poll') return pollResponses(description.item, description.mode)
  if (role === 'subscribe') return { responses: { 201: subscribed } }
  if (role === 'cancel') return { responses: { 204: { description: 'Canceled.' } } }
  if (role === 'unsubscribe') return { responses: { 200: { description: 'Unsubscribed, or nothing was there.' } } }
  return {}
}

/** Outputs come from the 200 (openapi 0.6): the 202 has headers, and no schema that could be taken for them. */
function asyncResponses (result: unknown): PatternResponses {
  const accepted: SwaggerResponse = { description: 'Accepted: the result is asked for at Location.', headers: pollingHeaders }
  return { ...(result === undefined ? {} : { schemas: { 200: result } }), responses: { 202: accepted } }
}

/**
 * What a poll gives: one item, or a list in an object whose only property it is, so that each item starts a run of its
 * own (openapi 0.5).
 */
function pollResponses (item: unknown, mode: 'single' | 'batch'): PatternResponses {
  const items = item ?? { type: 'object' }
  const schema = mode === 'single' ? items : { type: 'object', properties: { value: { type: 'array', items } }, required: ['value'] }
  return { schemas: { 200: schema }, responses: { 202: { description: 'Nothing new: the next poll goes to Location.', headers: pollingHeaders } } }
}

const subscribed: SwaggerResponse = {
  description: 'Subscribed: a DELETE of Location ends it.',
  headers: { Location: { type: 'string', description: 'What to DELETE to unsubscribe.', 'x-ms-summary': 'Location' } }
}
