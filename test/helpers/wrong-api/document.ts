import type { FastifyInstance } from 'fastify'
import type { ApiParts } from './parts.ts'

/** The Swagger document, right but for its faults. */
export function addDocument (app: FastifyInstance, { has }: ApiParts): void {
  const callbackUrl = {
    type: has('notification URL as a number') ? 'number' : 'string',
    'x-ms-notification-url': true,
    ...(has('notification URL for all to see') ? {} : { 'x-ms-visibility': 'internal' })
  }
  const body = { in: 'body', name: 'body', required: true, schema: { type: 'object', properties: { callbackUrl }, ...(has('notification URL optional') ? {} : { required: ['callbackUrl'] }) } }
  const query = { in: 'query', name: 'callbackUrl', type: 'string', required: true, 'x-ms-notification-url': true }
  const document = {
    ...(has('OpenAPI 3') ? { openapi: '3.1.0' } : { swagger: '2.0' }),
    info: { title: 'Cakes', version: '1', ...(has('document too large') ? { description: 'x'.repeat(1_048_576) } : has('document just small enough') ? { description: 'x'.repeat(1_040_000) } : {}) },
    paths: {
      '/hooks': { post: { operationId: 'OnOrder', parameters: [has('notification URL in the query') ? query : body], responses: { 201: { description: 'Subscribed' } } } },
      '/jobs': { post: { ...(has('operationId missing') ? {} : { operationId: has('operationId twice') ? 'OnOrder' : 'Bake' }), responses: { 202: { description: 'Accepted' } } } }
    }
  }

  app.get('/swagger.json', async (request, reply) => {
    if (has('document behind a key') && request.headers.authorization === undefined) return await reply.code(401).send()
    if (!has('document without CORS')) reply.header('access-control-allow-origin', '*')
    return await reply.send(document)
  })
  app.options('/swagger.json', async (_, reply) =>
    await reply.code(204).headers({ 'access-control-allow-origin': '*', 'access-control-allow-headers': has('preflight not granted') ? 'content-type' : '*', 'access-control-allow-methods': 'GET' }).send())
}
