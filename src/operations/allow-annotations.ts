import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { annotationNames } from '../connector/annotations.ts'

/** As much of an Ajv as it takes. */
interface Ajv {
  RULES: { keywords: Record<string, unknown> }
  addKeyword (name: string): unknown
}

/** Fastify's server option `ajv`, as its validator builders get it. */
interface AjvOptions {
  customOptions: object
  onCreate?: (ajv: Ajv) => void
}

/**
 * Lets `x-ms-*` annotations stand in the schemas of this scope and those below, where Ajv's strict mode knows no such
 * keyword. Every builder of validators, Fastify's or the host's, is handed the same options (`ajv`) when the routes are
 * ready: what is changed is these, and neither builders nor compilers. A host's own that does not look at them is as it was.
 */
export function allowAnnotations (app: FastifyInstance, log: FastifyBaseLogger): void {
  // Nothing public leads to the options. This symbol is the same in all of Fastify 5.
  const kOptions = symbolOf(app, 'fastify.options')
  const scope = app as unknown as Record<symbol, { ajv?: AjvOptions } | undefined>
  const ajv = kOptions === undefined ? undefined : scope[kOptions]?.ajv
  if (kOptions === undefined || ajv === undefined) {
    log.warn(`Fastify ${app.version} keeps its Ajv options where they are not found: list the x-ms-* annotations you use in ajv.customOptions.keywords`)
    return
  }
  // On this instance alone: scopes beside and above are left as strict as they were.
  scope[kOptions] = {
    ...scope[kOptions],
    ajv: {
      ...ajv,
      // Ajv knows no such option. Fastify's compiler keeps one Ajv for equal custom options, and must not take that of another scope.
      customOptions: { ...ajv.customOptions, logicAppsAnnotations: true },
      // The last to touch an Ajv before it gets schemas: what the host's keywords, plugins and onCreate define is theirs.
      onCreate (created) {
        ajv.onCreate?.(created)
        for (const name of annotationNames) {
          // Not `getKeyword`: it does not know keywords that were added by their names alone.
          if (created.RULES.keywords[name] !== true) created.addKeyword(name)
        }
      }
    }
  }
}

function symbolOf (instance: FastifyInstance, description: string): symbol | undefined {
  // An instance inherits from that of the scope above.
  for (let holder: object | null = instance; holder !== null; holder = Object.getPrototypeOf(holder) as object | null) {
    const found = Object.getOwnPropertySymbols(holder).find((symbol) => symbol.description === description)
    if (found !== undefined) return found
  }
  return undefined
}
