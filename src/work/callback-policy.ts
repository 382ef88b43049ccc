import type { AddressGuard } from '../callbacks/address-guard.ts'
import { isAllowedHost, type CallbackUrl } from '../protocol/callback-url.ts'

/** Where callbacks may go. */
export interface CallbackPolicy {
  allowedHosts: readonly string[]
  allowHttp: boolean
  guard: AddressGuard
}

/**
 * What speaks against a callback URL, or `undefined` when nothing does. Asked when somebody subscribes, and again before
 * each attempt, since the options may have become stricter.
 */
export function refusalOf ({ protocol, hostname }: CallbackUrl, { allowedHosts, allowHttp, guard }: CallbackPolicy): 'protocol' | 'host' | 'address' | undefined {
  if (protocol !== 'https:' && !allowHttp) return 'protocol'
  if (!isAllowedHost(hostname, allowedHosts)) return 'host'
  return guard.isAllowedHost(hostname) ? undefined : 'address'
}
