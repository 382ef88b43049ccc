import type { SwaggerDocument } from '../swagger.ts'
import type { ConnectionParameters } from './connection-parameters.ts'

/**
 * `apiProperties.json`, as paconn and pac read it. No policies: an API that answers 202, `Location` and `Retry-After` by
 * itself needs none. No `stackOwner`: with it an update fails (openapi 5).
 */
export function apiPropertiesOf ({ info }: SwaggerDocument, connectionParameters: ConnectionParameters, iconBrandColor: string): object {
  return {
    properties: {
      connectionParameters,
      iconBrandColor,
      capabilities: [],
      ...(info.contact?.name === undefined ? {} : { publisher: info.contact.name }),
      policyTemplateInstances: []
    }
  }
}
