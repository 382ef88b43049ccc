import type { DocumentView, OperationView } from '../lint/view.ts'
import type { CallAuthentication } from './authentication.ts'
import { within } from './expressions.ts'
import type { CallInputs } from './inputs.ts'
import type { CallableOperation } from './operation.ts'
import { limitOf, operationOptionsOf, retryPolicyOf } from './settings.ts'

/** What all steps without a connector need. */
export interface HttpParts {
  /** Without a slash at its end. */
  address: string
  inputs: CallInputs
  auth: CallAuthentication
}

/** An action or trigger of type `Http`. */
export function httpStep (callable: CallableOperation, parts: HttpParts): object {
  const retryPolicy = retryPolicyOf(callable)
  const operationOptions = operationOptionsOf(callable)
  return {
    type: 'Http',
    inputs: { ...callOf(callable.operation, parts), ...(retryPolicy === undefined ? {} : { retryPolicy }) },
    ...(operationOptions === undefined ? {} : { operationOptions })
  }
}

/** An action or trigger of type `HttpWebhook` (engine 2.1). */
export function httpWebhookStep (callable: CallableOperation, parts: HttpParts): object {
  const retryPolicy = retryPolicyOf(callable)
  const limit = limitOf(callable)
  return {
    type: 'HttpWebhook',
    inputs: {
      subscribe: { ...callOf(callable.operation, parts), ...(retryPolicy === undefined ? {} : { retryPolicy }) },
      unsubscribe: unsubscribeOf(callable, parts)
    },
    ...(limit === undefined ? {} : { limit })
  }
}

function callOf ({ method }: OperationView, { address, inputs, auth }: HttpParts): object {
  const headers = { ...(inputs.contentType === undefined ? {} : { 'content-type': inputs.contentType }), ...auth.headers, ...inputs.headers }
  return {
    method: method.toUpperCase(),
    uri: uriOf(address, inputs, auth),
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...(inputs.body === undefined ? {} : { body: inputs.body }),
    ...(auth.authentication === undefined ? {} : { authentication: auth.authentication })
  }
}

/** The query stands in the URI: `inputs.queries` would take the place of what a `Location` has there (engine 1.26). */
function uriOf (address: string, { path, queries }: CallInputs, { query }: CallAuthentication): string {
  const pairs = [...queries.map(({ name, encoded }) => `${encodeURIComponent(name)}=${encoded}`), ...(query === undefined ? [] : [query])]
  return `${address}${path}${pairs.length === 0 ? '' : `?${pairs.join('&')}`}`
}

/**
 * The decorators' own route, told the callback URL to the byte: older engines refuse `listCallbackUrl()` there, and then
 * the body is to be left out (engine 2.5). Of a plain route nothing is known: none is called.
 */
function unsubscribeOf ({ view, operation, callbackUrl }: CallableOperation, { address, auth }: HttpParts): object {
  const found = unsubscribeOperation(view, operation)
  if (found === undefined) return {}
  const { path } = found
  // Where the URL was a whole body or a header at first, a text alone is understood as well.
  const body = callbackUrl === undefined ? { [callbackProperty(operation)]: within('listCallbackUrl()') } : within('listCallbackUrl()')
  return callOf(found, { address, auth, inputs: { path, gatewayPath: path, queries: [], headers: {}, body, contentType: undefined, requestSchema: {}, parameters: {} } })
}

function unsubscribeOperation ({ operations }: DocumentView, { id }: OperationView): OperationView | undefined {
  return operations.find((other) => other.id === `${id}UnsubscribeByUrl` && other.method === 'post' && other.isInternal)
}

/** The name that the subscribe call has it under. */
function callbackProperty ({ parameters }: OperationView): string {
  const properties = Object.entries(parameters.find((parameter) => parameter.in === 'body')?.schema?.properties ?? {})
  return properties.find(([, property]) => property['x-ms-notification-url'] !== undefined)?.[0] ?? 'callbackUrl'
}
