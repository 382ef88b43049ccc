import { join } from 'node:path'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
// From the sources, so that the bakery runs without a build. In your app these are 'fastify-logic-apps' and what it has below: '/connector',
// '/postgres' and '/sqlite'.
import { connectorMetadata, testConnection } from '../../src/connector/index.ts'
import logicApps, { defaultAllowedHosts, type FastifyLogicAppsOptions } from '../../src/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { bakeCake } from './bake-cake.ts'
import { bakeCakeAndCall } from './bake-cake-and-call.ts'
import { listFlavours } from './list-flavours.ts'
import { orders } from './orders.ts'

export interface BakeryOptions {
  /** Where orders are kept, unless `databaseUrl` says otherwise. */
  dataDir: string
  /** A PostgreSQL database, for several bakeries that share their orders. Needs `secret`. */
  databaseUrl?: string | undefined
  /** Under which address callers reach the bakery. */
  baseUrl: string
  /** Signs the URLs handed out. @default a key file in `dataDir` */
  secret?: string | undefined
  /** Whether callbacks may also go to this machine, by http. For local trials and tests. @default false */
  allowLocalCallbacks?: boolean
  /** Waits before each attempt at a callback. @default the plugin's, for about a day */
  callbackScheduleSeconds?: number[] | undefined
  logger?: FastifyServerOptions['logger']
}

/** Loopback addresses need each to be named: nobody opens them by accident. */
const localCallbacks: FastifyLogicAppsOptions['callbacks'] = {
  allowedHosts: [...defaultAllowedHosts, '127.0.0.1', 'localhost', '[::1]'],
  allowHttp: true,
  networks: ['127.0.0.0/8', '::1/128']
}

/** The bakery, not listening yet. */
export async function buildApp ({ dataDir, databaseUrl, baseUrl, secret, allowLocalCallbacks = false, callbackScheduleSeconds, logger = false }: BakeryOptions): Promise<FastifyInstance> {
  const app: FastifyInstance = Fastify({ logger })
  await app.register(logicApps, {
    baseUrl,
    store: databaseUrl === undefined ? sqliteStore({ file: join(dataDir, 'bakery.db') }) : postgresStore({ connectionString: databaseUrl }),
    connector: {
      info: {
        title: 'Contoso Bakery',
        version: '1.0.0',
        description: 'Orders cakes and tells of orders: the reference app of fastify-logic-apps.',
        contact: { name: 'Contoso Bakery', url: 'https://cakes.contoso.com', email: 'hello@contoso.com' }
      },
      ...testConnection('ListFlavours'),
      ...connectorMetadata({ website: 'https://cakes.contoso.com', privacyPolicy: 'https://cakes.contoso.com/privacy', categories: ['Commerce'] })
    },
    callbacks: {
      ...(allowLocalCallbacks ? localCallbacks : {}),
      ...(callbackScheduleSeconds === undefined ? {} : { scheduleSeconds: callbackScheduleSeconds })
    },
    ...(secret === undefined ? {} : { secret })
  })
  await app.register(listFlavours)
  await app.register(bakeCake)
  await app.register(bakeCakeAndCall)
  await app.register(orders)
  return app
}
