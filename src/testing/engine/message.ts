import { STATUS_CODES } from 'node:http'
import { UnsupportedDefinitionError } from './definitions.ts'
import { splitUrl, headerOf, type WireResponse } from './wire.ts'

/** Headers that the author of a workflow cannot send; they are removed in silence (engine 1.28). */
const forbiddenHeaders = /^(accept-(?!version$).*|allow|content-(?!(disposition|encoding|type)$).*|cookie|expires|host|last-modified|origin|set-cookie|transfer-encoding)$/

export function allowedHeaders (headers: Record<string, unknown>, method: string): Record<string, string> {
  const entries = Object.entries(headers)
    .map(([name, value]): [string, string] => [name.toLowerCase(), String(value)])
    .filter(([name]) => !forbiddenHeaders.test(name) && !(method === 'GET' && name.startsWith('content-')))
  return Object.fromEntries(entries)
}

/** A body as it is sent, and the content type that it brings along (engine 1.25). */
export function encodeBody (body: unknown): { payload: string | Buffer | undefined, contentType: string | undefined } {
  if (body === undefined || body === null) return { payload: undefined, contentType: undefined }
  if (typeof body === 'string') return { payload: body, contentType: 'text/plain; charset=utf-8' }
  const { $content, $contentType } = { $content: (body as Record<string, unknown>).$content, $contentType: (body as Record<string, unknown>)['$content-type'] }
  if (typeof $content === 'string' && typeof $contentType === 'string') return { payload: Buffer.from($content, 'base64'), contentType: $contentType }
  const { $multipart } = body as { $multipart?: unknown }
  if (Array.isArray($multipart) && typeof $contentType === 'string' && /^multipart\//i.test($contentType)) return encodeMultipart($multipart, $contentType)
  if ($multipart !== undefined) throw new UnsupportedDefinitionError('a body with $multipart must have a $content-type that is multipart, and a list of parts')
  return { payload: JSON.stringify(body), contentType: 'application/json; charset=utf-8' }
}

/** Each part as a body of its own, with its headers. */
function encodeMultipart (parts: unknown[], type: string): { payload: Buffer, contentType: string } {
  const encoded = parts.map((part) => {
    const { headers = {}, body } = (part ?? {}) as { headers?: Record<string, unknown>, body?: unknown }
    const { payload = '', contentType } = encodeBody(body)
    const hasType = Object.keys(headers).some((name) => name.toLowerCase() === 'content-type')
    const lines = [...Object.entries(headers), ...(contentType === undefined || hasType ? [] : [['Content-Type', contentType]])].map(([name, value]) => `${String(name)}: ${String(value)}\r\n`)
    return { head: `${lines.join('')}\r\n`, payload: Buffer.from(payload) }
  })
  const given = /boundary="?([^";]+)/i.exec(type)?.[1]
  const boundary = given ?? unusedBoundary(encoded.map(({ payload }) => payload))
  const payload = Buffer.concat([...encoded.flatMap(({ head, payload }) => [Buffer.from(`--${boundary}\r\n${head}`), payload, Buffer.from('\r\n')]), Buffer.from(`--${boundary}--\r\n`)])
  return { payload, contentType: given === undefined ? `${type}; boundary=${boundary}` : type }
}

function unusedBoundary (payloads: Buffer[]): string {
  let boundary = 'part'
  while (payloads.some((payload) => payload.includes(boundary))) boundary += `-${boundary.length}`
  return boundary
}

/** `queries` take the place of a query that the URI has already (engine 1.26). */
export function withQueries (uri: string, queries: Record<string, unknown> | undefined): string {
  const pairs = Object.entries(queries ?? {})
  if (pairs.length === 0) return uri
  // A list is repeated: what is to stand in one value is joined by its author.
  const written = pairs.flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((one) => `${encodeURIComponent(name)}=${encodeURIComponent(String(one))}`))
  return `${uri.split('?')[0]}${written.length === 0 ? '' : `?${written.join('&')}`}`
}

export interface ParsedBody {
  /** As the workflow sees it; `undefined` for an empty body. */
  body: unknown
  /** JSON by its content type, and no JSON. */
  isBroken: boolean
}

/** A body as `outputs` have it (engine 1.27). */
export function decodeBody ({ headers, body }: Pick<WireResponse, 'headers' | 'body'>): ParsedBody {
  if (body.length === 0) return { body: undefined, isBroken: false }
  const contentType = headerOf(headers, 'content-type') ?? ''
  const type = contentType.split(';')[0]!.trim().toLowerCase()
  if (type === 'application/json' || type.endsWith('+json')) {
    try {
      return { body: JSON.parse(body.toString()) as unknown, isBroken: false }
    } catch {
      // Told by the caller: the action fails for it.
      return { body: body.toString(), isBroken: true }
    }
  }
  if (type.startsWith('text/')) return { body: body.toString(), isBroken: false }
  return { body: { '$content-type': contentType || 'application/octet-stream', $content: body.toString('base64') }, isBroken: false }
}

/** Statuses that .NET's enumeration had no name for: the code is then the number (engine 1.11). */
const nameless = new Set([418, 422, 425, 429, 451])

/** The name of a status as a failure's code: `NotFound`, `BadGateway`, `429` (engine 1.11). */
export function statusName (statusCode: number): string {
  const name = nameless.has(statusCode) ? undefined : STATUS_CODES[statusCode]
  return name === undefined ? String(statusCode) : name.replace(/[^A-Za-z]/g, '')
}

/** Connection errors and these may pass by themselves (engine 6.2). */
export function isRetryable (statusCode: number): boolean {
  return statusCode === 408 || statusCode === 429 || statusCode >= 500
}

/** @returns milliseconds, or `undefined` where there is none that counts. */
export function retryAfterMs (headers: WireResponse['headers'], now: number, dates: 'ignore' | 'accept'): number | undefined {
  const value = headerOf(headers, 'retry-after')?.trim()
  if (value === undefined) return undefined
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  const date = dates === 'accept' ? Date.parse(value) : Number.NaN
  return Number.isNaN(date) ? undefined : Math.max(date - now, 0)
}

/** Where a `Location` leads, or why it leads nowhere. */
export function resolveLocation (location: string, from: string, relative: 'refuse' | 'resolve'): string | undefined {
  if (splitUrl(location) !== undefined) return location
  if (relative === 'refuse' || !URL.canParse(location, from)) return undefined
  return new URL(location, from).href
}
