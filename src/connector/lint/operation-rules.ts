import { isLoopback } from '../../protocol/location.ts'
import type { LintRule } from './rule.ts'
import { list, record } from './view.ts'

const supportedTypes = ['application/json', 'text/plain', 'multipart/form-data', 'application/x-www-form-urlencoded']
const methodNames = /get|put|post|delete|options|head|patch/i

/** What every operation, and the document around them, must have. */
export const operationRules: LintRule[] = [
  {
    id: 'swagger-2',
    severity: 'error',
    source: 'openapi 0.1',
    asks: 'The document is Swagger 2.0.',
    mend: 'convert it to Swagger 2.0: nothing of OpenAPI 3 is read',
    check ({ document }, report) {
      if (document.swagger !== '2.0') report('swagger', `is ${JSON.stringify(record(document).openapi ?? document.swagger) ?? 'missing'}`)
    }
  },
  {
    id: 'operation-id-missing',
    severity: 'error',
    source: 'openapi 0.2',
    asks: 'Every operation has an operationId.',
    mend: 'set schema.operationId',
    check ({ operations }, report) {
      for (const { id, place } of operations) if (id === '') report(place, 'has no operationId, so the designer does not know it')
    }
  },
  {
    id: 'operation-id-duplicate',
    severity: 'error',
    source: 'openapi 0.2',
    asks: 'No two operations have the same operationId.',
    mend: 'rename the newer one: workflows know the older by its name',
    check ({ operations }, report) {
      const places = new Map<string, string>()
      for (const { id, place } of operations) {
        const other = id === '' ? undefined : places.get(id.toLowerCase())
        if (other !== undefined) report(place, `has the operationId of ${other}; the designer shows the last one alone`, id)
        places.set(id.toLowerCase(), place)
      }
    }
  },
  {
    id: 'operation-id-form',
    severity: 'warning',
    source: 'openapi 0.2',
    asks: 'An operationId is PascalCase, of letters and digits.',
    mend: 'name it as in "BakeCake"; a connector that is in use keeps its names',
    check ({ operations }, report) {
      // A revision ends in _V2 (openapi 1, x-ms-api-annotation).
      for (const { id, place } of operations) if (id !== '' && !/^[A-Z][A-Za-z0-9]*(_V\d+)?$/.test(id)) report(place, `has the operationId "${id}"`, id)
    }
  },
  {
    id: 'operation-summary',
    severity: 'warning',
    source: 'openapi 0.2',
    asks: 'Every operation for authors has a summary of at most 80 characters, without "/", that ends in a letter or digit.',
    mend: 'set schema.summary: it is the name of the card',
    check ({ operations }, report) {
      for (const { isInternal, operation: { summary }, place, id } of operations) {
        if (isInternal) continue
        if (typeof summary !== 'string' || summary === '') report(place, 'has no summary', id)
        else if (summary.length > 80) report(place, `has a summary of ${summary.length} characters`, id)
        else if (summary.includes('/') || !/[\p{L}\p{N}]$/u.test(summary)) report(place, `has the summary "${summary}"`, id)
      }
    }
  },
  {
    id: 'operation-description',
    severity: 'warning',
    source: 'openapi 0.2',
    asks: 'Every operation for authors has a description that is a sentence, and not its summary.',
    mend: 'set schema.description, with a full stop at its end',
    check ({ operations }, report) {
      for (const { isInternal, operation: { summary, description }, place, id } of operations) {
        if (isInternal) continue
        if (typeof description !== 'string' || description === '') report(place, 'has no description', id)
        else if (description === summary) report(place, 'says in its description what its summary says', id)
        else if (!/[.!?]$/.test(description)) report(place, 'has a description without a full stop', id)
      }
    }
  },
  {
    id: 'responses-missing',
    severity: 'error',
    source: 'openapi 0.6',
    asks: 'Every operation has responses, one of them a success.',
    mend: 'declare schema.response[200]',
    check ({ operations }, report) {
      for (const { responses, place, id } of operations) {
        if (responses.size === 0) report(place, 'has no responses, so the designer cannot read the document', id)
        else if (![...responses.keys()].some((code) => /^2/.test(code) || code === 'default')) report(place, 'has no response for success', id)
      }
    }
  },
  {
    id: 'output-missing',
    severity: 'warning',
    source: 'openapi 0.6',
    asks: 'Every operation for authors that answers more than 204 has a schema on its 200, or else its 201.',
    mend: 'declare schema.response[200], or the result of the action',
    check (view, report) {
      for (const operation of view.operations) {
        const { isInternal, isWebhook, responses, place, id } = operation
        if (isInternal || isWebhook || [...responses.keys()].every((code) => code === '204' || !/^2|default/.test(code))) continue
        if (view.outputOf(operation) === undefined) report(place, 'has no outputs in the designer', id)
      }
    }
  },
  {
    id: 'output-of-default',
    severity: 'warning',
    source: 'openapi 2',
    asks: 'The default response has no schema where there is another: the designer could take it for the output.',
    mend: 'leave the schema of the default response out',
    mentions: '"default"',
    check ({ operations }, report) {
      for (const { responses, place, id } of operations) {
        if (responses.get('default')?.schema !== undefined && responses.size > 1) report(`${place}.responses.default`, 'has a schema', id)
      }
    }
  },
  {
    id: 'output-ambiguous',
    severity: 'warning',
    source: 'openapi 3, OperationHasManyResponsesWithSchema',
    asks: 'One response alone has a schema.',
    mend: 'leave the other schemas out: one is read',
    check ({ operations }, report) {
      for (const { responses, place, id } of operations) {
        const codes = [...responses].filter(([, { schema }]) => schema !== undefined).map(([code]) => code)
        if (codes.length > 1) report(`${place}.responses`, `has schemas on ${codes.join(', ')}`, id)
      }
    }
  },
  {
    id: 'output-file',
    severity: 'error',
    source: 'openapi 2',
    asks: 'No response is of type "file".',
    mend: 'use { type: "string", format: "binary" }',
    mentions: '"file"',
    check (view, report) {
      for (const operation of view.operations) {
        for (const { place, schema } of operation.outputs) if (schema.type === 'file') report(place, 'is a file, which the designer shows as no output at all', operation.id)
      }
    }
  },
  {
    id: 'header-label',
    severity: 'warning',
    source: 'openapi 2',
    asks: 'Every response header has an x-ms-summary.',
    mend: 'give the header a title, or summary()',
    mentions: '"headers"',
    check ({ operations }, report) {
      for (const { responses, place, id } of operations.filter(({ isInternal }) => !isInternal)) {
        for (const [code, { headers }] of responses) {
          for (const [name, header] of Object.entries(record(headers))) {
            if (record(header)['x-ms-summary'] === undefined) report(`${place}.responses.${code}.headers.${name}`, 'would be called "Body"', id)
          }
        }
      }
    }
  },
  {
    id: 'path-item-key',
    severity: 'error',
    source: 'openapi 2',
    asks: 'No vendor key of a path item has the name of a method in it: the designer takes it for an operation.',
    mend: 'rename the key',
    check ({ document }, report) {
      for (const [path, item] of Object.entries(record(document.paths))) {
        for (const key of Object.keys(record(item))) if (key.startsWith('x-') && methodNames.test(key)) report(`paths.${path}.${key}`, 'would be read as an operation')
      }
    }
  },
  {
    id: 'path-ambiguous',
    severity: 'warning',
    source: 'openapi 3, DuplicateOperationPath, PathRedefined',
    asks: 'Paths differ in more than case and the names of their parameters.',
    mend: 'name the parameter of a path the same in all its operations',
    check ({ document }, report) {
      const seen = new Map<string, string>()
      for (const path of Object.keys(record(document.paths))) {
        const form = path.toLowerCase().replace(/\{[^}]*\}/g, '{}')
        const other = seen.get(form)
        if (other !== undefined) report(`paths.${path}`, `is the same as ${other}`)
        else seen.set(form, path)
      }
    }
  },
  {
    id: 'schemes',
    severity: 'warning',
    source: 'openapi 0.12',
    asks: 'The one scheme is https.',
    mend: 'give the plugin an https baseUrl',
    check ({ document: { schemes, host } }, report) {
      // At a desk it is http.
      if (typeof host === 'string' && URL.canParse(`http://${host}`) && isLoopback(`http://${host}`)) return
      if (schemes !== undefined && (list(schemes).length !== 1 || list(schemes)[0] !== 'https')) report('schemes', `is ${JSON.stringify(schemes)}; some readers take the first, some the last`)
    }
  },
  {
    id: 'media-types',
    severity: 'warning',
    source: 'openapi 3, MimeTypeNotSupported',
    asks: 'Requests are JSON, text or a form.',
    mend: `use ${supportedTypes.join(', ')}`,
    check ({ document, operations }, report) {
      const check = (place: string, types: unknown, id?: string): void => {
        for (const type of Array.isArray(types) ? types : []) if (!supportedTypes.includes(String(type).split(';')[0]!.trim())) report(place, `has ${String(type)}`, id)
      }
      check('consumes', document.consumes)
      for (const { operation, place, id } of operations) check(`${place}.consumes`, operation.consumes, id)
    }
  },
  {
    id: 'security-undefined',
    severity: 'error',
    source: 'openapi 3, SecurityRequirementMustBeDefined',
    asks: 'Every security requirement is defined.',
    mend: 'define it in connector.securityDefinitions',
    mentions: '"security"',
    check ({ document, operations }, report) {
      const check = (place: string, requirements: unknown, id?: string): void => {
        for (const name of (Array.isArray(requirements) ? requirements : []).flatMap((requirement) => Object.keys(record(requirement)))) {
          if (record(document.securityDefinitions)[name] === undefined) report(place, `asks for "${name}"`, id)
        }
      }
      check('security', document.security)
      for (const { operation, place, id } of operations) check(`${place}.security`, operation.security, id)
    }
  }
]
