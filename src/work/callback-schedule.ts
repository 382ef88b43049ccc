/** Waits before each attempt, in seconds: at once, then for about a day. */
export const defaultSchedule = [0, 5, 30, 120, 600, 1800, 3600, 10_800, 21_600, 43_200] as const

/**
 * When to try again after `attempts` attempts, in milliseconds from now, or `undefined` when there is no more to try.
 *
 * @param retryAfterMs What the receiver asked for: never earlier than that.
 * @param random In [0, 1): 20 % of jitter either way, so that what failed together does not return together.
 */
export function nextAttemptMs (schedule: readonly number[], attempts: number, retryAfterMs: number | null, random: number): number | undefined {
  const seconds = schedule[attempts]
  if (seconds === undefined) return undefined
  return Math.max(seconds * 1000 * (0.8 + random * 0.4), retryAfterMs ?? 0)
}
