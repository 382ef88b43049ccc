/**
 * Writes the tables of docs/reference/options.md that stand between `<!-- generated … -->` and `<!-- end -->`, from the
 * schemas that check the options. With `--check` it writes nothing and exits 1 when the page is stale.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { optionsSchema } from '../src/options.ts'

interface PropertySchema {
  type?: string
  default?: unknown
  description?: string
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
}

const page = new URL('../docs/reference/options.md', import.meta.url)
const written = readFileSync(page, 'utf8')
const fresh = written.replace(/(<!-- generated [^>]*-->\n).*?(<!-- end -->)/s, (_, begin: string, end: string) =>
  `${begin}${tableOf(optionsSchema.properties)}${end}`)

if (!process.argv.includes('--check')) {
  writeFileSync(page, fresh)
} else if (fresh !== written) {
  console.error('docs/reference/options.md is stale: run `node scripts/make-reference.ts`.')
  process.exit(1)
}

function tableOf (properties: Record<string, PropertySchema>): string {
  const rows = Object.entries(properties).map(([name, schema]) =>
    `| \`${name}\` | ${typeOf(schema)} | \`${String(schema.default)}\` | ${schema.description ?? ''} |\n`)
  return `| option | type | default | what it does |\n|---|---|---|---|\n${rows.join('')}`
}

function typeOf ({ type, minimum, maximum, exclusiveMinimum }: PropertySchema): string {
  if (minimum !== undefined && maximum !== undefined) return `${type}, ${minimum} to ${maximum}`
  if (minimum !== undefined) return `${type}, at least ${minimum}`
  return exclusiveMinimum === undefined ? String(type) : `${type}, more than ${exclusiveMinimum}`
}
