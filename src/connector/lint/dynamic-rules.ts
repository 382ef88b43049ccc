import type { SwaggerSchema } from '../swagger.ts'
import { everySchema } from './every-schema.ts'
import type { LintRule } from './rule.ts'
import { bodyOf, isInternalThing, list, record, type DocumentView, type OperationView } from './view.ts'

/** A dynamic list or schema, in whichever form it was found. */
interface DynamicReference {
  extension: string
  /** Where it is used. */
  place: string
  source: OperationView
  operationId: string | undefined
  parameters: Record<string, unknown>
  /** What its paths must lead to in the target's output. */
  itemsPath: string | undefined
  itemPaths: string[]
  schemaPath: string | undefined
}

const dynamicExtensions = ['x-ms-dynamic-values', 'x-ms-dynamic-list', 'x-ms-dynamic-schema', 'x-ms-dynamic-properties', 'x-ms-dynamic-tree'] as const

/** In an item of a list. `itemIsParent` is one too, or a condition: `IsFolder eq true`. */
const itemPathNames = ['value-path', 'value-title', 'value-description', 'value-selectable', 'itemValuePath', 'itemTitlePath', 'itemFullTitlePath']

/** Several rules ask, and the whole document is looked through for it. */
const foundIn = new WeakMap<DocumentView, DynamicReference[]>()

function dynamicReferencesOf (view: DocumentView): DynamicReference[] {
  let references = foundIn.get(view)
  if (references === undefined) foundIn.set(view, references = findDynamicReferences(view))
  return references
}

function findDynamicReferences (view: DocumentView): DynamicReference[] {
  // Most documents have none, and then need not be looked through.
  if (!/"x-ms-(dynamic-|operation-context)/.test(view.text())) return []
  return view.operations.flatMap((source) => {
    const found: DynamicReference[] = []
    for (const { place, schema } of source.schemas) {
      view.walk(schema, place, (one, at) => {
        for (const extension of dynamicExtensions) if (one[extension] !== undefined) found.push(...readExtension(extension, record(one[extension]), at, source))
      })
    }
    const simulated = source.operation['x-ms-operation-context']
    if (simulated !== undefined) found.push(...readExtension('x-ms-operation-context', record(record(simulated).simulate), source.place, source))
    return found
  })
}

function readExtension (extension: string, value: Record<string, unknown>, place: string, source: OperationView): DynamicReference[] {
  // These name no operation of the document.
  if (value.builtInOperation !== undefined || value.capability !== undefined) return []
  if (extension === 'x-ms-dynamic-tree') return ['open', 'browse'].filter((part) => value[part] !== undefined).flatMap((part) => readExtension(`${extension}.${part}`, record(value[part]), place, source))
  const text = (name: string): string[] => typeof value[name] === 'string' && value[name] !== '' ? [value[name]] : []
  const isSchema = extension === 'x-ms-dynamic-schema' || extension === 'x-ms-dynamic-properties'
  const isList = !isSchema && extension !== 'x-ms-operation-context'
  return [{
    extension,
    place,
    source,
    operationId: text('operationId')[0],
    parameters: record(value.parameters),
    itemsPath: [...text('value-collection'), ...text('itemsPath')][0],
    itemPaths: isList ? [...itemPathNames.flatMap(text), ...text('itemIsParent').filter((path) => /^[^\s()]+$/.test(path))] : [],
    schemaPath: isSchema ? [...text('value-path'), ...text('itemValuePath')][0] : undefined
  }]
}

interface NamedInput {
  isRequired: boolean
  isInternal: boolean
  hasDefault: boolean
  /** The old form leaves out the name of the body that a property is in. */
  shortName: string
}

/** The inputs of an operation by the names that references use: `shop`, `body/address/city`. */
function inputNames (view: DocumentView, operation: OperationView): Map<string, NamedInput> {
  const names = new Map<string, NamedInput>()
  for (const parameter of operation.parameters) {
    if (parameter.in !== 'body') names.set(parameter.name, { isRequired: parameter.required === true, isInternal: isInternalThing(parameter), hasDefault: parameter.default !== undefined, shortName: parameter.name })
  }
  const body = bodyOf(operation)?.name ?? 'body'
  view.walk(bodyOf(operation)?.schema, body, (schema, place, parents) => {
    const isRequired = parents.length > 0 && list(parents.at(-1)!.required).includes(place.split('.').at(-1)!) && parents.length === 1
    const name = place.replaceAll('.', '/')
    names.set(name, { isRequired, isInternal: [...parents, schema].some(isInternalThing), hasDefault: schema.default !== undefined, shortName: parents.length === 0 ? name : name.slice(body.length + 1) })
  })
  return names
}

/** By its name, or as the old form says it. */
function inputNamed (names: Map<string, NamedInput>, name: string): NamedInput | undefined {
  return names.get(name) ?? [...names.values()].find(({ shortName }) => shortName === name)
}

/** Which input a parameter of a dynamic extension takes its value from, if from one. */
function referenceIn (value: unknown): string | undefined {
  const { parameter, parameterReference } = record(value)
  const name = parameterReference ?? parameter
  return typeof name === 'string' ? name : undefined
}

/** `undefined` where nothing is at the path, `{}` where what is there is not known. */
function atPath (view: DocumentView, schema: SwaggerSchema | undefined, path: string): SwaggerSchema | undefined {
  let found = view.follow(schema)
  for (const name of path.split('/').filter((part) => part !== '')) {
    if (found === undefined || isOpen(found)) return found
    found = view.follow(record(found.properties)[name] as SwaggerSchema | undefined) ?? otherProperties(view, found)
  }
  return found
}

function otherProperties (view: DocumentView, { additionalProperties }: SwaggerSchema): SwaggerSchema | undefined {
  if (additionalProperties === true) return {}
  return typeof additionalProperties === 'object' ? view.follow(additionalProperties) : undefined
}

/** Nothing is said of what is in it. */
const isOpen = ({ type, properties, additionalProperties }: SwaggerSchema): boolean =>
  (type === undefined || type === 'object') && Object.keys(record(properties)).length === 0 && (additionalProperties === undefined || additionalProperties === true)

/** References of dynamic lists and schemas must lead to something: a dead one is an empty dropdown in every flow (openapi 1). */
export const dynamicRules: LintRule[] = [
  {
    id: 'dynamic-operation',
    severity: 'error',
    source: 'openapi 1, OperationIdNotFound',
    asks: 'A dynamic list or schema names an operation of the document.',
    mend: 'name an operationId of the connector; an operation for this alone may be internal',
    check (view, report) {
      for (const { extension, place, source, operationId } of dynamicReferencesOf(view)) {
        if (view.operationNamed(operationId) === undefined) report(place, `names ${JSON.stringify(operationId) ?? 'no operation'} in ${extension}, which is no operation`, source.id)
      }
    }
  },
  {
    id: 'dynamic-parameter',
    severity: 'error',
    source: 'openapi 1, OperationParameterNameNotFound',
    asks: 'A dynamic list or schema takes its parameters from inputs that are there, gives those that the operation has, and all that it requires.',
    mend: 'name inputs as fromInput("shop"), or fromInput("body/address/city") for a property of the body, and give every required parameter',
    check (view, report) {
      for (const { extension, place, source, operationId, parameters } of dynamicReferencesOf(view)) {
        const target = view.operationNamed(operationId)
        if (target === undefined) continue
        const [given, taken] = [inputNames(view, source), inputNames(view, target)]
        for (const [name, value] of Object.entries(parameters)) {
          const reference = referenceIn(value)
          if (reference !== undefined && inputNamed(given, reference) === undefined) report(place, `takes ${name} from the input "${reference}" in ${extension}, which is not there`, source.id)
          if (inputNamed(taken, name) === undefined) report(place, `gives ${name} to ${target.id} in ${extension}, which takes none`, source.id)
        }
        for (const [name, { isRequired, hasDefault, shortName }] of taken) {
          const isGiven = Object.hasOwn(parameters, name) || Object.hasOwn(parameters, shortName)
          if (isRequired && !hasDefault && !isGiven) report(place, `does not give ${name} to ${target.id} in ${extension}, which requires it`, source.id)
        }
      }
    }
  },
  {
    id: 'dynamic-internal-parameter',
    severity: 'error',
    source: 'openapi 3, SourcePropertyInternal',
    asks: 'An input that a dynamic list or schema depends on is one that authors see.',
    mend: 'show the input, or give a fixed value',
    check (view, report) {
      for (const { extension, place, source, parameters } of dynamicReferencesOf(view).filter(({ source }) => !source.isInternal)) {
        const names = inputNames(view, source)
        for (const reference of Object.values(parameters).map(referenceIn)) {
          if (reference !== undefined && inputNamed(names, reference)?.isInternal === true) report(place, `depends on "${reference}" in ${extension}, which is internal`, source.id)
        }
      }
    }
  },
  {
    id: 'dynamic-output',
    severity: 'error',
    source: 'openapi 3, InvokedOperationShouldProduceArray',
    asks: 'The paths of a dynamic list lead to a list in the output of its operation, and to properties of its items; that of a dynamic schema leads to something in it.',
    mend: 'mend the paths, with "/" between names; leave `items` or `schema` out where the output itself is the list or the schema',
    check (view, report) {
      for (const { extension, place, source, operationId, itemsPath, itemPaths, schemaPath } of dynamicReferencesOf(view)) {
        const target = view.operationNamed(operationId)
        if (target === undefined) continue
        const output = view.outputOf(target)
        // Where no output is described, the schema may be anywhere in it.
        if (schemaPath !== undefined && output !== undefined && atPath(view, output, schemaPath) === undefined) report(place, `expects a schema at "${schemaPath}" from ${target.id} in ${extension}, which is not in its output`, source.id)
        if (itemPaths.length === 0) continue
        const found = output === undefined ? undefined : atPath(view, output, itemsPath ?? '')
        if (found === undefined) report(place, `expects a list${itemsPath === undefined ? '' : ` at "${itemsPath}"`} from ${target.id} in ${extension}, which is not in its output`, source.id)
        else if (found.type !== 'array') {
          if (!isOpen(found)) report(place, `expects a list${itemsPath === undefined ? '' : ` at "${itemsPath}"`} from ${target.id} in ${extension}, and finds ${found.type ?? 'an object'}`, source.id)
        } else {
          for (const path of itemPaths) if (atPath(view, found.items ?? {}, path) === undefined) report(place, `expects "${path}" in the items of ${target.id} in ${extension}, which is not in its output`, source.id)
        }
      }
    }
  },
  {
    id: 'dynamic-both-forms',
    severity: 'warning',
    source: 'openapi 0.8',
    asks: 'The old and the new form of a dynamic extension stand together.',
    mend: 'use dynamicValues() or dynamicSchema(), which write both',
    mentions: '"x-ms-dynamic-',
    check (view, report) {
      everySchema(view, report, (one, fault) => {
        if (one['x-ms-dynamic-list'] !== undefined && one['x-ms-dynamic-values'] === undefined && one['x-ms-dynamic-tree'] === undefined) fault('has x-ms-dynamic-list alone, which is an empty list in Logic Apps')
        if (one['x-ms-dynamic-properties'] !== undefined && one['x-ms-dynamic-schema'] === undefined) fault('has x-ms-dynamic-properties alone, which Logic Apps does not read')
        if (one['x-ms-dynamic-schema'] !== undefined && one['x-ms-dynamic-properties'] === undefined) fault('has x-ms-dynamic-schema alone, which newer designers do not read')
      })
    }
  },
  {
    id: 'dynamic-schema-place',
    severity: 'error',
    source: 'openapi 3, DynamicExtensionDefinitionNotAllowedInParameter',
    asks: 'A dynamic schema stands in a schema, not on a parameter.',
    mend: 'move it from the body parameter to its schema',
    mentions: '"x-ms-dynamic-',
    check ({ operations }, report) {
      for (const { parameters, place, id } of operations) {
        for (const parameter of parameters) {
          if (parameter['x-ms-dynamic-schema'] !== undefined || parameter['x-ms-dynamic-properties'] !== undefined) report(`${place}.parameters.${parameter.name}`, 'has a dynamic schema on the parameter', id)
        }
      }
    }
  },
  {
    id: 'test-connection',
    severity: 'error',
    source: 'openapi 1, x-ms-capabilities',
    asks: 'The connection test is a GET that needs no inputs but those it is given.',
    mend: 'name a GET operation in testConnection(), and give its required parameters as values',
    mentions: '"x-ms-capabilities"',
    check (view, report) {
      const test = record(record(view.document['x-ms-capabilities']).testConnection)
      if (Object.keys(test).length === 0) return
      const target = view.operationNamed(test.operationId)
      if (target === undefined) report('x-ms-capabilities.testConnection', `names ${JSON.stringify(test.operationId)}, which is no operation`)
      else {
        if (target.method !== 'get') report('x-ms-capabilities.testConnection', `names ${target.id}, which is a ${target.method.toUpperCase()}`)
        const missing = target.parameters.filter(({ name, required, default: value }) => required === true && value === undefined && !Object.hasOwn(record(test.parameters), name))
        if (missing.length > 0) report('x-ms-capabilities.testConnection', `does not give ${missing.map(({ name }) => name).join(', ')} to ${target.id}`)
      }
    }
  },
  {
    id: 'file-picker',
    severity: 'error',
    source: 'openapi 1, x-ms-capabilities',
    asks: 'The file picker of the document names its operations.',
    mend: 'use filePickerCapability() with operationIds of the connector',
    mentions: '"file-picker"',
    check (view, report) {
      const picker = record(record(view.document['x-ms-capabilities'])['file-picker'])
      const names = ['open', 'browse'].map((part) => record(picker[part]).operationId).filter((name) => name !== undefined)
      for (const name of names) if (view.operationNamed(name) === undefined) report('x-ms-capabilities.file-picker', `names ${JSON.stringify(name)}, which is no operation`)
      const uses = view.operations.flatMap(({ inputs }) => inputs).some(({ schema }) => {
        let isUsed = false
        view.walk(schema, '', (one) => { if (record(one['x-ms-dynamic-values']).capability === 'file-picker') isUsed = true })
        return isUsed
      })
      if (uses && list(names).length === 0) report('x-ms-capabilities', 'has no file-picker, which an input asks for')
    }
  }
]
