/** One POST, and what came of it. */
export interface CallbackAnswer {
  /** `null` when none came. */
  statusCode: number | null
  /** The first 1,000 characters of the answer's body, or what went wrong. */
  text: string
  /** What the receiver asked for, in milliseconds. */
  retryAfterMs: number | null
  durationMs: number
  /** Nothing was sent, for a reason of our own: no attempt. */
  isUnsent?: true
}

export type CallbackOutcome =
  | 'delivered'
  /** Try again later. */
  | 'again'
  /** The receiver is gone for good: forget the subscription. */
  | 'retired'
  /** The receiver refuses us: nothing more until somebody looks. */
  | 'suspended'
  /** This callback will never be taken. */
  | 'dead'

/** The engine's code for a workflow that is disabled (engine 2.18). */
export const disabledCode = 'WorkflowTriggerIsNotEnabled'

/**
 * What an answer means (engine 2.17, 2.18, 6.2, rule 17): any 2xx is a yes; what can pass by itself is tried again; a URL
 * that is gone retires its subscription, one that is refused or disabled suspends it.
 */
export function outcomeOf ({ statusCode, text }: CallbackAnswer): CallbackOutcome {
  if (statusCode === null || statusCode === 408 || statusCode === 425 || statusCode === 429 || statusCode >= 500) return 'again'
  if (statusCode >= 200 && statusCode <= 299) return 'delivered'
  if (statusCode === 404 || statusCode === 410) return 'retired'
  if (statusCode === 401 || statusCode === 403) return 'suspended'
  if (statusCode === 400 && text.includes(disabledCode)) return 'suspended'
  return 'dead'
}

const maxRetryAfterMs = 3_600_000

/** `Retry-After` in seconds or as a date, at most an hour: a receiver cannot postpone what it is owed for ever. */
export function retryAfterMsOf (header: string | string[] | undefined, now: number): number | null {
  const value = Array.isArray(header) ? header[0] : header
  if (value === undefined) return null
  const ms = /^\d{1,9}$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - now
  return Number.isFinite(ms) && ms > 0 ? Math.min(ms, maxRetryAfterMs) : null
}
