import { ConnectorUnavailableError, InvalidConnectorError } from '../errors.ts'
import type { CheckedConnectorOptions } from './connector-options.ts'
import type { OperationComplaint } from './document/document.ts'
import { describeFinding, errorsFirst, type LintFinding } from './lint/finding.ts'
import { patternOf, type ConnectorRoute, type OperationDescription, type OperationPatterns } from './operation.ts'
import type { SwaggerDocument } from './swagger.ts'

export interface SwaggerOptions {
  /** The address under which callers reach the API. @default the plugin's, where it is a string; else the document names no host */
  baseUrl?: string
}

/** `app.logicApps.connector`: documents for those who build on the API. */
export interface ConnectorDocuments {
  /**
   * The Swagger 2.0 document that Logic Apps, Power Automate and API Management read. Yours to change.
   *
   * @throws {ConnectorUnavailableError} before the app is ready, and with `connector: false`.
   * @throws {InvalidConnectorError} where a schema cannot be said in Swagger 2.0, and `connector.lint` let the app get ready.
   */
  swagger (options?: SwaggerOptions): SwaggerDocument
  /** What could be better about it, or must be: errors first. @throws {ConnectorUnavailableError} */
  findings (): LintFinding[]
}

/** What a connector's bundle is made of: plain data. */
export interface ConnectorDescription {
  document: SwaggerDocument
  patterns: OperationPatterns
}

export interface Connector extends ConnectorDocuments {
  addRoute (route: ConnectorRoute): void
  /** What a decorator knows of its operation, before or after its routes are there. */
  describe (operationId: string, description: OperationDescription): void
  /**
   * Makes and checks the document, when all routes and schemas are known.
   *
   * @throws {InvalidConnectorError} naming every fault, with its mend.
   */
  prepare (): Promise<void>
  /** As `swagger()`, shared: not to be changed. */
  render (baseUrl: string | undefined): SwaggerDocument
  /** The document, and how its operations are called. @throws {ConnectorUnavailableError} @throws {InvalidConnectorError} */
  description (baseUrl: string | undefined): ConnectorDescription
}

interface ConnectorParts {
  options: CheckedConnectorOptions | false
  /** The plugin's, where it is a string. */
  baseUrl: string | undefined
  log: { warn (details: object, message: string): void, error (details: object, message: string): void }
}

export function createConnector ({ options, baseUrl: ownBaseUrl, log }: ConnectorParts): Connector {
  const routes: ConnectorRoute[] = []
  const descriptions = new Map<string, OperationDescription>()
  let made: { text: string, findings: LintFinding[], cannotSay: LintFinding[] } | undefined
  /** Read from the text when it is first asked for. */
  let shared: SwaggerDocument | undefined

  function prepared (): NonNullable<typeof made> {
    if (options === false) throw new ConnectorUnavailableError('there is no connector document: the plugin was registered with connector: false')
    if (made === undefined) throw new ConnectorUnavailableError('the connector document is made when the app gets ready: await app.ready() first')
    return made
  }

  function render (baseUrl: string | undefined): SwaggerDocument {
    const { text, cannotSay } = prepared()
    if (cannotSay.length > 0) throw faultsError(cannotSay)
    shared ??= JSON.parse(text) as SwaggerDocument
    return withAddress(shared, baseUrl ?? ownBaseUrl)
  }

  return {
    addRoute: (route) => { routes.push(route) },
    describe: (operationId, description) => { descriptions.set(operationId, description) },

    async prepare () {
      if (options === false) return
      // Loaded late: to import the plugin costs no more for it.
      const [{ buildDocument }, { lintView }, { viewDocument }] = await Promise.all([import('./document/document.ts'), import('./lint/lint.ts'), import('./lint/view.ts')])
      const { document, complaints } = buildDocument({ ...options, routes, descriptions })
      const converting = complaints.map(asFinding)
      const view = viewDocument(withAddress(document, ownBaseUrl))
      const findings = errorsFirst([...converting, ...lintView(view)])
      // As text, since the host's own objects are in the document, and the host may change them.
      made = { text: view.text(), findings, cannotSay: converting.filter(({ severity }) => severity === 'error') }
      if (options.lint === 'off' || routes.length === 0) return
      const [faults, warnings] = ['error', 'warning'].map((severity) => findings.filter((finding) => finding.severity === severity))
      if (faults!.length > 0) {
        if (options.lint === 'error') throw faultsError(faults!)
        log.error({ faults: faults!.map(describeFinding) }, 'the connector document would break flows')
      }
      if (warnings!.length > 0) log.warn({ warnings: warnings!.map(describeFinding) }, 'the connector document could be better')
    },

    render,
    description: (baseUrl) => ({
      document: structuredClone(render(baseUrl)),
      patterns: Object.fromEntries([...descriptions].map(([operationId, description]) => [operationId, patternOf(description)]))
    }),
    swagger: ({ baseUrl } = {}) => structuredClone(render(baseUrl)),
    findings: () => structuredClone(prepared().findings)
  }
}

function faultsError (faults: LintFinding[]): Error {
  const lines = faults.map((fault) => `\n- ${describeFinding(fault)}`)
  return new InvalidConnectorError(`the connector document would break flows: ${faults.length} ${faults.length === 1 ? 'fault' : 'faults'}${lines.join('')}`)
}

/** Found on the way to the document, before there was one to lint. */
function asFinding ({ operationId, path, message, mend, isFault }: OperationComplaint): LintFinding {
  return { rule: 'conversion', severity: isFault ? 'error' : 'warning', operationId, path, message, mend, source: 'openapi 4' }
}

/** Host, path and scheme as callers use them; Swagger 2.0 has no other place for them (peers, pain 42). */
function withAddress ({ swagger, info, host: _, basePath: __, schemes: ___, consumes, produces, ...rest }: SwaggerDocument, baseUrl: string | undefined): SwaggerDocument {
  const types = { ...(consumes && { consumes }), ...(produces && { produces }) }
  // Without a host, readers take that of the document's own URL (openapi 5, HTTP + Swagger).
  if (baseUrl === undefined) return { swagger, info, basePath: '/', schemes: ['https'], ...types, ...rest }
  const { protocol, host, pathname } = new URL(baseUrl)
  return { swagger, info, host, basePath: pathname.replace(/(?<=.)\/+$/, ''), schemes: [protocol.slice(0, -1)], ...types, ...rest }
}
