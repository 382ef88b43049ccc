import { createRequire } from 'node:module'
import type { FastifyInstance, FastifySchemaCompiler, FastifyServerOptions } from 'fastify'
import type { Test } from 'tap'
import { fastifyLogicApps } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createManualClock } from '../../src/testing/index.ts'
import { closeApp, createServer, type LogLine } from './app.ts'

/** As much of an Ajv as the tests use. */
export interface AjvInstance {
  compile (schema: unknown): (value: unknown) => boolean
  addSchema (schema: unknown): AjvInstance
  addKeyword (keyword: string | object): AjvInstance
  getKeyword (name: string): unknown
}
export type AjvOptions = NonNullable<FastifyServerOptions['ajv']> & { customOptions: object }
export type ValidatorBuilder = (schemas: Record<string, unknown>, options: AjvOptions) => FastifySchemaCompiler<unknown>

// Those that Fastify uses, whatever else is installed.
const fromFastify = createRequire(import.meta.resolve('fastify'))
const fromCompiler = createRequire(fromFastify.resolve('@fastify/ajv-compiler'))
export const createAjvBuilder = fromFastify('@fastify/ajv-compiler') as () => ValidatorBuilder
export const { Ajv } = fromCompiler('ajv') as { Ajv: new (options?: object) => AjvInstance }

/** An own builder as strict as Ajv is unless told otherwise, which looks at no options. */
export function buildStrictValidator (schemas: Record<string, unknown>): FastifySchemaCompiler<unknown> {
  const ajv = new Ajv({ coerceTypes: true })
  for (const schema of Object.values(schemas)) ajv.addSchema(schema)
  return ({ schema }) => ajv.compile(schema)
}

export interface UnregisteredApp {
  app: FastifyInstance
  logs: LogLine[]
  /** Registers the plugin in the scope, or in the app. */
  register (scope?: FastifyInstance): PromiseLike<unknown>
}

/** For what a host does before it registers the plugin, or around it. */
export function createUnregistered (t: Test, server: FastifyServerOptions = {}): UnregisteredApp {
  const { app, logs } = createServer(server)
  const clock = createManualClock()
  t.teardown(() => closeApp(app, clock))
  return {
    app,
    logs,
    register: (scope = app) => scope.register(fastifyLogicApps, { store: sqliteStore({ file: ':memory:' }), clock, baseUrl: 'https://api.example', callbacks: { allowedHosts: ['a.example'] } })
  }
}

export const annotated = { type: 'string', 'x-ms-summary': 'Flavour', 'x-ms-visibility': 'important' }

/** An ordinary route of the host, with an annotation in its body. It answers what validation made of the body. */
export function addAnnotatedRoute (scope: FastifyInstance, url = '/annotated', body: object = { type: 'object', properties: { flavour: annotated }, required: ['flavour'] }): void {
  scope.post(url, { schema: { body } }, (request) => request.body)
}
