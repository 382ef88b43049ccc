import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { JobError } from '../../src/index.ts'
import { burnt, flavours } from './flavours.ts'

const usualSeconds = 3

const Order = Type.Object({
  flavour: Type.Enum([...flavours.map(({ id }) => id), burnt], { title: 'Flavour', description: 'One of the ids that List flavours gives.' }),
  message: Type.Optional(Type.String({ title: 'Message', description: 'What to write on the cake.', maxLength: 100 })),
  seconds: Type.Optional(Type.Number({ title: 'Baking time', description: 'How long the cake bakes, in seconds.', minimum: 0, maximum: 3600, default: usualSeconds }))
})

const Cake = Type.Object({
  cakeId: Type.String({ title: 'Cake id' }),
  flavour: Type.String({ title: 'Flavour' }),
  message: Type.Optional(Type.String({ title: 'Message' })),
  bakedAt: Type.String({ title: 'Baked at', format: 'date-time' })
})

const steps = ['Mixing the dough', 'In the oven', 'Rising', 'Decorating']

/** A polling action: the order is answered 202 at once, and the caller polls until the cake is baked. */
export const bakeCake: FastifyPluginAsyncTypebox = async (app) => {
  app.asyncAction('/cakes', {
    schema: {
      operationId: 'BakeCake',
      summary: 'Bake a cake',
      description: 'Bakes a cake to order and waits until it is done.',
      body: Order
    },
    result: Cake,
    retryAfterSeconds: 2
  }, async (job) => {
    const { flavour, message, seconds = usualSeconds } = job.input
    for (const [index, step] of steps.entries()) {
      await job.progress(100 * index / steps.length, step)
      // Rejects when the order is canceled or the server shuts down: there is no cake to clear away here.
      await job.sleep(1000 * seconds / steps.length)
    }
    if (flavour === burnt) throw new JobError('CakeBurnt', 'The cake burnt. Order another flavour.')
    // The job's id names the cake, so that a bake that runs again after a crash makes the same cake.
    return { cakeId: job.id, flavour, ...(message === undefined ? {} : { message }), bakedAt: new Date().toISOString() }
  })
}
