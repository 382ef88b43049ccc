import type { Answer, Caller, PreparedCall } from './caller.ts'
import type { WebhookInputs } from './definitions.ts'
import type { EngineParts } from './parts.ts'
import { headerOf, splitUrl } from './wire.ts'
import type { Scope } from '../workflow/template.ts'

export interface UnsubscriberParts {
  engine: EngineParts
  name: string
  inputs: WebhookInputs
  caller: Caller
  scope: Scope
}

export interface Unsubscriber {
  /** Remembers where a connector's subscription is deleted. */
  subscribed (answer: Answer, subscribe: PreparedCall): void
  /** As the definition says it, or as a connector does; nothing where neither is possible. */
  unsubscribe (): Promise<void>
}

/** Ends a subscription (engine 2.3, 2.5, 4.3, 4.4, 4.6). */
export function createUnsubscriber ({ engine, name, inputs, caller, scope }: UnsubscriberParts): Unsubscriber {
  const { profile, unknowns, quirks, ledger } = engine
  let location: PreparedCall | undefined

  function call (): PreparedCall | undefined {
    if (profile.deletesLocation) return location
    const { unsubscribe } = inputs
    if (unsubscribe?.uri === undefined && unsubscribe?.url === undefined) return undefined
    // Older texts say that listCallbackUrl() cannot stand there, and so it was for some (engine 2.5).
    if (unknowns.callbackUrlInUnsubscribe === 'fails' && JSON.stringify(unsubscribe).includes('listCallbackUrl(')) return undefined
    return caller.prepare({ ...unsubscribe, method: unsubscribe.method ?? 'POST' }, scope, `${name}.unsubscribe`)
  }

  return {
    subscribed ({ response }, { url, headers, authorization, retry }) {
      const target = response?.statusCode === 201 ? headerOf(response.headers, 'location') : undefined
      const split = target === undefined ? undefined : splitUrl(target)
      if (split === undefined) return
      const isOfConnector = split.origin === splitUrl(url)!.origin
      const { 'content-type': _, ...kept } = headers
      // To another host the connection's credentials do not go along (engine 4.6).
      location = { method: 'DELETE', url: target!, headers: isOfConnector ? kept : {}, body: undefined, authorization: isOfConnector ? authorization : undefined, retry }
    },
    async unsubscribe () {
      if (quirks.unsubscribe === 'never') return
      const prepared = call()
      if (prepared === undefined) return
      for (let times = quirks.unsubscribe === 'twice' ? 2 : 1; times > 0; times--) {
        const { response, error } = await caller.sendUntilAnswered(prepared, 'unsubscribe')
        if (response === undefined || response.statusCode >= 400) {
          ledger.complain(`${name}: unsubscribe was answered ${response?.statusCode ?? error!.code}: it may come late, twice or for what never was, and must be answered 2xx (engine 2.3, rule 14)`)
        }
      }
    }
  }
}
