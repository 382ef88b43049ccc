import type { FastifyReply } from 'fastify'

const asIs = (text: unknown): string => text as string

/** Sends a text that is JSON already: Fastify would make a JSON string of it. */
export function sendJson (reply: FastifyReply, text: string): FastifyReply {
  return reply.type('application/json; charset=utf-8').serializer(asIs).send(text)
}
