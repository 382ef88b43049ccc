import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { test } from 'tap'
import { createSqliteStore } from '../../src/stores/sqlite/store.ts'
import { createManualClock } from '../../src/testing/index.ts'
import { command, runCommands, type Deployment } from '../helpers/job-model.ts'
import { check } from '../helpers/property.ts'
import { createLog, createSharedFile } from '../helpers/runner.ts'

const leaseMs = 15_000
const { log } = createLog()

async function openAll (files: string[]): Promise<Deployment & { close: () => Promise<void> }> {
  const clocks = files.map(() => createManualClock())
  const stores = files.map((file, index) => createSqliteStore(file, `${index}-${randomBytes(6).toString('hex')}`))
  for (const [index, store] of stores.entries()) await store.open({ clock: clocks[index]!, log, leaseMs, deliveryRetentionMs: 604_800_000, wake: () => {} })
  return { stores, clocks, leaseMs, close: async () => { for (const store of stores) await store.close() } }
}

test('whatever two workers do to the jobs of one process, they are what a simple model says', async (t) => {
  await check(t, fc.asyncProperty(fc.array(command, { minLength: 20, maxLength: 60 }), async (commands) => {
    const { close, ...deployment } = await openAll([':memory:'])
    try {
      await runCommands(deployment, commands)
    } finally {
      await close()
    }
  }), { numRuns: 40 })
})

test('whatever two processes do to the jobs of one file, they are what a simple model says', async (t) => {
  const file = createSharedFile(t)
  let run = 0
  await check(t, fc.asyncProperty(fc.array(command, { minLength: 20, maxLength: 60 }), async (commands) => {
    const name = `${file}-${run++}`
    const { close, ...deployment } = await openAll([name, name])
    try {
      await runCommands(deployment, commands)
    } finally {
      await close()
    }
  }), { numRuns: 25 })
})
