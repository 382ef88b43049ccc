import { isDeepStrictEqual } from 'node:util'
import { isInternalThing, list, record, type DocumentView } from '../lint/view.ts'
import type { SwaggerExtensions, SwaggerSchema } from '../swagger.ts'
import type { Note } from './change.ts'

/** Both documents, and who is told. */
export interface Comparison {
  before: DocumentView
  after: DocumentView
  note: Note
}

/** `integer` within `number`: what was given still fits, the other way it may not. */
const isWider = (from: unknown, to: unknown): boolean => from === 'integer' && to === 'number'
const typeOf = ({ type, format }: SwaggerSchema): string => `${type ?? 'any'}${format === undefined ? '' : ` (${format})`}`

/** What an author fills in. Compared down to the leaves, each pair once. */
export function compareInputs (comparison: Comparison, before: SwaggerSchema | undefined, after: SwaggerSchema | undefined, path: string, seen: Pairs = []): void {
  const { note } = comparison
  const [old, fresh] = followed(comparison, before, after)
  if (old === undefined || fresh === undefined || isSeen(seen, old, fresh)) return
  const pairs: Pairs = [...seen, [old, fresh]]
  if (isHidden(old, fresh)) {
    note('input-hidden', path, 'is internal now')
    return
  }
  if (isAnotherInputType(old, fresh)) {
    note('input-type', path, `was ${typeOf(old)} and is ${typeOf(fresh)}`)
    return
  }
  for (const message of narrowings(old, fresh)) note('input-narrowed', path, message)
  if (!isDeepStrictEqual(old.default, fresh.default)) note('input-default', path, `had the default ${JSON.stringify(old.default) ?? 'none'} and has ${JSON.stringify(fresh.default) ?? 'none'}`)
  compareInputProperties(comparison, old, fresh, path, pairs)
  if (typeof old.items === 'object' && typeof fresh.items === 'object') compareInputs(comparison, old.items, fresh.items, `${path}[]`, pairs)
  if (typeof old.additionalProperties === 'object' && typeof fresh.additionalProperties === 'object') compareInputs(comparison, old.additionalProperties, fresh.additionalProperties, `${path}[*]`, pairs)
}

function compareInputProperties (comparison: Comparison, old: SwaggerSchema, fresh: SwaggerSchema, path: string, pairs: Pairs): void {
  const { before, after, note } = comparison
  const [oldProperties, freshProperties] = [inputProperties(before, old), inputProperties(after, fresh)]
  // An open object took them, and what is not named any more it still takes.
  const isOpen = Object.keys(oldProperties).length > 0 && Object.keys(freshProperties).length === 0 && fresh.additionalProperties !== false
  for (const [name, property] of Object.entries(oldProperties)) {
    if (!Object.hasOwn(freshProperties, name)) {
      if (!isOpen) note('input-removed', `${path}.${name}`, 'is gone')
      continue
    }
    compareRequired(comparison, { was: list(old.required).includes(name), is: list(fresh.required).includes(name) }, `${path}.${name}`)
    compareInputs(comparison, property, freshProperties[name], `${path}.${name}`, pairs)
  }
  for (const name of Object.keys(freshProperties).filter((one) => !Object.hasOwn(oldProperties, one))) {
    const isRequired = list(fresh.required).includes(name)
    note(isRequired ? 'input-required' : 'input-added', `${path}.${name}`, isRequired ? 'is new, and required' : 'is new')
  }
}

/** Without what only the API fills in. */
function inputProperties (view: DocumentView, { properties }: SwaggerSchema): Record<string, SwaggerSchema> {
  return Object.fromEntries(Object.entries(record(properties)).filter(([, property]) => view.follow(property as SwaggerSchema)?.readOnly !== true)) as Record<string, SwaggerSchema>
}

export function compareRequired ({ note }: Comparison, { was, is }: { was: boolean, is: boolean }, path: string): void {
  if (is && !was) note('input-required', path, 'was optional and is required')
}

function isAnotherInputType (old: SwaggerSchema, fresh: SwaggerSchema): boolean {
  // Anything goes, so what was given does.
  if (fresh.type === undefined && fresh.properties === undefined) return false
  if (isWider(old.type, fresh.type)) return false
  return old.type !== fresh.type || (fresh.format !== undefined && old.format !== fresh.format)
}

/** The callback URL is to be internal: the platform fills it in. */
export function isHidden (old: SwaggerExtensions, fresh: SwaggerExtensions): boolean {
  return isInternalThing(fresh) && !isInternalThing(old) && fresh['x-ms-notification-url'] === undefined
}

/** In what fewer values are taken. */
function narrowings (old: SwaggerSchema, fresh: SwaggerSchema): string[] {
  const found: string[] = []
  if (Array.isArray(fresh.enum)) {
    const gone = Array.isArray(old.enum) ? old.enum.filter((value) => !fresh.enum!.some((other) => isDeepStrictEqual(value, other))) : undefined
    if (gone === undefined) found.push(`took any value and takes ${fresh.enum.map((value) => JSON.stringify(value)).join(', ')}`)
    else if (gone.length > 0) found.push(`does not take ${gone.map((value) => JSON.stringify(value)).join(', ')} any more`)
  }
  for (const keyword of ['maximum', 'maxLength', 'maxItems'] as const) {
    const [was, is] = [old[keyword] ?? Infinity, fresh[keyword] ?? Infinity]
    if (is < was) found.push(`has ${keyword} ${is}, and had ${was === Infinity ? 'none' : was}`)
  }
  for (const keyword of ['minimum', 'minLength', 'minItems'] as const) {
    const [was, is] = [old[keyword] ?? -Infinity, fresh[keyword] ?? -Infinity]
    if (is > was && !(keyword !== 'minimum' && is === 0)) found.push(`has ${keyword} ${is}, and had ${was === -Infinity ? 'none' : was}`)
  }
  for (const keyword of ['pattern', 'multipleOf'] as const) {
    if (fresh[keyword] !== undefined && fresh[keyword] !== old[keyword]) found.push(`has the ${keyword} ${fresh[keyword]}, and had ${old[keyword] ?? 'none'}`)
  }
  for (const [exclusive, bound] of [['exclusiveMinimum', 'minimum'], ['exclusiveMaximum', 'maximum']] as const) {
    // Another bound is told above.
    if (fresh[exclusive] === true && old[exclusive] !== true && fresh[bound] !== undefined && fresh[bound] === old[bound]) found.push(`does not take its ${bound} ${fresh[bound]} any more`)
  }
  if (fresh.uniqueItems === true && old.uniqueItems !== true) found.push('does not take a value twice any more')
  if (isFree(old) && fresh.additionalProperties === false) found.push('does not take properties of any name any more')
  if (old['x-nullable'] === true && fresh['x-nullable'] !== true) found.push('does not take null any more')
  return found
}

/** An object whose properties authors name: it has none of its own, or others beside them. */
function isFree ({ type, properties, additionalProperties }: SwaggerSchema): boolean {
  if (type !== 'object' || additionalProperties === false) return false
  return additionalProperties !== undefined || Object.keys(record(properties)).length === 0
}

/** What later steps use. */
export function compareOutputs (comparison: Comparison, before: SwaggerSchema | undefined, after: SwaggerSchema | undefined, path: string, seen: Pairs = []): void {
  const { note } = comparison
  const [old, fresh] = followed(comparison, before, after)
  if (old === undefined || fresh === undefined || isSeen(seen, old, fresh)) {
    if (old !== undefined && fresh === undefined) note('output-removed', path, 'is gone')
    if (old === undefined && fresh !== undefined) note('output-added', path, 'is new')
    return
  }
  const pairs: Pairs = [...seen, [old, fresh]]
  // Nothing was known of it, so nothing could be relied on; a number that is always whole is a number still.
  const isKnown = old.type !== undefined || old.properties !== undefined
  if (isKnown && !isWider(fresh.type, old.type) && typeOf(old) !== typeOf(fresh)) {
    note('output-type', path, `was ${typeOf(old)} and is ${typeOf(fresh)}`)
    return
  }
  if (fresh['x-nullable'] === true && old['x-nullable'] !== true) note('output-optional', path, 'may be null')
  const [oldProperties, freshProperties] = [outputProperties(comparison.before, old), outputProperties(comparison.after, fresh)]
  for (const [name, property] of Object.entries(oldProperties)) {
    if (!Object.hasOwn(freshProperties, name)) {
      note('output-removed', `${path}.${name}`, 'is gone')
      continue
    }
    if (list(old.required).includes(name) && !list(fresh.required).includes(name)) note('output-optional', `${path}.${name}`, 'may be missing')
    compareOutputs(comparison, property, freshProperties[name], `${path}.${name}`, pairs)
  }
  for (const name of Object.keys(freshProperties)) if (!Object.hasOwn(oldProperties, name)) note('output-added', `${path}.${name}`, 'is new')
  if (typeof old.items === 'object') compareOutputs(comparison, old.items, fresh.items, `${path}[]`, pairs)
  if (typeof old.additionalProperties === 'object') compareOutputs(comparison, old.additionalProperties, typeof fresh.additionalProperties === 'object' ? fresh.additionalProperties : undefined, `${path}[*]`, pairs)
}

/** Without what no author sees. */
function outputProperties (view: DocumentView, { properties }: SwaggerSchema): Record<string, SwaggerSchema> {
  return Object.fromEntries(Object.entries(record(properties)).filter(([, property]) => !isInternalThing(view.follow(property as SwaggerSchema) ?? {}))) as Record<string, SwaggerSchema>
}

type Pairs = readonly (readonly [SwaggerSchema, SwaggerSchema])[]

function isSeen (pairs: Pairs, old: SwaggerSchema, fresh: SwaggerSchema): boolean {
  return pairs.some(([one, other]) => one === old && other === fresh)
}

function followed ({ before, after }: Comparison, old: SwaggerSchema | undefined, fresh: SwaggerSchema | undefined): [SwaggerSchema | undefined, SwaggerSchema | undefined] {
  return [before.follow(old), after.follow(fresh)]
}
