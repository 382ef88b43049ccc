import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import type { Connector } from '../connector/connector.ts'
import type { RouteSchema } from '../connector/operation.ts'
import type { BaseUrls } from './base-url.ts'
import { generatedRoute, type OperationConfig } from './generated-route.ts'

/**
 * An `onRoute` hook that tells the connector of its routes: those of the decorators, and ordinary ones with
 * `config: { logicApps: true }`. All others are none of its business.
 */
export function collectConnectorRoutes (connector: Connector): (this: FastifyInstance, route: RouteOptions) => void {
  const seen = new Map<unknown, string>()
  const schemas = new Map<FastifyInstance, Record<string, unknown>>()
  const schemasOf = (instance: FastifyInstance): Record<string, unknown> => {
    let found = schemas.get(instance)
    if (found === undefined) schemas.set(instance, found = instance.getSchemas())
    return found
  }
  return function (route) {
    // JavaScript may say `false` or `null` of a route that is none of the connector's.
    const marked: unknown = route.config?.logicApps
    const schema = route.schema as RouteSchema | undefined
    if (!isMark(marked) || schema?.operationId === undefined) return
    const { operationId, role = undefined } = marked === true ? { operationId: String(schema.operationId) } : marked
    if (role === 'document') return
    // `/` in a scope with a prefix is two routes, with and without a slash at the end: one operation.
    const twin = seen.get(schema)
    if (twin === withoutSlash(route.url)) return
    seen.set(schema, withoutSlash(route.url))

    const methods = [route.method].flat().filter((method) => method !== 'HEAD')
    methods.forEach((method, index) => {
      const own = index === 0 ? schema : { ...schema, operationId: `${String(schema.operationId)}${method[0]!}${method.slice(1).toLowerCase()}` }
      connector.addRoute({ operationId, role, method, url: route.url, schema: own, shared: () => schemasOf(this) })
    })
  }
}

const isMark = (marked: unknown): marked is true | OperationConfig => marked === true || (typeof marked === 'object' && marked !== null)
const withoutSlash = (url: string): string => url.replace(/\/+$/, '')

/** The route that the designer reads the document from. */
export function addConnectorRoute (instance: FastifyInstance, path: string, connector: Connector, baseUrls: BaseUrls): void {
  const route = generatedRoute({ operationId: 'ConnectorDocument', role: 'document' }, {})
  const schema = { hide: true } as object

  instance.route({
    ...route,
    method: 'GET',
    url: path,
    schema,
    async handler (request: FastifyRequest, reply: FastifyReply) {
      allowAnyOrigin(reply)
      return connector.render(baseUrls(request)('document'))
    }
  })

  // The designer reads it from the browser, and sends `Access-Control-Allow-Origin` as a header of the request, so that a
  // preflight comes first, which must allow a header of that name (engine 10.2).
  instance.route({
    ...route,
    method: 'OPTIONS',
    url: path,
    schema,
    async handler (_request: FastifyRequest, reply: FastifyReply) {
      allowAnyOrigin(reply)
      return reply.code(204)
        .header('access-control-allow-methods', 'GET, OPTIONS')
        .header('access-control-allow-headers', '*, Access-Control-Allow-Origin, Authorization')
        .header('access-control-max-age', '600')
        .send()
    }
  })
}

/** No credentials are needed or sent, and the document is no secret of the browser's user (engine 10.1). */
function allowAnyOrigin (reply: FastifyReply): void {
  reply.header('access-control-allow-origin', '*')
}
