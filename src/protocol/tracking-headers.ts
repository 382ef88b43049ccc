import type { IncomingHttpHeaders } from 'node:http'

/**
 * Where a call came from, as the engine's own headers say (engine 5.2, 5.3). All of them can be missing
 * (`SuppressWorkflowHeaders`, engine 5.6) and none is authenticated (engine 5.9): good for logs, never for access.
 */
export interface Tracking {
  workflowId?: string
  workflowRunId?: string
  operationName?: string
  actionTrackingId?: string
  clientTrackingId?: string
}

const headerOf: Record<keyof Tracking, string> = {
  workflowId: 'x-ms-workflow-id',
  workflowRunId: 'x-ms-workflow-run-id',
  operationName: 'x-ms-workflow-operation-name',
  actionTrackingId: 'x-ms-action-tracking-id',
  clientTrackingId: 'x-ms-client-tracking-id'
}
const entries = Object.entries(headerOf) as [keyof Tracking, string][]

/** Long enough for every id seen (engine 5.2) and for an 80 character action name (engine 9.5). */
const maxLength = 200

export function trackingOf (headers: IncomingHttpHeaders): Tracking {
  const tracking: Tracking = {}
  for (const [name, header] of entries) {
    const value = headers[header]
    if (typeof value === 'string' && value !== '' && value.length <= maxLength) tracking[name] = value
  }
  return tracking
}
