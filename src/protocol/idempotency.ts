import { hash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

export interface Idempotency {
  /** Names the work: equal for a repeat of the same start, per operation and owner. */
  key: string
  /** What was asked. A repeat with another fingerprint is a mistake of the caller. */
  fingerprint: string
}

/** Keys a caller chose, the stronger first: the IETF draft's and OASIS Repeatable Requests' (Azure guidelines). */
const explicitHeaders = ['idempotency-key', 'repeatability-request-id'] as const

/**
 * What makes a repeated start recognisable (design 3.6; engine 5.5, 6.7): an explicit key, or else the engine's action
 * tracking id together with the body, since nothing documents that the id alone is stable (engine 5.4). `undefined`
 * where the request carries neither: no looser guess is made.
 *
 * @param request The request's JSON text, whatever of it decides what work is done.
 */
export function idempotencyOf (headers: IncomingHttpHeaders, operation: string, owner: string, request: string): Idempotency | undefined {
  for (const name of explicitHeaders) {
    const value = headers[name]
    if (typeof value === 'string' && value !== '') {
      return { key: digest([operation, owner, name, value]), fingerprint: digest([request]) }
    }
  }
  const actionTrackingId = headers['x-ms-action-tracking-id']
  if (typeof actionTrackingId !== 'string' || actionTrackingId === '') return undefined
  // What was asked is in the key, so that nothing is left to differ.
  return { key: placeOf(headers) + digest([operation, owner, 'x-ms-action-tracking-id', actionTrackingId, request]), fingerprint: '' }
}

/**
 * Runs of one moment have ids that begin alike (`08585…`, engine 5.3). With that in front, keys of one moment are
 * neighbours in the store's index, and a commit of fifty changes a few of its pages instead of fifty: it takes half the
 * time. A repeat is of the same run; that its id stays the same is as likely as for the action's (engine 5.4).
 */
function placeOf (headers: IncomingHttpHeaders): string {
  return /^\d{8,16}/.exec(String(headers['x-ms-workflow-run-id']))?.[0] ?? ''
}

/** 128 bits of SHA-256. Lengths are hashed too, so that no two lists of parts read alike. */
function digest (parts: string[]): string {
  return hash('sha256', parts.map((part) => `${part.length}:${part}`).join(''), 'base64url').slice(0, 22)
}
