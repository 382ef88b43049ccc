import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { test } from 'tap'
import { createSqliteStore } from '../../src/stores/sqlite/store.ts'
import { createManualClock } from '../../src/testing/index.ts'
import { command, runCommands } from '../helpers/webhook-model.ts'
import { check } from '../helpers/property.ts'
import { createLog, createSharedFile } from '../helpers/runner.ts'

const leaseMs = 15_000
const { log } = createLog()

test('whatever two workers do with subscriptions and events, every event is delivered, or a dead letter, or was dropped on purpose', async (t) => {
  const file = createSharedFile(t)
  let run = 0
  await check(t, fc.asyncProperty(fc.array(command, { minLength: 20, maxLength: 70 }), async (commands) => {
    const clocks = [createManualClock(), createManualClock()]
    const name = `${file}-${run++}`
    const stores = clocks.map((_, index) => createSqliteStore(name, `${index}-${randomBytes(6).toString('hex')}`))
    for (const [index, store] of stores.entries()) await store.open({ clock: clocks[index]!, log, leaseMs, deliveryRetentionMs: 604_800_000, wake () {} })
    try {
      await runCommands({ stores, clocks, leaseMs }, commands)
    } finally {
      for (const store of stores) await store.close()
    }
  }), { numRuns: Number(process.env.RUNS ?? 100) })
})
