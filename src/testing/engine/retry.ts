import { UnsupportedDefinitionError, type RetryPolicy } from './definitions.ts'
import { durationMs } from './duration.ts'
import type { Profile } from './profiles.ts'
import type { Random } from './random.ts'

/** How long to wait before the n-th retry, the first is 1; `undefined`: no more. */
export type RetryWaits = (retry: number) => number | undefined

export interface RetryParts {
  profile: Profile
  random: Random
  defaultWaits: 'measured' | 'random'
}

/**
 * A retry policy as numbers (engine 6.1 to 6.5).
 *
 * @throws {UnsupportedDefinitionError} for a policy that the cloud would not save.
 */
export function createRetryWaits (policy: RetryPolicy | undefined, { profile, random, defaultWaits }: RetryParts): RetryWaits {
  const { type = 'default' } = policy ?? {}
  if (type === 'none') return () => undefined
  if (type === 'default') {
    const { count, intervalSeconds, minimumSeconds, maximumSeconds } = profile.retry
    const bounds = exponentialBounds(intervalSeconds * 1000, minimumSeconds * 1000, maximumSeconds * 1000)
    return limited(count, (retry) => defaultWaits === 'measured' ? bounds(retry)[1] : between(bounds(retry), random))
  }
  const { count, interval, minimumInterval, maximumInterval } = policy!
  if (!Number.isInteger(count) || count! < 1 || count! > 90) throw new UnsupportedDefinitionError(`retryPolicy.count must be an integer from 1 to 90 (engine 6.3); got ${JSON.stringify(count)}`)
  const intervalMs = intervalOf(interval, 'retryPolicy.interval', profile)
  if (type === 'fixed') return limited(count!, () => intervalMs)
  if (type !== 'exponential') throw new UnsupportedDefinitionError(`retryPolicy.type must be "none", "fixed", "exponential" or "default"; got ${JSON.stringify(type)}`)
  const minimumMs = minimumInterval === undefined ? profile.retry.minimumSeconds * 1000 : durationMs(minimumInterval, 'retryPolicy.minimumInterval')
  const maximumMs = maximumInterval === undefined ? profile.retryIntervalSeconds.maximum * 1000 : durationMs(maximumInterval, 'retryPolicy.maximumInterval')
  if (minimumMs > maximumMs) throw new UnsupportedDefinitionError('retryPolicy.minimumInterval must not be longer than maximumInterval')
  const bounds = exponentialBounds(intervalMs, minimumMs, maximumMs)
  return limited(count!, (retry) => between(bounds(retry), random))
}

/** The range that the n-th wait is drawn from (engine 6.4). */
export function exponentialBounds (intervalMs: number, minimumMs: number, maximumMs: number): (retry: number) => [from: number, to: number] {
  return (retry) => {
    const to = Math.max(Math.min(2 ** (retry - 1) * intervalMs, maximumMs), minimumMs)
    const from = Math.max(retry === 1 ? 0 : 2 ** (retry - 2) * intervalMs, minimumMs)
    return [Math.min(from, to), to]
  }
}

function intervalOf (interval: string | undefined, what: string, { retryIntervalSeconds: { minimum, maximum } }: Profile): number {
  if (interval === undefined) throw new UnsupportedDefinitionError(`${what} is missing`)
  const ms = durationMs(interval, what)
  if (ms < minimum * 1000 || ms > maximum * 1000) throw new UnsupportedDefinitionError(`${what} must be from ${minimum} seconds to ${maximum} seconds (engine 6.3); got ${interval}`)
  return ms
}

function limited (count: number, waitMs: (retry: number) => number): RetryWaits {
  return (retry) => retry > count ? undefined : waitMs(retry)
}

function between ([from, to]: [number, number], random: Random): number {
  return from + random() * (to - from)
}
