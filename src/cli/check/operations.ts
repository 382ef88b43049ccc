import type { Authentication } from '../../testing/engine/definitions.ts'
import type { Discovered } from './discover.ts'
import type { OperationKind } from './rules.ts'

/** A call as a config file writes it. */
export interface CallConfig {
  method?: string
  /** Below the API's address, or a whole URL. */
  path: string
  headers?: Record<string, string>
  queries?: Record<string, string>
  body?: unknown
  authentication?: Authentication
}

/** One operation to check. */
export interface OperationConfig extends CallConfig {
  kind: Exclude<OperationKind, 'document'>
  /** Input for which the work fails. */
  failingBody?: unknown
  /** Input that must be refused. */
  badBody?: unknown
  /** Of a webhook: where it unsubscribes. @default DELETE of the Location of the 201 */
  unsubscribe?: CallConfig
  /** Makes something happen that a trigger tells of. `{{id}}` in it becomes a text that names the event. */
  event?: CallConfig
  /** Of a batch trigger: the property that holds the array; '' where the body is the array. */
  items?: string
}

export interface CheckConfig {
  baseUrl?: string
  /** Where the Swagger document is, below the address or a whole URL. */
  swagger?: string
  /** Headers and authentication of every call. */
  headers?: Record<string, string>
  authentication?: Authentication
  operations?: Record<string, OperationConfig | false>
}

const kinds = ['async-action', 'webhook-action', 'webhook-trigger', 'polling-trigger']
const callMembers = ['method', 'path', 'headers', 'queries', 'body', 'authentication']
const operationMembers = [...callMembers, 'kind', 'failingBody', 'badBody', 'unsubscribe', 'event', 'items']

/**
 * What is wrong with a config file, each fault by its path.
 */
export function configFaults (config: unknown): string[] {
  if (typeof config !== 'object' || config === null || Array.isArray(config)) return ['the config must be an object']
  const faults: string[] = unknownMembers(config, ['baseUrl', 'swagger', 'headers', 'authentication', 'operations'], '')
  const { operations = {} } = config as CheckConfig
  for (const [name, operation] of Object.entries(operations)) {
    const at = `operations.${name}`
    if (operation === false) continue
    faults.push(...unknownMembers(operation, operationMembers, `${at}.`))
    if (operation.kind !== undefined && !kinds.includes(operation.kind)) faults.push(`${at}.kind must be one of ${kinds.join(', ')}`)
    for (const [member, call] of [['unsubscribe', operation.unsubscribe], ['event', operation.event]] as const) {
      if (call === undefined) continue
      faults.push(...unknownMembers(call, callMembers, `${at}.${member}.`))
      if (typeof call.path !== 'string') faults.push(`${at}.${member}.path is missing`)
    }
  }
  return faults
}

/** Operations of a document, completed and corrected by those of a config; both must make whole ones. */
export function mergeOperations ({ operations: found, unsampled }: Discovered, { operations = {}, headers, authentication }: CheckConfig): { operations: Record<string, OperationConfig>, faults: string[], leftOut: string[] } {
  const names = [...new Set([...Object.keys(found), ...Object.keys(operations)])].filter((name) => operations[name] !== false)
  const merged = Object.fromEntries(names.map((name): [string, OperationConfig] => {
    const own = { ...found[name], ...operations[name] } as OperationConfig
    return [name, {
      ...own,
      // Samples come last: what is said of every call is true of this one.
      ...(headers === undefined ? {} : { headers: { ...found[name]?.headers, ...headers, ...(operations[name] as OperationConfig | undefined)?.headers } }),
      ...(authentication === undefined || own.authentication !== undefined ? {} : { authentication })
    }]
  }))
  // Of these only the document knows, and no document tells how something is made to happen.
  const eventless = names.filter((name) => operations[name] === undefined && isTrigger(merged[name]!) && merged[name]!.event === undefined)
  const unknown = unsampled.filter(({ name, member, field }) => Object.hasOwn(merged, name) && !eventless.includes(name) && !isGiven(member, field, merged[name]!, operations[name]))
  for (const name of [...eventless, ...unknown.map(({ name }) => name)]) delete merged[name]
  const leftOut = [
    ...eventless.map((name) => `${name} is left out: the config does not say how an event is made to happen`),
    ...unknown.map(({ name, member, field }) => `${name} is left out: no sample can be made up for "${field}", and the config gives no ${member}`)
  ]
  const faults = Object.entries(merged).flatMap(([name, operation]) => [
    ...(operation.kind === undefined ? [`operations.${name}.kind is missing`] : []),
    ...(typeof operation.path !== 'string' ? [`operations.${name}.path is missing`] : []),
    ...(isTrigger(operation) && operation.event === undefined ? [`operations.${name}.event is missing: how is something made to happen that it tells of?`] : [])
  ])
  return { operations: merged, faults, leftOut }
}

/** Headers may be given one by one, to all calls. */
function isGiven (member: Discovered['unsampled'][number]['member'], field: string, merged: OperationConfig, own: OperationConfig | false | undefined): boolean {
  if (member === 'headers') return Object.keys(merged.headers ?? {}).some((name) => name.toLowerCase() === field.toLowerCase())
  return own !== undefined && own !== false && own[member] !== undefined
}

const isTrigger = ({ kind }: OperationConfig): boolean => kind === 'webhook-trigger' || kind === 'polling-trigger'

function unknownMembers (value: object, known: string[], at: string): string[] {
  return Object.keys(value).filter((name) => !known.includes(name)).map((name) => `${at}${name} is not known; there are ${known.join(', ')}`)
}
