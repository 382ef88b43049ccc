import { bodyOf, isInternalThing, list, record } from '../lint/view.ts'
import type { ParameterPlace, SwaggerParameter, SwaggerSchema } from '../swagger.ts'
import { alone, encoded, literal, literalExpression, quoted, within } from './expressions.ts'
import { isCallbackUrl, isRequired, isTrigger, type CallableOperation } from './operation.ts'
import { plainSchema, workflowType } from './plain-schema.ts'

/** What a call of an operation says, with expressions for what its author fills in. */
export interface CallInputs {
  path: string
  /** As a connector's gateway wants it, which decodes once what is marked as `double`. */
  gatewayPath: string
  queries: { name: string, value: string, /** As a part of a URL. */ encoded: string }[]
  headers: Record<string, unknown>
  /** `undefined`: there is none. */
  body: unknown
  /** Of the body, where it is no JSON. */
  contentType: string | undefined
  /** What the workflow is started with, where it is started by a request. */
  requestSchema: object
  /** Parameters of the workflow, where it is started by this operation. */
  parameters: Record<string, object>
}

interface Field {
  /** Of a parameter, or of a property of the body; of the body itself, `body`. */
  name: string
  place: ParameterPlace
  /** What it is asked for as: names are unique over all places. */
  asked: string
  schema: SwaggerSchema
  required: boolean
}

const callbackUrl = within('listCallbackUrl()')

/**
 * What must be said, and what has a default. Other inputs are left to the author: an expression for one that is not given
 * would send `null`, which is not the same as nothing.
 */
export function inputsOf (callable: CallableOperation): CallInputs {
  const fields = fieldsOf(callable)
  const isOfTrigger = isTrigger(callable.kind)
  const expressionOf = ({ asked }: Field): string => isOfTrigger ? `parameters(${quoted(asked)})` : `triggerBody()?[${quoted(asked)}]`
  const asks = ({ schema }: Field): boolean => !isInternalThing(schema) && schema.readOnly !== true && withCallbackUrl(callable.view.follow, schema) === undefined
  const isSaid = (field: Field): boolean => isInternalThing(field.schema)
    ? field.required && field.schema.default !== undefined
    : asks(field) && (field.required || field.schema.default !== undefined)

  function valueExpression (field: Field): string {
    const { default: value } = field.schema
    if (isInternalThing(field.schema)) return literalExpression(value)
    return value === undefined || isOfTrigger ? expressionOf(field) : `coalesce(${expressionOf(field)}, ${literalExpression(value)})`
  }
  const valueOf = (field: Field): unknown => isInternalThing(field.schema) ? literal(field.schema.default) : alone(valueExpression(field))
  const said = (place: ParameterPlace): Field[] => fields.filter((field) => field.place === place && isSaid(field))

  return {
    path: pathOf(callable, said('path'), valueExpression),
    gatewayPath: pathOf(callable, said('path'), valueExpression, true),
    queries: [
      ...said('query').map((field) => ({ name: field.name, value: queryValue(field, valueExpression(field), valueOf), encoded: encodedQuery(field, valueExpression(field)) })),
      ...(callable.callbackUrl?.in === 'query' ? [{ name: callable.callbackUrl.name, value: callbackUrl, encoded: encoded('listCallbackUrl()', 'string') }] : [])
    ],
    headers: {
      ...Object.fromEntries(said('header').map((field) => [field.name, valueOf(field)])),
      ...(callable.callbackUrl?.in === 'header' ? { [callable.callbackUrl.name]: callbackUrl } : {})
    },
    ...bodyInputs(callable, fields, { isSaid, valueOf, valueExpression }),
    requestSchema: requestSchemaOf(callable, fields.filter(asks)),
    parameters: isOfTrigger ? Object.fromEntries(fields.filter((field) => asks(field) && isSaid(field)).map((field) => [field.asked, parameterOf(field)])) : {}
  }
}

function fieldsOf ({ view, operation, callbackUrl }: CallableOperation): Field[] {
  const fields: Field[] = []
  const add = (field: Omit<Field, 'asked'>): void => {
    const isTaken = fields.some(({ asked }) => asked === field.name)
    fields.push({ ...field, asked: isTaken ? `${field.place}_${field.name}` : field.name })
  }
  const isCallbackParameter = ({ name, in: place }: SwaggerParameter): boolean => callbackUrl?.in === place && callbackUrl.name.toLowerCase() === name.toLowerCase()
  for (const parameter of operation.parameters.filter((one) => one.in !== 'body' && !isCallbackParameter(one))) {
    add({ name: parameter.name, place: parameter.in, schema: parameter as unknown as SwaggerSchema, required: parameter.required === true })
  }
  const body = bodyOf(operation)
  const schema = view.follow(body?.schema)
  if (schema === undefined || callbackUrl?.in === 'body') return fields
  const properties = Object.entries(record(schema.properties))
  if (properties.length === 0) add({ name: 'body', place: 'body', schema, required: body!.required === true })
  for (const [name, property] of properties) add({ name, place: 'body', schema: view.follow(property as SwaggerSchema) ?? {}, required: isRequired(schema, name) })
  return fields
}

function pathOf ({ operation }: CallableOperation, fields: Field[], expressionOf: (field: Field) => string, isForGateway = false): string {
  // An '@' of the path's own must not begin an expression.
  return operation.path.replaceAll(/\{([^}]*)\}|@/g, (written, name?: string) => {
    const field = fields.find((one) => one.name === name)
    if (field === undefined) return written.replaceAll('@', '%40')
    const isDouble = isForGateway && (field.schema as { 'x-ms-url-encoding'?: string })['x-ms-url-encoding'] === 'double'
    const once = encoded(expressionOf(field), field.schema.type)
    return isDouble ? encoded(once.slice(2, -1), 'string') : once
  })
}

/** Lists as their `collectionFormat` says; Swagger 2.0 begins with commas. */
function encodedQuery ({ name, schema }: Field, expression: string): string {
  if (schema.type !== 'array') return encoded(expression, schema.type)
  const separator = separatorOf(schema)
  if (separator !== undefined) return encoded(`join(${expression}, ${quoted(separator)})`, 'string')
  // The language has no function for each item: all are encoded together, around a character that stands in none.
  return within(`replace(encodeURIComponent(join(${expression}, '\u001f')), '%1F', ${quoted(`&${encodeURIComponent(name)}=`)})`)
}

/** Where the platform writes the query: a list in one value is joined, one that is repeated stays a list. */
function queryValue (field: Field, expression: string, valueOf: (field: Field) => unknown): string {
  const separator = field.schema.type === 'array' ? separatorOf(field.schema) : undefined
  return separator === undefined ? String(valueOf(field)) : alone(`join(${expression}, ${quoted(separator)})`)
}

/** `undefined` for a list whose name is repeated. */
function separatorOf (schema: SwaggerSchema): string | undefined {
  const format = (schema as { collectionFormat?: string }).collectionFormat ?? 'csv'
  const separators: Record<string, string> = { csv: ',', ssv: ' ', tsv: '\t', pipes: '|' }
  return format === 'multi' ? undefined : separators[format] ?? ','
}

interface FieldReading {
  isSaid: (field: Field) => boolean
  valueOf: (field: Field) => unknown
  valueExpression: (field: Field) => string
}

function bodyInputs ({ view, operation, callbackUrl: place }: CallableOperation, fields: Field[], { isSaid, valueOf, valueExpression }: FieldReading): Pick<CallInputs, 'body' | 'contentType'> {
  if (place?.in === 'body') return { body: callbackUrl, contentType: undefined }
  const form = fields.filter((field) => field.place === 'formData' && isSaid(field))
  if (form.length > 0) {
    const types = list(operation.operation.consumes ?? view.document.consumes)
    if (!types.includes('multipart/form-data')) {
      const pairs = form.map((field) => `${encodeURIComponent(field.name)}=${encoded(valueExpression(field), field.schema.type)}`)
      return { body: pairs.join('&'), contentType: 'application/x-www-form-urlencoded' }
    }
    const parts = form.map((field) => ({ headers: { 'Content-Disposition': `form-data; name="${field.name}"` }, body: valueOf(field) }))
    return { body: { '$content-type': 'multipart/form-data', $multipart: parts }, contentType: undefined }
  }
  const properties = fields.filter((field) => field.place === 'body')
  if (properties.length === 0) return { body: undefined, contentType: undefined }
  if (view.follow(bodyOf(operation)!.schema)!.properties === undefined) return { body: isSaid(properties[0]!) ? valueOf(properties[0]!) : undefined, contentType: undefined }
  const entries = properties.flatMap((field): [string, unknown][] => {
    const whole = withCallbackUrl(view.follow, field.schema)
    if (whole !== undefined) return [[field.name, whole]]
    return isSaid(field) ? [[field.name, valueOf(field)]] : []
  })
  return { body: Object.fromEntries(entries), contentType: undefined }
}

/** The URL, or the objects down to it; `undefined` where there is none. */
function withCallbackUrl (follow: CallableOperation['view']['follow'], schema: SwaggerSchema, depth = 0): unknown {
  if (isCallbackUrl(schema)) return callbackUrl
  if (depth > 20) return undefined
  for (const [name, property] of Object.entries(record(schema.properties))) {
    const below = withCallbackUrl(follow, follow(property as SwaggerSchema) ?? {}, depth + 1)
    if (below !== undefined) return { [name]: below }
  }
  return undefined
}

function requestSchemaOf ({ view }: CallableOperation, fields: Field[]): object {
  if (fields.length === 0) return {}
  const required = fields.filter(({ required, schema }) => required && schema.default === undefined).map(({ asked }) => asked)
  return {
    type: 'object',
    properties: Object.fromEntries(fields.map(({ asked, schema }) => [asked, plainSchema(view, schema)])),
    ...(required.length === 0 ? {} : { required })
  }
}

/** Without a default of its own the value is asked for when the workflow is deployed. */
function parameterOf ({ schema }: Field): object {
  const value = schema.default ?? schema.enum?.[0]
  return { type: workflowType(schema), ...(value === undefined ? {} : { defaultValue: literal(value) }) }
}
