import dns, { type LookupAddress } from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import { isIP } from 'node:net'
import type { Test } from 'tap'

type Answer = string[] | Error

/**
 * Answers for host names, for the time of the test: a list of addresses each time, the last one for ever, or an error; a
 * promise is a slow server. Gives back what was asked, in order.
 */
export function fakeNameServer (t: Test, names: Record<string, (Answer | Promise<Answer>)[]>): string[] {
  const asked: string[] = []
  const original = dns.lookup
  const fake = (hostname: string, options: { all: true }, callback: (error: Error | null, addresses: LookupAddress[]) => void): void => {
    // A server that begins to listen asks for its own address.
    if (isIP(hostname) !== 0) return original(hostname, options, callback)
    asked.push(hostname)
    const answers = names[hostname] ?? [Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), { code: 'ENOTFOUND' })]
    const answer = answers.length > 1 ? answers.shift()! : answers[0]!
    setImmediate(async () => {
      const found = await answer
      if (found instanceof Error) callback(found, [])
      else callback(null, found.map((address) => ({ address, family: isIP(address) })))
    })
  }
  Object.assign(dns, { lookup: fake })
  syncBuiltinESMExports()
  t.teardown(() => {
    Object.assign(dns, { lookup: original })
    syncBuiltinESMExports()
  })
  return asked
}
