import { isInternalThing, list, record, type DocumentView, type OperationView } from '../lint/view.ts'
import type { CallbackUrlPlace, OperationPattern } from '../operation.ts'
import type { SwaggerSchema } from '../swagger.ts'

export type CallKind = 'action' | 'asyncAction' | 'webhookAction' | 'webhookTrigger' | 'pollingTrigger'

/** An operation for authors, and how it is called. */
export interface CallableOperation {
  view: DocumentView
  operation: OperationView
  kind: CallKind
  /** Of webhooks: where no property of the body is marked. */
  callbackUrl: CallbackUrlPlace | undefined
  /** Of webhook actions that the decorator made. */
  jobSeconds: number | undefined
  /** Made by a decorator: what it answers and knows is known. */
  isOurs: boolean
}

export const isTrigger = (kind: CallKind): boolean => kind === 'webhookTrigger' || kind === 'pollingTrigger'

/** What can be called: operations for authors, and webhooks that are hidden since no connector could call them. */
export function callableOperations (view: DocumentView, patterns: Record<string, OperationPattern>): CallableOperation[] {
  return view.operations.flatMap((operation) => {
    const pattern = Object.hasOwn(patterns, operation.id) ? patterns[operation.id] : undefined
    const callbackUrl = pattern !== undefined && 'callbackUrl' in pattern && pattern.callbackUrl.in !== 'property' ? pattern.callbackUrl : undefined
    if (operation.id === '' || (operation.isInternal && callbackUrl === undefined)) return []
    const jobSeconds = pattern?.kind === 'webhookAction' ? pattern.jobSeconds : undefined
    return [{ view, operation, kind: pattern?.kind ?? kindOf(operation), callbackUrl, jobSeconds, isOurs: pattern !== undefined }]
  })
}

/** Of a plain route: what its document says. */
function kindOf ({ operation, isWebhook, responses }: OperationView): CallKind {
  const isTriggering = operation['x-ms-trigger'] !== undefined
  if (isWebhook) return isTriggering ? 'webhookTrigger' : 'webhookAction'
  if (isTriggering) return 'pollingTrigger'
  return Object.keys(record(responses.get('202')?.headers)).some((name) => name.toLowerCase() === 'location') ? 'asyncAction' : 'action'
}

/** The list that each item of a batch is taken from, as the designer finds it (openapi 0.5). */
export function splitOnOf ({ view, operation }: CallableOperation): string | undefined {
  if (operation.operation['x-ms-trigger'] !== 'batch') return undefined
  let expression = 'triggerBody()'
  let schema = view.follow(operation.isWebhook ? record(operation.item['x-ms-notification-content']).schema as SwaggerSchema : view.outputOf(operation))
  for (let depth = 0; depth < 20 && schema !== undefined; depth++) {
    if (schema.type === 'array') return `@${expression}`
    const shown = Object.entries(record(schema.properties)).filter(([, property]) => !isInternalThing(property as SwaggerSchema))
    if (shown.length !== 1) return undefined
    const [name, property] = shown[0]!
    expression += `?['${name.replaceAll("'", "''")}']`
    schema = view.follow(property as SwaggerSchema)
  }
  return undefined
}

/** Whether a callback can bring an `error`, which the workflow must look at: it cannot fail the action by itself (engine 2.20). */
export function canFail ({ view, operation, kind, jobSeconds }: CallableOperation): boolean {
  if (kind !== 'webhookAction') return false
  const payload = view.follow(record(operation.item['x-ms-notification-content']).schema as SwaggerSchema | undefined)
  return jobSeconds !== undefined || Object.hasOwn(record(payload?.properties), 'error')
}

/** Whether the platform writes its callback URL there. */
export const isCallbackUrl = (schema: SwaggerSchema): boolean => String(schema['x-ms-notification-url']) === 'true'

export const isRequired = (schema: SwaggerSchema, name: string): boolean => list(schema.required).includes(name)
