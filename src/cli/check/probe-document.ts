import { maxDocumentBytes } from '../../connector/lint/certification-rules.ts'
import type { Exchange } from '../../testing/engine/caller.ts'
import type { EngineParts } from '../../testing/engine/parts.ts'
import { headerOf, WireError } from '../../testing/engine/wire.ts'
import { createJudge, type Verdict } from './verdicts.ts'

const timeoutMs = 120_000
const portal = 'https://portal.azure.com'

/** The document, as the designer's browser reads it (engine 10). */
export async function probeDocument (url: string, { world }: EngineParts, say: (what: string) => void): Promise<Verdict[]> {
  const judge = createJudge('document', 'document')

  async function fetchOnce (method: string, headers: Record<string, string>): Promise<Exchange> {
    const at = world.clock.now()
    const request = { method, url, headers, body: undefined }
    try {
      const { statusCode, headers: answered, body } = await world.send(request, timeoutMs)
      return { purpose: 'start', at, endedAt: world.clock.now(), request, response: { statusCode, headers: answered, body: body.toString() }, error: undefined }
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      return { purpose: 'start', at, endedAt: world.clock.now(), request, response: undefined, error: { code: error.code, message: error.message } }
    }
  }

  say('reading the document')
  const read = await fetchOnce('GET', { origin: portal, accept: '*/*', 'access-control-allow-origin': '*' })
  if (!judge.that('document-public', read.response?.statusCode === 200, `it was ${read.response === undefined ? 'not answered' : `answered ${read.response.statusCode}`}`, read)) return judge.verdicts()
  const preflight = await fetchOnce('OPTIONS', { origin: portal, 'access-control-request-method': 'GET', 'access-control-request-headers': 'access-control-allow-origin' })
  judge.that('cors-preflight', isGranted(preflight) && allowsOrigin(read), 'the browser would not let the designer read it', preflight)
  const text = read.response!.body
  judge.that('swagger-size', Buffer.byteLength(text) < maxDocumentBytes, `it has ${Buffer.byteLength(text)} bytes`)
  const document = parse(text)
  if (judge.that('swagger-2', document?.swagger === '2.0', `it says ${document === undefined ? 'no JSON' : document.openapi === undefined ? 'neither' : `openapi ${String(document.openapi)}`}`)) judgeOperations(document!, judge)
  return judge.verdicts()
}

function allowsOrigin ({ response }: Exchange): boolean {
  const allowed = response === undefined ? undefined : headerOf(response.headers, 'access-control-allow-origin')
  return allowed === '*' || allowed === portal
}

function isGranted (preflight: Exchange): boolean {
  const { response } = preflight
  if (response === undefined || response.statusCode >= 300 || !allowsOrigin(preflight)) return false
  const headers = (headerOf(response.headers, 'access-control-allow-headers') ?? '').toLowerCase().split(',').map((name) => name.trim())
  return headers.includes('*') || headers.includes('access-control-allow-origin')
}

interface SwaggerOperation {
  operationId?: string
  parameters?: { in?: string, required?: boolean, schema?: Schema, 'x-ms-notification-url'?: boolean }[]
}

interface Schema {
  $ref?: string
  type?: string
  properties?: Record<string, Schema>
  required?: string[]
  'x-ms-notification-url'?: boolean
  'x-ms-visibility'?: string
}

export interface SwaggerDocument {
  swagger?: unknown
  openapi?: unknown
  paths?: Record<string, Record<string, SwaggerOperation>>
  definitions?: Record<string, Schema>
}

function parse (text: string): SwaggerDocument | undefined {
  try {
    return JSON.parse(text) as SwaggerDocument
  } catch {
    // Told as a fault of swagger-2.
    return undefined
  }
}

const methods = ['get', 'put', 'post', 'delete', 'patch', 'head', 'options']

export function operationsOf ({ paths = {} }: SwaggerDocument): { path: string, method: string, operation: SwaggerOperation }[] {
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).filter(([method]) => methods.includes(method)).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })))
}

function judgeOperations (document: SwaggerDocument, judge: ReturnType<typeof createJudge>): void {
  const operations = operationsOf(document)
  const nameless = operations.filter(({ operation: { operationId } }) => typeof operationId !== 'string' || operationId === '')
  const ids = operations.map(({ operation: { operationId } }) => operationId).filter((id) => id !== undefined)
  const twice = ids.find((id, index) => ids.indexOf(id) !== index)
  judge.that('operation-ids', nameless.length === 0 && twice === undefined,
    nameless.length > 0 ? `${nameless.map(({ method, path }) => `${method} ${path}`).join(', ')} has none` : `"${twice}" is there twice`)
  for (const { path, method, operation: { parameters = [] } } of operations) {
    for (const parameter of parameters) {
      const fault = parameter['x-ms-notification-url'] === true ? `it is a parameter in ${parameter.in}, not a property of the body` : notificationFault(document, parameter.schema, parameter.required === true)
      if (fault !== undefined) judge.that('notification-url', fault === '', `${method} ${path}: ${fault}`)
    }
  }
}

/** `undefined` where there is no notification URL, '' where it is as it must be. */
function notificationFault (document: SwaggerDocument, given: Schema | undefined, isRequired: boolean): string | undefined {
  const schema = given?.$ref === undefined ? given : document.definitions?.[given.$ref.replace('#/definitions/', '')]
  for (const [name, property] of Object.entries(schema?.properties ?? {})) {
    const required = isRequired && schema!.required?.includes(name) === true
    if (property['x-ms-notification-url'] !== true) {
      const nested = notificationFault(document, property, required)
      if (nested !== undefined) return nested
      continue
    }
    if (property.type !== 'string') return `${name} is no string`
    if (!required) return `${name} is not required`
    return property['x-ms-visibility'] === 'internal' ? '' : `${name} is not x-ms-visibility: internal`
  }
  return undefined
}
