import { parseArgs } from 'node:util'
import { describeFinding } from '../../connector/lint/finding.ts'
import { lintDocument } from '../../connector/lint/lint.ts'
import { exitCodes, UsageError, type Command } from '../command.ts'
import { readDocument } from '../document.ts'

const usage = `Usage: fastify-logic-apps lint FILE|URL [OPTIONS]

Says what in a Swagger 2.0 document would break flows of Logic Apps and Power Automate, and what could be better. Any
document, whatever wrote it.

  --strict   warnings are faults
  --json     the findings as JSON

Exit codes: 0 no fault, 1 faults, 2 the document could not be read.
`

const options = { strict: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } } as const

export const lint: Command = {
  summary: 'says what in a Swagger document would break flows',
  usage,
  async run (args, { out }) {
    const { values, positionals: [target, ...others] } = parseArgs({ args, options, allowPositionals: true })
    if (target === undefined || others.length > 0) throw new UsageError('give one Swagger document, a file or its URL; --help says more')
    const findings = lintDocument(await readDocument(target))
    const errors = findings.filter(({ severity }) => severity === 'error').length
    const warnings = findings.length - errors
    if (values.json) {
      out(`${JSON.stringify({ document: target, errors, warnings, findings }, null, 2)}\n`)
    } else {
      for (const finding of findings) out(`${finding.severity}: ${describeFinding(finding)}\n`)
      out(`${target}: ${counted(errors, 'fault')}, ${counted(warnings, 'warning')}\n`)
    }
    return errors > 0 || (values.strict && warnings > 0) ? exitCodes.faults : exitCodes.fine
  }
}

const counted = (count: number, what: string): string => `${count === 0 ? 'no' : count} ${what}${count === 1 ? '' : 's'}`
