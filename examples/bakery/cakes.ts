import { type Static, Type } from 'typebox'
import { dynamicValues, visibility } from '../../src/connector/index.ts'
import { type Job, JobError } from '../../src/index.ts'
import { burnt, flavours } from './flavours.ts'

const usualSeconds = 3

/** In the designer: a dropdown that ListFlavours fills. */
export const chosenFromMenu = dynamicValues({ operationId: 'ListFlavours', value: 'id', title: 'name' })

/** What is asked of the baker. */
export const CakeOrder = Type.Object({
  flavour: Type.Enum([...flavours.map(({ id }) => id), burnt], {
    title: 'Flavour',
    description: 'One of the ids that List flavours gives.',
    ...chosenFromMenu,
    ...visibility('important')
  }),
  message: Type.Optional(Type.String({ title: 'Message', description: 'What to write on the cake.', maxLength: 100 })),
  seconds: Type.Optional(Type.Number({ title: 'Baking time', description: 'How long the cake bakes, in seconds.', minimum: 0, maximum: 3600, default: usualSeconds, ...visibility('advanced') }))
})

export const Cake = Type.Object({
  cakeId: Type.String({ title: 'Cake id' }),
  flavour: Type.String({ title: 'Flavour' }),
  message: Type.Optional(Type.String({ title: 'Message' })),
  bakedAt: Type.String({ title: 'Baked at', format: 'date-time' })
})

const steps = ['Mixing the dough', 'In the oven', 'Rising', 'Decorating']

/** The work itself: the same whether the caller polls for the cake or is called back with it. */
export async function bake (job: Job<Static<typeof CakeOrder>>): Promise<Static<typeof Cake>> {
  const { flavour, message, seconds = usualSeconds } = job.input
  for (const [index, step] of steps.entries()) {
    await job.progress(100 * index / steps.length, step)
    // Rejects when the order is canceled or the server shuts down: there is no cake to clear away here.
    await job.sleep(1000 * seconds / steps.length)
  }
  if (flavour === burnt) throw new JobError('CakeBurnt', 'The cake burnt. Order another flavour.')
  // The job's id names the cake, so that a bake that runs again after a crash makes the same cake.
  return { cakeId: job.id, flavour, ...(message === undefined ? {} : { message }), bakedAt: new Date().toISOString() }
}
