import type { FastifyInstance } from 'fastify'
import { addAsyncAction } from './async-action.ts'
import type { OperationParts } from './job-operation.ts'
import { addPollingTrigger } from './polling-trigger.ts'
import { addWebhookAction } from './webhook-action.ts'
import { addWebhookTrigger } from './webhook-trigger.ts'

/** The four decorators, on the instance and those below it. */
export function decorateOperations (app: FastifyInstance, parts: OperationParts): void {
  const decorate = (name: 'asyncAction' | 'webhookAction' | 'webhookTrigger' | 'pollingTrigger', add: (instance: FastifyInstance, path: string, options: never, handler: never) => void): void => {
    app.decorate(name, function (this: FastifyInstance, path: string, operation: object, handler?: unknown) {
      add(this, path, operation as never, handler as never)
      return this
    } as never)
  }
  decorate('asyncAction', (instance, path, operation, handler) => { addAsyncAction(instance, path, operation, handler, parts) })
  decorate('webhookAction', (instance, path, operation, handler) => { addWebhookAction(instance, path, operation, handler, parts) })
  decorate('webhookTrigger', (instance, path, operation) => { addWebhookTrigger(instance, path, operation, parts) })
  decorate('pollingTrigger', (instance, path, operation) => { addPollingTrigger(instance, path, operation, parts) })
}
