import type { CallbackUrlPlace, OperationDescription } from '../operation.ts'
import { convertSchema, type Position } from '../schema/convert.ts'
import type { SwaggerOperation, SwaggerSchema } from '../swagger.ts'
import type { DescribedOperation, Describing } from './operation-object.ts'

type WebhookDescription = Extract<OperationDescription, { payload: unknown }>

/**
 * What makes a subscribe call a webhook: the payload on the path item, and a property of the body that the platform
 * fills with its callback URL (openapi 0.3, 0.4).
 */
export function describeSubscription (described: DescribedOperation, { route, description, conversion }: Pick<Describing, 'route' | 'description' | 'conversion'>, at: Position): DescribedOperation {
  if (route.role !== 'subscribe' || description === undefined || !('payload' in description)) return described
  const { callbackUrl } = description
  if (callbackUrl.in !== 'property') {
    // For workflows with HTTP Webhook, whose author writes the call: a connector cannot make it (engine 4.2).
    conversion.note('callbackUrl', `is expected in the ${callbackUrl.in}, where no connector puts it: the operation is hidden from authors`, 'leave the option callbackUrl out, or its `in`')
    return { ...described, operation: { ...described.operation, 'x-ms-visibility': 'internal' } }
  }
  const payload = payloadSchema(description, at)
  return {
    operation: withNotificationUrl(described.operation, callbackUrl),
    pathItem: {
      ...described.pathItem,
      'x-ms-notification-content': { description: payload.description ?? 'What the callback brings.', schema: withoutDescription(payload) }
    }
  }
}

function withoutDescription ({ description: _, ...schema }: SwaggerSchema): SwaggerSchema {
  return schema
}

function payloadSchema ({ kind, payload }: WebhookDescription, at: Position): SwaggerSchema {
  const root = payload ?? { type: 'object' }
  const scope = { ...at.scope, roots: [root as Record<string, unknown>] }
  const schema = convertSchema(root, { ...at, scope })
  if (kind === 'webhookTrigger') return schema
  // A callback cannot fail an action, so the workflow must be able to look at this (engine 2.20).
  const { required: _, ...written } = at.conversion.dereference(schema) ?? {}
  return { ...written, type: 'object', properties: { ...written.properties, error: failure } }
}

const failure: SwaggerSchema = {
  type: 'object',
  description: 'There when the job failed, and then alone.',
  'x-ms-visibility': 'advanced',
  properties: {
    code: { type: 'string', title: 'Error code', 'x-ms-visibility': 'advanced' },
    message: { type: 'string', title: 'Error message', 'x-ms-visibility': 'advanced' }
  }
}

/** Hidden by itself: under a hidden parent the designer would not find it (openapi 0.4). */
function withNotificationUrl (operation: SwaggerOperation, { name }: CallbackUrlPlace): SwaggerOperation {
  const parameters = (operation.parameters ?? []).map((parameter) => {
    const { schema } = parameter
    const property = schema?.properties?.[name]
    if (parameter.in !== 'body' || property === undefined) return parameter
    const marked: SwaggerSchema = { ...property, type: 'string', 'x-ms-notification-url': true, 'x-ms-visibility': 'internal' }
    return { ...parameter, schema: { ...schema, properties: { ...schema!.properties, [name]: marked } } }
  })
  return { ...operation, parameters }
}
