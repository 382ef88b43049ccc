import type { Literal } from './dynamic.ts'

/** Makes a trigger of a plain route: one run for each answer, or one for each entry of the list that it answers. */
export const trigger = (kind: 'single' | 'batch') => ({ 'x-ms-trigger': kind })

/** Help for authors: what must happen for the trigger to fire. */
export const triggerHint = (text: string) => ({ 'x-ms-trigger-hint': text })

/** As the connector wizard marks a trigger that a policy polls for. APIs made with this package need none. */
export const triggerMetadata = () => ({ 'x-ms-trigger-metadata': { kind: 'query' as const, mode: 'polling' as const } })

/** The webhook that tells a polling trigger when to poll, by the `operationId` of its subscribe call. */
export const notification = (operationId: string) => ({ 'x-ms-notification': { operationId } })

/** What a webhook's callback brings, for a plain route that is a subscribe call. Moved to the path item in the document. */
export const notificationContent = ({ description, schema, headers }: { description?: string, schema: unknown, headers?: Record<string, unknown> }) => ({
  'x-ms-notification-content': { ...(description === undefined ? {} : { description }), schema, ...(headers === undefined ? {} : { headers }) }
})

export interface ApiAnnotationOptions {
  /** What all revisions of the operation have in common, such as `BakeCake`. */
  family: string
  /** From 1. The operationId of revision 2 ends in `_V2`. */
  revision: number
  status?: 'Preview' | 'Production'
  /** On a revision with `deprecated: true`: what to use. */
  replacement?: { api: string, operationId: string }
}

/** The version of an operation. */
export const apiAnnotation = ({ family, revision, status, replacement }: ApiAnnotationOptions) => ({
  'x-ms-api-annotation': { family, revision, ...(status === undefined ? {} : { status }), ...(replacement === undefined ? {} : { replacement }) }
})

/** What "Test" calls in place of a trigger. */
export const operationContext = (operationId: string, parameters: Record<string, Literal> = {}) => ({
  'x-ms-operation-context': { simulate: { operationId, parameters } }
})

/** A list in pages: the output names the URL of the next one in a property of this name. */
export const pageable = (nextLinkName: 'nextLink' | '@odata.nextLink' = 'nextLink') => ({ 'x-ms-pageable': { nextLinkName } })

/** Large content is sent in chunks. */
export const chunkTransfer = () => ({ 'x-ms-capabilities': { chunkTransfer: true as const } })

/** Not for generic tests of the connector. */
export const noGenericTest = () => ({ 'x-ms-no-generic-test': true as const })

/** A POST without effects, which tests may send. */
export const safeOperation = () => ({ 'x-ms-safe-operation': true as const })

/** Whether an agent asks a person before it calls. */
export const requireUserConfirmation = (isAsked = true) => ({ 'x-ms-require-user-confirmation': isAsked })

/** An endpoint that speaks the Model Context Protocol. */
export const agenticProtocol = () => ({ 'x-ms-agentic-protocol': 'mcp-streamable-1.0' as const })
