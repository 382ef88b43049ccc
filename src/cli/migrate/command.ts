import { parseArgs } from 'node:util'
import { migratePostgres } from '../../stores/postgres/index.ts'
import { exitCodes, type Command } from '../command.ts'
import { databaseOf } from '../database.ts'

const usage = `Usage: DATABASE_URL=postgres://... fastify-logic-apps migrate [OPTIONS]

Makes the tables of postgresStore, or brings them up to date, for apps that start with \`migrate: false\`. The user of
DATABASE_URL may create tables. Safe while replicas work, and when there is nothing to do.

  --schema NAME   the option \`schema\` of postgresStore (logic_apps)

Exit codes: 0 the tables are up to date, 2 they could not be made.
`

const options = { schema: { type: 'string' } } as const

export const migrate: Command = {
  summary: 'makes the tables of postgresStore, or brings them up to date',
  usage,
  async run (args, io) {
    const { values } = parseArgs({ args, options })
    const to = databaseOf(io, values.schema)
    await migratePostgres(to)
    io.out(`the schema ${values.schema ?? 'logic_apps'} is up to date\n`)
    return exitCodes.fine
  }
}
