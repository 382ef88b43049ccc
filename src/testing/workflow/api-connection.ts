import { UnsupportedDefinitionError, type ActionDefinition, type HttpInputs, type TriggerDefinition } from '../engine/definitions.ts'
import type { EngineParts } from '../engine/parts.ts'
import type { WorkflowPart } from './definition.ts'

interface ConnectionInputs {
  host?: { connection?: unknown }
  method?: string
  path?: string
  [other: string]: unknown
}

/** What goes over the wire when a connector's operation is called: its path below the API's address. */
function httpInputs (name: string, { inputs = {} }: WorkflowPart): HttpInputs {
  const { host, method = 'get', path, ...rest } = inputs as ConnectionInputs
  if (host?.connection === undefined) throw new UnsupportedDefinitionError(`${name}: inputs.host.connection is missing`)
  if (typeof path !== 'string') throw new UnsupportedDefinitionError(`${name}: inputs.path is missing`)
  const extra = Object.keys(rest).find((one) => !['headers', 'queries', 'body', 'authentication', 'retryPolicy'].includes(one))
  if (extra !== undefined) throw new UnsupportedDefinitionError(`${name}: inputs.${extra} is not played here`)
  return { ...rest, method: method.toUpperCase(), uri: path }
}

/** `ApiConnection` and `ApiConnectionWebhook` as the calls that they make; anything else as it is. */
export function withoutConnection (name: string, part: WorkflowPart): ActionDefinition & TriggerDefinition {
  if (part.type === 'ApiConnection') return { ...part, type: 'Http', inputs: httpInputs(name, part) } as never
  // Its end is a DELETE of the Location that the subscribe call was answered with (engine 4.4).
  if (part.type === 'ApiConnectionWebhook') {
    const webhook = { ...part, inputs: { method: 'post', ...part.inputs } }
    return { ...part, type: 'HttpWebhook', inputs: { subscribe: httpInputs(name, webhook) } } as never
  }
  return part as never
}

/** Calls of a connector go through its gateway, whatever the workflow runs on (engine 4.4, 5.7). */
export function connectorParts (engine: EngineParts, { type }: WorkflowPart): EngineParts {
  if (!type.startsWith('ApiConnection')) return engine
  return { ...engine, profile: { ...engine.profile, deletesLocation: true, gateway: true, requestTimeoutSeconds: 120 } }
}
