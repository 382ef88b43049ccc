import type { FastifyReply } from 'fastify'
import { sendJson } from './json-text.ts'

/** What a poll found. */
export interface Reading {
  items: TriggerItem[]
  /** Where the next poll goes on. */
  state: unknown
  /** Whether more are waiting. */
  more: boolean
}

export interface TriggerItem {
  /** JSON text. */
  text: string
  value: () => unknown
}

export interface TriggerAnswerParts {
  mode: 'batch' | 'single'
  /** On a 202. */
  retryAfterSeconds: number
  /** On a 200 that leaves nothing behind, if the author wants one there. */
  ownRetryAfterSeconds: number | undefined
}

/** 202: nothing new. Both headers each time, and never 0, with which some readers mean something else (engine 3.1, 3.2, 3.5). */
export function answerNothingNew (reply: FastifyReply, location: string, { retryAfterSeconds }: TriggerAnswerParts): FastifyReply {
  return reply.code(202).header('location', location).header('retry-after', retryAfterSeconds).send()
}

/**
 * 200: a workflow run starts. `Retry-After` overrules the workflow's own recurrence here (engine 3.2), so there is none
 * unless more are waiting (0: at once, engine 3.5) or the author said so.
 */
export function answerItems (reply: FastifyReply, location: string, { items, more }: Reading, { mode, ownRetryAfterSeconds }: TriggerAnswerParts): FastifyReply {
  const retryAfter = more ? 0 : ownRetryAfterSeconds
  if (retryAfter !== undefined) reply.header('retry-after', retryAfter)
  return sendJson(reply.code(200).header('location', location), mode === 'single' ? items[0]!.text : `{"value":[${items.map(({ text }) => text).join()}]}`)
}
