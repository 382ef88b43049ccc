import { isDeepStrictEqual } from 'node:util'
import { typeOfValue } from '../schema/keywords.ts'
import { fitsType } from '../schema/parameter.ts'
import { definitionPrefix, type SwaggerSchema } from '../swagger.ts'
import { everySchema } from './every-schema.ts'
import type { LintRule } from './rule.ts'
import { list, record, type DocumentView } from './view.ts'

const unread = ['anyOf', 'oneOf', 'allOf', 'not', 'const', 'if', 'then', 'else', 'patternProperties', 'prefixItems', 'nullable', '$defs']

interface Reference {
  place: string
  /** What has the `$ref`. */
  holder: SwaggerSchema & { $ref: string }
}

/** Keywords whose values are data. */
const dataKeywords = ['default', 'example', 'enum']

/** Every `$ref` of the document, at each of its places. */
function referencesIn ({ document }: DocumentView, parts: readonly string[]): Reference[] {
  const found: Reference[] = []
  const step = (value: SwaggerSchema & Record<string, unknown>, place: string): void => {
    if (typeof value.$ref === 'string') found.push({ place, holder: value as Reference['holder'] })
    for (const key of Object.keys(value)) {
      const below = value[key]
      if (typeof below === 'object' && below !== null && !dataKeywords.includes(key)) step(below as SwaggerSchema & Record<string, unknown>, `${place}.${key}`)
    }
  }
  for (const part of parts) step(record(record(document)[part]), part)
  return found
}

/** What a schema may say so that the designer reads it (openapi 0.9). */
export const schemaRules: LintRule[] = [
  {
    id: 'reference',
    severity: 'error',
    source: 'openapi 3, SchemaReferenceNotFound',
    asks: 'Every $ref leads to something in the document.',
    mend: 'define it under definitions',
    mentions: '"$ref"',
    check (view, report) {
      const seen = new Set<unknown>()
      for (const { place, holder } of referencesIn(view, ['paths', 'definitions', 'parameters', 'responses'])) {
        if (!seen.has(holder) && view.follow(holder) === undefined) report(place, `refers to "${holder.$ref}", which is nowhere`)
        seen.add(holder)
      }
    }
  },
  {
    id: 'reference-siblings',
    severity: 'warning',
    source: 'openapi 3, AdditionalPropertyNotAllowedAdjacentToRef',
    asks: 'Nothing stands beside a $ref.',
    mend: 'write the schema out where it needs a title of its own',
    mentions: '"$ref"',
    check (view, report) {
      for (const { place, holder } of referencesIn(view, ['paths', 'definitions'])) {
        const beside = Object.keys(holder).filter((key) => key !== '$ref')
        if (beside.length > 0 && !place.endsWith('.properties')) report(place, `has ${beside.join(', ')} beside its $ref`)
      }
    }
  },
  {
    id: 'reference-cycle',
    severity: 'warning',
    source: 'openapi 2, cyclic $ref',
    asks: 'No schema contains itself: the designer shows "any" below the first level.',
    mend: 'write out as many levels as workflows need',
    mentions: '"$ref"',
    check ({ document }, report) {
      const definitions = record(document.definitions)
      const referred = (value: unknown): string[] => typeof value !== 'object' || value === null
        ? []
        : Object.entries(value).flatMap(([key, below]) => key === '$ref' && typeof below === 'string' && below.startsWith(definitionPrefix) ? [below.slice(definitionPrefix.length)] : referred(below))
      const names = new Map(Object.entries(definitions).map(([name, definition]) => [name, referred(definition)]))
      for (const name of names.keys()) {
        const reached = new Set<string>()
        const queue = [...names.get(name)!]
        for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
          if (reached.has(next)) continue
          reached.add(next)
          queue.push(...names.get(next) ?? [])
        }
        if (reached.has(name)) report(`definitions.${name}`, 'contains itself')
      }
    }
  },
  {
    id: 'schema-keywords',
    severity: 'warning',
    source: 'openapi 0.9',
    asks: 'Schemas have none of the keywords that are not read: with them a field is "any".',
    mend: `write it without ${unread.join(', ')}`,
    check (view, report) {
      everySchema(view, report, (schema, fault) => {
        const found = unread.filter((keyword) => Object.hasOwn(schema, keyword))
        if (found.length > 0) fault(`has ${found.join(', ')}`)
      })
    }
  },
  {
    id: 'schema-type',
    severity: 'error',
    source: 'openapi 2, type list',
    asks: 'A type is one name.',
    mend: 'use one type, and x-nullable: true for null',
    check (view, report) {
      everySchema(view, report, ({ type }, fault) => { if (type !== undefined && typeof type !== 'string') fault(`has the types ${JSON.stringify(type)}, of which the last alone is read`) })
    }
  },
  {
    id: 'array-items',
    severity: 'warning',
    source: 'openapi 3, ArrayHasNoItems',
    asks: 'An array says what its items are.',
    mend: 'add items',
    mentions: '"array"',
    check (view, report) {
      everySchema(view, report, ({ type, items }, fault) => { if (type === 'array' && (typeof items !== 'object' || Array.isArray(items))) fault('has no items') })
    }
  },
  {
    id: 'required-names',
    severity: 'warning',
    source: 'openapi 3, RequiredPropertyDefinitionMissing, RequiredPropertyArrayEmpty, RequiredPropertyNotOnObject',
    asks: 'required names properties that are there, of an object.',
    mend: 'declare the property, or leave it out of required',
    check (view, report) {
      everySchema(view, report, ({ required, properties, type }, fault) => {
        if (!Array.isArray(required)) return
        if (required.length === 0) fault('has an empty list of required properties')
        if (type !== undefined && type !== 'object') fault(`requires properties, and is of type ${type}`)
        const missing = required.filter((name) => !Object.hasOwn(record(properties), name))
        if (missing.length > 0) fault(`requires ${missing.join(', ')}, which ${missing.length === 1 ? 'is' : 'are'} not declared`)
      })
    }
  },
  {
    id: 'required-read-only',
    severity: 'error',
    source: 'openapi 3, RequiredReadOnlyPropertyNotAllowedAsInput',
    asks: 'No input is both required and readOnly: the designer does not show it.',
    mend: 'leave readOnly out of the schema of the request',
    mentions: '"readOnly"',
    check (view, report) {
      everySchema(view, report, ({ required, properties }, fault, { isInput }) => {
        const names = list(required).filter((name) => record(record(properties)[name as string]).readOnly === true)
        if (isInput && names.length > 0) fault(`requires ${names.join(', ')}, and shows ${names.length === 1 ? 'it' : 'them'} to nobody`)
      })
    }
  },
  {
    id: 'enum-type',
    severity: 'warning',
    source: 'openapi 3, InvalidEnumValue',
    asks: 'Values of an enum are of its type.',
    mend: 'mend the type or the value',
    mentions: '"enum"',
    check (view, report) {
      everySchema(view, report, ({ enum: values, type }, fault) => {
        for (const value of list(values)) if (typeof type === 'string' && type !== 'array' && !fitsType(value, type)) fault(`is of type ${type}, and has the value ${JSON.stringify(value)} of type ${typeOfValue(value)}`)
      })
    }
  },
  {
    id: 'enum-values',
    severity: 'warning',
    source: 'openapi 1, x-ms-enum-values',
    asks: 'x-ms-enum-values gives a name to values that are in enum, each once.',
    mend: 'use enumValues() with the values of the enum',
    mentions: '"x-ms-enum-values"',
    check (view, report) {
      everySchema(view, report, (schema, fault) => {
        const named = schema['x-ms-enum-values']
        if (named === undefined) return
        const values = list(named).map((entry) => record(entry).value)
        for (const value of values) if (!list(schema.enum).some((known) => isDeepStrictEqual(known, value))) fault(`names ${JSON.stringify(value)}, which is not in its enum`)
        if (new Set(values).size < values.length) fault('names a value twice')
        if (list(named).some((entry) => typeof record(entry).displayName !== 'string')) fault('has an entry without displayName')
      })
    }
  },
  {
    id: 'exclusive-bound',
    severity: 'warning',
    source: 'openapi 3, ExclusiveMinimumRequiresMinimum',
    asks: 'exclusiveMinimum and exclusiveMaximum are true or false, beside a bound.',
    mend: 'write minimum: 0, exclusiveMinimum: true',
    mentions: '"exclusiveM',
    check (view, report) {
      everySchema(view, report, ({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }, fault) => {
        for (const [flag, bound] of [[exclusiveMinimum, minimum], [exclusiveMaximum, maximum]]) {
          if (flag !== undefined && (typeof flag !== 'boolean' || bound === undefined)) fault('has an exclusive bound that is no flag beside a bound')
        }
      })
    }
  },
  {
    id: 'binary-place',
    severity: 'warning',
    source: 'openapi 3, InvalidStringBinaryProperty',
    asks: 'Bytes (string, binary) are a whole body or a field of a form.',
    mend: 'use format "byte", which is base64',
    mentions: '"binary"',
    check (view, report) {
      everySchema(view, report, ({ type, format }, fault, { parents }) => { if (parents.length > 0 && type === 'string' && format === 'binary') fault('is binary') })
    }
  }
]
