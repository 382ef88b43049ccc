import { convertSchema, type Position } from '../schema/convert.ts'
import { isSchemaObject, type JsonSchema } from '../schema/json-schema.ts'
import { toParameter } from '../schema/parameter.ts'
import type { ParameterPlace, SwaggerParameter, SwaggerSchema } from '../swagger.ts'
import { unwrapContent } from './responses.ts'

const formTypes = ['multipart/form-data', 'application/x-www-form-urlencoded']

/** The inputs of query, path or headers, one parameter for each (openapi 4). */
export function convertParameters (schema: unknown, place: 'query' | 'path' | 'header', at: Position): SwaggerParameter[] {
  if (schema === undefined) return []
  return at.conversion.once(place, schema, at.scope.shared, () => parametersFrom(schema, place, at))
}

function parametersFrom (schema: unknown, place: 'query' | 'path' | 'header', at: Position): SwaggerParameter[] {
  const { conversion, path } = at
  const object = conversion.dereference(convertSchema(schema, inside(at, schema)))
  if (object === undefined || (object.type !== 'object' && object.properties === undefined)) {
    conversion.fault(path, 'is no object, and parameters are known by name', 'use an object schema with a property for each')
    return []
  }
  if (typeof object.additionalProperties === 'object') {
    conversion.fault(path, 'takes parameters of any name, which Swagger 2.0 cannot say', 'declare each as a property')
  }
  return parametersOf(object, place, at)
}

function parametersOf ({ properties = {}, required = [] }: SwaggerSchema, place: ParameterPlace, { conversion, path }: Position): SwaggerParameter[] {
  const dereference = (schema: SwaggerSchema): SwaggerSchema => conversion.dereference(schema) ?? {}
  return Object.entries(properties).map(([name, property]) => {
    const schema = dereference(property)
    if (schema.type === 'object') {
      conversion.note(`${path}.${name}`, `is an object, and a ${place} parameter of Swagger 2.0 is none: callers write it as one text`, 'declare its parts as parameters of their own, or move it to the body')
    }
    return toParameter(name, place, schema, required.includes(name), dereference)
  })
}

export interface Body {
  parameters: SwaggerParameter[]
  consumes: string[]
}

/** The body: one parameter with a schema, or a form's fields. */
export function convertBody (given: unknown, consumes: readonly string[], at: Position): Body {
  if (given === undefined || given === null) return { parameters: [], consumes: [] }
  // `{ content: { 'application/json': { schema } } }` is Fastify's form for several content types.
  const [schema, types] = isSchemaObject(given) && isSchemaObject(given.content) ? unwrapContent(given.content) : [given, []]
  const all = consumes.length > 0 ? [...consumes] : types
  if (all.length > 0 && all.every((type) => formTypes.includes(type))) return { parameters: convertForm(schema, at), consumes: all }
  const parameter = at.conversion.once('body', schema, at.scope.shared, () => bodyParameter(convertSchema(schema, inside(at, schema))))
  return { parameters: [parameter], consumes: all }
}

/**
 * `required` always: without it the designer thinks no more of it, with `false` it makes every property optional
 * (openapi 0.10). What labels and hides the whole stands on the parameter (openapi 4, body).
 */
function bodyParameter (converted: SwaggerSchema): SwaggerParameter {
  const { description, 'x-ms-summary': summary, 'x-ms-visibility': visibility, ...schema } = converted
  return {
    name: 'body',
    in: 'body',
    required: true,
    ...(description === undefined ? {} : { description }),
    ...(summary === undefined ? {} : { 'x-ms-summary': summary }),
    ...(visibility === undefined ? {} : { 'x-ms-visibility': visibility }),
    schema
  }
}

function convertForm (schema: unknown, at: Position): SwaggerParameter[] {
  const object = at.conversion.dereference(convertSchema(markFiles(schema), inside(at, schema)))
  if (object?.properties === undefined) {
    at.conversion.fault(at.path, 'is no object, and a form has named fields', 'use an object schema with a property for each field')
    return []
  }
  return parametersOf(object, 'formData', at).map((field) => field.format === 'binary' ? asFile(field) : field)
}

/** As @fastify/multipart marks a file. */
function markFiles (schema: unknown): unknown {
  if (!isSchemaObject(schema) || !isSchemaObject(schema.properties)) return schema
  const properties = Object.fromEntries(Object.entries(schema.properties).map(([name, property]) =>
    [name, isSchemaObject(property) && property.isFile === true ? { ...property, type: 'string', format: 'binary' } : property]))
  return { ...schema, properties }
}

function asFile ({ format: _, ...field }: SwaggerParameter): SwaggerParameter {
  return { ...field, type: 'file' }
}

function inside (at: Position, schema: unknown): Position {
  return isSchemaObject(schema) ? { ...at, scope: { ...at.scope, roots: [schema as JsonSchema] } } : at
}
