import type { SwaggerDocument } from '../swagger.ts'
import type { ConnectionParameters } from './connection-parameters.ts'

/** A part of a template that is no value but an expression of Bicep. */
class Expression {
  readonly text: string
  constructor (text: string) { this.text = text }
}

export interface BicepParts {
  document: SwaggerDocument
  /** Of the resource: letters, digits and hyphens. */
  name: string
  address: string
  connectionParameters: ConnectionParameters
  brandColor: string
}

/**
 * `customApi.bicep`: the connector as a resource of Azure Logic Apps (engine 10.7). The document and the icon are read
 * from the files beside it when it is deployed.
 */
export function createBicep ({ document, name, address, connectionParameters, brandColor }: BicepParts): string {
  const { title, description = title } = document.info
  const token = connectionParameters.token as { oAuthSettings: { clientId: string } } | undefined
  const parameters = token === undefined ? connectionParameters : { ...connectionParameters, token: withSecret(token) }
  const resource = {
    name: new Expression('name'),
    location: new Expression('location'),
    properties: {
      apiType: 'Rest',
      displayName: title,
      description,
      brandColor,
      iconUri: new Expression('iconUri'),
      backendService: { serviceUrl: new Expression('serviceUrl') },
      capabilities: [],
      connectionParameters: parameters,
      swagger: new Expression("loadJsonContent('apiDefinition.swagger.json')")
    }
  }
  const secrets = token === undefined
    ? ''
    : `
@description('The application (client) id that was registered with the identity provider.')
param clientId string = ${textOf(token.oAuthSettings.clientId)}

@description('Its secret.')
@secure()
param clientSecret string
`
  return `@description('The name of the connector in its resource group.')
param name string = ${textOf(name)}

@description('Where it is: the region of the logic apps that use it.')
param location string = resourceGroup().location

@description('The address that operations are called at.')
param serviceUrl string = ${textOf(address)}

@description('Its picture, as a URL.')
param iconUri string = 'data:image/png;base64,\${loadFileAsBase64('icon.png')}'
${secrets}
resource connector 'Microsoft.Web/customApis@2016-06-01' = ${valueOf(resource, '')}

output id string = connector.id
`
}

/** A parameter of the template: the secret stands in no file. */
function withSecret <Token extends { oAuthSettings: object }> (token: Token): object {
  return { ...token, oAuthSettings: { ...token.oAuthSettings, clientId: new Expression('clientId'), clientSecret: new Expression('clientSecret') } }
}

function valueOf (value: unknown, indent: string): string {
  if (value instanceof Expression) return value.text
  if (typeof value === 'string') return textOf(value)
  if (typeof value !== 'object' || value === null) return String(value)
  const inner = `${indent}  `
  const lines = Array.isArray(value)
    ? value.map((item) => `${inner}${valueOf(item, inner)}\n`)
    : Object.entries(value).map(([key, item]) => `${waiverOf(key, item, inner)}${inner}${/^[A-Za-z_]\w*$/.test(key) ? key : textOf(key)}: ${valueOf(item, inner)}\n`)
  const [open, close] = Array.isArray(value) ? '[]' : '{}'
  return lines.length === 0 ? `${open}${close}` : `${open}\n${lines.join('')}${indent}${close}`
}

/** Bicep's types know less of connection parameters than connectors have, and its linter no sign-in address in a text. */
function waiverOf (key: string, value: unknown, indent: string): string {
  if (['uiDefinition', 'metadata', 'redirectMode'].includes(key)) return `${indent}#disable-next-line BCP037\n`
  return typeof value === 'string' && value.startsWith('https://login.') ? `${indent}#disable-next-line no-hardcoded-env-urls\n` : ''
}

function textOf (text: string): string {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('${', '\\${')
    .replaceAll('\r', '\\r').replaceAll('\n', '\\n').replaceAll('\t', '\\t')
  return `'${escaped}'`
}
