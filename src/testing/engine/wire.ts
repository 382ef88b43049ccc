/** What goes over the wire, and nothing of what it means. */
export interface WireRequest {
  method: string
  /** Absolute. Path and query are sent as they stand. */
  url: string
  headers: Record<string, string>
  body: string | Buffer | undefined
}

export interface WireResponse {
  statusCode: number
  /** Lower-case names. */
  headers: Record<string, string | string[] | undefined>
  body: Buffer
}

/** No answer came: no connection, or it broke, or time was over. */
export class WireError extends Error {
  override readonly name = 'WireError'
  readonly code: string

  constructor (code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** How requests reach the API. */
export interface Transport {
  /** @throws {WireError} when no answer comes. */
  send (request: WireRequest, signal: AbortSignal): Promise<WireResponse>
  close (): Promise<void>
}

export interface SplitUrl {
  /** Scheme, host and port, in lower case. */
  origin: string
  /** Path and query, as written. */
  target: string
}

/** `undefined` for what is no absolute http or https URL. */
export function splitUrl (url: string): SplitUrl | undefined {
  const parts = /^(https?:\/\/[^/?#]+)([^#]*)/i.exec(url)
  if (parts === null || !URL.canParse(url)) return undefined
  const target = parts[2]!
  return { origin: new URL(url).origin, target: target.startsWith('/') ? target : `/${target}` }
}

export function headerOf (headers: WireResponse['headers'], name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

/** What was thrown, as an error, whatever it was. */
export function asError (thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}
