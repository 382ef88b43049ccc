import type { RouteOptions } from 'fastify'
import { InvalidOptionsError } from '../errors.ts'
import { answerError } from './error-answer.ts'
import type { Registry } from './registry.ts'

/**
 * An `onRoute` hook for ordinary routes with `config: { logicApps: true }`: standard actions, which end well within the
 * engine's 120 s (engine 1.15). They must have an operationId, and answer errors in the same form as the others.
 */
export function describePlainActions (registry: Registry): (route: RouteOptions) => void {
  return (route) => {
    // Fastify makes HEAD routes of its own beside GET.
    if (route.config?.logicApps !== true || route.method === 'HEAD') return
    const place = `${String(route.method)} ${route.url}`
    const operationId = (route.schema as { operationId?: unknown } | undefined)?.operationId
    if (typeof operationId !== 'string' || operationId === '') {
      throw new InvalidOptionsError(`${place} has config.logicApps: schema.operationId is missing: the designer knows the operation by it`)
    }
    registry.declare(operationId, place)
    route.errorHandler = answerError(route.errorHandler)
  }
}
