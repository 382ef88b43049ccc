import { isDeepStrictEqual } from 'node:util'
import type { SwaggerSchema } from '../swagger.ts'
import type { Conversion } from './conversion.ts'
import { isNull } from './keywords.ts'

/**
 * One schema that says what fits any of these, as well as Swagger 2.0 can: the designer reads neither `anyOf` nor `oneOf`
 * (openapi 0.9, 4). No input is lost: objects have the properties of all, and what has nothing in common has no type.
 */
export function uniteSchemas (schemas: SwaggerSchema[], conversion: Conversion, path: string): SwaggerSchema {
  const members = schemas.filter((schema) => !isNull(schema)).filter((schema, index, all) => all.findIndex((same) => isDeepStrictEqual(same, schema)) === index)
  const isNullable = members.length < schemas.length && schemas.some(isNull)
  const united = members.length === 0 ? {} : members.length === 1 ? members[0]! : uniteMembers(members, conversion, path)
  const all = isNullable || members.some((member) => member['x-nullable'] === true)
  if (!all || united['x-nullable'] === true) return united
  // Nothing may stand beside a $ref.
  const written = conversion.dereference(united)
  return written === undefined ? united : { ...written, 'x-nullable': true }
}

function uniteMembers (members: SwaggerSchema[], conversion: Conversion, path: string): SwaggerSchema {
  const written = members.map((member) => conversion.dereference(member))
  // One of them refers to what is being made here: the designer shows "any" there as well (openapi 2, cyclic $ref).
  if (written.some((member) => member === undefined)) return {}
  const known = written as SwaggerSchema[]
  const types = [...new Set(known.map(({ type }) => type))]
  const type = types.length === 1 ? types[0] : types.every((one) => one === 'integer' || one === 'number') ? 'number' : undefined
  const common = commonKeywords(known)

  if (known.every((member) => member.enum !== undefined)) return { ...common, ...(type === undefined ? {} : { type }), ...uniteValues(known) }
  if (type === 'object') return { ...common, type, ...uniteObjects(known, conversion, path) }
  if (type === 'array') {
    const items = known.map((member) => member.items ?? {})
    return { ...common, type, items: uniteSchemas(items, conversion, `${path}[]`) }
  }
  return type === undefined ? common : { ...common, type, ...(type === 'boolean' ? {} : commonFormat(known)) }
}

/** What all say in the same words, such as a title. */
function commonKeywords (schemas: SwaggerSchema[]): SwaggerSchema {
  const [first, ...others] = schemas
  const kept = Object.entries(first!).filter(([keyword, value]) => (['title', 'description', 'default', 'readOnly'].includes(keyword) || keyword.startsWith('x-')) &&
    others.every((schema) => isDeepStrictEqual((schema as Record<string, unknown>)[keyword], value)))
  return Object.fromEntries(kept.filter(([keyword]) => keyword !== 'x-ms-enum-values'))
}

function commonFormat (schemas: SwaggerSchema[]): SwaggerSchema {
  const format = schemas[0]!.format
  return format !== undefined && schemas.every((schema) => schema.format === format) ? { format } : {}
}

interface EnumValue {
  value: unknown
  displayName: string
}

/** A union of literals is a list of values; titles of the literals are what the designer shows (openapi 4, anyOf). */
function uniteValues (schemas: SwaggerSchema[]): SwaggerSchema {
  const values = [...new Set(schemas.flatMap((schema) => schema.enum!))]
  const named = schemas.flatMap((schema): EnumValue[] => {
    const known = schema['x-ms-enum-values']
    if (Array.isArray(known)) return known as EnumValue[]
    return schema.title !== undefined && schema.enum!.length === 1 ? [{ value: schema.enum![0], displayName: schema.title }] : []
  })
  return { enum: values, ...(named.length === values.length ? { 'x-ms-enum-values': named } : {}) }
}

function uniteObjects (schemas: SwaggerSchema[], conversion: Conversion, path: string): SwaggerSchema {
  const properties = schemas.map((schema) => schema.properties ?? {})
    .reduce((united, more) => uniteProperties(united, more, (one, other, name) => uniteSchemas([one, other], conversion, `${path}.${name}`)))
  const required = schemas.map((schema) => schema.required ?? []).reduce((common, more) => common.filter((name) => more.includes(name)))
  const further = schemas.map((schema) => schema.additionalProperties).filter((value) => typeof value === 'object')
  return {
    ...(Object.keys(properties).length === 0 ? {} : { properties }),
    ...(required.length === 0 ? {} : { required }),
    ...(further.length === 0 ? {} : { additionalProperties: uniteSchemas(further, conversion, path) })
  }
}

/** The properties of both; what both have is combined. */
export function uniteProperties (one: Record<string, SwaggerSchema>, other: Record<string, SwaggerSchema>, combine: (one: SwaggerSchema, other: SwaggerSchema, name: string) => SwaggerSchema): Record<string, SwaggerSchema> {
  const added = Object.entries(other).map(([name, schema]): [string, SwaggerSchema] => [name, Object.hasOwn(one, name) ? combine(one[name]!, schema, name) : schema])
  return { ...one, ...Object.fromEntries(added) }
}
