import type { Connection } from '../bundle/connection.ts'
import { apiConnectionStep, connectionsOf } from './api-connection.ts'
import { authenticationOf } from './authentication.ts'
import { alone, quoted, stepName, within } from './expressions.ts'
import { httpStep, httpWebhookStep } from './http.ts'
import { inputsOf, type CallInputs } from './inputs.ts'
import { canFail, isTrigger, splitOnOf, type CallableOperation } from './operation.ts'

export const workflowForms = ['http', 'http-webhook', 'api-connection', 'api-connection-webhook'] as const

/** The type of the step that calls the operation. */
export type WorkflowForm = typeof workflowForms[number]

export interface WorkflowFile {
  operationId: string
  form: WorkflowForm
  /** As the code view of a logic app has it. */
  workflow: object
}

export interface WorkflowParts {
  address: string
  connection: Connection
  /** Name of the connector, and of its connection. */
  connector: string
  resourceUri: string
}

/** Whole workflows that call one operation, in every way that it can be called. */
export function workflowsOf (callable: CallableOperation, { address, connection, connector, resourceUri }: WorkflowParts): WorkflowFile[] {
  const { operation: { id: operationId }, kind, callbackUrl } = callable
  const inputs = inputsOf(callable)
  const auth = authenticationOf(connection, resourceUri)
  const isWebhook = kind === 'webhookAction' || kind === 'webhookTrigger'
  const step = isWebhook ? httpWebhookStep : httpStep
  const own: WorkflowFile = {
    operationId,
    form: isWebhook ? 'http-webhook' : 'http',
    workflow: { definition: definitionOf(callable, step(callable, { address, inputs, auth }), inputs, auth.parameters) }
  }
  // A connector writes its callback URL into a property of the body, and nowhere else (engine 4.2).
  if (callbackUrl !== undefined) return [own]
  const connections = { $connections: { type: 'Object', defaultValue: {} } }
  return [own, {
    operationId,
    form: isWebhook ? 'api-connection-webhook' : 'api-connection',
    workflow: {
      definition: definitionOf(callable, apiConnectionStep(callable, inputs, connector), inputs, connections),
      parameters: connectionsOf(connector)
    }
  }]
}

function definitionOf (callable: CallableOperation, step: object, inputs: CallInputs, parameters: Record<string, object>): object {
  const { operation: { id, operation: { summary } }, kind } = callable
  const name = stepName(summary ?? '') || stepName(id)
  const steps = isTrigger(kind)
    ? { triggers: { [name]: triggerOf(callable, step) }, actions: {} }
    : { triggers: { manual: { type: 'Request', kind: 'Http', inputs: { schema: inputs.requestSchema } } }, actions: actionsOf(callable, name, step) }
  const all = { ...parameters, ...inputs.parameters }
  return {
    $schema: 'https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/workflowdefinition.json#',
    contentVersion: '1.0.0.0',
    ...(Object.keys(all).length === 0 ? {} : { parameters: all }),
    ...steps,
    outputs: {}
  }
}

function triggerOf (callable: CallableOperation, step: object): object {
  const splitOn = splitOnOf(callable)
  return {
    ...step,
    // Each poll is metered (engine 3.13); what the API asks for with Retry-After goes first (engine 3.2).
    ...(callable.kind === 'pollingTrigger' ? { recurrence: { frequency: 'Minute', interval: 1 } } : {}),
    ...(splitOn === undefined ? {} : { splitOn })
  }
}

function actionsOf (callable: CallableOperation, name: string, step: object): Record<string, object> {
  const action = { ...step, runAfter: {} }
  if (!canFail(callable)) return { [name]: action }
  const error = `body(${quoted(name)})?['error']`
  // A callback cannot fail an action: one that brings an error must fail the run (engine 2.20).
  return {
    [name]: action,
    Did_it_fail: {
      type: 'If',
      expression: { and: [{ not: { equals: [alone(error), alone('null')] } }] },
      actions: {
        Fail_the_run: {
          type: 'Terminate',
          inputs: { runStatus: 'Failed', runError: { code: within(`${error}?['code']`), message: within(`${error}?['message']`) } },
          runAfter: {}
        }
      },
      else: { actions: {} },
      runAfter: { [name]: ['Succeeded'] }
    }
  }
}
