import type { RouteShorthandOptions } from 'fastify'
import { type Static, type TSchema, Type } from 'typebox'
import { Value } from 'typebox/value'
import { InvalidOptionsError } from '../errors.ts'
import { assertFailureStatusCode } from '../protocol/failure-status.ts'
import type { RunnableOperation } from '../work/attempt.ts'
import { monitorHooksFault } from './generated-route.ts'
import { operationIdOf } from './registry.ts'
import type { JobOptions, OperationSchema } from './types.ts'

/** What holds for all jobs of the app, and which of it an operation can set for itself. */
export const jobDefaultsSchema = Type.Object({
  // Whole seconds: the engine's reading of the HTTP-date form is undocumented (engine 1.4, 1.6). Never 0 on a 202 (engine 3.5).
  retryAfterSeconds: Type.Integer({ minimum: 1, default: 5, description: 'How long the engine is asked to wait between polls, in seconds. An operation can set its own.' }),
  waitSeconds: Type.Number({ minimum: 0, maximum: 100, default: 0, description: 'How long a start waits for its job to end before it answers 202, in seconds. The engine itself waits 120. An operation can set its own.' }),
  timeoutSeconds: Type.Number({ exclusiveMinimum: 0, default: 3600, description: 'How long one attempt of a job may take, in seconds. An operation can set its own.' }),
  deferTimeoutSeconds: Type.Number({ exclusiveMinimum: 0, default: 2_592_000, description: 'How long a deferred job waits to be completed, in seconds (30 days). An operation can set its own.' }),
  failureStatusCode: Type.Integer({ minimum: 400, maximum: 499, default: 422, description: 'What polls of a failed job answer, unless its JobError says otherwise. An operation can set its own.' }),
  retentionSeconds: Type.Number({ minimum: 60, default: 604_800, description: 'How long an ended job stays readable, in seconds (7 days). Afterwards its URLs answer 410.' }),
  maxCrashes: Type.Integer({ minimum: 1, default: 5, description: 'How often a worker may vanish under a job before the job fails with JobCrashed.' })
})

export type JobDefaults = Static<typeof jobDefaultsSchema>

const { retryAfterSeconds, waitSeconds, timeoutSeconds, deferTimeoutSeconds, failureStatusCode } = jobDefaultsSchema.properties
const jobOptionsSchema = Type.Partial(Type.Object({
  retryAfterSeconds,
  waitSeconds,
  timeoutSeconds,
  deferTimeoutSeconds,
  failureStatusCode,
  concurrency: Type.Integer({ minimum: 1 }),
  retries: Type.Integer({ minimum: 0 }),
  retryBackoffSeconds: Type.Number({ minimum: 0 })
}))

/** What is wrong with each value, asked one by one: TypeBox stops after eight errors. */
export function optionFaults (properties: Record<string, TSchema>, values: object): string[] {
  return Object.entries(values).flatMap(([name, value]) => Object.hasOwn(properties, name)
    ? Value.Errors(properties[name]!, value).slice(0, 1).map(({ message }) => `${name} ${message}`)
    : [`${name} is not an option`])
}

const names = Object.keys(jobOptionsSchema.properties) as (keyof typeof jobOptionsSchema.properties)[]

const ownNames: readonly string[] = [...names, 'result', 'context', 'contextSchema', 'monitorHooks']

/** What is left of an operation's options when its own are taken out: Fastify's, for the start route. */
export function routeOptionsOf (options: object): RouteShorthandOptions {
  return Object.fromEntries(Object.entries(options).filter(([name]) => !ownNames.includes(name)))
}

export type JobSettings = Omit<RunnableOperation, 'operationId' | 'handler' | 'encodeResult'> & { retryAfterSeconds: number, waitSeconds: number }

/**
 * An operation's own options over the plugin's.
 *
 * @throws {InvalidOptionsError} naming the operation and every fault.
 */
export function jobSettings (options: JobOptions & { schema: OperationSchema }, defaults: JobDefaults, path: string): JobSettings {
  const operationId = operationIdOf(options, path, 'jobs are kept under it')
  const own = Object.fromEntries(names.map((name) => [name, options[name]]).filter(([, value]) => value !== undefined)) as Pick<JobOptions, typeof names[number]>
  const faults = optionFaults(jobOptionsSchema.properties, own)
  if (options.context !== undefined && typeof options.context !== 'function') faults.push('context must be a function of the request')
  const hooksFault = options.monitorHooks === undefined ? undefined : monitorHooksFault(options.monitorHooks)
  if (hooksFault !== undefined) faults.push(hooksFault)
  if (Value.Check(failureStatusCode, own.failureStatusCode)) {
    try {
      assertFailureStatusCode(own.failureStatusCode, 'failureStatusCode')
    } catch (error) {
      faults.push((error as TypeError).message)
    }
  }
  if (faults.length > 0) throw new InvalidOptionsError(`${operationId} (${path}): ${faults.join('; ')}`)

  const merged = { ...defaults, ...own }
  return {
    retryAfterSeconds: merged.retryAfterSeconds,
    waitSeconds: merged.waitSeconds,
    timeoutMs: toMs(merged.timeoutSeconds),
    deferTimeoutMs: toMs(merged.deferTimeoutSeconds),
    failureStatusCode: merged.failureStatusCode,
    retentionMs: toMs(defaults.retentionSeconds),
    maxCrashes: defaults.maxCrashes,
    // The plugin's `concurrency` is counted over all operations, by the runner.
    concurrency: own.concurrency ?? Infinity,
    retries: own.retries,
    backoffMs: toMs(own.retryBackoffSeconds ?? 2)
  }
}

/** Whole milliseconds: stores keep times as integers. */
export const toMs = (seconds: number): number => Math.round(seconds * 1000)
