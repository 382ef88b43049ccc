import { isDeepStrictEqual } from 'node:util'
import type { SwaggerSchema } from '../swagger.ts'
import type { Conversion } from './conversion.ts'
import { uniteProperties } from './union.ts'

/** One schema that says what all of these say: the designer does not read `allOf` (openapi 0.9). Later ones win in title and description. */
export function mergeSchemas (schemas: SwaggerSchema[], conversion: Conversion, path: string): SwaggerSchema {
  return schemas.reduce((merged, schema) => mergeTwo(merged, schema, conversion, path))
}

type Combine = (one: never, other: never) => unknown

const smaller: Combine = (one: number, other: number) => Math.min(one, other)
const larger: Combine = (one: number, other: number) => Math.max(one, other)
/** Keywords that narrow: the stricter one holds. */
const narrower: Record<string, Combine> = {
  minLength: larger,
  maxLength: smaller,
  minItems: larger,
  maxItems: smaller,
  minProperties: larger,
  maxProperties: smaller
}

function mergeTwo (one: SwaggerSchema, other: SwaggerSchema, conversion: Conversion, path: string): SwaggerSchema {
  const merged: Record<string, unknown> = { ...one, ...other }
  for (const [keyword, combine] of Object.entries(narrower)) {
    const [a, b] = [(one as Record<string, unknown>)[keyword], (other as Record<string, unknown>)[keyword]]
    if (a !== undefined && b !== undefined) merged[keyword] = combine(a as never, b as never)
  }
  const type = mergeTypes(one, other, conversion, path)
  if (type !== undefined) merged.type = type
  if (one.required !== undefined && other.required !== undefined) merged.required = [...new Set([...one.required, ...other.required])]
  if (one.enum !== undefined && other.enum !== undefined) merged.enum = commonValues(one.enum, other.enum, conversion, path)
  if (one.properties !== undefined && other.properties !== undefined) {
    merged.properties = uniteProperties(one.properties, other.properties, (a, b, name) => mergeBelow(a, b, conversion, `${path}.${name}`))
  }
  if (one.items !== undefined && other.items !== undefined) merged.items = mergeBelow(one.items, other.items, conversion, `${path}[]`)
  if (typeof one.additionalProperties === 'object' && typeof other.additionalProperties === 'object') {
    merged.additionalProperties = mergeBelow(one.additionalProperties, other.additionalProperties, conversion, path)
  }
  mergeBound(one, other, merged, 'minimum', 'exclusiveMinimum', (a, b) => a > b)
  mergeBound(one, other, merged, 'maximum', 'exclusiveMaximum', (a, b) => a < b)
  // All of them must let it be null.
  if (one['x-nullable'] !== other['x-nullable'] && one.type !== undefined && other.type !== undefined) delete merged['x-nullable']
  return merged as SwaggerSchema
}

/** Two places that speak of the same: written out where both are not one reference. */
function mergeBelow (one: SwaggerSchema, other: SwaggerSchema, conversion: Conversion, path: string): SwaggerSchema {
  if (isDeepStrictEqual(one, other)) return one
  const [a, b] = [conversion.dereference(one), conversion.dereference(other)]
  if (a !== undefined && b !== undefined) return mergeTwo(a, b, conversion, path)
  conversion.fault(path, 'is said twice, and one of the two is a schema that refers to itself', 'write it out in one place')
  return {}
}

function mergeTypes ({ type: one }: SwaggerSchema, { type: other }: SwaggerSchema, conversion: Conversion, path: string): string | undefined {
  if (one === undefined || other === undefined || one === other) return one ?? other
  const both = [one, other]
  if (both.includes('integer') && both.includes('number')) return 'integer'
  conversion.fault(path, `must be ${one} and ${other} at once, which nothing is`, 'use a union, or mend one of the schemas in allOf')
  return undefined
}

function commonValues (one: unknown[], other: unknown[], conversion: Conversion, path: string): unknown[] {
  const common = one.filter((value) => other.some((same) => isDeepStrictEqual(value, same)))
  if (common.length === 0) conversion.fault(path, 'has two lists of values with nothing in common', 'mend one of the lists in allOf')
  return common
}

function mergeBound (one: SwaggerSchema, other: SwaggerSchema, merged: Record<string, unknown>, bound: 'minimum' | 'maximum', flag: 'exclusiveMinimum' | 'exclusiveMaximum', isStricter: (a: number, b: number) => boolean): void {
  const [a, b] = [one[bound], other[bound]]
  if (a === undefined || b === undefined) return
  const strict = a === b ? [one, other] : [isStricter(a, b) ? one : other]
  merged[bound] = strict[0]![bound]
  if (strict.some((schema) => schema[flag] === true)) merged[flag] = true
  else delete merged[flag]
}
