import Fastify from 'fastify'
import { expect, test } from 'tstyche'
import logicApps, { type FastifyLogicAppsErrorCode, type FastifyLogicAppsOptions, fastifyLogicApps, JobError, JobNotFoundError, type JobView, RetryableError, StoreUnavailableError } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'

const app = Fastify()

test('the plugin is registered with its options, or without any', () => {
  app.register(logicApps)
  app.register(fastifyLogicApps, { baseUrl: 'https://cakes.contoso.com', secret: ['x'], store: sqliteStore({ file: 'jobs.db' }), owner: async (request) => request.ip })
  app.register(logicApps, { baseUrl: (request, role) => `https://${request.hostname}/${role}` })
  // @ts-expect-error No overload matches this call.
  app.register(logicApps, { retryAfter: 5 })
  // @ts-expect-error No overload matches this call.
  app.register(logicApps, { baseUrl: 5 })
})

test('every option is optional', () => {
  expect<FastifyLogicAppsOptions>().type.toBeAssignableFrom<{}>()
})

test('an ordinary route is marked by config.logicApps and named by its schema', () => {
  app.get('/flavours', { schema: { operationId: 'ListFlavours', summary: 'Flavours', description: 'All of them', tags: ['cakes'] }, config: { logicApps: true } }, async () => [])
  // @ts-expect-error Type 'string' is not assignable to type 'OperationConfig'.
  app.get('/flavours', { schema: { operationId: 'ListFlavours' }, config: { logicApps: 'yes' } }, async () => [])
})

test('a hook can read what a generated route is for', () => {
  app.addHook('onRequest', async (request) => {
    const { logicApps: marked } = request.routeOptions.config
    if (typeof marked === 'object') {
      expect(marked.operationId).type.toBe<string>()
      expect(marked.role).type.toBe<'start' | 'status' | 'operation' | 'cancel' | 'subscribe' | 'unsubscribe' | 'poll' | 'document'>()
    }
    expect(app.logicApps.isCapability(request)).type.toBe<boolean>()
  })
})

test('app.logicApps.jobs takes and gives jobs', () => {
  const { jobs } = app.logicApps
  expect(jobs.get('id')).type.toBe<Promise<JobView | undefined>>()
  expect(jobs.list({ status: 'running', limit: 10 })).type.toBe<Promise<JobView[]>>()
  expect(jobs.complete('id', { any: 'thing' })).type.toBe<Promise<void>>()
  expect(jobs.complete('id')).type.toBe<Promise<void>>()
  expect(jobs.fail('id', new JobError('Bad', 'Bad.', { statusCode: 409 }))).type.toBe<Promise<void>>()
  expect(jobs.cancel('id')).type.toBe<Promise<void>>()
  // @ts-expect-error Type '"done"' is not assignable to type
  jobs.list({ status: 'done' })
  // @ts-expect-error Argument of type 'Error' is not assignable to parameter of type 'JobError'
  jobs.fail('id', new Error('Bad'))
})

test('errors have literal codes, all in one union', () => {
  expect(new JobNotFoundError().code).type.toBe<'FST_LOGIC_APPS_JOB_NOT_FOUND'>()
  expect(new JobNotFoundError().statusCode).type.toBe<404>()
  expect<FastifyLogicAppsErrorCode>().type.toBeAssignableFrom(new StoreUnavailableError('away').code)
  expect(new RetryableError('hot', { delaySeconds: 3 }).delaySeconds).type.toBe<number | undefined>()
})
