import { record } from '../lint/view.ts'
import type { CallableOperation } from './operation.ts'

/**
 * How often a call that failed is made again. Starts and subscribe calls of the decorators know a repeat (design 3.6), so
 * they may be patient: the engine's own policy gives up after 100 seconds (engine 6.1), which is less than many a
 * deployment takes, and it is asked in the poll phase too (engine 1.13). This one lasts for half an hour.
 */
const patient = { type: 'exponential', count: 10, interval: 'PT10S', minimumInterval: 'PT5S', maximumInterval: 'PT5M' }

/** For what may happen twice when the answer to it is lost (engine 6.8). */
const never = { type: 'none' }

const repeatable = ['get', 'put', 'delete', 'head', 'options']

/** `undefined`: the engine's own. */
export function retryPolicyOf ({ operation, kind, isOurs }: CallableOperation): object | undefined {
  // A poll is repeated at the next recurrence anyway.
  if (kind === 'pollingTrigger') return undefined
  if (kind !== 'action') return isOurs ? patient : undefined
  if (repeatable.includes(operation.method) || operation.operation['x-ms-safe-operation'] === true) return undefined
  return never
}

/**
 * The asynchronous pattern is on by default. For an operation that answers 202 and does not say where to ask it must be
 * off, or the action may wait for ever (engine 1.10, 1.19).
 */
export function operationOptionsOf ({ operation: { responses }, kind }: CallableOperation): string | undefined {
  const accepted = responses.get('202')
  const hasLocation = Object.keys(record(accepted?.headers)).some((name) => name.toLowerCase() === 'location')
  return kind === 'action' && accepted !== undefined && !hasLocation ? 'DisableAsyncPattern' : undefined
}

const day = 86_400

/**
 * How long a workflow waits to be called back: without a limit a callback that never comes leaves the run waiting for 90
 * days (engine 2.20, 2.21). Callbacks are tried for about a day, and the job may take its own time before.
 */
export function limitOf ({ kind, jobSeconds }: CallableOperation): { timeout: string } | undefined {
  if (kind !== 'webhookAction') return undefined
  return { timeout: `P${Math.ceil((jobSeconds ?? day) / day) + 1}D` }
}
