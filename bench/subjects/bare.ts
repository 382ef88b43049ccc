/* Fastify alone: the same routes, which store nothing. Every other figure is held against it. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import { Type } from 'typebox'
import { orderSchema } from './order.ts'
import { serve } from './subject.ts'

export interface Reply { statusCode: number, headers: Record<string, string>, body?: unknown }

await serve<{ replies?: Reply[] }>(async ({ replies = [] }) => {
  const app = Fastify({ logger: false }).withTypeProvider<TypeBoxTypeProvider>()
  app.post('/orders', { schema: { body: orderSchema } }, (request, reply) => {
    const id = request.id
    reply.code(202).headers({ location: `http://127.0.0.1:3000/orders/jobs/${id}`, 'retry-after': '15', 'operation-location': `http://127.0.0.1:3000/orders/operations/${id}`, 'cache-control': 'no-store' })
    return reply.send({ id, status: 'Running' })
  })
  // One of the replies, the same each time for the same id.
  app.get('/replies/:id', { schema: { params: Type.Object({ id: Type.Integer() }) } }, (request, reply) => {
    const { statusCode, headers, body } = replies[request.params.id % replies.length]!
    return reply.code(statusCode).headers(headers).send(body)
  })
  return { app }
})
