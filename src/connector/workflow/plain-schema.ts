import { list, record, type DocumentView } from '../lint/view.ts'
import type { SwaggerSchema } from '../swagger.ts'

const keywords = ['type', 'format', 'title', 'description', 'enum', 'default', 'minimum', 'maximum', 'minLength', 'maxLength', 'pattern', 'minItems', 'maxItems'] as const

/** As a Request trigger takes it: JSON Schema without references and annotations. What holds itself is anything, one level down. */
export function plainSchema (view: DocumentView, given: SwaggerSchema | undefined, above: readonly SwaggerSchema[] = []): object {
  const schema = view.follow(given)
  if (schema === undefined || above.includes(schema)) return {}
  const below = [...above, schema]
  const plain: Record<string, unknown> = {}
  // A parameter of type "file" is content, which comes as an object.
  for (const keyword of keywords) if (schema[keyword] !== undefined && schema[keyword] !== 'file') plain[keyword] = schema[keyword]
  const label = schema['x-ms-summary']
  if (plain.title === undefined && typeof label === 'string') plain.title = label
  const properties = Object.entries(record(schema.properties))
  if (properties.length > 0) plain.properties = Object.fromEntries(properties.map(([name, property]) => [name, plainSchema(view, property as SwaggerSchema, below)]))
  if (list(schema.required).length > 0) plain.required = schema.required
  if (typeof schema.items === 'object') plain.items = plainSchema(view, schema.items, below)
  if (typeof schema.additionalProperties === 'object') plain.additionalProperties = plainSchema(view, schema.additionalProperties, below)
  return plain
}

const workflowTypes: Record<string, string> = { string: 'String', integer: 'Int', number: 'Float', boolean: 'Bool', array: 'Array', object: 'Object' }

/** The type of a workflow's parameter. */
export function workflowType ({ type }: SwaggerSchema): string {
  return workflowTypes[String(type)] ?? 'Object'
}
