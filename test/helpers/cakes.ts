import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { JobError, type Job } from '../../src/index.ts'
import { pathOf } from './app.ts'

export interface CakeOrder { flavour: string, seconds?: number }

export const orderSchema = {
  type: 'object',
  properties: { flavour: { type: 'string', minLength: 1 }, seconds: { type: 'number', minimum: 0 } },
  required: ['flavour']
}
export const cakeSchema = {
  type: 'object',
  properties: { flavour: { type: 'string' } },
  required: ['flavour']
}

/** A cake takes `seconds` of the test's clock; a `burnt` one fails. */
export async function bake (job: Pick<Job, 'input' | 'progress' | 'sleep'>): Promise<{ flavour: string }> {
  const { flavour, seconds = 10 } = job.input as CakeOrder
  await job.progress(50, 'In the oven')
  await job.sleep(seconds * 1000)
  if (flavour === 'burnt') throw new JobError('CakeBurnt', 'The cake burnt.', { statusCode: 409, details: { flavour } })
  return { flavour }
}

/** The action that most tests are about: `POST /cakes`, operation BakeCake. */
export function addCakes (app: FastifyInstance, options: object = {}, path = '/cakes'): FastifyInstance {
  return app.asyncAction(path, { schema: { operationId: 'BakeCake', body: orderSchema }, result: cakeSchema, ...options }, bake)
}

export async function order (app: FastifyInstance, payload: object = { flavour: 'lemon' }, headers: Record<string, string> = {}): Promise<LightMyRequestResponse> {
  return await app.inject({ method: 'POST', url: '/cakes', payload, headers })
}

/** Asks what the `Location` of a 202 says. */
export async function poll (app: FastifyInstance, accepted: LightMyRequestResponse, headers: Record<string, string> = {}): Promise<LightMyRequestResponse> {
  return await app.inject({ method: 'GET', url: pathOf(accepted.headers.location), headers })
}

/** Asks what the `Operation-Location` of a 202 says. */
export async function readOperation (app: FastifyInstance, accepted: LightMyRequestResponse): Promise<LightMyRequestResponse> {
  return await app.inject({ method: 'GET', url: pathOf(accepted.headers['operation-location']) })
}

export async function cancel (app: FastifyInstance, accepted: LightMyRequestResponse): Promise<LightMyRequestResponse> {
  return await app.inject({ method: 'DELETE', url: pathOf(accepted.headers.location) })
}

export const idOf = (accepted: LightMyRequestResponse): string => accepted.json<{ id: string }>().id
