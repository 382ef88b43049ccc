import { swaggerMethods, type SwaggerDocument, type SwaggerExtensions, type SwaggerOperation, type SwaggerParameter, type SwaggerPathItem, type SwaggerResponse, type SwaggerSchema } from '../swagger.ts'

/** An operation as the rules look at it. */
export interface OperationView {
  /** For findings: `paths./cakes.post`. */
  place: string
  path: string
  method: string
  item: SwaggerPathItem
  operation: SwaggerOperation
  /** Empty where there is none. */
  id: string
  /** With those of the path item, and references followed. */
  parameters: SwaggerParameter[]
  responses: ReadonlyMap<string, SwaggerResponse>
  /** Schemas of inputs: of bodies, and parameters themselves. */
  inputs: PlacedSchema[]
  /** Schemas of outputs: of responses and callbacks. */
  outputs: PlacedSchema[]
  /** Of both. */
  schemas: PlacedSchema[]
  isInternal: boolean
  /** Called back by the platform: the path item has the payload (openapi 0.3). */
  isWebhook: boolean
}

/** A document made easy to ask. Any JSON goes: what is not as it should be is as if it were not there. */
export interface DocumentView {
  document: SwaggerDocument
  /** The document as JSON. */
  text (): string
  operations: OperationView[]
  /** Of several operations of one id, the first. */
  operationNamed (id: unknown): OperationView | undefined
  /** The schema itself, where it is a reference; `undefined` for one that leads nowhere. */
  follow (schema: SwaggerSchema | undefined): SwaggerSchema | undefined
  /** The schema that the designer takes outputs from (openapi 0.6). */
  outputOf (operation: OperationView): SwaggerSchema | undefined
  /** Calls back for a schema and all below it, level by level: one that is used twice is met at both places, one that holds itself once. */
  walk (schema: SwaggerSchema | undefined, place: string, visit: (schema: SwaggerSchema, place: string, parents: readonly SwaggerSchema[]) => void): void
}

export interface PlacedSchema {
  place: string
  schema: SwaggerSchema
  isInput: boolean
}

/** Met on a walk from a schema. */
interface Visit {
  found: SwaggerSchema
  /** What to add to the place of the schema. */
  below: string
  parents: readonly SwaggerSchema[]
}

/** Definitions that use each other again and again have more places than anyone reads: beyond these, each is met once. */
const mostRepeats = 1_000

export function record (value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : {}
}

export function list (value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

export function viewDocument (given: unknown): DocumentView {
  const document = record(given) as unknown as SwaggerDocument

  function atReference<T> (value: T): T | undefined {
    let found: unknown = value
    for (let steps = 0; typeof record(found).$ref === 'string'; steps++) {
      const reference = record(found).$ref as string
      if (!reference.startsWith('#/') || steps > 50) return undefined
      found = reference.slice(2).split('/').reduce<unknown>((at, name) => record(at)[name.replaceAll('~1', '/').replaceAll('~0', '~')], document)
    }
    return found as T | undefined
  }

  const parametersIn = (given: unknown): SwaggerParameter[] =>
    list(given).map((parameter) => record(atReference(parameter)) as unknown as SwaggerParameter).filter(({ name }) => typeof name === 'string')

  const responsesOf = new Map<unknown, OperationView['responses']>()

  function responsesIn (given: unknown): OperationView['responses'] {
    let responses = responsesOf.get(given)
    if (responses === undefined) {
      responses = new Map(Object.entries(record(given)).map(([code, response]) => [code, record(atReference(response)) as unknown as SwaggerResponse]))
      responsesOf.set(given, responses)
    }
    return responses
  }

  const viewOperation = (path: string, item: SwaggerPathItem, method: string, operation: SwaggerOperation): OperationView => {
    const own = parametersIn(operation.parameters)
    // Of one name in one place, the operation's is meant.
    const inherited = parametersIn(item.parameters).filter((parameter) => !own.some((one) => one.name === parameter.name && one.in === parameter.in))
    const parameters = [...inherited, ...own]
    const responses = responsesIn(operation.responses)
    const place = `paths.${path}.${method}`
    const [inputs, outputs] = [inputsAt(place, parameters), outputsAt(place, responses, item)]
    const isInternal = isInternalThing(operation)
    return {
      place,
      path,
      method,
      item,
      operation,
      id: typeof operation.operationId === 'string' ? operation.operationId : '',
      parameters,
      responses,
      inputs,
      outputs,
      schemas: [...inputs, ...outputs],
      isInternal,
      isWebhook: !isInternal && item['x-ms-notification-content'] !== undefined
    }
  }

  const operations = Object.entries(record(document.paths)).flatMap(([path, item]) =>
    swaggerMethods.flatMap((method) => {
      const operation = record(item)[method]
      return typeof operation === 'object' && operation !== null ? [viewOperation(path, item as SwaggerPathItem, method, operation as SwaggerOperation)] : []
    }))

  const byId = new Map<unknown, OperationView>()
  for (const operation of operations) if (!byId.has(operation.id)) byId.set(operation.id, operation)

  const walked = new WeakMap<SwaggerSchema, Visit[]>()

  function visitsOf (root: SwaggerSchema): Visit[] {
    const visits: Visit[] = []
    const seen = new Set<SwaggerSchema>()
    let repeats = 0
    const step = (schema: unknown, below: string, parents: readonly SwaggerSchema[]): void => {
      const found = view.follow(schema as SwaggerSchema | undefined)
      if (found === undefined || Array.isArray(found) || parents.includes(found)) return
      if (seen.has(found) && ++repeats > mostRepeats) return
      seen.add(found)
      visits.push({ found, below, parents })
    }
    step(root, '', [])
    for (const { found, below, parents } of visits) {
      const chain = [...parents, found]
      for (const [name, property] of Object.entries(record(found.properties))) step(property, `${below}.${name}`, chain)
      if (typeof found.items === 'object') step(found.items, `${below}[]`, chain)
      if (typeof found.additionalProperties === 'object') step(found.additionalProperties, `${below}[*]`, chain)
      for (const member of list(found.allOf)) step(member, below, chain)
    }
    return visits
  }

  let text: string | undefined
  const view: DocumentView = {
    document,
    text () {
      text ??= JSON.stringify(document)
      return text
    },
    operations,
    operationNamed: (id) => byId.get(id),
    follow (schema) {
      const found = atReference(schema)
      return typeof found === 'object' && found !== null ? found : undefined
    },

    outputOf ({ responses }) {
      const success = [...responses.keys()].filter((code) => /^2/.test(code) || code === 'default')
      const code = success.length === 1 ? success[0] : ['200', '201', 'default'].find((candidate) => success.includes(candidate))
      return code === undefined ? undefined : view.follow(responses.get(code)!.schema)
    },

    walk (schema, place, visit) {
      const root = view.follow(schema)
      if (root === undefined || Array.isArray(root)) return
      // Many rules walk, and many operations share their schemas.
      let visits = walked.get(root)
      if (visits === undefined) walked.set(root, visits = visitsOf(root))
      for (const { found, below, parents } of visits) visit(found, `${place}${below}`, parents)
    }
  }
  return view
}

function inputsAt (place: string, parameters: SwaggerParameter[]): PlacedSchema[] {
  return parameters.map((parameter) => ({
    place: `${place}.parameters.${parameter.name}`,
    schema: parameter.in === 'body' ? record(parameter.schema) as SwaggerSchema : parameter as unknown as SwaggerSchema,
    isInput: true
  }))
}

function outputsAt (place: string, responses: OperationView['responses'], item: SwaggerPathItem): PlacedSchema[] {
  const placed = [...responses].filter(([, { schema }]) => typeof schema === 'object' && schema !== null)
    .map(([code, { schema }]) => ({ place: `${place}.responses.${code}`, schema: schema!, isInput: false }))
  const payload = record(item['x-ms-notification-content']).schema
  return typeof payload !== 'object' || payload === null ? placed : [...placed, { place: `${place}.x-ms-notification-content`, schema: payload as SwaggerSchema, isInput: false }]
}

/** As the designer compares it: without case (openapi 1, x-ms-visibility). */
export function isInternalThing (thing: SwaggerExtensions): boolean {
  return String(thing['x-ms-visibility']).toLowerCase() === 'internal'
}

export const bodyOf = ({ parameters }: OperationView): SwaggerParameter | undefined => parameters.find((parameter) => parameter.in === 'body')
