/*
 * A callback URL is a secret, and it is a caller's to choose: whoever can subscribe decides where this server sends a
 * request (engine 8.7, 2.13). So it is read strictly, kept as text and sent byte for byte (rule 16): a URL that two
 * readers could understand differently is refused rather than repaired.
 */

export interface CallbackUrl {
  /** As given. */
  text: string
  protocol: 'https:' | 'http:'
  /** Lower case, without port. IPv6 in brackets. */
  hostname: string
  /** With the port, also where the URL names none. */
  host: string
  /** Scheme and the above. */
  origin: string
  /** Path and query, as given. */
  target: string
  /** Scheme, host and the head of the path: what logs and listings may show. */
  hint: string
}

/** Longer than any that was seen (engine 2.8, 2.10), short enough to be kept by the million. */
const maxLength = 4096

/** What is wrong with the URL is told without quoting it. */
export type CallbackUrlFault = { fault: string }

export function parseCallbackUrl (text: unknown): CallbackUrl | CallbackUrlFault {
  if (typeof text !== 'string' || text === '') return { fault: 'must be a non-empty string' }
  if (text.length > maxLength) return { fault: `must be at most ${maxLength} characters long` }
  // WHATWG's parser drops tabs and line ends, and reads a backslash as a slash.
  if (!/^[\x21-\x7e]+$/.test(text) || /[\\<>"`{}|^]/.test(text)) return { fault: 'must be plain printable ASCII without spaces' }
  const parts = /^(https?):\/\/([^/?#@]+)([/?][^#]*)?$/i.exec(text)
  const url = parts === null ? null : URL.parse(text)
  if (parts === null || url === null) return { fault: 'must be an absolute https URL without user name and fragment' }
  const [, scheme, authority = '', target = '/'] = parts
  const hostname = authority.replace(/:\d*$/, '').toLowerCase()
  // Decimal, octal, hexadecimal and shortened addresses, percent signs, zones and odd digits all parse to something else.
  if (hostname !== url.hostname || hostname.endsWith('.')) return { fault: 'must name its host in the ordinary form' }
  const protocol = `${scheme!.toLowerCase()}:` as 'https:' | 'http:'
  const port = url.port === '' ? (protocol === 'https:' ? 443 : 80) : url.port
  const host = `${hostname}:${port}`
  return {
    text,
    protocol,
    hostname,
    host,
    origin: `${protocol}//${host}`,
    target: target.startsWith('/') ? target : `/${target}`,
    hint: `${protocol}//${url.host}${headOf(url.pathname)}`
  }
}

/** The first segments of a path name the service and the workflow; what follows may be a key, and so may the last one of a short path. */
function headOf (pathname: string): string {
  const segments = pathname.split('/').filter((segment) => segment !== '')
  return segments.length === 0 ? '/' : ['', ...segments.slice(0, -1).slice(0, 2), '…'].join('/')
}

/**
 * Where callbacks of Logic Apps and Power Automate live, sovereign clouds included (engine 2.8, 2.10, 2.11, 8.7).
 * `*.azurewebsites.net` is any app's, Standard workflows among them: name your own apps to be stricter.
 */
export const defaultAllowedHosts = [
  '*.logic.azure.com',
  '*.logic.azure.us',
  '*.logic.azure.cn',
  '*.azurewebsites.net',
  '*.azurewebsites.us',
  '*.chinacloudsites.cn',
  '*.environment.api.powerplatform.com',
  '*.environment.api.gov.powerplatform.microsoft.us',
  '*.environment.api.high.powerplatform.microsoft.us',
  '*.environment.api.powerplatform.partner.microsoftonline.cn'
] as const

/**
 * Whether a host is on the list. An entry is a host name, `*.` before one for everything below it, or `*` for any host.
 */
export function isAllowedHost (hostname: string, allowed: readonly string[]): boolean {
  return allowed.map((entry) => entry.toLowerCase()).some((entry) => entry === '*' || (entry.startsWith('*.')
    ? hostname.endsWith(entry.slice(1)) && hostname.length > entry.length - 1
    : hostname === entry))
}

/**
 * What stays the same when a workflow is saved: a save yields a new version in the path and a new signature, and the
 * URL before it is dead (engine 2.9, rule 15). `undefined` for a URL that has no version, such as an action's.
 */
export function versionlessForm ({ origin, target }: CallbackUrl): string | undefined {
  const [path = '', ...queries] = target.split('?')
  const versionless = path.replace(/(\/triggers\/[^/]+)\/versions\/[^/]+\//, '$1/')
  if (versionless === path) return undefined
  const kept = queries.join('?').split('&').filter((pair) => !/^(?:sp|sig)=/.test(pair)).sort().join('&')
  return `${origin}${versionless}?${kept}`
}
