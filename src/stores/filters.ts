import type { DeliveryFilter, JobFilter, SubscriptionFilter } from '../work/store.ts'

/** Conditions on columns, which have the same names in both schemas; `?` stands for the value. Those without one do not count. */
export type Conditions = Record<string, string | number | undefined>

export function jobConditions ({ operation, owner, status, before }: JobFilter): Conditions {
  return {
    'operation = ?': operation,
    'owner = ?': owner,
    'status = ?': status,
    'number < ?': before
  }
}

export function subscriptionConditions ({ operation, job, owner, urlDigest, status, tracking = {}, before }: SubscriptionFilter): Conditions {
  return {
    'operation = ?': operation,
    'job = ?': job,
    'owner = ?': owner,
    'url_digest = ?': urlDigest,
    'status = ?': status,
    'client_tracking_id = ?': tracking.clientTrackingId,
    'operation_name = ?': tracking.operationName,
    'workflow_run_id = ?': tracking.workflowRunId,
    'workflow_id = ?': tracking.workflowId,
    'number < ?': before
  }
}

export function deliveryConditions ({ number, operation, owner, subscription, status, before }: DeliveryFilter & { number?: number | undefined }): Conditions {
  return {
    'number = ?': number,
    'operation = ?': operation,
    'owner = ?': owner,
    'subscription = ?': subscription,
    'status = ?': status,
    'number < ?': before
  }
}

/** The WHERE clause of those conditions that have a value. */
export function whereOf (conditions: Conditions): { where: string, values: (string | number)[] } {
  const given = Object.entries(conditions).filter((condition): condition is [string, string | number] => condition[1] !== undefined)
  return {
    where: given.length === 0 ? '' : `WHERE ${given.map(([text]) => text).join(' AND ')}`,
    values: given.map(([, value]) => value)
  }
}
