import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { createRecent } from '../protocol/recent.ts'
import { createSharedLookup, type SharedLookup } from './shared-lookup.ts'

/** Refused when the socket connects: no answer of a name server can get around it. */
export class ForbiddenAddressError extends Error {
  override readonly name = 'ForbiddenAddressError'
}

/** Of hosts, which are asked about for each callback. */
const maxVerdicts = 1_000
const maxHostLength = 255

type Range = [ipaddr.IPv4 | ipaddr.IPv6, number]

export interface AddressGuard {
  /** Whether a socket may be opened to this address. */
  isAllowed (address: string): boolean
  /** The same of a URL's host where it is an address. A name is judged by `lookup`, when it is known where it leads. */
  isAllowedHost (hostname: string): boolean
  /** `dns.lookup` for a socket: fails when the name leads to an address that is not allowed. */
  lookup: LookupFunction
}

/**
 * Only public unicast addresses, whatever the name says, and the ranges that are named.
 *
 * @param networks CIDR ranges, such as `10.20.0.0/16`. A broad range never opens what lies in a worse place: loopback,
 * link-local, multicast, broadcast and the cloud's metadata addresses need a range that lies within theirs.
 */
export function createAddressGuard (networks: readonly string[], lookup: SharedLookup = createSharedLookup()): AddressGuard {
  const verdicts = createRecent<boolean>(maxVerdicts, maxHostLength)
  const ranges = networks.map((network): Range => ipaddr.parseCIDR(network))

  function isAllowed (address: string): boolean {
    if (isIP(address) === 0) return false
    const plain = unwrap(ipaddr.parse(address))
    if (plain === undefined) return false
    const named = ranges.filter(([range, bits]) => range.kind() === plain.kind() && plain.match(range as never, bits))
    const delicate = delicateRanges.find(([range, bits]) => range.kind() === plain.kind() && plain.match(range as never, bits))
    if (delicate !== undefined) return named.some(([, bits]) => bits >= delicate[1])
    return named.length > 0 || isPublic(plain)
  }

  return {
    isAllowed,
    isAllowedHost (hostname) {
      const verdict = verdicts.get(hostname)
      if (verdict !== undefined) return verdict
      const literal = hostname.replace(/^\[|\]$/g, '')
      return verdicts.set(hostname, isIP(literal) === 0 || isAllowed(literal))
    },
    lookup (hostname, options, callback) {
      lookup(hostname, { ...options, all: true }, (error, addresses) => {
        if (error !== null) return callback(error, '')
        const allowed = addresses.filter(({ address }) => isAllowed(address))
        if (allowed.length === 0) return callback(new ForbiddenAddressError(`${hostname} leads to an address that callbacks may not go to`), '')
        if (options.all === true) callback(null, allowed)
        else callback(null, allowed[0]!.address, allowed[0]!.family)
      })
    }
  }
}

/**
 * Of the machine itself, of its cloud, or of more than one machine. 168.63.129.16 is Azure's wire server; the rest of the
 * metadata services that is not named here is link-local.
 */
const delicateRanges = [
  '127.0.0.0/8', '0.0.0.0/8', '169.254.0.0/16', '168.63.129.16/32', '100.100.100.200/32', '192.0.0.192/32', '224.0.0.0/4', '255.255.255.255/32',
  '::1/128', '::/128', 'fe80::/10', 'ff00::/8', 'fd00:ec2::254/128', 'fd00:ec2::23/128', 'fd20:ce::254/128', 'fd00:42::42/128'
].map((range): Range => ipaddr.parseCIDR(range))

const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3')

/** ipaddr.js calls unicast whatever it has no other name for; of IPv6 only an eighth is given out (RFC 4291, section 2.4). */
function isPublic (address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  return address.range() === 'unicast' && (address instanceof ipaddr.IPv4 || address.match(globalUnicast))
}

/** IPv4 inside IPv6, by every way that leads there; `undefined` for those that lead to more than one place. */
function unwrap (address: ipaddr.IPv4 | ipaddr.IPv6): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  if (!(address instanceof ipaddr.IPv6)) return address
  if (address.isIPv4MappedAddress()) return address.toIPv4Address()
  const bytes = address.toByteArray()
  const range = address.range()
  // Of the prefix for local use (RFC 8215) it is not known where in it the address stands.
  if (range === 'rfc6052' && bytes[5] === 1) return undefined
  if (range === 'rfc6052' || range === 'rfc6145') return new ipaddr.IPv4(bytes.slice(12))
  if (range === '6to4') return new ipaddr.IPv4(bytes.slice(2, 6))
  if (range === 'teredo') return undefined
  // IPv4-compatible, long deprecated, is still routed by some systems.
  if (bytes.slice(0, 12).every((byte) => byte === 0) && bytes.slice(12).some((byte, index) => byte !== (index === 3 ? 1 : 0))) return new ipaddr.IPv4(bytes.slice(12))
  return address
}
