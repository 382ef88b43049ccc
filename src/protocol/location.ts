/**
 * What stands before a route's path in the URLs we hand out: scheme, host, port and path prefix, without a slash at
 * the end. `Location` must be absolute and reachable from outside (engine 1.3, rule 5).
 *
 * @throws {TypeError} naming `what`.
 */
export function parseBaseUrl (value: string, what: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new TypeError(`${what} must be an absolute http or https URL, such as "https://cakes.contoso.com"; got ${JSON.stringify(value)}`)
  }
  if (url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '') {
    throw new TypeError(`${what} must have no query, fragment, user name or password`)
  }
  return url.origin + url.pathname.replace(/\/+$/, '')
}

/** Whether the engine could only reach itself there (peers, pain 2). */
export function isLoopback (baseUrl: string): boolean {
  const { hostname } = new URL(baseUrl)
  return /^((.+\.)?localhost\.?|127(\.\d+){3}|0\.0\.0\.0|\[::1?\]|\[::ffff:7f[\da-f]{2}:[\da-f]+\])$/.test(hostname)
}

/** What a proxy says of the address that the caller used. */
export interface ForwardedAddress {
  protocol: string
  host: string
  port?: string | undefined
  prefix?: string | undefined
}

/** `undefined` where the parts do not make a URL: headers can hold anything. */
export function baseUrlOf ({ protocol, host, port, prefix }: ForwardedAddress): string | undefined {
  const authority = port === undefined || !/^\d{1,5}$/.test(port) ? host : `${host.replace(/:\d+$/, '')}:${port}`
  const path = prefix === undefined || !/^(\/[\w.~-]+)+\/?$/.test(prefix) ? '' : prefix
  const url = `${protocol}://${authority}${path}`
  // Anything else in scheme or host (a path, a user name, white space) would move the URL somewhere else.
  if (!/^https?$/.test(protocol) || !/^[\w.-]+(:\d{1,5})?$|^\[[\da-fA-F:.]+\](:\d{1,5})?$/.test(authority) || !URL.canParse(url)) return undefined
  return parseBaseUrl(url, 'the forwarded address')
}

/**
 * The path that a request asks for, as it was written, without slashes at its end. A target can be a whole URL (RFC
 * 9112, 3.2.2), and holds a fragment where a client is careless: Fastify's router takes both.
 */
export function pathOfTarget (target: string): string {
  if (/^\/[^?#]*[^?#/]$/.test(target)) return target
  return target.replace(/^https?:\/\/[^/?#]*/i, '').split(/[?#]/, 1)[0]!.replace(/\/+$/, '')
}
