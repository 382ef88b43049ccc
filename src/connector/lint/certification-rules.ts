import type { LintRule } from './rule.ts'
import { everySchema } from './every-schema.ts'
import { list, record, type PlacedSchema } from './view.ts'

/** Limits of the platform for Logic Apps (openapi 5). */
export const maxDocumentBytes = 1_048_576
const limits = { operations: 256, schemasOfBody: 512, schemasOfOperation: 16_384 }
const restrictedWords = /\b(api|connector|copilot|power\s?apps|power\s?automate|power\s?platform|logic\s?apps|azure|microsoft)\b/i
const nextLinkNames = ['nextLink', '@odata.nextLink']

/** What Microsoft's certification asks for, and the limits of size. */
export const certificationRules: LintRule[] = [
  {
    id: 'size',
    severity: 'warning',
    source: 'openapi 5, limits',
    asks: 'The document is smaller than 1 MB.',
    mend: 'leave operations out, or shorten schemas',
    check (view, report) {
      const bytes = Buffer.byteLength(view.text())
      if (bytes >= maxDocumentBytes) report('', `has ${bytes} bytes`)
    }
  },
  {
    id: 'operation-count',
    severity: 'warning',
    source: 'openapi 5, limits',
    asks: 'There are at most 256 operations.',
    mend: 'make two connectors of it',
    check ({ operations }, report) {
      if (operations.length > limits.operations) report('paths', `has ${operations.length} operations`)
    }
  },
  {
    id: 'schema-count',
    severity: 'warning',
    source: 'openapi 5, limits',
    asks: 'A body has at most 512 schemas, an operation 16,384.',
    mend: 'shorten the schemas, or use a dynamic schema',
    check (view, report) {
      const counted = new Map<unknown, number>()
      const countOf = ({ place, schema }: PlacedSchema): number => {
        let count = counted.get(schema)
        if (count === undefined) {
          const found = new Set<unknown>()
          view.walk(schema, place, (one) => { found.add(one) })
          counted.set(schema, count = found.size)
        }
        return count
      }
      for (const operation of view.operations) {
        const counts = operation.schemas.map((placed) => {
          const { place } = placed
          const count = countOf(placed)
          if (count > limits.schemasOfBody) report(place, `has ${count} schemas`, operation.id)
          return count
        })
        const total = counts.reduce((sum, count) => sum + count, 0)
        if (total > limits.schemasOfOperation) report(operation.place, `has ${total} schemas`, operation.id)
      }
    }
  },
  {
    id: 'info-title',
    severity: 'warning',
    source: 'openapi 5, apiDefinition',
    asks: 'info.title has 1 to 30 characters, and no word such as "API", "connector" or the name of a platform.',
    mend: 'set connector.info.title to the name of your product',
    check ({ document }, report) {
      const title = record(document.info).title
      if (typeof title !== 'string' || title === '') report('info.title', 'is missing')
      else if (title.length > 30) report('info.title', `has ${title.length} characters`)
      else if (restrictedWords.test(title)) report('info.title', `is "${title}"`)
    }
  },
  {
    id: 'info-description',
    severity: 'warning',
    source: 'openapi 5, apiDefinition',
    asks: 'info.description has 30 to 500 characters.',
    mend: 'set connector.info.description',
    check ({ document }, report) {
      const description = record(document.info).description
      if (typeof description !== 'string') report('info.description', 'is missing')
      else if (description.length < 30 || description.length > 500) report('info.description', `has ${description.length} characters`)
    }
  },
  {
    id: 'info-contact',
    severity: 'warning',
    source: 'openapi 3, ContactEmailNotValid',
    asks: 'info.contact.email, where it is, is an address.',
    mend: 'mend connector.info.contact.email',
    check ({ document }, report) {
      const email = record(record(document.info).contact).email
      if (email !== undefined && !/^[\x21-\x7e]+@[\w-]+(\.[\w-]+)+$/.test(String(email))) report('info.contact.email', `is "${String(email)}"`)
    }
  },
  {
    id: 'host',
    severity: 'warning',
    source: 'openapi 3, HostNameNotValid',
    asks: 'host is a name and a port, without scheme and path; basePath begins with "/".',
    mend: 'set the baseUrl of the plugin',
    check ({ document: { host, basePath } }, report) {
      if (host !== undefined && !/^[^{}/ :\\]+(:\d+)?$/.test(String(host))) report('host', `is "${String(host)}"`)
      if (basePath !== undefined && !String(basePath).startsWith('/')) report('basePath', `is "${String(basePath)}"`)
    }
  },
  {
    id: 'visibility',
    severity: 'warning',
    source: 'openapi 1, x-ms-visibility',
    asks: 'x-ms-visibility is "important", "advanced" or "internal".',
    mend: 'use visibility(), and leave it out for what is neither',
    mentions: '"x-ms-visibility"',
    check (view, report) {
      const check = (value: unknown, fault: (message: string) => void): void => {
        if (value !== undefined && !['important', 'advanced', 'internal', 'none'].includes(value as string)) fault(`has the x-ms-visibility ${JSON.stringify(value)}`)
      }
      for (const { operation, place, id } of view.operations) check(operation['x-ms-visibility'], (message) => { report(place, message, id) })
      everySchema(view, report, (one, fault, { isInput }) => { if (isInput) check(one['x-ms-visibility'], fault) })
    }
  },
  {
    id: 'pageable',
    severity: 'warning',
    source: 'openapi 3, InvalidNextLinkNameValue',
    asks: `The nextLinkName of x-ms-pageable is ${nextLinkNames.join(' or ')}.`,
    mend: 'use pageable(), and answer the link under that name',
    mentions: '"x-ms-pageable"',
    check ({ operations }, report) {
      for (const { operation, place, id } of operations) {
        const pageable = operation['x-ms-pageable']
        if (pageable !== undefined && !nextLinkNames.includes(record(pageable).nextLinkName as string)) report(place, `names ${JSON.stringify(record(pageable).nextLinkName)}`, id)
      }
    }
  },
  {
    id: 'revision',
    severity: 'warning',
    source: 'openapi 1, x-ms-api-annotation',
    asks: 'The operationId of revision n, from 2 on, ends in _Vn; a replacement stands on a deprecated operation and names api and operationId; no revision of a family is there twice.',
    mend: 'see apiAnnotation(), and set deprecated: true on what is replaced',
    mentions: '"x-ms-api-annotation"',
    check ({ operations }, report) {
      const revisions = new Set<string>()
      for (const { operation, place, id } of operations) {
        const { family, revision, replacement } = record(operation['x-ms-api-annotation'])
        if (family === undefined && revision === undefined && replacement === undefined) continue
        if (typeof revision === 'number' && revision > 1 && !id.endsWith(`_V${revision}`)) report(place, `is revision ${revision}, and has the operationId ${id}`, id)
        const key = `${String(family)} ${String(revision)}`
        if (revisions.has(key)) report(place, `is revision ${String(revision)} of ${String(family)}, as another is`, id)
        revisions.add(key)
        if (replacement !== undefined && (operation.deprecated !== true || record(replacement).api === undefined || record(replacement).operationId === undefined)) report(place, 'has a replacement that is not complete, or is not deprecated', id)
      }
    }
  },
  {
    id: 'connector-metadata',
    severity: 'warning',
    source: 'openapi 1, x-ms-connector-metadata',
    asks: 'x-ms-connector-metadata has Website, Privacy policy and at most 2 Categories.',
    mend: 'use connectorMetadata()',
    check ({ document }, report) {
      const metadata = document['x-ms-connector-metadata']
      if (metadata === undefined) return
      const values = new Map(list(metadata).map((entry) => [record(entry).propertyName, record(entry).propertyValue]))
      for (const name of ['Website', 'Privacy policy', 'Categories']) if (typeof values.get(name) !== 'string') report('x-ms-connector-metadata', `has no ${name}`)
      if (String(values.get('Categories') ?? '').split(';').length > 2) report('x-ms-connector-metadata', 'has more than 2 categories')
    }
  }
]
