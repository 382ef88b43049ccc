/*
 * The JSON of a workflow, as the code view has it (engine 2.1, WDL-REF). Only what this engine plays; what else stands
 * in a definition and would change what happens is refused by name.
 */

export interface Authentication {
  type: string
  [name: string]: unknown
}

export interface RetryPolicy {
  type: 'none' | 'fixed' | 'exponential' | 'default'
  count?: number
  interval?: string
  minimumInterval?: string
  maximumInterval?: string
}

/** One call, as `inputs` of an Http action or trigger and `subscribe` and `unsubscribe` of a webhook have it. */
export interface HttpInputs {
  method?: string
  uri?: string
  /** The manifest says `uri`, older samples `url` (engine 2.1). */
  url?: string
  headers?: Record<string, unknown>
  queries?: Record<string, unknown>
  body?: unknown
  cookie?: string
  authentication?: Authentication
  retryPolicy?: RetryPolicy
}

export interface WebhookInputs {
  subscribe: HttpInputs
  unsubscribe?: HttpInputs
  accessKeyType?: string
}

export interface Limit {
  timeout?: string
}

export interface HttpAction {
  type: 'Http'
  inputs: HttpInputs
  limit?: Limit
  operationOptions?: string
  runtimeConfiguration?: Record<string, unknown>
  runAfter?: Record<string, string[]>
  [other: string]: unknown
}

export interface HttpWebhookAction {
  type: 'HttpWebhook'
  inputs: WebhookInputs
  limit?: Limit
  operationOptions?: string
  runAfter?: Record<string, string[]>
  [other: string]: unknown
}

export type ActionDefinition = HttpAction | HttpWebhookAction

export interface Recurrence {
  frequency: 'Second' | 'Minute' | 'Hour' | 'Day' | 'Week' | 'Month'
  interval: number
}

interface TriggerParts {
  splitOn?: string
  conditions?: { expression: unknown }[]
  operationOptions?: string
  runtimeConfiguration?: { concurrency?: { runs?: number, maximumWaitingRuns?: number }, [other: string]: unknown }
  [other: string]: unknown
}

export interface HttpTrigger extends TriggerParts {
  type: 'Http'
  inputs: HttpInputs
  recurrence: Recurrence
}

export interface HttpWebhookTrigger extends TriggerParts {
  type: 'HttpWebhook'
  inputs: WebhookInputs
}

export type TriggerDefinition = HttpTrigger | HttpWebhookTrigger

/** A definition says something that this engine does not play, or that the cloud would refuse to save. */
export class UnsupportedDefinitionError extends TypeError {
  override readonly name = 'UnsupportedDefinitionError'
}

const frequencies: Record<Recurrence['frequency'], { ms: number, max: number }> = {
  Second: { ms: 1000, max: 9_999_999 },
  Minute: { ms: 60_000, max: 72_000 },
  Hour: { ms: 3_600_000, max: 12_000 },
  Day: { ms: 86_400_000, max: 500 },
  Week: { ms: 604_800_000, max: 71 },
  // Calendar months are not played: what is tested is not the calendar.
  Month: { ms: 30 * 86_400_000, max: 16 }
}

/** Between two polls, in milliseconds, within the limits of engine 3.11. */
export function recurrenceMs (recurrence: Recurrence | undefined, name: string): number {
  const { frequency, interval } = recurrence ?? {}
  const unit = frequencies[frequency as Recurrence['frequency']]
  if (unit === undefined) throw new UnsupportedDefinitionError(`${name}: recurrence.frequency must be one of ${Object.keys(frequencies).join(', ')}`)
  if (!Number.isInteger(interval) || interval! < 1 || interval! > unit.max) throw new UnsupportedDefinitionError(`${name}: recurrence.interval must be an integer from 1 to ${unit.max} for ${frequency}`)
  const extra = Object.keys(recurrence!).find((key) => !['frequency', 'interval'].includes(key))
  if (extra !== undefined) throw new UnsupportedDefinitionError(`${name}: recurrence.${extra} is not played by this engine`)
  return unit.ms * interval!
}

/** Refuses what would change what happens, such as chunks (engine 7) and pagination (engine 1.30). */
export function assertPlayed (name: string, definition: { operationOptions?: string, runtimeConfiguration?: Record<string, unknown> }, options: readonly string[], configuration: readonly string[] = []): void {
  const { operationOptions = '', runtimeConfiguration = {} } = definition
  const option = splitOptions(operationOptions).find((one) => !options.includes(one))
  if (option !== undefined) throw new UnsupportedDefinitionError(`${name}: operationOptions "${option}" is not played by this engine; it plays ${options.join(', ') || 'none here'}`)
  const setting = Object.keys(runtimeConfiguration).find((one) => !configuration.includes(one))
  if (setting !== undefined) throw new UnsupportedDefinitionError(`${name}: runtimeConfiguration.${setting} is not played by this engine`)
}

export function hasOption (definition: { operationOptions?: string }, option: string): boolean {
  return splitOptions(definition.operationOptions ?? '').includes(option)
}

function splitOptions (options: string): string[] {
  return options.split(',').map((one) => one.trim()).filter((one) => one !== '')
}
