import { InvalidConnectorError } from '../../errors.ts'
import { viewDocument } from '../lint/view.ts'
import type { OperationPatterns } from '../operation.ts'
import type { SwaggerDocument } from '../swagger.ts'
import { callableOperations } from '../workflow/operation.ts'
import { workflowsOf } from '../workflow/workflow.ts'
import { apiPropertiesOf } from './api-properties.ts'
import { createBicep } from './bicep.ts'
import { connectionOf } from './connection.ts'
import { connectionParametersOf } from './connection-parameters.ts'
import { createIcon } from './icon.ts'

export interface BundleOptions {
  /** How operations are called, where the document does not say. @default what it says */
  patterns?: OperationPatterns
  /** Of the icon's background and the connector's card. @default '#da3b01' */
  brandColor?: string
  /** A PNG. @default a mark on the brand's colour */
  icon?: Uint8Array
  /** Of the app that is registered with the identity provider, for OAuth 2. @default a text that says what belongs there */
  clientId?: string
  /** What tokens of Entra ID are asked for. @default what the scopes are of */
  resourceUri?: string
}

export interface BundleFile {
  /** From the folder of the bundle, with slashes. */
  path: string
  content: string | Uint8Array
}

/** What certification gives to independent publishers (openapi 5). */
export const defaultBrandColor = '#da3b01'

/**
 * All files of a connector: what paconn and pac upload, the same for Azure, and workflows that call it. The same document
 * gives the same bytes.
 *
 * @throws {InvalidConnectorError} for a document without an address, with an authentication that no connection knows, or
 *   with operationIds that can be no file names.
 */
export function createBundle (document: SwaggerDocument, { patterns = {}, brandColor = defaultBrandColor, icon, clientId = '<client id>', resourceUri }: BundleOptions = {}): BundleFile[] {
  const address = addressOf(document)
  const name = nameOf(document)
  // White and the platform's own blue are refused (openapi 5, apiProperties).
  if (!/^#[\da-f]{6}$/i.test(brandColor) || ['#ffffff', '#007ee5'].includes(brandColor.toLowerCase())) {
    throw new InvalidConnectorError(`brandColor is ${JSON.stringify(brandColor)}: it must be written as #da3b01, and not be #ffffff or #007ee5`)
  }
  const connection = connectionOf(document)
  const resource = resourceUri ?? (connection.kind === 'entra' ? connection.resourceUri : undefined) ?? '<application id URI>'
  const connectionParameters = connectionParametersOf(connection, { clientId, resourceUri: resource })
  const workflows = callableOperations(viewDocument(document), patterns).flatMap((operation) =>
    workflowsOf(operation, { address, connection, connector: name, resourceUri: resource }))
  return [
    { path: 'apiDefinition.swagger.json', content: jsonOf(document) },
    { path: 'apiProperties.json', content: jsonOf(apiPropertiesOf(document, connectionParameters, brandColor)) },
    { path: 'customApi.bicep', content: createBicep({ document, name, address, connectionParameters, brandColor }) },
    { path: 'icon.png', content: icon ?? createIcon(brandColor) },
    ...workflows.map(({ operationId, form, workflow }) => ({ path: `workflows/${fileNameOf(operationId)}.${form}.json`, content: jsonOf(workflow) }))
  ]
}

const jsonOf = (value: object): string => `${JSON.stringify(value, null, 2)}\n`

/** Without a slash at its end. */
function addressOf ({ host, basePath = '/', schemes = ['https'] }: SwaggerDocument): string {
  if (host === undefined) throw new InvalidConnectorError('the document names no host, so nobody could call the connector: give the address that callers use, as baseUrl')
  return `${schemes[0]}://${host}${basePath}`.replace(/\/+$/, '')
}

/** Of resources in Azure. */
function nameOf ({ info }: SwaggerDocument): string {
  return info.title.toLowerCase().replaceAll(/[^a-z\d]+/g, '-').replaceAll(/^-+|-+$/g, '').slice(0, 80) || 'connector'
}

/** A path in an operationId would lead out of the folder. */
function fileNameOf (operationId: string): string {
  if (!/^\w[\w.-]*$/.test(operationId)) throw new InvalidConnectorError(`the operationId ${JSON.stringify(operationId)} can be no file name: use letters, digits and underscores`)
  return operationId
}
