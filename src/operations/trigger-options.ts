import type { RouteShorthandOptions } from 'fastify'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { InvalidOptionsError } from '../errors.ts'
import { optionFaults } from './job-options.ts'
import { operationIdOf } from './registry.ts'
import type { OperationSchema, PollTriggerOptions, TopicTriggerOptions } from './types.ts'

/** Options of polling triggers that are plain values. The reference page is made from the descriptions. */
export const triggerOptionsSchema = Type.Object({
  mode: Type.Enum(['batch', 'single'], { default: 'batch', description: 'What a 200 holds: `batch` for `{ "value": [item, …] }`, `single` for one item.' }),
  maxItems: Type.Integer({ minimum: 1, maximum: 100_000, default: 100, description: 'The most items of one answer in batch mode. A workflow with `splitOn` takes 100,000, and 100 where the concurrency of its trigger is limited.' }),
  retryAfterSeconds: Type.Integer({ minimum: 1, default: 15, description: 'How long the engine is asked to wait after a 202, in seconds. Where it is set, also after a 200 that leaves nothing behind: it then overrules the recurrence of the workflow.' })
})

export const topicTriggerOptionsSchema = Type.Object({
  maxAgeSeconds: Type.Number({ exclusiveMinimum: 0, description: 'Events older than this are passed over: what a trigger that was disabled for long shall not make up for.' }),
  scanLimit: Type.Integer({ minimum: 1, default: 10_000, description: 'How many events one poll looks at. With a filter that few events pass, a poll then answers 202 and goes on from there the next time.' })
})

export const pollTriggerOptionsSchema = Type.Object({
  timeoutSeconds: Type.Number({ exclusiveMinimum: 0, maximum: 115, default: 100, description: 'How long `start`, or `upgradeState` and `poll` together, may take, in seconds. The engine itself waits 120.' })
})

type TopicTrigger = TopicTriggerOptions<OperationSchema, unknown, unknown>
/** Type parameters are of no use at run time: the functions are called with what the schemas let pass. */
export type HostTrigger = PollTriggerOptions<OperationSchema, unknown, unknown, { validator: unknown, serializer: unknown, schema: unknown }>
export type GivenTrigger = TopicTrigger | HostTrigger

export interface TriggerSettings {
  mode: 'batch' | 'single'
  maxItems: number
  retryAfterSeconds: number
  scanLimit: number
  timeoutSeconds: number
}

const allOptions = Type.Object({ ...triggerOptionsSchema.properties, ...topicTriggerOptionsSchema.properties, ...pollTriggerOptionsSchema.properties })
const sharedNames = [...Object.keys(triggerOptionsSchema.properties), 'clientTrackingId']
const topicNames = [...Object.keys(topicTriggerOptionsSchema.properties), 'topic', 'matches', 'startFrom', 'onGap']
const hostNames = [...Object.keys(pollTriggerOptionsSchema.properties), 'state', 'item', 'start', 'poll', 'upgradeState']

export const isTopicTrigger = (options: GivenTrigger): options is TopicTrigger => 'topic' in options

/** What is left of the options when our own are taken out: Fastify's, for the route. */
export function triggerRouteOf (options: GivenTrigger): RouteShorthandOptions {
  return Object.fromEntries(Object.entries(options).filter(([name]) => ![...sharedNames, ...topicNames, ...hostNames].includes(name)))
}

/** @throws {InvalidOptionsError} naming the operation and every fault. */
export function triggerSettings (options: GivenTrigger, path: string): TriggerSettings {
  const operationId = operationIdOf(options, path, 'states are bound to it')
  const { properties } = allOptions
  const given = options as unknown as Record<string, unknown>
  const isGiven = (name: string): boolean => given[name] !== undefined
  const own = Object.fromEntries(Object.keys(properties).filter(isGiven).map((name) => [name, given[name]]))
  const faults = optionFaults(properties, own)
  const check = (fine: boolean, fault: string): void => { if (!fine) faults.push(fault) }
  const checkFunction = (name: string, what: string): void => { check(!isGiven(name) || typeof given[name] === 'function', `${name} must be ${what}`) }

  if (isTopicTrigger(options)) {
    check(typeof options.topic?.publish === 'function', 'topic must be a topic: make one with app.logicApps.topic(name)')
    check(isStartFrom(options.startFrom), "startFrom must be 'now', 'beginning' or { lookBackSeconds }")
    checkFunction('matches', 'a function of an event and the query of a poll')
    checkFunction('onGap', 'a function')
  } else {
    check(isGiven('poll'), 'topic is missing, or poll with state, item and start: where do its items come from?')
    for (const name of ['state', 'item']) check(!isGiven('poll') || (typeof given[name] === 'object' && given[name] !== null), `${name} must be a JSON Schema`)
    check(!isGiven('poll') || isGiven('start'), 'start is missing: it makes the state of those who poll for the first time')
    for (const name of ['start', 'poll', 'upgradeState']) checkFunction(name, 'a function')
  }
  for (const name of isTopicTrigger(options) ? hostNames : topicNames) check(!isGiven(name), `${name} is no option of a trigger ${isTopicTrigger(options) ? 'with' : 'without'} a topic`)
  checkFunction('clientTrackingId', 'a function of an item')
  check(!isGiven('clientTrackingId') || options.mode === 'single', "clientTrackingId needs mode 'single': a batch has one answer for all its items")
  check(!isGiven('maxItems') || options.mode !== 'single', "maxItems needs mode 'batch'")
  if (faults.length > 0) throw new InvalidOptionsError(`${operationId} (${path}): ${faults.join('; ')}`)

  return Value.Default(allOptions, own) as TriggerSettings
}

function isStartFrom (value: unknown): boolean {
  if (value === undefined || value === 'now' || value === 'beginning') return true
  const { lookBackSeconds } = (value ?? {}) as { lookBackSeconds?: unknown }
  return typeof lookBackSeconds === 'number' && Number.isFinite(lookBackSeconds) && lookBackSeconds >= 0
}
