import { RetryableError } from '../errors.ts'

export interface RetryPolicy {
  /** Attempts after the first. `undefined`: none, except that a RetryableError may ask for up to ten. */
  retries: number | undefined
  /** Wait before the first retry; doubled for each one after it. */
  backoffMs: number
}

const retriesOnRequest = 10
const maxBackoffMs = 300_000

/**
 * How long to wait before the next attempt, or `undefined` when there is none.
 *
 * @param failures How many attempts failed before this one.
 * @param random In [0, 1): half of each wait is jitter, so that jobs that failed together do not return together.
 */
export function retryDelayMs (error: unknown, { retries, backoffMs }: RetryPolicy, failures: number, random: number): number | undefined {
  const onRequest = error instanceof RetryableError
  if (failures >= (retries ?? (onRequest ? retriesOnRequest : 0))) return undefined
  if (onRequest && error.delaySeconds !== undefined) return error.delaySeconds * 1000
  // 2 ** 1024 is Infinity, and no wait at all times that is NaN.
  return Math.min(backoffMs * 2 ** Math.min(failures, 1000), maxBackoffMs) * (0.5 + random / 2)
}
