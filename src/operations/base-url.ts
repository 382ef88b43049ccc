import type { FastifyRequest } from 'fastify'
import { LoopbackBaseUrlError, InvalidRequestError } from '../errors.ts'
import { baseUrlOf, isLoopback, parseBaseUrl } from '../protocol/location.ts'
import { createRecent, type Recent } from '../protocol/recent.ts'
import type { Role } from './generated-route.ts'

/** @param role What the URL is for: `status` for a `Location`, `operation` for an `Operation-Location`. */
export type BaseUrl = (request: FastifyRequest, role: Role) => string

/** A name of a host has 253 characters. Longer ones are somebody's play. */
const maxKept = 500

/** What stands before the paths of the URLs we hand out: see the `baseUrl` option and design 3.8. */
export function createBaseUrl (configured: string | BaseUrl | undefined): BaseUrl {
  if (typeof configured === 'string') return () => configured
  const known = createRecent<string>(1000, maxKept)
  const loopback = createRecent<boolean>(1000, maxKept)
  const derive: BaseUrl = configured === undefined
    ? (request) => deriveBaseUrl(request, known)
    : (request, role) => parseBaseUrl(configured(request, role), 'the result of baseUrl()')
  return (request, role) => {
    const baseUrl = derive(request, role)
    // Read at each request: an app that is only tested with NODE_ENV=production must not be surprised later.
    if (process.env.NODE_ENV === 'production' && (loopback.get(baseUrl) ?? loopback.set(baseUrl, isLoopback(baseUrl)))) throw new LoopbackBaseUrlError(baseUrl)
    return baseUrl
  }
}

function deriveBaseUrl (request: FastifyRequest, known: Recent<string>): string {
  const trusted = trustsPeer(request)
  const address = {
    protocol: request.protocol,
    host: request.host,
    port: trusted ? lastOf(request.headers['x-forwarded-port']) : undefined,
    prefix: trusted ? lastOf(request.headers['x-forwarded-prefix']) : undefined
  }
  // No header holds a line break.
  const key = `${address.protocol}\n${address.host}\n${address.port}\n${address.prefix}`
  const found = known.get(key)
  if (found !== undefined) return found
  const baseUrl = baseUrlOf(address)
  if (baseUrl === undefined) throw new InvalidRequestError('the Host header, or what the proxy in front says of it, is no host name')
  return known.set(key, baseUrl)
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
