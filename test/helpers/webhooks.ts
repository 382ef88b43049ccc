import type { FastifyInstance, FastifyServerOptions, LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import { createApp, pathOf, type GivenOptions, type TestApp } from './app.ts'
import { bake, cakeSchema, orderSchema } from './cakes.ts'
import { callbacksSettled, createReceiver, localCallbacks, type Receiver } from './callback-receiver.ts'

export interface WebhookApp extends TestApp {
  receiver: Receiver
}

/** An app whose callbacks go to a receiver on this machine. */
export async function createWebhookApp (t: Test, { callbacks, ...options }: GivenOptions = {}, server: FastifyServerOptions = {}): Promise<WebhookApp> {
  const receiver = await createReceiver(t)
  const parts = await createApp(t, { ...options, callbacks: { ...localCallbacks, ...callbacks } }, server)
  return { ...parts, receiver }
}

/** A callback URL of one run of one action (engine 2.8). */
export const actionUrl = ({ origin }: Pick<Receiver, 'origin'>, run = '1', signature = `signature-${run}`): string =>
  `${origin}/workflows/w1/runs/${run}/actions/Bake/run?api-version=2016-06-01&sp=%2Fruns%2F${run}%2Frun&sv=1.0&sig=${signature}`

/** A callback URL of one version of a workflow's trigger (engine 2.9). */
export const triggerUrl = ({ origin }: Pick<Receiver, 'origin'>, workflow = 'w1', version = '1', signature = `signature-${workflow}-${version}`): string =>
  `${origin}/workflows/${workflow}/triggers/T/versions/${version}/run?api-version=2016-06-01&sp=%2Ftriggers%2FT%2Fversions%2F${version}%2Frun&sv=1.0&sig=${signature}`

/** `POST /calls`, operation BakeCakeAndCall: a cake takes 10 seconds of the test's clock. */
export function addCalls (app: FastifyInstance, options: object = {}, path = '/calls'): FastifyInstance {
  return app.webhookAction(path, { schema: { operationId: 'BakeCakeAndCall', body: orderSchema }, result: cakeSchema, ...options }, bake)
}

/** `POST /hooks`, operation OnOrder, on the topic `orders`. */
export function addHooks (app: FastifyInstance, options: object = {}, path = '/hooks'): FastifyInstance {
  return app.webhookTrigger(path, { schema: { operationId: 'OnOrder' }, topic: app.logicApps.topic('orders'), ...options })
}

export async function post (app: FastifyInstance, url: string, payload: object | string, headers: Record<string, string> = {}): Promise<LightMyRequestResponse> {
  return await app.inject({ method: 'POST', url, payload, headers })
}

export const subscribeCall = (app: FastifyInstance, callbackUrl: string, headers: Record<string, string> = {}, input: object = { flavour: 'lemon' }): Promise<LightMyRequestResponse> =>
  post(app, '/calls', { callbackUrl, ...input }, headers)

export const subscribeHook = (app: FastifyInstance, callbackUrl: string, headers: Record<string, string> = {}, input: object = {}): Promise<LightMyRequestResponse> =>
  post(app, '/hooks', { callbackUrl, ...input }, headers)

export async function unsubscribe (app: FastifyInstance, subscribed: LightMyRequestResponse, headers: Record<string, string> = {}): Promise<LightMyRequestResponse> {
  return await app.inject({ method: 'DELETE', url: pathOf(subscribed.headers.location), headers })
}

/** Lets everything due be sent. */
export async function settle (parts: WebhookApp, ms = 1000): Promise<void> {
  await parts.clock.advance(ms)
  await callbacksSettled(parts)
}

/** What was sent, as signature and event. */
export const sent = ({ receiver }: Pick<WebhookApp, 'receiver'>): string[] =>
  receiver.calls.map(({ target, body }) => `${new URLSearchParams(target.split('?')[1]).get('sig')} ${body}`).toSorted()

/** Publishes to the topic `orders`. */
export const publish = (app: FastifyInstance, event: unknown): Promise<string> => app.logicApps.topic('orders').publish(event)

export const errorOf = (answer: LightMyRequestResponse): { code: string, message: string, details?: unknown } =>
  answer.json<{ error: { code: string, message: string } }>().error
