import { isDeepStrictEqual } from 'node:util'
import { definitionPrefix, type SwaggerSchema } from '../swagger.ts'
import type { JsonSchema } from './json-schema.ts'
import type { Target } from './references.ts'

/** Something that Swagger 2.0 cannot say, or says less of. */
export interface Complaint {
  /** Where, as an author reads it: `body.flavour`, `querystring.page`, `response.200[].name`. */
  path: string
  message: string
  mend: string
}

/** What the conversion of all schemas of a document shares. */
export interface Conversion {
  readonly definitions: Record<string, SwaggerSchema>
  /** An input or output would be lost, or mean something else. */
  fault (path: string, message: string, mend: string): void
  /** Something is said less exactly. */
  note (path: string, message: string, mend: string): void
  /**
   * What was made of the same schema for another route, unless something was wrong with it. Follow-up routes share their
   * schemas, and hosts share bodies and results.
   *
   * @param use What is made, since one schema may be used in several ways.
   * @param shared Of the scope: a `$ref` may lead elsewhere in another.
   */
  once<Made>(use: string, schema: unknown, shared: object, make: () => Made): Made
  /** Makes a definition of a schema, once; answers what a `$ref` to it says. */
  define (target: Target, convert: () => SwaggerSchema): string
  /** The schema itself where it is a reference; `undefined` while that definition is still being made: a cycle. */
  dereference (schema: SwaggerSchema): SwaggerSchema | undefined
}

/** Equal, and meaning the same: a `$ref` may lead elsewhere in another scope. */
function areSame (one: JsonSchema, other: JsonSchema): boolean {
  return one === other || (isDeepStrictEqual(one, other) && !JSON.stringify(one).includes('"$ref"'))
}

export function createConversion (onFault: (complaint: Complaint) => void, onNote: (complaint: Complaint) => void): Conversion {
  // Without a prototype: a schema may be called "constructor" or "__proto__".
  const definitions = Object.create(null) as Record<string, SwaggerSchema>
  const names = new Map<JsonSchema, string>()
  const unfinished = new Set<string>()
  const known = new Map<string, Map<unknown, { shared: object, made: unknown }>>()
  let complaints = 0

  /** Scopes can have different schemas under one `$id`, and equal ones as two objects. */
  function nameFor ({ schema, name }: Target): string {
    const wanted = name === '' ? 'Schema' : name
    for (let number = 1; ; number++) {
      const candidate = number === 1 ? wanted : `${wanted}_${number}`
      const holder = [...names].find(([, taken]) => taken === candidate)
      if (holder === undefined || areSame(holder[0], schema)) return candidate
    }
  }

  return {
    definitions,

    fault (path, message, mend) {
      complaints++
      onFault({ path, message, mend })
    },

    note (path, message, mend) {
      complaints++
      onNote({ path, message, mend })
    },

    once<Made>(use: string, schema: unknown, shared: object, make: () => Made) {
      let made = known.get(use)
      if (made === undefined) known.set(use, made = new Map())
      const found = made.get(schema)
      if (found?.shared === shared) return found.made as Made
      const before = complaints
      const fresh = make()
      // Each route has its own complaints.
      if (complaints === before) made.set(schema, { shared, made: fresh })
      return fresh
    },

    define (target, convert) {
      let name = names.get(target.schema)
      if (name === undefined) {
        name = nameFor(target)
        const isNew = definitions[name] === undefined && !unfinished.has(name)
        names.set(target.schema, name)
        if (isNew) {
          unfinished.add(name)
          // Its place first, so that the order is that of the document, whatever it refers to.
          definitions[name] = {}
          definitions[name] = convert()
          unfinished.delete(name)
        }
      }
      return `${definitionPrefix}${name}`
    },

    dereference (schema) {
      let found = schema
      for (let steps = 0; found.$ref !== undefined; steps++) {
        const name = found.$ref.slice(definitionPrefix.length)
        if (unfinished.has(name) || steps > 100) return undefined
        found = definitions[name]!
      }
      return found
    }
  }
}
