import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Test } from 'tap'
import { fastifyLogicApps } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createLogicAppsEngine, type AppParts, type EngineOptions, type Exchange, type LogicAppsEngine, type ManualClock } from '../../src/testing/index.ts'
import { closeApp, type GivenOptions } from './app.ts'

type Answer = (request: FastifyRequest, reply: FastifyReply, count: number) => unknown

/** An API written by hand: of each route, what it answers to its n-th request, the first is 1. */
export type Routes = Record<string, Answer>

/** An action that subscribes at `/calls` and waits for its callback. */
export const wait = {
  type: 'HttpWebhook',
  inputs: {
    subscribe: { method: 'POST', uri: '/calls', body: { callbackUrl: '@{listCallbackUrl()}', flavour: 'lemon' } },
    unsubscribe: { method: 'POST', uri: '/calls/unsubscribe', body: { callbackUrl: '@{listCallbackUrl()}' } }
  },
  limit: { timeout: 'PT1H' }
} as const

/** An engine that calls an API written by hand, on a virtual clock. */
export async function createEngine (t: Test, routes: Routes | ((parts: AppParts) => Routes), options: Omit<EngineOptions, 'app'> = {}): Promise<LogicAppsEngine> {
  const app = Fastify()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => { done(null, body) })
  t.teardown(() => app.close())
  const engine = await createLogicAppsEngine({
    baseUrl: 'https://api.example',
    ...options,
    app (parts) {
      for (const [route, answer] of Object.entries(typeof routes === 'function' ? routes(parts) : routes)) {
        const [method, url] = route.split(' ')
        let count = 0
        app.route({ method: method as 'GET', url: url!, handler: (request, reply) => answer(request, reply, ++count) })
      }
      return app
    }
  })
  t.teardown(() => engine.close())
  return engine
}

/** An engine that calls an app with the plugin, sharing time and callbacks; the app's callbacks go to the cloud's hosts. */
export async function createPluginEngine (t: Test, add: (app: FastifyInstance) => void | Promise<void>, options: Omit<EngineOptions, 'app'> = {}, plugin: GivenOptions = {}): Promise<{ engine: LogicAppsEngine, app: FastifyInstance }> {
  let app!: FastifyInstance
  const engine = await createLogicAppsEngine({
    baseUrl: 'https://api.example',
    ...options,
    async app ({ clock, callbacks }) {
      app = Fastify()
      t.teardown(() => closeApp(app, clock as ManualClock))
      await app.register(fastifyLogicApps, { store: sqliteStore({ file: ':memory:' }), baseUrl: 'https://api.example', ...plugin, clock, callbacks: { ...callbacks, ...plugin.callbacks } } as object)
      await add(app)
      await app.ready()
      return app
    }
  })
  t.teardown(() => engine.close())
  return { engine, app }
}

/** The trace of what was sent: purpose, method and path, status, and at which second after the first. */
export function traceOf (history: readonly Exchange[]): string[] {
  const start = history[0]?.at ?? 0
  return history.map(({ purpose, at, request: { method, url }, response, error }) =>
    `${(at - start) / 1000} ${purpose} ${method} ${url.replace(/^https?:\/\/[^/]+/, '')} ${response?.statusCode ?? error?.code}`)
}

/** Seconds between the requests. */
export function waitsOf (history: readonly Exchange[]): number[] {
  return history.slice(1).map(({ at }, index) => (at - history[index]!.endedAt) / 1000)
}
