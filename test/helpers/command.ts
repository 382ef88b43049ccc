import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { main } from '../../src/cli/index.ts'
import { createTempDir } from './temp-dir.ts'

export interface Ran { code: number, out: string, err: string }

/** Processes that a command starts count no coverage: it would double their time. */
const uncounted = { _TAPJS_PROCESSINFO_COVERAGE_: '0' }

/** Runs a command as `bin.ts` does, and keeps what it writes. */
export async function run (args: string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  const written = { out: '', err: '' }
  const code = await main(args, { out: (text) => { written.out += text }, err: (text) => { written.err += text }, isTerminal: false, env: { ...process.env, ...uncounted, ...env } })
  return { code, ...written }
}

const root = join(import.meta.dirname, '../..')

/** An app in a folder of its own, that finds the packages of this repository. @returns its file. */
export function writeApp (t: Test, source: string, name = 'app.mjs'): string {
  const folder = createTempDir(t)
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const file = join(folder, name)
  writeFileSync(file, source.replaceAll(/'src\//g, `'${root}/src/`))
  return file
}
