import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { triggerHint } from '../../src/connector/index.ts'
import { chosenFromMenu } from './cakes.ts'

const OrderPlaced = Type.Object({
  orderId: Type.String({ title: 'Order id', minLength: 1 }),
  flavour: Type.String({ title: 'Flavour', description: 'What was ordered.', minLength: 1 })
})

const ofFlavour = {
  flavour: Type.Optional(Type.String({ title: 'Flavour', description: 'Orders of this flavour only.', minLength: 1, ...chosenFromMenu }))
}

/** What happens in the shop, and the triggers that tell workflows of it: one calls them, two are polled. All share one log. */
export const orders: FastifyPluginAsyncTypebox = async (app) => {
  const topic = app.logicApps.topic('orders', { event: OrderPlaced })

  // Your shop's own route, or whatever else in your app knows that something happened: no part of the connector.
  app.post('/orders', { schema: { body: OrderPlaced } }, async (request, reply) => {
    // On disk when it resolves: from then on every subscriber is told, whatever happens to this process.
    const eventId = await topic.publish(request.body)
    return reply.code(201).send({ eventId })
  })

  app.webhookTrigger('/hooks/orders', {
    schema: {
      operationId: 'OnOrderPlaced',
      summary: 'When an order is placed',
      description: 'Starts a workflow for each order, or for those of one flavour.',
      ...triggerHint('To try it, place an order in the shop.'),
      body: Type.Object(ofFlavour)
    },
    topic,
    matches: (order, { flavour }) => flavour === undefined || flavour === order.flavour
  })

  app.pollingTrigger('/triggers/orders', {
    schema: {
      operationId: 'PollOrders',
      summary: 'When orders are placed, by polling',
      description: 'Starts a workflow with the orders since the last poll, all or those of one flavour.',
      querystring: Type.Object(ofFlavour)
    },
    topic,
    matches: (order, { flavour }) => flavour === undefined || flavour === order.flavour
  })

  app.pollingTrigger('/triggers/orders/next', {
    schema: {
      operationId: 'PollNextOrder',
      summary: 'When an order is placed, by polling one by one',
      description: 'Starts a workflow for each order, with the order\'s id as its tracking id.'
    },
    topic,
    mode: 'single',
    clientTrackingId: ({ orderId }) => /^[\w-]{1,100}$/.test(orderId) ? orderId : undefined
  })
}
