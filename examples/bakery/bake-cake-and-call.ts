import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { bake, Cake, CakeOrder } from './cakes.ts'

/** A webhook action: the order is answered 201 at once, and the cake is POSTed to the order's `callbackUrl`. */
export const bakeCakeAndCall: FastifyPluginAsyncTypebox = async (app) => {
  app.webhookAction('/cakes/calls', {
    schema: {
      operationId: 'BakeCakeAndCall',
      summary: 'Bake a cake and call back',
      description: 'Bakes a cake to order and calls back when it is done.',
      // The plugin adds callbackUrl, and takes it out again before the order is kept.
      body: CakeOrder
    },
    result: Cake
  }, bake)
}
