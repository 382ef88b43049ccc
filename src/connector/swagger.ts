/*
 * The part of Swagger 2.0 that a connector document is made of. Logic Apps, Power Automate and API Management read
 * nothing newer (openapi 0.1).
 */

/** Vendor keys: `x-ms-…` for the platform, any other `x-…` for whoever knows it. */
export interface SwaggerExtensions {
  [name: `x-${string}`]: unknown
}

export interface SwaggerSchema extends SwaggerExtensions {
  $ref?: string
  type?: string
  format?: string
  title?: string
  description?: string
  default?: unknown
  enum?: unknown[]
  properties?: Record<string, SwaggerSchema>
  required?: string[]
  items?: SwaggerSchema
  additionalProperties?: boolean | SwaggerSchema
  allOf?: SwaggerSchema[]
  minimum?: number
  maximum?: number
  exclusiveMinimum?: boolean
  exclusiveMaximum?: boolean
  multipleOf?: number
  minLength?: number
  maxLength?: number
  pattern?: string
  minItems?: number
  maxItems?: number
  uniqueItems?: boolean
  minProperties?: number
  maxProperties?: number
  readOnly?: boolean
  discriminator?: string
  example?: unknown
  externalDocs?: unknown
  xml?: unknown
}

export type ParameterPlace = 'query' | 'header' | 'path' | 'formData' | 'body'

export interface SwaggerParameter extends SwaggerExtensions {
  name: string
  in: ParameterPlace
  required?: boolean
  description?: string
  /** Of a body. */
  schema?: SwaggerSchema
  type?: string
  format?: string
  items?: SwaggerSchema
  collectionFormat?: string
  default?: unknown
  enum?: unknown[]
  allowEmptyValue?: boolean
}

export interface SwaggerHeader extends SwaggerExtensions {
  type?: string
  format?: string
  description?: string
}

export interface SwaggerResponse extends SwaggerExtensions {
  description: string
  schema?: SwaggerSchema
  headers?: Record<string, SwaggerHeader>
}

export interface SwaggerOperation extends SwaggerExtensions {
  operationId?: string
  summary?: string
  description?: string
  tags?: string[]
  deprecated?: boolean
  consumes?: string[]
  produces?: string[]
  security?: Record<string, string[]>[]
  parameters?: SwaggerParameter[]
  responses?: Record<string, SwaggerResponse>
}

export const swaggerMethods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch'] as const
export type SwaggerMethod = typeof swaggerMethods[number]

export type SwaggerPathItem = { [method in SwaggerMethod]?: SwaggerOperation } & SwaggerExtensions & {
  parameters?: SwaggerParameter[]
}

export interface SwaggerContact {
  name?: string
  url?: string
  email?: string
}

export interface SwaggerInfo extends SwaggerExtensions {
  title: string
  version: string
  description?: string
  contact?: SwaggerContact
  termsOfService?: string
  license?: { name: string, url?: string }
}

export interface SwaggerSecurityDefinition extends SwaggerExtensions {
  type: 'basic' | 'apiKey' | 'oauth2'
  description?: string
  /** Of an API key. */
  name?: string
  in?: 'header' | 'query'
  /** Of OAuth 2. */
  flow?: 'accessCode' | 'implicit' | 'password' | 'application'
  authorizationUrl?: string
  tokenUrl?: string
  scopes?: Record<string, string>
}

export interface SwaggerDocument extends SwaggerExtensions {
  swagger: '2.0'
  info: SwaggerInfo
  host?: string
  basePath?: string
  schemes?: string[]
  consumes?: string[]
  produces?: string[]
  paths: Record<string, SwaggerPathItem>
  definitions?: Record<string, SwaggerSchema>
  securityDefinitions?: Record<string, SwaggerSecurityDefinition>
  security?: Record<string, string[]>[]
  tags?: { name: string, description?: string }[]
  externalDocs?: unknown
}

/** Where a definition is found from everywhere in a document. */
export const definitionPrefix = '#/definitions/'
