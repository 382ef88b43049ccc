/** Where a command writes, and what it is asked from. */
export interface CommandIo {
  out: (text: string) => void
  err: (text: string) => void
  /** Whether a line on stderr can be written over. */
  isTerminal: boolean
  env: NodeJS.ProcessEnv
}

export interface Command {
  /** For the list of commands. */
  summary: string
  /** For `--help`. */
  usage: string
  /** @returns the exit code. */
  run (args: string[], io: CommandIo): Promise<number>
}

export const exitCodes = {
  /** Done, and all is well. */
  fine: 0,
  /** Done, and something is wrong. */
  faults: 1,
  /** Not done: wrong arguments, an unreadable file, an API that cannot be reached. */
  failed: 2
} as const

/** The caller's mistake: told without a stack. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
