import type { FastifyBaseLogger } from 'fastify'
import type { Reading } from './trigger-answer.ts'

/** One request, as a source sees it. */
export interface TriggerPoll {
  query: unknown
  params: unknown
  log: FastifyBaseLogger
  /** The most items to be given. */
  limit: number
  /** How much is left of a time that began with the request, in milliseconds. */
  leftOf: (ms: number) => number
  /** Aborts when the caller has left. Made when it is asked for: most polls never do. */
  caller: () => AbortSignal
}

export type AcceptedState = { state: unknown } | { fault: string }

/** Where the items of a polling trigger come from. */
export interface TriggerSource {
  /** The state of first contact. */
  start (poll: TriggerPoll): Promise<unknown>
  /** A genuine state, as this version of the app has it, or what is wrong with it. */
  accept (state: unknown, poll: TriggerPoll): AcceptedState | Promise<AcceptedState>
  /** What is new. Changes nothing. */
  read (state: unknown, poll: TriggerPoll): Promise<Reading>
}
