import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { flavours } from './flavours.ts'

const Flavour = Type.Object({
  id: Type.String({ title: 'Flavour id', description: 'What to order it by.' }),
  name: Type.String({ title: 'Name', description: 'What it says on the menu.' })
})

/** A standard action: an ordinary Fastify route that answers at once. */
export const listFlavours: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/flavours', {
    config: { logicApps: true },
    schema: {
      operationId: 'ListFlavours',
      summary: 'List flavours',
      description: 'Lists the flavours that cakes can be baked in.',
      response: { 200: Type.Array(Flavour, { title: 'Flavours' }) }
    }
  }, async () => flavours)
}
