import type { Test } from 'tap'
import { fastifyLogicApps, type FastifyLogicAppsOptions } from '../../src/index.ts'
import { postgresStore, type PostgresStoreOptions } from '../../src/stores/postgres/index.ts'
import { createServer, type TestApp } from './app.ts'
import { startPostgres } from './postgres.ts'

export const secret = 'a secret of the tests, of 32 bytes and more'

/** `undefined` takes a default back. */
type GivenStoreOptions = { [Name in keyof PostgresStoreOptions]?: PostgresStoreOptions[Name] | undefined }

export interface Deployment {
  url: string
  schema: string
  /** Another replica, which starts when its `ready` is called. */
  replica (options?: Partial<FastifyLogicAppsOptions>, store?: GivenStoreOptions): Promise<TestApp['app']>
}

/** Whole apps on one database, in real time, as in production. */
export async function createDeployment (t: Test): Promise<Deployment> {
  const server = await startPostgres()
  const schema = server.newSchema()
  const apps: TestApp['app'][] = []
  t.teardown(async () => {
    await Promise.all(apps.map((app) => app.close()))
    await server.drop(schema)
  })
  return {
    url: server.url,
    schema,
    async replica (options = {}, store = {}) {
      const { app } = createServer()
      apps.push(app)
      await app.register(fastifyLogicApps, { store: postgresStore({ connectionString: server.url, schema, ...store } as PostgresStoreOptions), secret, baseUrl: 'https://api.example', drainSeconds: 0, ...options })
      return app
    }
  }
}
