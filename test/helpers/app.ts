import Fastify, { type FastifyInstance, type FastifyServerOptions, type LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import { fastifyLogicApps, type FastifyLogicAppsOptions } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createManualClock, type ManualClock } from '../../src/testing/index.ts'

export interface LogLine extends Record<string, unknown> { level: number, msg: string }

export interface TestApp {
  app: FastifyInstance
  clock: ManualClock
  /** Everything that was logged, at debug and above. */
  logs: LogLine[]
}

/** Options as a test gives them: `undefined` takes a default of `createApp` back. */
export type GivenOptions = { [Name in keyof FastifyLogicAppsOptions]?: FastifyLogicAppsOptions[Name] | undefined }

/** An app with the plugin on an embedded store in memory and a clock that stands still; closed with the test. */
export async function createApp (t: Test, options: GivenOptions = {}, server: FastifyServerOptions = {}): Promise<TestApp> {
  const clock = createManualClock()
  const { app, logs } = createServer(server)
  t.teardown(() => closeApp(app, clock))
  await app.register(fastifyLogicApps, {
    store: sqliteStore({ file: ':memory:' }), clock, baseUrl: 'https://api.example', ...options
  } as FastifyLogicAppsOptions)
  return { app, clock, logs }
}

/** A bare Fastify whose log is kept. `server.logger` may say more than the stream. */
export function createServer (server: FastifyServerOptions = {}): Pick<TestApp, 'app' | 'logs'> {
  const logs: LogLine[] = []
  const stream = { write: (line: string) => { logs.push(JSON.parse(line) as LogLine) } }
  const logger = typeof server.logger === 'object' ? server.logger : {}
  const app = Fastify({ ...server, logger: { level: 'debug', ...logger, stream } }) as unknown as FastifyInstance
  return { app, logs }
}

/** Closes an app whose jobs may still run: the time to drain them passes by hand. */
export async function closeApp (app: FastifyInstance, clock: ManualClock): Promise<void> {
  const closed = Promise.resolve(app.close()).then(() => true)
  while (!await Promise.race([closed, clock.advance(1000).then(() => false)]));
}

/** The path of a URL that was handed out, for `inject`. */
export function pathOf (location: unknown): string {
  const { pathname, search } = new URL(location as string)
  return pathname + search
}

/** Polls as the engine does, moving the clock by `Retry-After`, until the answer is not a 202 (engine 1.1, 1.8). */
export async function pollUntilEnded (app: FastifyInstance, clock: ManualClock, first: LightMyRequestResponse, maxPolls = 50): Promise<LightMyRequestResponse> {
  let answer = first
  for (let polls = 0; polls < maxPolls && answer.statusCode === 202; polls++) {
    await clock.advance(Number(answer.headers['retry-after']) * 1000)
    answer = await app.inject({ method: 'GET', url: pathOf(answer.headers.location) })
  }
  return answer
}
