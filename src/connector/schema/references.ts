import { atPointer, isSchemaObject, walkSchemas, type JsonSchema } from './json-schema.ts'

/** From where a `$ref` is read. */
export interface Scope {
  /** The schema that `#` means, and those around it: a TypeBox `Ref` names a sibling in `$defs` of an outer one. */
  roots: readonly JsonSchema[]
  /** Schemas of the Fastify scope, by `$id`: `instance.getSchemas()`. */
  shared: Record<string, unknown>
}

export interface Target {
  schema: JsonSchema
  scope: Scope
  /** What a definition made of it may be called. */
  name: string
}

const anchors = new WeakMap<object, Map<string, JsonSchema>>()

/** Every schema in `root` that names itself, by `$id`, or by `#` and its `$anchor`. */
function namedIn (root: object): Map<string, JsonSchema> {
  let named = anchors.get(root)
  if (named === undefined) {
    const found = named = new Map<string, JsonSchema>()
    walkSchemas(root, (schema) => {
      if (typeof schema.$id === 'string' && !found.has(schema.$id)) found.set(schema.$id, schema)
      if (typeof schema.$anchor === 'string') found.set(`#${schema.$anchor}`, schema)
    })
    anchors.set(root, named)
  }
  return named
}

/** What a `$ref` leads to: `#/$defs/X`, `#`, `#anchor`, `Shared#`, `Shared#/properties/x`, `https://…/x.json`. */
export function resolveReference (reference: string, scope: Scope): Target | undefined {
  const [base = '', fragment = ''] = reference.split('#', 2)
  const resource = base === '' ? { schema: scope.roots[0], scope } : findResource(base, scope)
  if (resource?.schema === undefined) return undefined
  const { schema: root, scope: within } = resource
  if (fragment === '') return { schema: root, scope: within, name: nameOf(root, base) }
  const schema = fragment.startsWith('/') ? atPointer(root, fragment) : namedIn(root).get(`#${fragment}`)
  // A boolean is a schema too, as the one that everything or nothing fits.
  if (typeof schema === 'boolean') return { schema: schema ? {} : { not: {} }, scope: within, name: '' }
  if (!isSchemaObject(schema)) return undefined
  return { schema, scope: within, name: nameOf(schema, fragment.split('/').at(-1)!) }
}

function findResource (base: string, scope: Scope): { schema: JsonSchema, scope: Scope } | undefined {
  const { roots, shared } = scope
  for (const root of roots) {
    const schema = namedIn(root).get(base) ?? namedIn(root).get(resolveUrl(base, root.$id)) ?? definedIn(root, base)
    if (schema !== undefined) return { schema, scope: { shared, roots: [schema, ...roots] } }
  }
  for (const id of [base, resolveUrl(base, roots[0]?.$id)]) {
    const schema = Object.hasOwn(shared, id) ? shared[id] : undefined
    if (isSchemaObject(schema)) return { schema, scope: { shared, roots: [schema] } }
  }
  for (const root of Object.values(shared)) {
    const schema = isSchemaObject(root) ? namedIn(root).get(base) : undefined
    if (schema !== undefined) return { schema, scope: { shared, roots: [schema, root as JsonSchema] } }
  }
  return undefined
}

/** A `Ref` of a TypeBox module names a key of `$defs`. */
function definedIn (root: JsonSchema, name: string): JsonSchema | undefined {
  for (const definitions of [root.$defs, root.definitions]) {
    if (isSchemaObject(definitions) && Object.hasOwn(definitions, name) && isSchemaObject(definitions[name])) return definitions[name]
  }
  return undefined
}

function resolveUrl (reference: string, base: unknown): string {
  return typeof base === 'string' && URL.canParse(reference, base) ? new URL(reference, base).href : reference
}

function nameOf ({ $id }: JsonSchema, fallback: string): string {
  const name = typeof $id === 'string' && !$id.startsWith('#') ? $id : fallback
  // `https://contoso.com/schemas/order.json#` is called "order".
  return name.replace(/#.*$/, '').replace(/^.*\/(?=[^/])/, '').replace(/\.json$/, '').replace(/[^\w.-]+/g, '_')
}
