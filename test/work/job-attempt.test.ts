import { test } from 'tap'
import { createManualClock } from '../../src/testing/index.ts'
import { JobEndedReason, ShutdownReason, type RunnableOperation } from '../../src/work/attempt.ts'
import { beginAttempt } from '../../src/work/job-attempt.ts'
import type { Logger } from '../../src/work/log.ts'
import type { Settlement } from '../../src/work/store.ts'
import { createLatch } from '../helpers/latch.ts'

const log: Logger = { debug () {}, info () {}, warn () {}, error () {}, child: () => log }

/** An attempt whose turn comes when the latch opens. */
function createWaiting () {
  const calls: unknown[] = []
  const settled: Settlement[] = []
  const turn = createLatch()
  const operation: RunnableOperation = {
    operationId: 'Bake',
    concurrency: 1,
    timeoutMs: 1000,
    deferTimeoutMs: 1000,
    maxCrashes: 3,
    retentionMs: 1000,
    failureStatusCode: 422,
    retries: 0,
    backoffMs: 0,
    handler ({ input }) { calls.push(input) },
    encodeResult: () => null
  }
  const attempt = beginAttempt({
    clock: createManualClock(0),
    log,
    settler: {
      async settle (settlement) {
        settled.push(settlement)
        return { settlement, outcome: true }
      },
      release () {}
    },
    report: async () => true,
    onEnd () {}
  }, { number: 7, operation: 'Bake', attempt: 2, failures: 1, crashes: 0, createdAt: 0, input: '{"input":"cake","tracking":{}}', due: 'run' }, 'id', operation, turn.promise)
  return { attempt, turn, calls, settled }
}

test('a handler begins when it is its turn', async (t) => {
  const { attempt, turn, calls, settled } = createWaiting()
  await new Promise((resolve) => { setImmediate(resolve) })
  t.same(calls, [])
  turn.open(undefined)
  t.equal(await attempt.done, false, 'the job waits for nothing')
  t.same(calls, ['cake'])
  t.match(settled, [{ lease: { number: 7, attempt: 2 }, to: { status: 'succeeded' } }])
})

test('a job that ended before the turn of its handler is not begun, nor is anything recorded', async (t) => {
  const { attempt, turn, calls, settled } = createWaiting()
  attempt.abort(new JobEndedReason('the job ended as canceled'))
  turn.open(undefined)
  t.equal(await attempt.done, false)
  t.same([calls, settled], [[], []])
})

test('a shutdown before the turn of a handler hands the job back', async (t) => {
  const { attempt, turn, calls, settled } = createWaiting()
  attempt.abort(new ShutdownReason('the server is shutting down'))
  attempt.abort(new JobEndedReason('a second reason does not count'))
  turn.open(undefined)
  t.equal(await attempt.done, true, 'it waits')
  t.same(calls, [])
  t.same(settled, [{ lease: { number: 7, attempt: 2 }, to: { status: 'queued', dueAt: 0, failures: 1 } }])
})
