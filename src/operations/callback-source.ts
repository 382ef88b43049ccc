import type { FastifyRequest } from 'fastify'
import { InvalidOptionsError } from '../errors.ts'
import { callbackAnnotations } from './callback-annotations.ts'
import type { OperationSchema } from './types.ts'

/**
 * Where a subscribe call holds the callback URL (engine 2.5a): a property of the body, the whole body as a JSON or text
 * string, a header or a query parameter. A connector knows the first form only (engine 4.2).
 */
export interface CallbackSource {
  /** @default 'property' */
  in?: 'property' | 'body' | 'header' | 'query'
  /** Of the property, header or parameter. @default 'callbackUrl' */
  name?: string
}

export interface CallbackReader {
  /** The route's schema, with the callback URL in it. */
  schema: OperationSchema
  /** The property that was added to the body, annotated for the designer. */
  annotated?: string
  /** The URL, and the body and query without it: it is a secret, and no part of the work. */
  read (request: FastifyRequest): { url: unknown, input: unknown, query: unknown }
}

type JsonObject = Record<string, unknown>

const urlSchema = {
  type: 'string',
  title: 'Callback URL',
  description: 'Where the answer is sent by POST.'
}

/** With its defaults. */
export function callbackPlace ({ in: place = 'property', name = 'callbackUrl' }: CallbackSource = {}): Required<CallbackSource> {
  return { in: place, name }
}

/** @throws {InvalidOptionsError} naming the operation, where the schema leaves no place for the URL. */
export function createCallbackReader (schema: OperationSchema, { in: place = 'property', name = 'callbackUrl' }: CallbackSource = {}): CallbackReader {
  const { operationId } = schema
  const without = (value: unknown): unknown => {
    const { [name]: _, ...rest } = (value ?? {}) as JsonObject
    return rest
  }
  switch (place) {
    case 'property':
      return {
        schema: { ...schema, body: withProperty(schema.body, name, operationId, { ...urlSchema, ...callbackAnnotations }) },
        ...(declares(schema.body, name) ? {} : { annotated: name }),
        read: ({ body, query }) => ({ url: (body as JsonObject | undefined)?.[name], input: without(body), query })
      }
    case 'body':
      if (schema.body !== undefined) throw new InvalidOptionsError(`${operationId}: with callbackUrl.in "body" the body is the URL alone: leave schema.body out`)
      return {
        schema: { ...schema, body: urlSchema },
        read: ({ body, query }) => ({ url: body, input: undefined, query })
      }
    case 'query':
      return {
        schema: { ...schema, querystring: withProperty(schema.querystring, name, operationId, urlSchema) },
        read: ({ body, query }) => ({ url: (query as JsonObject)[name], input: body, query: without(query) })
      }
    case 'header':
      return {
        schema: { ...schema, headers: withProperty(schema.headers, name.toLowerCase(), operationId, urlSchema) },
        read: ({ body, query, headers }) => ({ url: headers[name.toLowerCase()], input: body, query })
      }
    default:
      throw new InvalidOptionsError(`${operationId}: callbackUrl.in must be "property", "body", "header" or "query"`)
  }
}

function declares (schema: unknown, name: string): boolean {
  const { properties } = (schema ?? {}) as { properties?: JsonObject }
  return properties !== undefined && Object.hasOwn(properties, name)
}

/** An object schema with the callback URL as a required property, where it is not there yet. */
function withProperty (schema: unknown, name: string, operationId: string, added: JsonObject): JsonObject {
  const { type = 'object', properties = {}, required = [], $ref, ...rest } = (schema ?? {}) as JsonObject
  if (type !== 'object' || $ref !== undefined) {
    throw new InvalidOptionsError(`${operationId}: the callback URL cannot be added to a schema that is no plain object schema: write it out as one, or set callbackUrl.in`)
  }
  return {
    ...rest,
    type,
    properties: { [name]: added, ...properties as JsonObject },
    required: [...new Set([...required as string[], name])]
  }
}
