import type { Connection } from './connection.ts'

/** What is asked of who makes a connection: the same for the Power Platform and for Azure (openapi 5). */
export type ConnectionParameters = Record<string, object>

/** Of an app that was registered with the identity provider; its secret goes into no file. */
export interface OauthClient {
  clientId: string
  /** Of Entra ID: what tokens are asked for. */
  resourceUri: string
}

/** Where identity providers send people back to. */
const redirectUrl = 'https://global.consent.azure-apim.net/redirect'

const secretText = (displayName: string, description: string, tabIndex: number): object => ({
  type: 'securestring',
  uiDefinition: {
    displayName,
    description,
    tooltip: description,
    // "true" as a text: so it stands in the schema of these files (openapi 5).
    constraints: { tabIndex, clearText: false, required: 'true' }
  }
})

export function connectionParametersOf (connection: Connection, { clientId, resourceUri }: OauthClient): ConnectionParameters {
  switch (connection.kind) {
    case 'none': return {}
    case 'apiKey': return { api_key: secretText('API key', 'The key for this API', 2) }
    case 'basic': return { username: secretText('User name', 'The user name for this API', 2), password: secretText('Password', 'The password for this API', 3) }
    case 'oauth2': {
      const { authorizationUrl, tokenUrl, scopes } = connection
      return {
        token: {
          type: 'oauthSetting',
          oAuthSettings: {
            identityProvider: 'oauth2',
            clientId,
            scopes,
            redirectMode: 'Global',
            redirectUrl,
            properties: { IsFirstParty: 'False' },
            customParameters: { authorizationUrl: { value: authorizationUrl }, tokenUrl: { value: tokenUrl }, refreshUrl: { value: tokenUrl } }
          }
        }
      }
    }
    case 'entra': return {
      token: {
        type: 'oauthSetting',
        oAuthSettings: {
          identityProvider: 'aad',
          clientId,
          scopes: connection.scopes,
          redirectMode: 'Global',
          redirectUrl,
          properties: { IsFirstParty: 'False' },
          customParameters: { loginUri: { value: connection.loginUri }, tenantId: { value: connection.tenantId }, resourceUri: { value: resourceUri } }
        }
      },
      'token:TenantId': {
        type: 'string',
        metadata: { sourceType: 'AzureActiveDirectoryTenant' },
        uiDefinition: { constraints: { required: 'false', hidden: 'true' } }
      }
    }
  }
}
