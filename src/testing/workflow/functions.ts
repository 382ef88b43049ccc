import { isDeepStrictEqual } from 'node:util'
import { ExpressionError } from './expression.ts'

/** A function of expressions: takes values, gives one. */
export type ExpressionFunction = (...values: unknown[]) => unknown

const order = (a: unknown, b: unknown): number => {
  if (typeof a !== typeof b || !['number', 'string'].includes(typeof a)) throw new ExpressionError(`${show(a)} and ${show(b)} cannot be compared: both must be numbers, or both strings`)
  return (a as number) < (b as number) ? -1 : Number((a as number) > (b as number))
}

const truth = (value: unknown): boolean => {
  if (typeof value !== 'boolean') throw new ExpressionError(`${show(value)} is no boolean`)
  return value
}

/** Functions that need nothing but their parameters: those that exported workflows and their conditions use. */
export const pureFunctions: Record<string, ExpressionFunction> = {
  equals: (a, b) => isDeepStrictEqual(a ?? null, b ?? null),
  not: (value) => !truth(value),
  and: (...values) => values.every(truth),
  or: (...values) => values.some(truth),
  greater: (a, b) => order(a, b) > 0,
  greaterOrEquals: (a, b) => order(a, b) >= 0,
  less: (a, b) => order(a, b) < 0,
  lessOrEquals: (a, b) => order(a, b) <= 0,
  if: (condition, yes, no) => truth(condition) ? yes : no,
  coalesce: (...values) => values.find((value) => value !== null && value !== undefined) ?? null,
  concat: (...values) => values.map(textOf).join(''),
  join: (items, delimiter) => {
    if (!Array.isArray(items)) throw new ExpressionError(`join: ${show(items)} is no array`)
    return items.map(textOf).join(String(delimiter))
  },
  replace: (text, old, given) => String(text).replaceAll(String(old), () => String(given)),
  string: textOf,
  json: (text) => JSON.parse(String(text)) as unknown,
  int: (value) => {
    const number = Number(value)
    if (!Number.isInteger(number)) throw new ExpressionError(`int: ${show(value)} is no integer`)
    return number
  },
  length: (value) => {
    if (typeof value !== 'string' && !Array.isArray(value)) throw new ExpressionError(`length: ${show(value)} is no string and no array`)
    return value.length
  },
  empty: (value) => value === null || value === undefined || (typeof value === 'object' ? Object.keys(value).length === 0 : value === ''),
  contains: (whole, part) => {
    if (typeof whole === 'string') return whole.includes(String(part))
    if (Array.isArray(whole)) return whole.some((item) => isDeepStrictEqual(item, part))
    if (typeof whole === 'object' && whole !== null) return Object.hasOwn(whole, String(part))
    throw new ExpressionError(`contains: ${show(whole)} is no string, array or object`)
  },
  startsWith: (whole, part) => String(whole).toLowerCase().startsWith(String(part).toLowerCase()),
  toLower: (text) => String(text).toLowerCase(),
  encodeURIComponent: (text) => encodeURIComponent(String(text)),
  uriComponent: (text) => encodeURIComponent(String(text)),
  base64: (text) => Buffer.from(String(text)).toString('base64'),
  base64ToString: (text) => Buffer.from(String(text), 'base64').toString()
}

/** A value as it stands in a string. */
export function textOf (value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function show (value: unknown): string {
  return JSON.stringify(value) ?? 'null'
}
