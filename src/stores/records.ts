import type {
  ClaimedDelivery, ClaimedJob, DeliveryAttempt, DeliveryRecord, DeliveryStatus, FanOutStep, Failure, JobRecord, JobStatus, SubscriptionRecord, SubscriptionStatus
} from '../work/store.ts'

/** A row, by the names of its columns, which are the same in both schemas. */
type Row = Record<string, unknown>

export function toJob (row: Row): JobRecord {
  return {
    number: row.number as number,
    operation: row.operation as string,
    owner: row.owner as string,
    status: row.status as JobStatus,
    attempt: row.attempt as number,
    failures: row.failures as number,
    crashes: row.crashes as number,
    percentComplete: row.percent_complete as number,
    message: row.message as string,
    createdAt: row.created_at as number,
    startedAt: row.started_at as number | null,
    endedAt: row.ended_at as number | null,
    result: row.result as string | null,
    failure: row.failure === null ? null : JSON.parse(row.failure as string) as Failure
  }
}

/** What `toClaimed` takes. Not all that a job has: what an attempt does not need would be read for each. */
export const claimedColumns = ['number', 'operation', 'attempt', 'failures', 'crashes', 'created_at'].map((name) => `jobs.${name}`).join(', ')

/** @param due In place of what the store keeps of it. */
export function toClaimed (row: Row, due: ClaimedJob['due']): ClaimedJob {
  return {
    number: row.number as number,
    operation: row.operation as string,
    attempt: row.attempt as number,
    failures: row.failures as number,
    crashes: row.crashes as number,
    createdAt: row.created_at as number,
    input: row.input as string,
    due
  }
}

export function toSubscription (row: Row): SubscriptionRecord {
  const tracking = {
    clientTrackingId: row.client_tracking_id,
    operationName: row.operation_name,
    workflowRunId: row.workflow_run_id,
    workflowId: row.workflow_id
  }
  return {
    number: row.number as number,
    operation: row.operation as string,
    owner: row.owner as string,
    topic: row.topic as string | null,
    job: row.job as number | null,
    status: row.status as SubscriptionStatus,
    afterEvent: row.after_event as number,
    failingSince: row.failing_since as number | null,
    skipped: row.skipped as number,
    urlDigest: row.url_digest as string,
    versionlessDigest: row.versionless_digest as string | null,
    sealedUrl: toBytes(row.sealed_url),
    urlHint: row.url_hint as string,
    host: row.host as string,
    tracking: Object.fromEntries(Object.entries(tracking).filter(([, value]) => value !== null)) as SubscriptionRecord['tracking'],
    createdAt: row.created_at as number,
    input: row.input as string
  }
}

/** What `toDelivery` takes. Not all that a delivery has: its attempts may be long. */
export const deliveryColumns = ['number', 'operation', 'owner', 'subscription', 'subscription_created_at', 'url_hint', 'status', 'attempts', 'created_at', 'due_at', 'ended_at', 'event', 'job']
  .map((name) => `deliveries.${name}`).join(', ')

export function toDelivery (row: Row): DeliveryRecord {
  return {
    number: row.number as number,
    operation: row.operation as string,
    owner: row.owner as string,
    subscription: row.subscription as number,
    subscriptionCreatedAt: row.subscription_created_at as number,
    urlHint: row.url_hint as string,
    status: row.status as DeliveryStatus,
    attempts: row.attempts as number,
    createdAt: row.created_at as number,
    dueAt: row.due_at as number | null,
    endedAt: row.ended_at as number | null,
    event: row.event as number | null,
    job: row.job as number | null
  }
}

type Begun = Pick<ClaimedDelivery, 'number' | 'operation' | 'owner' | 'subscription' | 'subscriptionCreatedAt' | 'urlHint' | 'sealedUrl' | 'failingSince'>

/** A delivery that begins with the step that owes it: all the rest is the same for each. */
export const toBegun = ({ event, now }: FanOutStep, body: string, begun: Begun): ClaimedDelivery =>
  ({ ...begun, status: 'pending', attempts: 0, createdAt: now, dueAt: null, endedAt: null, event, job: null, claim: 1, body })

/** How many attempts at a delivery are kept, the newest. */
export const maxAttemptsKept = 100

/** One attempt as a list of JSON, as short as may be: there is one in each delivery. */
export const attemptLogOf = ({ at, durationMs, statusCode, answer }: DeliveryAttempt): string => JSON.stringify([[at, Math.round(durationMs), statusCode, answer]])

/** @param log Several of the above in one list, or null. */
export function toAttempts (log: unknown): DeliveryAttempt[] {
  if (log === null) return []
  const entries = JSON.parse(log as string) as [at: number, durationMs: number, statusCode: number | null, answer: string][]
  return entries.map(([at, durationMs, statusCode, answer]) => ({ at, durationMs, statusCode, answer }))
}

/** Not a Buffer, which `pg` brings, and whose methods differ. */
export const toBytes = (value: unknown): Uint8Array => new Uint8Array(value as Uint8Array)
