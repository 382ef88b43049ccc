import { parseArgs } from 'node:util'
import { moveStore } from '../../stores/postgres/index.ts'
import { exitCodes, UsageError, type Command } from '../command.ts'
import { databaseOf } from '../database.ts'

const usage = `Usage: DATABASE_URL=postgres://... fastify-logic-apps move FILE [OPTIONS]

Moves the jobs, subscriptions, callbacks and log of a SQLite store to an empty schema on PostgreSQL. URLs that were handed
out stay valid under the same \`secret\` and \`baseUrl\`. Stop the app first; afterwards no app starts on FILE any more.
All arrives, or nothing.

  --schema NAME   the option \`schema\` of postgresStore (logic_apps)

Exit codes: 0 moved, 2 not.
`

const options = { schema: { type: 'string' } } as const

export const move: Command = {
  summary: 'moves a SQLite store to PostgreSQL',
  usage,
  async run (args, io) {
    const { values, positionals: [file, ...others] } = parseArgs({ args, options, allowPositionals: true })
    if (file === undefined || others.length > 0) throw new UsageError('give the file of one SQLite store; --help says more')
    const to = databaseOf(io, values.schema)
    const { jobs, subscriptions, events, deliveries } = await moveStore({ file }, to)
    io.out(`moved ${jobs} jobs, ${subscriptions} subscriptions, ${events} events and ${deliveries} callbacks to the schema ${values.schema ?? 'logic_apps'}\n`)
    return exitCodes.fine
  }
}
