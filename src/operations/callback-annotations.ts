import type { FastifyInstance, FastifySchema, RouteShorthandOptions } from 'fastify'

/** What the designer is told of the callback property: to write the URL there itself, and to show no field for it (openapi 0.3, 0.4). */
export const callbackAnnotations = { 'x-ms-notification-url': true, 'x-ms-visibility': 'internal' } as const

/**
 * These annotations are ours and not the author's, so no validator is given them: a compiler of the host's own may be as
 * strict as Ajv, know no such keyword, and look at no options (see allow-annotations).
 *
 * For a route that is declared after one with a schema and without a compiler: it is that one for which Fastify sets the
 * scope's compiler up.
 */
export function compilerWithoutAnnotations (instance: FastifyInstance, { validatorCompiler: own }: RouteShorthandOptions, schema: FastifySchema, property: string | undefined): Pick<RouteShorthandOptions, 'validatorCompiler'> {
  if (property === undefined) return {}
  // For a route with a compiler of its own Fastify takes the names of headers as they are written, else in lower case.
  // That stays as it is, at a price: a strict builder, or a compiler set later, is then given the annotations.
  if (schema.headers !== undefined && own === undefined && instance.validatorCompiler === undefined) return {}
  return {
    validatorCompiler (part) {
      const compile = own ?? instance.validatorCompiler!
      return compile(part.httpPart === 'body' ? { ...part, schema: withoutAnnotations(part.schema, property) as typeof part.schema } : part)
    }
  }
}

/** Of the schema as it is when the routes are ready: hooks of the host may have had their say in it. */
function withoutAnnotations (schema: unknown, property: string): unknown {
  const { properties } = schema as { properties?: Record<string, object> }
  if (properties?.[property] === undefined) return schema
  const plain = Object.entries(properties[property]).filter(([keyword]) => !Object.hasOwn(callbackAnnotations, keyword))
  return { ...schema as object, properties: { ...properties, [property]: Object.fromEntries(plain) } }
}
