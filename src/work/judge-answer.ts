import type { CallbackAnswer, CallbackOutcome } from '../callbacks/outcome.ts'
import { nextAttemptMs } from './callback-schedule.ts'
import type { ClaimedDelivery, DeliverySettlement } from './store.ts'

const suspendAfterMs = 5 * 86_400_000

/** An attempt that was made, or that will never be. */
export interface JudgedAnswer {
  answer: CallbackAnswer
  outcome: CallbackOutcome
}

/**
 * What follows from an answer, for the callback and for its subscription.
 *
 * @param now Epoch milliseconds.
 * @param random In [0, 1), for the jitter.
 */
export function judgeAnswer (delivery: ClaimedDelivery, { answer, outcome }: JudgedAnswer, schedule: readonly number[], now: number, random: number): DeliverySettlement {
  const { number, claim, attempts, createdAt, failingSince } = delivery
  const { durationMs, statusCode, text, retryAfterMs } = answer
  const base = { lease: { number, claim }, attempt: { at: now, durationMs, statusCode, answer: text } }
  if (outcome === 'delivered') return { ...base, to: { status: 'delivered' }, subscription: 'confirmed' }
  if (outcome === 'retired' || outcome === 'suspended') return { ...base, to: { status: 'dead' }, subscription: outcome }
  const delayMs = outcome === 'dead' ? undefined : nextAttemptMs(schedule, attempts + 1, retryAfterMs, random)
  // Where events are rare, "failing for days" may be two failures with nothing in between: this callback must have been
  // refused for good, have had its whole schedule, or have been tried for as long itself.
  const isGivenUp = delayMs === undefined || now - createdAt >= suspendAfterMs
  if (failingSince !== null && now - failingSince >= suspendAfterMs && isGivenUp) return { ...base, to: { status: 'dead' }, subscription: 'suspended' }
  return delayMs === undefined
    ? { ...base, to: { status: 'dead' }, subscription: 'failing' }
    : { ...base, to: { status: 'pending', dueAt: now + Math.round(delayMs) }, subscription: 'failing' }
}
