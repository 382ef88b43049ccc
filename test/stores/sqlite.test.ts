import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { testStoreContract } from '../../src/testing/index.ts'

test('a file', (t) => {
  testStoreContract({
    test: (title, run) => t.test(title, run),
    createBackend () {
      const folder = mkdtempSync(join(tmpdir(), 'logic-apps-'))
      return {
        connect: () => sqliteStore({ file: join(folder, 'jobs.db') }),
        destroy: () => { rmSync(folder, { recursive: true }) }
      }
    }
  })
  t.end()
})

test('memory', (t) => {
  testStoreContract({
    test: (title, run) => t.test(title, run),
    createBackend: () => ({ connect: () => sqliteStore({ file: ':memory:' }), destroy () {} }),
    shared: false
  })
  t.end()
})
