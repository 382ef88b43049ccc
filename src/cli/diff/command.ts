import { parseArgs } from 'node:util'
import { describeChange } from '../../connector/diff/change.ts'
import { diffDocuments } from '../../connector/diff/diff.ts'
import { exitCodes, UsageError, type Command } from '../command.ts'
import { readDocument } from '../document.ts'

const usage = `Usage: fastify-logic-apps diff OLD NEW [OPTIONS]

Says what of the Swagger document NEW would break flows that were made with OLD. Each is a file or a URL.

  --json   the changes as JSON

Exit codes: 0 nothing breaks, 1 something does, 2 a document could not be read.
`

const options = { json: { type: 'boolean', default: false } } as const

export const diff: Command = {
  summary: 'says what of a new Swagger document would break existing flows',
  usage,
  async run (args, { out }) {
    const { values, positionals: [old, fresh, ...others] } = parseArgs({ args, options, allowPositionals: true })
    if (old === undefined || fresh === undefined || others.length > 0) throw new UsageError('give two Swagger documents, the old and the new, each a file or its URL; --help says more')
    const [before, after] = [await readDocument(old), await readDocument(fresh)]
    for (const [name, document] of [[old, before], [fresh, after]] as const) {
      // Of anything else there would be nothing to compare, and so nothing that breaks.
      if ((document as { swagger?: unknown }).swagger !== '2.0') throw new UsageError(`${name} is no Swagger 2.0 document`)
    }
    const changes = diffDocuments(before, after)
    const breaking = changes.filter(({ severity }) => severity === 'breaking').length
    if (values.json) {
      out(`${JSON.stringify({ old, new: fresh, breaking, changes }, null, 2)}\n`)
    } else {
      for (const change of changes) out(`${change.severity}: ${describeChange(change)}\n`)
      out(`${breaking === 0 ? 'nothing breaks' : `${breaking} breaking ${breaking === 1 ? 'change' : 'changes'}`}, ${changes.length - breaking} compatible\n`)
    }
    return breaking > 0 ? exitCodes.faults : exitCodes.fine
  }
}
