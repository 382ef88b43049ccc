import type { FastifyContextConfig, FastifyRequest } from 'fastify'
import type { TokenSigner } from '../protocol/token.ts'
import type { TriggerStates } from '../protocol/trigger-state.ts'
import { carriesState } from './trigger-request.ts'

/** Whether a request goes to a generated route with a token of ours in its URL: such a one is a capability (design 3.9). */
export function createCapabilityCheck (tokens: TokenSigner, triggerStates: TriggerStates): (request: FastifyRequest) => boolean {
  return (request) => {
    const { routeOptions, params } = request
    // The host's 404 has no config, and the host's routes may have anything there, null too.
    const marked = (routeOptions.config as FastifyContextConfig | undefined)?.logicApps ?? undefined
    if (typeof marked !== 'object') return false
    if (marked.role === 'poll') return carriesState(request, marked.operationId, triggerStates)
    const { token } = params as { token?: string }
    return token !== undefined && tokens.verify(token) !== undefined
  }
}
