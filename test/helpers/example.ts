import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createTempDir } from './temp-dir.ts'

export interface Example {
  child: ChildProcess
  folder: string
  output: () => string
  ended: Promise<{ code: number | null, signal: string | null }>
}

/** Runs a file of examples/ in a folder of its own, which also is where its temporary files go. */
export function runExample (t: Test, file: string, env: Record<string, string> = {}): Example {
  const folder = createTempDir(t)
  // For an example that starts PostgreSQL, which does not run as root.
  chmodSync(folder, 0o755)
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../examples', file)], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: folder, _TAPJS_PROCESSINFO_COVERAGE_: '0', ...env }
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text })
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal }))
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return { child, folder, output: () => output, ended }
}
