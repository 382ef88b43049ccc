import type { FastifyInstance, FastifySchema, FastifySchemaCompiler, FastifySerializerCompiler, RouteShorthandOptions } from 'fastify'
import { InvalidOptionsError } from '../errors.ts'

/** Checks values against a JSON Schema and writes them by it, with the compilers of the scope: shared schemas, the host's Ajv options. */
export interface SchemaCodec {
  /** The value as the schema has it (defaults, coercion), or what is wrong with it. */
  validate (value: unknown): { value: unknown } | { fault: string }
  serialize (value: unknown): string
}

interface CompilerHost {
  schema: unknown
  url: string
  what: string
  validatorCompiler?: FastifySchemaCompiler<FastifySchema> | undefined
  serializerCompiler?: FastifySerializerCompiler<FastifySchema> | undefined
}

/**
 * Compilers for our own routes. Their answers are texts already, and their response schemas are for readers: no
 * serializer would be used. Where the host set a validator compiler, it may read another kind of schema (Zod's, say), and
 * ours needs no compiling. Where it set none, Fastify's is left to do it: that also sets it up for the schemas of results.
 */
export function compilersForOwnSchemas (instance: FastifyInstance): Pick<RouteShorthandOptions, 'validatorCompiler' | 'serializerCompiler'> {
  return {
    ...(instance.validatorCompiler === undefined ? {} : { validatorCompiler: () => () => true }),
    serializerCompiler: () => (value: unknown) => JSON.stringify(value)
  }
}

/**
 * To be called when the scope's schemas are complete (`onReady`), on an instance that has a route with a schema for the
 * request and one for a response: only then does Fastify set its compilers up.
 *
 * @throws {InvalidOptionsError} naming the operation when the schema does not compile.
 */
export function createSchemaCodec (instance: FastifyInstance, { schema: jsonSchema, url, what, validatorCompiler, serializerCompiler }: CompilerHost): SchemaCodec {
  // Fastify's type says request schemas, but what a compiler is given is one JSON Schema.
  const schema = jsonSchema as FastifySchema
  try {
    const check = (validatorCompiler ?? instance.validatorCompiler!)({ schema, method: 'POST', url, httpPart: 'body' })
    const serialize = (serializerCompiler ?? instance.serializerCompiler!)({ schema, method: 'GET', url, httpStatus: '200' })
    return {
      serialize,
      validate (value) {
        // The forms in which Fastify itself takes a validator's answer.
        const answer: unknown = check(value)
        const error = answer === false ? (check as { errors?: unknown }).errors : (answer as { error?: unknown } | null)?.error
        if (error !== undefined && error !== null) return { fault: describe(error) }
        return { value: (answer as { value?: unknown } | null)?.value ?? value }
      }
    }
  } catch (error) {
    throw new InvalidOptionsError(`${what} is no schema that compiles: ${(error as Error).message}`, { cause: error })
  }
}

function describe (error: unknown): string {
  if (!Array.isArray(error)) return error instanceof Error ? error.message : String(error)
  return error.map(({ instancePath = '', message = '' }: { instancePath?: string, message?: string }) => `${instancePath || '/'} ${message}`).join('; ')
}
