/** What a route is for: `undefined` for an ordinary route that the host marked with `config.logicApps`. */
export type OperationRole = 'start' | 'status' | 'operation' | 'cancel' | 'subscribe' | 'unsubscribe' | 'poll' | 'document' | undefined

/** What a decorator knows of its operation and the route's schema does not say. */
export type OperationDescription =
  | { kind: 'asyncAction', /** JSON Schema of the result. */ result: unknown }
  | { kind: 'webhookAction', /** JSON Schema of the callback's body. */ payload: unknown, callbackUrl: CallbackUrlPlace, /** How long the job may take by its own options. */ jobSeconds: number }
  | { kind: 'webhookTrigger', /** JSON Schema of the callback's body. */ payload: unknown, callbackUrl: CallbackUrlPlace }
  | { kind: 'pollingTrigger', mode: 'single' | 'batch', /** JSON Schema of one item. */ item: unknown }

/** The same without its schemas, which the document has: plain data. */
export type OperationPattern =
  | { kind: 'asyncAction' }
  | { kind: 'webhookAction', callbackUrl: CallbackUrlPlace, jobSeconds: number }
  | { kind: 'webhookTrigger', callbackUrl: CallbackUrlPlace }
  | { kind: 'pollingTrigger', mode: 'single' | 'batch' }

/** By operationId. */
export type OperationPatterns = Record<string, OperationPattern>

export function patternOf (description: OperationDescription): OperationPattern {
  switch (description.kind) {
    case 'asyncAction': return { kind: description.kind }
    case 'pollingTrigger': return { kind: description.kind, mode: description.mode }
    case 'webhookTrigger': return { kind: description.kind, callbackUrl: description.callbackUrl }
    case 'webhookAction': return { kind: description.kind, callbackUrl: description.callbackUrl, jobSeconds: description.jobSeconds }
  }
}

/** Where a subscribe call holds the callback URL. Connectors know the first form alone (engine 4.2). */
export interface CallbackUrlPlace {
  in: 'property' | 'body' | 'header' | 'query'
  name: string
}

/** A route of the connector, as Fastify's `onRoute` told of it. */
export interface ConnectorRoute {
  /** Of the operation the route belongs to; a status route names that of its action. */
  operationId: string
  role: OperationRole
  method: string
  /** With the prefix of its scope, as Fastify writes it: `/cakes/:token`. */
  url: string
  /** Fastify's route schema. */
  schema: RouteSchema
  /** The schemas that the route's scope shares, once all are added. */
  shared: () => Record<string, unknown>
}

export interface RouteSchema {
  operationId?: unknown
  body?: unknown
  querystring?: unknown
  query?: unknown
  params?: unknown
  headers?: unknown
  response?: unknown
  consumes?: unknown
  produces?: unknown
  security?: unknown
  [keyword: string]: unknown
}

/** Whether a flow's author sees the operation: follow-up calls are made by the platform, not by them. */
export function isForAuthors (role: OperationRole): boolean {
  return role === undefined || role === 'start' || role === 'subscribe' || role === 'poll'
}
