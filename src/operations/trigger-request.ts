import type { FastifyRequest } from 'fastify'
import type { TriggerPlace, TriggerStates } from '../protocol/trigger-state.ts'
import { readTriggerTarget, stateParameter, type TriggerTarget } from '../protocol/trigger-url.ts'

/** What a poll asks for, and by which right. */
export interface TriggerRequest {
  target: Readonly<TriggerTarget>
  place: TriggerPlace
}

/** As first seen: validation turns parameters into numbers and more, and a state is bound to what was written. */
const seen = Symbol('trigger request')

export function triggerRequestOf (request: FastifyRequest, operationId: string): TriggerRequest {
  const kept = request as FastifyRequest & { [seen]?: TriggerRequest }
  if (kept[seen] !== undefined) return kept[seen]
  const target = readTriggerTarget(request.originalUrl)
  const made = { target, place: { trigger: JSON.stringify([operationId, request.params]), query: target.queryForm } }
  kept[seen] = made
  return made
}

/** An `onRequest` hook: the state is ours, and no part of the query that the host's schema describes. */
export function takeStateOut (operationId: string): (request: FastifyRequest, reply: unknown, done: () => void) => void {
  return (request, _reply, done) => {
    triggerRequestOf(request, operationId)
    if (typeof request.query === 'object' && request.query !== null) delete (request.query as Record<string, unknown>)[stateParameter]
    done()
  }
}

/** Whether the URL was handed out by this trigger, for this query: such a one is a capability (design 3.9). */
export function carriesState (request: FastifyRequest, operationId: string, states: TriggerStates): boolean {
  const { target, place } = triggerRequestOf(request, operationId)
  const [state, another] = target.states
  return state !== undefined && another === undefined && states.open(state, place)?.isOfQuery === true
}
