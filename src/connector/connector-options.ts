import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import type { SwaggerDocument, SwaggerExtensions, SwaggerInfo, SwaggerSecurityDefinition } from './swagger.ts'

/** The plain values of the option `connector`. The reference page is made from the descriptions. */
export const connectorOptionsSchema = Type.Object({
  path: Type.Union([Type.String({ pattern: '^/' }), Type.Literal(false)], { default: '/connector/swagger.json', description: 'Where the document is served, in the scope of the plugin. false: nowhere.' }),
  lint: Type.Enum(['error', 'warn', 'off'], { default: 'error', description: 'What is done about a document that would break flows, when the app gets ready. `error`: it does not get ready. `warn`: it is logged. `off`: nothing. Warnings are logged, but for `off`.' })
})

type ConnectorPlainOptions = Static<typeof connectorOptionsSchema>

/**
 * The connector document. Any key that begins with `x-` goes to its root: see the helpers of
 * `fastify-logic-apps/connector`.
 */
export interface ConnectorOptions extends Partial<ConnectorPlainOptions>, SwaggerExtensions {
  /** Title, description, version, contact. @default `{ title: 'Untitled', version: '1.0.0' }` */
  info?: Partial<SwaggerInfo>
  /** How callers prove who they are: of several, the wizard of custom connectors takes the first. @default none */
  securityDefinitions?: Record<string, SwaggerSecurityDefinition>
  /** Which of them all operations need. @default all of them, as alternatives */
  security?: Record<string, string[]>[]
  /** Groups of operations. */
  tags?: SwaggerDocument['tags'] & object
  /** Makes JSON Schema of schemas of another kind, such as Zod's. @default they are taken as they are */
  toJsonSchema?: (schema: unknown) => unknown
}

export interface CheckedConnectorOptions extends ConnectorPlainOptions {
  info: SwaggerInfo
  securityDefinitions: Record<string, SwaggerSecurityDefinition> | undefined
  security: Record<string, string[]>[] | undefined
  tags: SwaggerDocument['tags']
  toJsonSchema: (schema: unknown) => unknown
  extensions: SwaggerExtensions
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)

/** With defaults; what is wrong is told to `fault`. */
export function checkConnectorOptions (given: ConnectorOptions | false | undefined, fault: (fault: string) => void): CheckedConnectorOptions | false {
  if (given === false) return false
  if (given !== undefined && !isObject(given)) fault('connector must be an object, or false')
  const { info, securityDefinitions, security, tags, toJsonSchema, ...rest } = given ?? {}
  const [extensions, plain] = [true, false].map((isExtension) => Object.fromEntries(Object.entries(rest).filter(([name, value]) => name.startsWith('x-') === isExtension && value !== undefined)))
  const checked = Value.Default(connectorOptionsSchema, plain) as ConnectorPlainOptions
  if (!Value.Check(connectorOptionsSchema.properties.path, checked.path)) fault('connector.path must be a path that begins with "/", or false')
  if (!Value.Check(connectorOptionsSchema.properties.lint, checked.lint)) fault('connector.lint must be "error", "warn" or "off"')
  for (const name of Object.keys(checked)) if (!Object.hasOwn(connectorOptionsSchema.properties, name)) fault(`connector.${name} is not an option`)
  if (info !== undefined && !isObject(info)) fault('connector.info must be an object')
  if (securityDefinitions !== undefined && !(isObject(securityDefinitions) && Object.values(securityDefinitions).every(isObject))) fault('connector.securityDefinitions must be an object of security definitions')
  if (security !== undefined && !(Array.isArray(security) && security.every(isObject))) fault('connector.security must be a list of objects')
  if (tags !== undefined && !Array.isArray(tags)) fault('connector.tags must be a list')
  if (toJsonSchema !== undefined && typeof toJsonSchema !== 'function') fault('connector.toJsonSchema must be a function of a schema')
  return {
    ...checked,
    info: { title: 'Untitled', version: '1.0.0', ...info },
    securityDefinitions,
    security: security ?? (securityDefinitions === undefined ? undefined : Object.keys(securityDefinitions).map((name) => ({ [name]: [] }))),
    tags,
    toJsonSchema: toJsonSchema ?? ((schema) => schema),
    extensions: extensions as SwaggerExtensions
  }
}
