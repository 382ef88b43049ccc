import type { Connection } from '../bundle/connection.ts'
import { alone, encoded, quoted, within } from './expressions.ts'

/** What a call without a connector says of who calls. */
export interface CallAuthentication {
  authentication?: object
  headers?: Record<string, string>
  query?: string
  /** Parameters of the workflow that it takes. */
  parameters: Record<string, object>
}

const secret = { type: 'SecureString' }
const parameter = (name: string): string => `parameters(${quoted(name)})`

/** As HTTP actions, triggers and webhooks have it (engine 8.1, 8.2). Secrets are parameters: the value is given at deployment. */
export function authenticationOf (connection: Connection, resourceUri: string): CallAuthentication {
  switch (connection.kind) {
    case 'none': return { parameters: {} }
    case 'basic': return {
      authentication: { type: 'Basic', username: alone(parameter('username')), password: alone(parameter('password')) },
      parameters: { username: secret, password: secret }
    }
    case 'apiKey': return {
      ...(connection.in === 'header' ? { headers: { [connection.name]: alone(parameter('api_key')) } } : { query: `${encodeURIComponent(connection.name)}=${encoded(parameter('api_key'), 'string')}` }),
      parameters: { api_key: secret }
    }
    // Nobody signs in for an HTTP action: the logic app itself is the caller.
    case 'entra': return { authentication: { type: 'ManagedServiceIdentity', audience: resourceUri }, parameters: {} }
    // Of other providers the engine gets no token by itself.
    case 'oauth2': return { authentication: { type: 'Raw', value: `Bearer ${within(parameter('access_token'))}` }, parameters: { access_token: secret } }
  }
}
