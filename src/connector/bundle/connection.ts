import { InvalidConnectorError } from '../../errors.ts'
import { record } from '../lint/view.ts'
import type { SwaggerDocument, SwaggerSecurityDefinition } from '../swagger.ts'

/** How the owner of a connection proves who they are. */
export type Connection =
  | { kind: 'none' | 'basic' }
  | { kind: 'apiKey', name: string, in: 'header' | 'query' }
  | { kind: 'oauth2', authorizationUrl: string, tokenUrl: string, scopes: string[] }
  | { kind: 'entra', loginUri: string, tenantId: string, /** What tokens are asked for. */ resourceUri: string | undefined, scopes: string[] }

/** Microsoft Entra ID, in the public cloud and the others. */
const entraHosts = ['login.microsoftonline.com', 'login.windows.net', 'login.microsoftonline.us', 'login.partner.microsoftonline.cn', 'login.chinacloudapi.cn']

/**
 * Of several ways the first: it is the one that the wizard of custom connectors takes (openapi 5).
 *
 * @throws {InvalidConnectorError} for a way that no connection knows.
 */
export function connectionOf ({ securityDefinitions = {}, security }: SwaggerDocument): Connection {
  const [name] = [...(security ?? []).flatMap((requirement) => Object.keys(record(requirement))), ...Object.keys(securityDefinitions)]
  const definition = name === undefined ? undefined : securityDefinitions[name]
  if (definition === undefined) return { kind: 'none' }
  switch (definition.type) {
    case 'basic': return { kind: 'basic' }
    case 'apiKey':
      if (typeof definition.name !== 'string') throw new InvalidConnectorError(`securityDefinitions.${name}.name is missing: say which header or query parameter holds the key`)
      return { kind: 'apiKey', name: definition.name, in: definition.in ?? 'header' }
    case 'oauth2': return oauthOf(name!, definition)
    default: throw new InvalidConnectorError(`securityDefinitions.${name}.type is ${JSON.stringify((definition as { type?: unknown }).type)}: connections know basic, apiKey and oauth2`)
  }
}

function oauthOf (name: string, { flow, authorizationUrl, tokenUrl, scopes }: SwaggerSecurityDefinition): Connection {
  if (flow !== 'accessCode') throw new InvalidConnectorError(`securityDefinitions.${name}.flow is ${JSON.stringify(flow)}: connections know "accessCode" alone, since somebody signs in when they make one`)
  for (const [field, url] of Object.entries({ authorizationUrl, tokenUrl })) {
    if (typeof url !== 'string' || !URL.canParse(url)) throw new InvalidConnectorError(`securityDefinitions.${name}.${field} must be the absolute URL of the identity provider`)
  }
  const names = Object.keys(scopes ?? {})
  const { hostname, origin, pathname } = new URL(authorizationUrl!)
  if (!entraHosts.includes(hostname)) return { kind: 'oauth2', authorizationUrl: authorizationUrl!, tokenUrl: tokenUrl!, scopes: names }
  return { kind: 'entra', loginUri: origin, tenantId: pathname.split('/')[1] || 'common', resourceUri: resourceOf(names), scopes: names }
}

/** `api://cakes/Cakes.Bake` is a scope of `api://cakes`. */
function resourceOf (scopes: string[]): string | undefined {
  const scope = scopes.find((one) => /^[a-z]+:\/\/[^/]+\//.test(one))
  return scope?.slice(0, scope.lastIndexOf('/'))
}
