/*
 * Texts of the Workflow Definition Language. Only functions that the simulated engine plays as well, so that what is
 * exported can be tested.
 */

/** The one expression in a JSON value. */
export const alone = (expression: string): string => `@${expression}`

/** An expression within a text. */
export const within = (expression: string): string => `@{${expression}}`

/** A text as an expression has it. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** A JSON value as an expression has it. */
export function literalExpression (value: unknown): string {
  if (typeof value === 'string') return quoted(value)
  if (typeof value === 'object' && value !== null) return `json(${quoted(JSON.stringify(value))})`
  return String(value)
}

/** A JSON value that holds no expression: a text that begins with `@` would be one. */
export function literal (value: unknown): unknown {
  if (typeof value === 'string') return value.startsWith('@') ? `@${value}` : value.replaceAll('@{', '@@{')
  if (Array.isArray(value)) return value.map(literal)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, literal(item)]))
}

/**
 * As a part of a URL. The function wants a text; of a boolean `string()` makes `True`, which few APIs read.
 */
export function encoded (expression: string, type: string | undefined): string {
  if (type === 'boolean') return within(`encodeURIComponent(toLower(string(${expression})))`)
  return within(`encodeURIComponent(${type === 'string' ? expression : `string(${expression})`})`)
}

/** A name for an action or trigger: what expressions can name, at most 80 characters (engine 9.5). */
export function stepName (text: string): string {
  return text.replaceAll(/[^\p{L}\p{N}]+/gu, '_').replaceAll(/^_|_$/g, '').slice(0, 80)
}
