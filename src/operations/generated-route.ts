import type {
  FastifyReply, FastifyRequest, onErrorHookHandler, onRequestHookHandler, onResponseHookHandler, onSendHookHandler,
  preHandlerHookHandler, preParsingHookHandler, preValidationHookHandler, RouteShorthandOptions
} from 'fastify'
import { answerError } from './error-answer.ts'

/** What a generated route is for. */
export type Role = 'start' | 'status' | 'operation' | 'cancel' | 'subscribe' | 'unsubscribe' | 'poll' | 'document'

/** `config.logicApps` of every generated route, so that a hook of the host can tell them apart. */
export interface OperationConfig {
  operationId: string
  role: Role
}

type OneOrMore<T> = T | T[]

/** Fastify's request hooks, for the routes that follow-up calls go to. Not `preSerialization`: answers are texts already. */
export interface MonitorHooks {
  onRequest?: OneOrMore<onRequestHookHandler>
  preParsing?: OneOrMore<preParsingHookHandler>
  preValidation?: OneOrMore<preValidationHookHandler>
  preHandler?: OneOrMore<preHandlerHookHandler>
  onSend?: OneOrMore<onSendHookHandler>
  onResponse?: OneOrMore<onResponseHookHandler>
  onError?: OneOrMore<onErrorHookHandler>
}

const list = <T>(value: OneOrMore<T> | undefined): T[] => value === undefined ? [] : Array.isArray(value) ? value : [value]

const hookNames = ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'onSend', 'onResponse', 'onError']

/** What is wrong with hooks as the host gave them. Fastify would pass a misspelt one over, and with it perhaps the auth. */
export function monitorHooksFault (hooks: unknown): string | undefined {
  const isFine = typeof hooks === 'object' && hooks !== null && Object.entries(hooks as Record<string, unknown>).every(([name, value]) =>
    hookNames.includes(name) && list(value).every((hook) => typeof hook === 'function'))
  return isFine ? undefined : `monitorHooks must be an object of Fastify's request hooks, each a function or a list of functions: ${hookNames.join(', ')}`
}

/**
 * Fastify's request log without what the URL holds, and without headers such as `Location`: a token there is a key to
 * the job. The route's pattern says enough. Replaces the host's own serializers on these routes, which would read them.
 */
const logSerializers = {
  req: (request: FastifyRequest) => ({
    method: request.method,
    url: request.routeOptions?.url,
    host: request.host,
    remoteAddress: request.ip,
    remotePort: request.socket?.remotePort
  }),
  res: (reply: { statusCode?: number }) => ({ statusCode: reply.statusCode })
}

/** What all generated routes have in common, laid over what the host asks for this one. */
export function generatedRoute (config: OperationConfig, route: RouteShorthandOptions): RouteShorthandOptions {
  return {
    ...route,
    config: { ...route.config, logicApps: config },
    logSerializers: { ...route.logSerializers, ...logSerializers },
    // What a job answers changes, and its URL is a secret: nothing between us and the engine may keep either.
    onSend: [...list(route.onSend), (_request, reply, _payload, done) => {
      reply.header('cache-control', 'no-store')
      done()
    }],
    errorHandler: answerError(route.errorHandler)
  }
}

/**
 * For DELETE: the engine and gateways send it with or without a body, with or without a content type (peers, pain 33),
 * where Fastify would answer 415 or 400. The body says nothing, so the request is read as one without.
 */
export function ignoreBody (request: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  const { headers } = request.raw
  delete headers['content-type']
  delete headers['transfer-encoding']
  headers['content-length'] = '0'
  done()
}

export const withIgnoredBody = (hooks: MonitorHooks): MonitorHooks => ({ ...hooks, onRequest: [ignoreBody, ...list(hooks.onRequest)] })
