/** A JSON Schema of any draft, as the host or TypeBox wrote it. */
export type JsonSchema = Record<string, unknown>

export function isSchemaObject (value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Whether it is a schema of another kind, such as Zod's: JSON Schema has no functions and no classes. */
export function isForeign (schema: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(schema)
  return (prototype !== null && prototype !== Object.prototype) || Object.values(schema).some((value) => typeof value === 'function')
}

/** Keywords whose values are data, in which nothing is a schema. */
const dataKeywords = new Set(['enum', 'const', 'default', 'examples', 'example', 'required', 'type'])

/** Calls back for a schema and everything below it that may be one. */
export function walkSchemas (schema: unknown, visit: (schema: JsonSchema) => void, seen = new Set<unknown>()): void {
  if (typeof schema !== 'object' || schema === null || seen.has(schema)) return
  seen.add(schema)
  if (isSchemaObject(schema)) visit(schema)
  for (const [keyword, value] of Object.entries(schema)) {
    if (!dataKeywords.has(keyword) && !keyword.startsWith('x-')) walkSchemas(value, visit, seen)
  }
}

/** What `#/a/b` says, read in `root`; `undefined` where nothing is. */
export function atPointer (root: unknown, pointer: string): unknown {
  let value: unknown = root
  for (const token of pointer.split('/').slice(1)) {
    const name = decodePointerToken(token)
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

function decodePointerToken (token: string): string {
  let text = token
  try {
    text = decodeURIComponent(token)
  } catch {
    // A lone % is itself.
  }
  return text.replaceAll('~1', '/').replaceAll('~0', '~')
}
