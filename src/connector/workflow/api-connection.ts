import { alone, quoted } from './expressions.ts'
import type { CallInputs } from './inputs.ts'
import type { CallableOperation } from './operation.ts'
import { limitOf, operationOptionsOf, retryPolicyOf } from './settings.ts'

/** A step that calls through a custom connector: the connection knows the address and who calls. */
export function apiConnectionStep (callable: CallableOperation, inputs: CallInputs, connection: string): object {
  const { operation, kind } = callable
  const retryPolicy = retryPolicyOf(callable)
  const operationOptions = operationOptionsOf(callable)
  const limit = limitOf(callable)
  const isWebhook = kind === 'webhookAction' || kind === 'webhookTrigger'
  return {
    type: isWebhook ? 'ApiConnectionWebhook' : 'ApiConnection',
    inputs: {
      host: { connection: { name: alone(`parameters('$connections')[${quoted(connection)}]['connectionId']`) } },
      // A subscribe call is a POST, and the designer writes none down.
      ...(isWebhook && operation.method === 'post' ? {} : { method: operation.method }),
      path: inputs.gatewayPath,
      ...(inputs.queries.length === 0 ? {} : { queries: Object.fromEntries(inputs.queries.map(({ name, value }) => [name, value])) }),
      ...(Object.keys(inputs.headers).length === 0 ? {} : { headers: inputs.headers }),
      ...(inputs.body === undefined ? {} : { body: inputs.body }),
      ...(retryPolicy === undefined ? {} : { retryPolicy })
    },
    ...(limit === undefined ? {} : { limit }),
    ...(operationOptions === undefined ? {} : { operationOptions })
  }
}

/** Which connection that is: the two names in angle brackets are of the subscription that it is pasted into. */
export function connectionsOf (connection: string): object {
  const provider = '/subscriptions/<subscription>/resourceGroups/<resource group>/providers/Microsoft.Web'
  return {
    $connections: {
      value: {
        [connection]: { connectionId: `${provider}/connections/${connection}`, connectionName: connection, id: `${provider}/customApis/${connection}` }
      }
    }
  }
}
