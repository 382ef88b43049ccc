import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify from 'fastify'
import type { Test } from 'tap'
import { createIdCodec, type IdCodec } from '../../src/protocol/token.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createManualClock, type ManualClock } from '../../src/testing/index.ts'
import type { RunnableOperation } from '../../src/work/attempt.ts'
import { createJobRunner, leaseMs, type JobRunner } from '../../src/work/job-runner.ts'
import { createJobService, type JobService, type JobView } from '../../src/work/jobs.ts'
import type { Logger } from '../../src/work/log.ts'
import type { Store } from '../../src/work/store.ts'
import type { LogLine } from './app.ts'

export type Handler = RunnableOperation['handler']
export type TestOperation = Handler | (Partial<RunnableOperation> & { handler: Handler })

export interface TestWorkerOptions {
  /** Shared by several workers, it makes them processes of one deployment. @default a database in memory */
  file?: string
  /** Instead of an embedded store on `file`. */
  store?: Store
  clock?: ManualClock
  concurrency?: number
}

/** What one process has: a store, the core on it, a clock that stands still, a log. No HTTP. */
export interface TestWorker {
  store: Store
  clock: ManualClock
  ids: IdCodec
  jobs: JobService
  runner: JobRunner
  /** Everything that was logged, at debug and above, as Fastify's logger writes it. */
  logs: LogLine[]
  /** Accepts a job; resolves to its id. */
  accept (operation: string, input?: unknown): Promise<string>
  get (id: string): Promise<JobView>
  /** Drains, by hand on the clock, and closes. */
  close (drainMs?: number): Promise<void>
  /** Lets the store go as a killed process would: nothing is said, nothing is written. */
  crash (): Promise<void>
}

const dayMs = 86_400_000

function runnable (operationId: string, operation: TestOperation): RunnableOperation {
  return {
    operationId,
    concurrency: Infinity,
    timeoutMs: 3_600_000,
    deferTimeoutMs: 30 * dayMs,
    maxCrashes: 5,
    retentionMs: 7 * dayMs,
    failureStatusCode: 422,
    retries: undefined,
    backoffMs: 2000,
    encodeResult: (result) => JSON.stringify(result) ?? null,
    ...typeof operation === 'function' ? { handler: operation } : operation
  }
}

/** A worker whose runner has started and looked for work; closed with the test. */
export async function createWorker (t: Test, operations: Record<string, TestOperation>, options: TestWorkerOptions = {}): Promise<TestWorker> {
  const { file = ':memory:', clock = createManualClock(), concurrency = 50 } = options
  const { log, logs } = createLog()
  const store = options.store ?? sqliteStore({ file })
  const { idKey } = await store.open({ clock, log, leaseMs, deliveryRetentionMs: 604_800_000, wake: () => runner.storeChanged() })
  const ids = createIdCodec(idKey, 'job')
  const runnables = new Map(Object.entries(operations).map(([operationId, operation]) => [operationId, runnable(operationId, operation)]))
  const jobs = createJobService({
    store,
    clock,
    log,
    ids,
    operations: runnables,
    maxQueued: 100_000,
    defaults: { retentionMs: 7 * dayMs, failureStatusCode: 422 },
    runner: () => runner
  })
  const runner: JobRunner = createJobRunner({ store, clock, log, ids, operations: runnables, concurrency, onEnd: jobs.onEnd, onRecover () {} })
  let gone = false

  async function close (drainMs = 0): Promise<void> {
    if (gone) return
    gone = true
    jobs.stop()
    await passTime(clock, runner.stop(drainMs))
    await store.close()
  }

  t.teardown(() => close())
  runner.start()
  await clock.advance(0)
  return {
    store,
    clock,
    ids,
    jobs,
    runner,
    logs,
    close,
    async accept (operation, input = null) {
      const text = JSON.stringify({ input, params: {}, query: {}, tracking: {} })
      const { id } = await jobs.accept({ operation, owner: 'default', input: text, createdAt: clock.now() })
      return id
    },
    async get (id) {
      const job = await jobs.get(id)
      if (job === undefined) throw new Error(`no job ${id}`)
      return job
    },
    async crash () {
      gone = true
      // Whatever it was about to claim is claimed, not taken in the midst of closing.
      await clock.advance(0)
      await store.close()
    }
  }
}

/** A database file for several workers. In memory where the machine allows it: these tests are not about the disk. */
export function createSharedFile (t: Test): string {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'logic-apps-'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  return join(folder, 'jobs.db')
}

/** Fastify's own logger, since what a handler throws must not break the real one. A single one, since it takes long to make. */
const { log: sharedLog } = Fastify({ logger: { level: 'debug', stream: { write: keep } } })
const allLogs: LogLine[][] = []

function keep (text: string): void {
  const line = JSON.parse(text) as LogLine & { logIndex: number }
  allLogs[line.logIndex]!.push(line)
}

export function createLog (): { log: Logger, logs: LogLine[] } {
  const logs: LogLine[] = []
  return { log: sharedLog.child({ logIndex: allLogs.push(logs) - 1 }), logs }
}

/** Moves the clock on until the promise settles. */
export async function passTime<T> (clock: ManualClock, promise: Promise<T>, stepMs = 1000): Promise<T> {
  const settled = promise.then(() => true, () => true)
  for (let steps = 0; steps < 1000; steps++) {
    if (await Promise.race([settled, clock.advance(stepMs).then(() => false)])) return await promise
  }
  throw new Error('still not settled after 1000 steps')
}

/** Turns the event loop, with the clock standing still, until the condition holds. */
export async function until (condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let turns = 0; !await condition(); turns++) {
    if (turns === 5000) throw new Error(`not true after ${turns} turns of the event loop: ${condition}`)
    await new Promise((resolve) => { setImmediate(resolve) })
  }
}

export const linesOf = (logs: LogLine[], minLevel: number): string[] => logs.filter(({ level }) => level >= minLevel).map(({ msg }) => msg)
export const warn = 40
