import { isDeepStrictEqual } from 'node:util'
import { bodyOf, list, record, viewDocument, type DocumentView, type OperationView } from '../lint/view.ts'
import type { SwaggerParameter, SwaggerSchema } from '../swagger.ts'
import { changeKinds, type Change, type Note } from './change.ts'
import { compareInputs, compareOutputs, compareRequired, isHidden, type Comparison } from './schemas.ts'

/**
 * What of an API's new Swagger document flows would notice that were made with the old one: what breaks them first.
 *
 * @example const breaking = diffDocuments(published, app.logicApps.connector.swagger()).filter(({ severity }) => severity === 'breaking')
 */
export function diffDocuments (old: unknown, fresh: unknown): Change[] {
  const [before, after] = [viewDocument(old), viewDocument(fresh)]
  const changes: Change[] = []
  const noteOf = (operationId: string | undefined): Note => (kind, path, message) => { changes.push({ severity: changeKinds[kind].severity, kind, operationId, path, message }) }

  compareConnectors(before, after, noteOf(undefined))
  const shown = before.operations.filter(({ isInternal, id }) => !isInternal && id !== '')
  for (const operation of shown) {
    const note = noteOf(operation.id)
    const same = after.operations.find(({ id }) => id === operation.id)
    if (same === undefined) {
      const renamed = after.operations.find(({ path, method }) => path === operation.path && method === operation.method)
      note('operation-removed', operation.place, renamed === undefined ? 'is gone' : `is called ${renamed.id} now`)
    } else if (same.isInternal) {
      note('operation-hidden', same.place, 'is internal now')
    } else {
      compareOperations({ before, after, note }, operation, same)
    }
  }
  for (const { id, place } of after.operations.filter(({ isInternal, id }) => !isInternal && id !== '' && !shown.some((one) => one.id === id))) {
    noteOf(id)('operation-added', place, 'is new')
  }
  return [...changes.filter(({ severity }) => severity === 'breaking'), ...changes.filter(({ severity }) => severity === 'compatible')]
}

function compareConnectors ({ document: old }: DocumentView, { document: fresh }: DocumentView, note: Note): void {
  const addressOf = ({ host = '', basePath = '/', schemes = [] }: typeof old): string => `${list(schemes).join(',')}://${host}${basePath}`
  if (addressOf(old) !== addressOf(fresh)) note('address-changed', 'host', `was ${addressOf(old)} and is ${addressOf(fresh)}`)
  const definitionsOf = ({ securityDefinitions }: typeof old): Record<string, unknown> => record(securityDefinitions)
  for (const [name, definition] of Object.entries(definitionsOf(fresh))) {
    const { description: _, ...is } = record(definition)
    const was = definitionsOf(old)[name]
    const { description: __, ...before } = record(was)
    if (was === undefined) note('security-changed', `securityDefinitions.${name}`, 'is new')
    else if (!isDeepStrictEqual(before, is)) note('security-changed', `securityDefinitions.${name}`, 'is another')
  }
  if (!isDeepStrictEqual(old.security ?? [], fresh.security ?? [])) note('security-changed', 'security', 'is another')
  for (const name of Object.keys(definitionsOf(old))) if (!Object.hasOwn(definitionsOf(fresh), name)) note('security-changed', `securityDefinitions.${name}`, 'is gone')
}

function compareOperations (comparison: Comparison, old: OperationView, fresh: OperationView): void {
  const { note } = comparison
  const [was, is] = [kindOf(old), kindOf(fresh)]
  if (was !== is) note('operation-kind', fresh.place, `was ${was} and is ${is}`)
  if (old.method !== fresh.method || old.path !== fresh.path) note('operation-moved', fresh.place, `was ${old.method.toUpperCase()} ${old.path} and is ${fresh.method.toUpperCase()} ${fresh.path}`)
  if (old.operation.deprecated !== true && fresh.operation.deprecated === true) note('operation-deprecated', fresh.place, 'is deprecated')
  // What operations take from the document is told once, for the document.
  const hasOwn = [old, fresh].some(({ operation }) => operation.security !== undefined)
  const security = [old.operation.security ?? comparison.before.document.security, fresh.operation.security ?? comparison.after.document.security]
  if (hasOwn && !isDeepStrictEqual(security[0], security[1])) note('security-changed', `${fresh.place}.security`, 'is another')
  compareContentTypes(comparison, old, fresh)
  compareParameters(comparison, old, fresh)
  compareResults(comparison, old, fresh)
}

function kindOf ({ operation, isWebhook }: OperationView): string {
  const mode = operation['x-ms-trigger']
  if (mode === undefined) return isWebhook ? 'an action that waits for a callback' : 'an action'
  return `a ${isWebhook ? 'webhook' : 'polling'} trigger of ${mode === 'batch' ? 'lists' : 'single items'}`
}

function compareContentTypes ({ before, after, note }: Comparison, old: OperationView, fresh: OperationView): void {
  const hasContent = old.parameters.some(({ in: place }) => place === 'body' || place === 'formData')
  const typesOf = (view: DocumentView, { operation }: OperationView): unknown[] => list(operation.consumes ?? view.document.consumes)
  const taken = typesOf(after, fresh)
  const gone = typesOf(before, old).filter((type) => !taken.includes(type))
  if (hasContent && taken.length > 0 && gone.length > 0) note('consumes-removed', fresh.place, `does not take ${gone.join(', ')} any more`)
}

function compareParameters (comparison: Comparison, old: OperationView, fresh: OperationView): void {
  const { note } = comparison
  const keyOf = ({ in: place, name }: SwaggerParameter): string => `${place} ${place === 'header' ? name.toLowerCase() : name}`
  const others = ({ parameters }: OperationView): SwaggerParameter[] => parameters.filter((one) => one.in !== 'body')
  for (const parameter of others(old)) {
    const same = others(fresh).find((other) => keyOf(other) === keyOf(parameter))
    const place = `${fresh.place}.parameters.${parameter.name}`
    if (same === undefined) {
      const moved = fresh.parameters.find(({ name }) => name === parameter.name)
      note('input-removed', place, moved === undefined ? 'is gone' : `was in the ${parameter.in} and is in the ${moved.in}`)
      continue
    }
    compareRequired(comparison, { was: parameter.required === true, is: same.required === true }, place)
    compareInputs(comparison, parameter as unknown as SwaggerSchema, same as unknown as SwaggerSchema, place)
    if (parameter.type === 'array' && (parameter.collectionFormat ?? 'csv') !== (same.collectionFormat ?? 'csv')) note('input-type', place, `was a list written as ${parameter.collectionFormat ?? 'csv'} and is one as ${same.collectionFormat ?? 'csv'}`)
    const [encoded, encodes] = [parameter, same].map((one) => one['x-ms-url-encoding'] ?? 'single')
    if (encoded !== encodes) note('input-type', place, `was encoded ${String(encoded)} and is encoded ${String(encodes)}`)
  }
  for (const parameter of others(fresh).filter((one) => !others(old).some((other) => keyOf(other) === keyOf(one)))) {
    const isRequired = parameter.required === true
    note(isRequired ? 'input-required' : 'input-added', `${fresh.place}.parameters.${parameter.name}`, isRequired ? 'is new, and required' : 'is new')
  }
  compareBodies(comparison, old, fresh)
}

function compareBodies (comparison: Comparison, old: OperationView, fresh: OperationView): void {
  const { note, after } = comparison
  const place = `${fresh.place}.body`
  const [was, is] = [bodyOf(old), bodyOf(fresh)]
  if (was !== undefined && is === undefined) note('input-removed', place, 'is gone')
  else if (was === undefined && is !== undefined) {
    const required = list(after.follow(is.schema)?.required)
    if (required.length > 0) note('input-required', place, `is new, and ${required.join(', ')} in it required`)
    else note('input-added', place, 'is new')
  } else if (was !== undefined && is !== undefined) {
    // Without `required`, a body is one that is sent (openapi 0.10).
    compareRequired(comparison, { was: was.required !== false, is: is.required === true }, place)
    if (isHidden(was, is)) note('input-hidden', place, 'is internal now')
    compareInputs(comparison, was.schema, is.schema, place)
  }
}

function compareResults (comparison: Comparison, old: OperationView, fresh: OperationView): void {
  const { before, after, note } = comparison
  const outputOf = (view: DocumentView, operation: OperationView): SwaggerSchema | undefined =>
    operation.isWebhook ? record(operation.item['x-ms-notification-content']).schema as SwaggerSchema | undefined : view.outputOf(operation)
  compareOutputs(comparison, outputOf(before, old), outputOf(after, fresh), `${fresh.place}.${fresh.isWebhook ? 'x-ms-notification-content' : 'output'}`)
  const left = headersOf(fresh)
  for (const [key, name] of headersOf(old)) if (!left.has(key)) note('output-removed', `${fresh.place}.headers.${name}`, 'is gone')
}

/** By names without case, those of what the outputs are from. */
function headersOf ({ responses, isWebhook, item }: OperationView): Map<string, string> {
  const from = isWebhook ? [record(item['x-ms-notification-content'])] : ['200', '201', 'default'].map((code) => record(responses.get(code)))
  return new Map(from.flatMap(({ headers }) => Object.keys(record(headers)).map((name) => [name.toLowerCase(), name] as const)))
}
