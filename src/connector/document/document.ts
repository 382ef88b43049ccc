import type { FastifyInstance, RouteOptions } from 'fastify'
import type { ConnectorRoute, OperationDescription } from '../operation.ts'
import { createConversion, type Complaint } from '../schema/conversion.ts'
import { swaggerMethods, type SwaggerDocument, type SwaggerExtensions, type SwaggerInfo, type SwaggerMethod, type SwaggerOperation, type SwaggerSecurityDefinition } from '../swagger.ts'
import { describeOperation, type DescribedOperation } from './operation-object.ts'

export interface DocumentParts {
  routes: readonly ConnectorRoute[]
  descriptions: ReadonlyMap<string, OperationDescription>
  toJsonSchema: (schema: unknown) => unknown
  info: SwaggerInfo
  securityDefinitions: Record<string, SwaggerSecurityDefinition> | undefined
  security: Record<string, string[]>[] | undefined
  tags: { name: string, description?: string }[] | undefined
  extensions: SwaggerExtensions
}

/** A complaint, and the operation it is about. */
export interface OperationComplaint extends Complaint {
  operationId: string
  isFault: boolean
}

export interface BuiltDocument {
  document: SwaggerDocument
  complaints: OperationComplaint[]
}

/**
 * The connector document, but for the address that callers use.
 *
 * It is written by @fastify/swagger in Swagger 2.0 mode, on a Fastify of its own that holds the connector's routes and
 * nothing else, and never listens. On the host's app it could not be kept apart from the host's own document: a
 * `config.swaggerTransform` of a route takes the place of ours, all shared schemas become definitions, the last of equal
 * `$id`s wins, and a property called "const" is lost (openapi 4). Schemas come to it converted.
 */
export async function buildDocument (parts: DocumentParts): Promise<BuiltDocument> {
  const { routes, descriptions, toJsonSchema, info, securityDefinitions = {}, security = [], tags, extensions } = parts
  const complaints: OperationComplaint[] = []
  let operationId = ''
  const complain = (isFault: boolean) => (complaint: Complaint): void => { complaints.push({ ...complaint, operationId, isFault }) }
  const conversion = createConversion(complain(true), complain(false))

  const described = new Map<string, Described>()
  for (const route of routes) {
    operationId = String(route.schema.operationId)
    const fault = pathFault(route)
    if (fault !== undefined) {
      conversion.fault(`${route.method} ${route.url}`, ...fault)
      continue
    }
    const key = keyOf(route)
    if (described.has(key)) {
      conversion.fault(`${route.method} ${route.url}`, 'is declared twice, by constraints: a document has one operation for a method and a path', 'mark one of the two routes alone')
      continue
    }
    described.set(key, { route, ...describeOperation({ route, description: descriptions.get(route.operationId), conversion, toJsonSchema, securityDefinitions, security }) })
  }

  // Loaded late: an app that does not get ready, and a process that has no connector, go without.
  const [{ default: Fastify }, { default: swagger }] = await Promise.all([import('fastify'), import('@fastify/swagger')])
  const app = Fastify({ exposeHeadRoutes: false }) as unknown as FastifyInstance
  app.setValidatorCompiler(() => () => true)
  await app.register(swagger, {
    decorator: 'connectorDocument',
    stripBasePath: false,
    // A tag that hides a route from the host's document says nothing of ours.
    hiddenTag: '',
    swagger: {
      info,
      consumes: ['application/json'],
      produces: ['application/json'],
      ...(Object.keys(securityDefinitions).length === 0 ? {} : { securityDefinitions }),
      ...(security.length === 0 ? {} : { security }),
      ...(tags === undefined ? {} : { tags }),
      ...extensions
    } as object,
    transform: ({ url, route }) => ({ url, schema: { ...textsOf(described.get(keyOf(route))!.operation), [kRoute]: keyOf(route) } as object }),
    transformObject: (given) => assemble((given as unknown as { swaggerObject: SwaggerDocument }).swaggerObject, described, conversion.definitions) as object
  })
  for (const { route: { method, url } } of described.values()) app.route({ method, url, handler: noHandler } as RouteOptions)
  await app.ready()
  const document = (app as unknown as { connectorDocument (): SwaggerDocument }).connectorDocument()
  await app.close()
  return { document: structuredClone(document), complaints }
}

/** Tells an operation's route, while the document is being written. */
const kRoute = 'x-connector-route'

type Described = DescribedOperation & { route: ConnectorRoute }

const keyOf = ({ method, url }: { method: string | string[], url: string }): string => `${String(method)} ${url}`

/** @fastify/swagger asks for one; it is never called. */
async function noHandler (): Promise<void> {}

/** What @fastify/swagger writes down as it stands: all but the inputs and outputs, which are in their final form already. */
function textsOf ({ parameters: _, responses: __, ...texts }: SwaggerOperation): object {
  return texts
}

/** Puts inputs, outputs and what belongs to path items in their places. */
function assemble (written: SwaggerDocument, described: ReadonlyMap<string, Described>, definitions: SwaggerDocument['definitions']): SwaggerDocument {
  for (const item of Object.values(written.paths)) {
    for (const method of swaggerMethods) {
      if (item[method] === undefined) continue
      const { [kRoute]: key, parameters: _, responses: __, ...texts } = item[method]
      const { operation, pathItem } = described.get(key as string)!
      item[method] = { ...texts, parameters: operation.parameters!, responses: operation.responses! }
      Object.assign(item, pathItem)
    }
  }
  const { definitions: _, ...document } = written
  return Object.keys(definitions!).length === 0 ? document : { ...document, definitions: definitions! }
}

/** What no path of Swagger 2.0 can say. */
function pathFault ({ method, url }: ConnectorRoute): [message: string, mend: string] | undefined {
  if (url.includes('*')) return ['has a wildcard in its path, which a connector cannot call', 'name the parts of the path as parameters']
  if (url.includes('?')) return ['has an optional parameter in its path, which Swagger 2.0 cannot say', 'declare two routes']
  if (!(swaggerMethods as readonly string[]).includes(method.toLowerCase() as SwaggerMethod)) return [`has the method ${method}, which Swagger 2.0 does not know`, `use one of ${swaggerMethods.join(', ')}`]
  return undefined
}
