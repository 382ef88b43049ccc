import type { FastifyReply } from 'fastify'
import type { JobRecord, JobStatus } from '../work/store.ts'
import { sendJson } from './json-text.ts'

/** `Operation-Location`'s names, in every body (Azure REST guidelines, long-running operations). */
const wireStatuses: Record<JobStatus, string> = {
  queued: 'NotStarted',
  running: 'Running',
  succeeded: 'Succeeded',
  failed: 'Failed',
  canceled: 'Canceled'
}

export const statusSchema = {
  type: 'object',
  properties: {
    id: { type: 'string', description: 'Names the job in logs. It gives no access.' },
    status: { type: 'string', enum: Object.values(wireStatuses) },
    percentComplete: { type: 'number' },
    message: { type: 'string' },
    createdAt: { type: 'string', format: 'date-time' }
  },
  required: ['id', 'status']
} as const

/** Body of a 201. */
export const subscribedSchema = {
  type: 'object',
  properties: { id: { type: 'string', description: 'Names the job or subscription in logs. It gives no access.' } },
  required: ['id']
} as const

export interface JobUrls {
  location: string
  operationLocation: string
}

/** 202: the engine polls `location` again after `retryAfterSeconds`. Both headers each time (engine 1.2, 1.8, rule 6). */
export function answerAccepted (reply: FastifyReply, id: string, job: JobRecord, urls: JobUrls, retryAfterSeconds: number): FastifyReply {
  return sendJson(withPolling(reply, urls, retryAfterSeconds), JSON.stringify({ id, status: wireStatuses[job.status] }))
}

/** 201: subscribed. A DELETE of `location` ends it (engine 4.3). Never a 202, which might be polled (engine 2.6). */
export function answerSubscribed (reply: FastifyReply, id: string, location: string): FastifyReply {
  return sendJson(reply.code(201).header('location', location), JSON.stringify({ id }))
}

/** What a poll of `Location` answers: 202 until the job ends, then its outcome, as if it had been synchronous (engine 1.2). */
export function answerPoll (reply: FastifyReply, id: string, job: JobRecord, urls: () => JobUrls, retryAfterSeconds: number): FastifyReply {
  if (job.endedAt === null) return sendJson(withPolling(reply, urls(), retryAfterSeconds), JSON.stringify(statusDocument(id, job)))
  return answerOutcome(reply, job)
}

export function answerOutcome (reply: FastifyReply, job: JobRecord): FastifyReply {
  if (job.failure !== null) {
    const { statusCode, ...error } = job.failure
    return sendJson(reply.code(statusCode), JSON.stringify({ error }))
  }
  if (job.result === null) return reply.code(204).send()
  return sendJson(reply.code(200), job.result)
}

/** The store is away, but the token is genuine: the engine waits and no action fails (design 3.5; engine 1.13, 6.1). */
export function answerUnknownYet (reply: FastifyReply, id: string, urls: JobUrls, retryAfterSeconds: number): FastifyReply {
  return sendJson(withPolling(reply, urls, retryAfterSeconds), JSON.stringify({ id, status: wireStatuses.running }))
}

/**
 * What a GET of `Operation-Location` answers: the status document, always 200, for clients of the Azure SDKs. Without a
 * `job`, the store is away.
 */
export function answerOperation (reply: FastifyReply, id: string, job: JobRecord | undefined, retryAfterSeconds: number): FastifyReply {
  if (job === undefined || job.endedAt === null) reply.header('retry-after', retryAfterSeconds)
  if (job === undefined) return sendJson(reply, JSON.stringify({ id, status: wireStatuses.running }))
  const document = statusDocument(id, job)
  if (job.failure !== null) {
    const { statusCode, ...error } = job.failure
    document.error = error
  }
  const text = JSON.stringify(document)
  // The result is put in as the text it is kept as.
  return sendJson(reply, job.result === null ? text : `${text.slice(0, -1)},"result":${job.result}}`)
}

function withPolling (reply: FastifyReply, { location, operationLocation }: JobUrls, retryAfterSeconds: number): FastifyReply {
  return reply.code(202)
    .header('location', location)
    .header('operation-location', operationLocation)
    .header('retry-after', retryAfterSeconds)
}

function statusDocument (id: string, job: JobRecord): Record<string, unknown> {
  return {
    id,
    status: wireStatuses[job.status],
    percentComplete: job.percentComplete,
    message: job.message,
    createdAt: new Date(job.createdAt).toISOString()
  }
}
