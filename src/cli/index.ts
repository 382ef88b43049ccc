import { check } from './check/command.ts'
import { diff } from './diff/command.ts'
import { exportConnector } from './export/command.ts'
import { lint } from './lint/command.ts'
import { migrate } from './migrate/command.ts'
import { move } from './move/command.ts'
import { exitCodes, UsageError, type Command, type CommandIo } from './command.ts'

/** Every command. A new one is a line here and a folder beside. */
const commands: Record<string, Command> = { check, diff, export: exportConnector, lint, migrate, move }

const list = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`).join('\n')
const help = `Usage: fastify-logic-apps COMMAND [OPTIONS]

${list}

fastify-logic-apps COMMAND --help says more.
Exit codes: 0 all is well, 1 something is wrong, 2 the command could not do its work.
`

/** @returns the exit code. */
export async function main (args: string[], io: CommandIo): Promise<number> {
  const [name, ...rest] = args
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const isAsked = name !== undefined
    ;(isAsked ? io.out : io.err)(help)
    return isAsked ? exitCodes.fine : exitCodes.failed
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) {
    io.err(`fastify-logic-apps: there is no command "${name}"\n\n${help}`)
    return exitCodes.failed
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    io.out(command.usage)
    return exitCodes.fine
  }
  try {
    return await command.run(rest, io)
  } catch (error) {
    if (!saysEnough(error)) throw error
    io.err(`fastify-logic-apps ${name}: ${(error as Error).message}\n`)
    return exitCodes.failed
  }
}

/** Wrong arguments, which parseArgs tells of by its codes, and our own errors: these say what is wrong and how it is mended. */
function saysEnough (error: unknown): boolean {
  return error instanceof UsageError || /^(?:ERR_PARSE_ARGS|FST_LOGIC_APPS_)/.test(String((error as NodeJS.ErrnoException).code))
}
