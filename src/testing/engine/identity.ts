import type { Profile } from './profiles.ts'
import { pick, type Random } from './random.ts'
import type { Unknowns } from './unknowns.ts'

/** Who calls: one workflow in one place. */
export interface Identity {
  workflowId: string
  workflowName: string
  /** Moves with each save (engine 2.9). */
  version: string
  region: string
  subscriptionId: string
  resourceGroup: string
}

const hex = '0123456789abcdef'
const digits = '0123456789'

export function createGuid (random: Random): string {
  const part = (length: number): string => pick(random, hex, length)
  return [part(8), part(4), `4${part(3)}`, `a${part(3)}`, part(12)].join('-')
}

export function createRunId (random: Random): string {
  return `08585${pick(random, digits, 24)}CU${pick(random, digits, 2)}`
}

export function createVersion (random: Random): string {
  return `08585${pick(random, digits, 15)}`
}

export function createIdentity (random: Random, workflowName: string): Identity {
  return {
    workflowId: pick(random, hex, 32),
    workflowName,
    version: createVersion(random),
    region: 'westeurope',
    subscriptionId: createGuid(random),
    resourceGroup: 'cakes'
  }
}

/** What stays the same while one action or trigger does its work. */
export interface Tracking {
  operationName: string
  runId: string | undefined
  clientTrackingId: string
  actionTrackingId: string
}

/** Headers of one request (engine 5.1, 5.2), the ones that tell who calls. */
export function engineHeaders (identity: Identity, profile: Profile, unknowns: Unknowns, tracking: Tracking, random: Random): Record<string, string> {
  const { workflowId, workflowName, version, region, subscriptionId, resourceGroup } = identity
  // One GUID for each request, under three names (engine 5.3).
  const request = createGuid(random)
  return {
    'accept-encoding': 'gzip, deflate',
    'accept-language': 'en',
    'user-agent': `azure-logic-apps/1.0 (workflow ${workflowId}; version ${version})${profile.userAgentSuffix}`,
    'x-ms-execution-location': region,
    'x-ms-workflow-id': workflowId,
    'x-ms-workflow-version': version,
    'x-ms-workflow-name': workflowName,
    'x-ms-workflow-system-id': `/locations/${region}/scaleunits/prod-00/workflows/${workflowId}`,
    ...(tracking.runId === undefined ? {} : { 'x-ms-workflow-run-id': tracking.runId, 'x-ms-workflow-run-tracking-id': createGuid(random) }),
    'x-ms-workflow-operation-name': tracking.operationName,
    'x-ms-workflow-subscription-id': profile.namesSubscription ? subscriptionId : '',
    'x-ms-workflow-resourcegroup-name': profile.namesSubscription ? resourceGroup : '',
    'x-ms-workflow-subscription-capacity': 'Large',
    'x-ms-tracking-id': request,
    'x-ms-correlation-id': request,
    'x-ms-client-request-id': request,
    'x-ms-client-tracking-id': tracking.clientTrackingId,
    'x-ms-action-tracking-id': tracking.actionTrackingId,
    'x-ms-activity-vector': 'IN.1',
    ...(profile.gateway ? { 'x-ms-apim-referrer': `https://management.azure.com/subscriptions/${subscriptionId}` } : {}),
    ...(unknowns.traceparent === 'send' ? { traceparent: `00-${pick(random, hex, 32)}-${pick(random, hex, 16)}-01` } : {})
  }
}

/** Of a webhook's calls: by them a subscription may be known again (engine 2.5). */
const promisedHeaders = ['x-ms-client-tracking-id', 'x-ms-workflow-operation-name']

/** `SuppressWorkflowHeaders` takes away all that is the workflow's (engine 5.6). */
export function withoutWorkflowHeaders (headers: Record<string, string>, keepsPromised = false): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith('x-ms-') || (keepsPromised && promisedHeaders.includes(name))))
}
