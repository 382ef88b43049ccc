import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/** A folder of the test's own, gone with it. */
export function createTempDir (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'logic-apps-'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  return folder
}
