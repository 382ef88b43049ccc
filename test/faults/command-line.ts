import { parseArgs } from 'node:util'

interface CommandLine<Name extends string> {
  help: string
  /** Options that are positive whole numbers, and what they are when not given. `--seed` is random then. */
  defaults: Record<Name, number>
  run: (options: Record<Name | 'seed', number> & { onProgress: (line: string) => void }) => Promise<{ violations: string[] }>
}

/** Runs a campaign as `help` says: exit code 0 when all that was promised held, 1 when not, 2 for wrong arguments. */
export async function runFromCommandLine<Name extends string> ({ help, defaults, run }: CommandLine<Name>): Promise<void> {
  const all: Record<string, number> = { seed: Math.floor(Math.random() * 1e9), ...defaults }
  try {
    const numbers = Object.fromEntries(Object.keys(all).map((name) => [name, { type: 'string' as const }]))
    const values = parseArgs({ options: { ...numbers, help: { type: 'boolean', short: 'h' } } }).values as Record<string, string | boolean>
    if (values.help === true) {
      console.log(help)
      return
    }
    for (const name of Object.keys(all)) {
      if (values[name] !== undefined) all[name] = Number(values[name])
      if (!Number.isInteger(all[name]) || (name !== 'seed' && all[name]! < 1)) throw new TypeError(`--${name} must be a whole number`)
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    console.error(`${error.message}\n\n${help}`)
    process.exitCode = 2
    return
  }
  console.log(`seed ${all.seed}`)
  const begin = performance.now()
  const report = await run({
    ...all as Record<Name | 'seed', number>,
    onProgress: (line) => { console.log(`${((performance.now() - begin) / 1000).toFixed(0).padStart(4)} s  ${line}`) }
  })
  console.log(report)
  if (report.violations.length > 0) process.exitCode = 1
}
