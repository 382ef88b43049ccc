import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { bake, Cake, CakeOrder } from './cakes.ts'

/** A polling action: the order is answered 202 at once, and the caller polls until the cake is baked. */
export const bakeCake: FastifyPluginAsyncTypebox = async (app) => {
  app.asyncAction('/cakes', {
    schema: {
      operationId: 'BakeCake',
      summary: 'Bake a cake',
      description: 'Bakes a cake to order and waits until it is done.',
      body: CakeOrder
    },
    result: Cake,
    retryAfterSeconds: 2
  }, bake)
}
