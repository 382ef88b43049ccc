import type { CallConfig, OperationConfig } from './operations.ts'

/** Takes the secrets out of a text that is to be passed around. */
export type Mask = (text: string) => string

const secretName = '(?:[\\w.-]*[-_.]|api|access|auth|refresh|client|function|system|subscription)*(?:code|key|token|sig|signature|secret|password)'
/** `&` also as it stands in JSON of .NET, in XML, and in a URL within a query. */
const and = '[?&]|\\\\u0026|&amp;|%3F|%26'
const secretHeaders = new RegExp(`^((?:proxy-)?authorization|(?:set-)?cookie|${secretName}): .*$`, 'gim')
const secretQueries = queryOf(secretName)
/** In JSON, and in JSON within a string of JSON. What was cut off has no closing quote. */
const secretMembers = [
  new RegExp(`("(${secretName})"\\s*:\\s*")((?:[^"\\\\]|\\\\.)+)`, 'gi'),
  new RegExp(`(\\\\+"(${secretName})\\\\+"\\s*:\\s*\\\\+")((?:[^"\\\\]|\\\\[^"])+)`, 'gi')
]
const userInfo = /(:\/\/)[^/?#@\s]*:[^/?#@\s]*@/g
/** Names that tell of the format: a fault may be about them. */
const openHeaders = new Set(['content-type', 'accept', 'prefer'])
/** Shorter ones stand in texts that have nothing to do with them. */
const minValueLength = 6

/** What an operation's config says of headers, queries and authentication is masked too, wherever it comes back. */
export function createMask ({ unsubscribe, event, ...operation }: Partial<OperationConfig> = {}): Mask {
  const calls = [operation, unsubscribe, event].filter((call) => call !== undefined)
  const headers = calls.flatMap(({ headers = {} }) => Object.entries(headers)).filter(([name]) => !openHeaders.has(name.toLowerCase()))
  const queries = calls.flatMap(queriesOf)
  const values = [...headers, ...queries, ...calls.flatMap(({ authentication: { type: _, ...rest } = { type: '' } }) => Object.entries(rest))]
    .map(([, value]) => value).filter((value): value is string => typeof value === 'string' && value.length >= minValueLength)
  const known = [...new Set(values.flatMap((value) => [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1)]))].sort((a, b) => b.length - a.length)
  const ownHeaders = headers.length === 0 ? undefined : new RegExp(`^(${namesOf(headers)}): .*$`, 'gim')
  const ownQueries = queries.length === 0 ? undefined : queryOf(`(?:${namesOf(queries)})`)

  return (text) => {
    let masked = text.replace(userInfo, '$1…@').replace(secretHeaders, '$1: …').replace(secretQueries, '$1…')
    for (const members of secretMembers) masked = masked.replace(members, (whole, before: string, name: string, value: string) => isErrorCode(name, value) ? whole : `${before}…`)
    if (ownHeaders !== undefined) masked = masked.replace(ownHeaders, '$1: …')
    if (ownQueries !== undefined) masked = masked.replace(ownQueries, '$1…')
    for (const value of known) masked = masked.replaceAll(value, '…')
    return masked
  }
}

/** A word is the code of an error, which a reader needs; keys have digits. */
const isErrorCode = (name: string, value: string): boolean => name.toLowerCase() === 'code' && /^[A-Za-z_. ]+$/.test(value)

function queryOf (name: string): RegExp {
  return new RegExp(`((?:${and})${name}(?:=|%3D))(?:(?!${and})[^\\s"'<>])+`, 'gi')
}

function queriesOf ({ path = '', queries = {} }: Partial<CallConfig>): [string, unknown][] {
  return [...Object.entries(queries), ...new URLSearchParams(path.split('?')[1] ?? '')]
}

function namesOf (entries: [string, unknown][]): string {
  return entries.map(([name]) => name.replaceAll(/[^\w-]/g, '\\$&')).join('|')
}
