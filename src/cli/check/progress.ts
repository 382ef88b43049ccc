import type { CommandIo } from '../command.ts'

export interface Progress {
  say: (operation: string, what: string) => void
  end: () => void
}

const maxLength = 110

/** One line on stderr that says what the check waits for; a line each where it cannot be written over. */
export function createProgress ({ err, isTerminal }: CommandIo): Progress {
  let isShown = false
  return {
    say (operation, what) {
      const line = `${operation}: ${what}`.slice(0, maxLength)
      err(isTerminal ? `\r\u001b[2K${line}` : `${line}\n`)
      isShown = true
    },
    end () { if (isTerminal && isShown) err('\r\u001b[2K') }
  }
}
