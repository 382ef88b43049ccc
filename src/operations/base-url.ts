import type { FastifyRequest } from 'fastify'
import { LoopbackBaseUrlError, InvalidRequestError } from '../errors.ts'
import { baseUrlOf, isLoopback, parseBaseUrl } from '../protocol/location.ts'
import { createRecent, type Recent } from '../protocol/recent.ts'
import type { Role } from './generated-route.ts'

/** @param role What the URL is for: `status` for a `Location`, `operation` for an `Operation-Location`. */
export type BaseUrl = (request: FastifyRequest, role: Role) => string

/** One request may be answered with several URLs. */
export type BaseUrls = (request: FastifyRequest) => (role: Role) => string

interface Address {
  url: string
  isLoopback: boolean
}

/** A name of a host has 253 characters. Longer ones are somebody's play. */
const maxKept = 500

/** What stands before the paths of the URLs we hand out: see the `baseUrl` option and design 3.8. */
export function createBaseUrls (configured: string | BaseUrl | undefined): BaseUrls {
  if (typeof configured === 'string') return () => () => configured
  const known = createRecent<Address>(1000, maxKept)
  if (configured === undefined) {
    return (request) => {
      const url = reachable(addressOf(request, known))
      return () => url
    }
  }
  return (request) => (role) => {
    const given = configured(request, role)
    return reachable(known.get(given) ?? known.set(given, withLoopback(parseBaseUrl(given, 'the result of baseUrl()'))))
  }
}

const withLoopback = (url: string): Address => ({ url, isLoopback: isLoopback(url) })

/** @throws {LoopbackBaseUrlError} */
function reachable ({ url, isLoopback }: Address): string {
  // Read at each request: an app that is only tested with NODE_ENV=production must not be surprised later.
  if (isLoopback && process.env.NODE_ENV === 'production') throw new LoopbackBaseUrlError(url)
  return url
}

function addressOf (request: FastifyRequest, known: Recent<Address>): Address {
  const trusted = trustsPeer(request)
  const forwarded = {
    protocol: request.protocol,
    host: request.host,
    port: trusted ? lastOf(request.headers['x-forwarded-port']) : undefined,
    prefix: trusted ? lastOf(request.headers['x-forwarded-prefix']) : undefined
  }
  // No header holds a line break.
  const key = `${forwarded.protocol}\n${forwarded.host}\n${forwarded.port}\n${forwarded.prefix}`
  const found = known.get(key)
  if (found !== undefined) return found
  const url = baseUrlOf(forwarded)
  if (url === undefined) throw new InvalidRequestError('the Host header, or what the proxy in front says of it, is no host name')
  return known.set(key, withLoopback(url))
}

/**
 * Whether Fastify trusts the peer (`trustProxy`). It says so only by what it makes of forwarded headers, so it is asked
 * with one of them; no public property tells.
 */
function trustsPeer (request: FastifyRequest): boolean {
  const { headers } = request
  if (headers['x-forwarded-port'] === undefined && headers['x-forwarded-prefix'] === undefined) return false
  const probe = Object.create(request, { headers: { value: { 'x-forwarded-proto': 'trusted' } } }) as FastifyRequest
  return probe.protocol as string === 'trusted'
}

/** The nearest proxy's word: each appends to a list. */
function lastOf (header: string | string[] | undefined): string | undefined {
  return header === undefined ? undefined : String(header).split(',').at(-1)!.trim()
}
