import type { ConnectorRoute, OperationDescription } from '../operation.ts'
import { createConversion, type Complaint } from '../schema/conversion.ts'
import { swaggerMethods, type SwaggerDocument, type SwaggerExtensions, type SwaggerInfo, type SwaggerMethod, type SwaggerPathItem, type SwaggerSecurityDefinition } from '../swagger.ts'
import { describeOperation } from './operation-object.ts'
import { templateOf } from './path.ts'

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
 * The connector document, but for the address that callers use. The host's own objects are in it, such as the defaults of
 * its schemas, and what routes share is one object: not to be changed.
 */
export function buildDocument (parts: DocumentParts): BuiltDocument {
  const { routes, descriptions, toJsonSchema, info, securityDefinitions = {}, security = [], tags, extensions } = parts
  const complaints: OperationComplaint[] = []
  let operationId = ''
  const complain = (isFault: boolean) => (complaint: Complaint): void => { complaints.push({ ...complaint, operationId, isFault }) }
  const conversion = createConversion(complain(true), complain(false))

  const paths: Record<string, SwaggerPathItem> = {}
  for (const route of routes) {
    operationId = String(route.schema.operationId)
    const path = templateOf(route.url)
    const fault = pathFault(route.method, path)
    if (fault !== undefined) {
      conversion.fault(`${route.method} ${route.url}`, ...fault)
      continue
    }
    const method = route.method.toLowerCase() as SwaggerMethod
    const item = paths[path] ??= {}
    if (item[method] !== undefined) {
      conversion.fault(`${route.method} ${route.url}`, 'is declared twice, by constraints or by what its parameters may be: a document has one operation for a method and a path', 'mark one of the two routes alone')
      continue
    }
    const { operation, pathItem } = describeOperation({ route, path, description: descriptions.get(route.operationId), conversion, toJsonSchema, securityDefinitions, security })
    Object.assign(item, { [method]: operation }, pathItem)
  }

  const document: SwaggerDocument = {
    swagger: '2.0',
    info,
    paths,
    consumes: ['application/json'],
    produces: ['application/json'],
    ...(Object.keys(securityDefinitions).length === 0 ? {} : { securityDefinitions }),
    ...(security.length === 0 ? {} : { security }),
    ...(tags === undefined ? {} : { tags }),
    ...extensions,
    ...(Object.keys(conversion.definitions).length === 0 ? {} : { definitions: conversion.definitions })
  }
  return { document, complaints }
}

/** What no path of Swagger 2.0 can say. Asked of the template, since the pattern of a parameter may have `*` and `?` of its own. */
function pathFault (method: string, path: string): [message: string, mend: string] | undefined {
  if (path.includes('*')) return ['has a wildcard in its path, which a connector cannot call', 'name the parts of the path as parameters']
  if (path.includes('?')) return ['has an optional parameter in its path, which Swagger 2.0 cannot say', 'declare two routes']
  if (!(swaggerMethods as readonly string[]).includes(method.toLowerCase() as SwaggerMethod)) return [`has the method ${method}, which Swagger 2.0 does not know`, `use one of ${swaggerMethods.join(', ')}`]
  return undefined
}
