import { join } from 'node:path'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
// From the sources, so that the bakery runs without a build. In your app these are 'fastify-logic-apps' and 'fastify-logic-apps/sqlite'.
import logicApps from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { bakeCake } from './bake-cake.ts'
import { listFlavours } from './list-flavours.ts'

export interface BakeryOptions {
  /** Where orders are kept. */
  dataDir: string
  /** Under which address callers reach the bakery. */
  baseUrl: string
  /** Signs the URLs handed out. @default a key file in `dataDir` */
  secret?: string | undefined
  logger?: FastifyServerOptions['logger']
}

/** The bakery, not listening yet. */
export async function buildApp ({ dataDir, baseUrl, secret, logger = false }: BakeryOptions): Promise<FastifyInstance> {
  const app: FastifyInstance = Fastify({ logger })
  await app.register(logicApps, {
    baseUrl,
    store: sqliteStore({ file: join(dataDir, 'bakery.db') }),
    ...(secret === undefined ? {} : { secret })
  })
  await app.register(listFlavours)
  await app.register(bakeCake)
  return app
}
