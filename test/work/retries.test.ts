import fc from 'fast-check'
import { test } from 'tap'
import { JobError, RetryableError } from '../../src/errors.ts'
import { retryDelayMs } from '../../src/work/retry-policy.ts'
import { check } from '../helpers/property.ts'
import { createWorker, until, type TestOperation } from '../helpers/runner.ts'

const maxBackoffMs = 300_000

/** Runs a job that fails each time to its end; the times at which its attempts began. */
async function attemptsOf (t: Parameters<typeof createWorker>[0], operation: Exclude<TestOperation, (...values: never[]) => unknown>) {
  const times: number[] = []
  const worker = await createWorker(t, {
    Fail: {
      ...operation,
      handler: async (job) => {
        times.push(worker.clock.monotonic())
        return await operation.handler(job)
      }
    }
  })
  const id = await worker.accept('Fail')
  await until(() => times.length === 1)
  for (let steps = 0; steps < 5000 && (await worker.get(id)).endedAt === null; steps++) await worker.clock.advance(250)
  return { times, job: await worker.get(id), waits: times.slice(1).map((time, index) => time - times[index]!), worker }
}

test('without `retries` an error fails the job at once', async (t) => {
  const { times, job } = await attemptsOf(t, { handler: async () => { throw new Error('no') } })
  t.equal(times.length, 1)
  t.match(job, { status: 'failed', attempt: 1, error: { code: 'JobFailed', statusCode: 422 } })
})

test('`retries` attempts follow the first, each after twice the wait, less up to half of it', async (t) => {
  const { waits, job, worker } = await attemptsOf(t, { retries: 4, backoffMs: 2000, handler: async () => { throw new Error('no') } })
  t.equal(waits.length, 4)
  for (const [failures, wait] of waits.entries()) {
    const full = 2000 * 2 ** failures
    // The clock moves in steps of 250 ms.
    t.ok(wait >= full / 2 && wait <= full + 250, `${wait} ms, of ${full}`)
  }
  t.match(job, { status: 'failed', attempt: 5, error: { code: 'JobFailed' } })
  const attemptLines = worker.logs.filter(({ msg }) => msg === 'attempt failed, the job will run again')
  t.equal(attemptLines.length, 4)
  t.match(attemptLines[0], { level: 40, attempt: 1, delayMs: Number, err: { message: 'no' } })
})

test('a job whose second attempt succeeds has succeeded', async (t) => {
  const { job, times } = await attemptsOf(t, {
    retries: 1,
    handler: async ({ attempt }) => {
      if (attempt === 1) throw new Error('not yet')
      return 'now'
    }
  })
  t.equal(times.length, 2)
  t.match(job, { status: 'succeeded', result: 'now', attempt: 2 })
})

test('between two attempts a job is queued, and keeps its progress', async (t) => {
  const worker = await createWorker(t, {
    Work: {
      retries: 1,
      handler: async (job) => {
        if (job.attempt === 1) {
          await job.progress(30, 'began')
          throw new Error('no')
        }
      }
    }
  })
  const id = await worker.accept('Work')
  await worker.clock.advance(0)
  t.match(await worker.get(id), { status: 'queued', percentComplete: 30, message: 'began', attempt: 1 })
  await worker.clock.advance(2000)
  t.match(await worker.get(id), { status: 'succeeded', attempt: 2 })
})

test('a RetryableError sets the wait itself', async (t) => {
  const { waits, job } = await attemptsOf(t, { retries: 2, handler: async () => { throw new RetryableError('hot', { delaySeconds: 30 }) } })
  t.same(waits, [30_000, 30_000])
  t.match(job, { status: 'failed', attempt: 3, error: { code: 'JobFailed' } })
})

test('without `retries` a RetryableError is obeyed ten times', async (t) => {
  const { times, job } = await attemptsOf(t, { handler: async () => { throw new RetryableError('hot', { delaySeconds: 1 }) } })
  t.equal(times.length, 11)
  t.match(job, { status: 'failed', attempt: 11, error: { code: 'JobFailed' } })
})

test('`retries: 0` is obeyed by a RetryableError too', async (t) => {
  const { times, job } = await attemptsOf(t, { retries: 0, handler: async () => { throw new RetryableError('hot', { delaySeconds: 1 }) } })
  t.equal(times.length, 1)
  t.equal(job.status, 'failed')
})

test('a RetryableError without a delay waits as long as any other error', async (t) => {
  const { waits } = await attemptsOf(t, { retries: 1, backoffMs: 8000, handler: async () => { throw new RetryableError('hot') } })
  t.ok(waits[0]! >= 4000 && waits[0]! <= 8250)
})

test('a RetryableError with no wait runs at once', async (t) => {
  const { waits } = await attemptsOf(t, { retries: 3, handler: async () => { throw new RetryableError('hot', { delaySeconds: 0 }) } })
  t.same(waits, [0, 0, 0])
})

test('a RetryableError that asks for more time than there is waits, and harms no other job', async (t) => {
  const worker = await createWorker(t, {
    Never: async () => { throw new RetryableError('see you', { delaySeconds: Number.MAX_SAFE_INTEGER }) },
    Work: async () => 'done'
  })
  const never = await worker.accept('Never')
  await worker.clock.advance(0)
  t.match(await worker.get(never), { status: 'queued', attempt: 1 })
  const id = await worker.accept('Work')
  await worker.clock.advance(5000)
  t.match(await worker.get(id), { status: 'succeeded' })
})

test('a JobError is never retried', async (t) => {
  const { times, job } = await attemptsOf(t, { retries: 5, handler: async () => { throw new JobError('CakeBurnt', 'It burnt.', { statusCode: 409, details: { oven: 3 } }) } })
  t.equal(times.length, 1)
  t.same(job.error, { code: 'CakeBurnt', message: 'It burnt.', statusCode: 409, details: { oven: 3 } })
})

test('a job that waits for its next attempt can be canceled, and then it does not run', async (t) => {
  let runs = 0
  const worker = await createWorker(t, { Work: { retries: 5, handler: async () => { runs++; throw new Error('no') } } })
  const id = await worker.accept('Work')
  await until(async () => (await worker.get(id)).status === 'queued' && runs === 1)
  await worker.jobs.cancel(id)
  await worker.clock.advance(3_600_000)
  t.equal(runs, 1)
  t.match(await worker.get(id), { status: 'canceled', error: { code: 'JobCanceled' } })
})

test('a RetryableError refuses a delay that is none', async (t) => {
  for (const delaySeconds of [-1, NaN, Infinity, '5' as never]) {
    t.throws(() => new RetryableError('hot', { delaySeconds }), { name: 'TypeError', message: /"delaySeconds" of a RetryableError must be a number of seconds, 0 or more/ })
  }
  t.equal(new RetryableError('hot', { cause: 'steam' }).cause, 'steam')
})

const policy = { retries: fc.option(fc.nat(5000), { nil: undefined }), backoffMs: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1e9, noNaN: true })) }
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

test('the wait is between half and all of the doubled backoff, and never above five minutes', async (t) => {
  await check(t, fc.property(fc.record(policy), fc.nat(5000), random, ({ retries, backoffMs }, failures, random) => {
    const delay = retryDelayMs(new Error('no'), { retries, backoffMs }, failures, random)
    if (failures >= (retries ?? 0)) return delay === undefined
    const full = Math.min(backoffMs * 2 ** Math.min(failures, 1000), maxBackoffMs)
    return delay !== undefined && delay >= full / 2 && delay <= full
  }), { numRuns: 2000 })
})

test('a RetryableError waits exactly as long as it says, as often as allowed', async (t) => {
  await check(t, fc.property(fc.record(policy), fc.nat(50), random, fc.double({ min: 0, max: 1e6, noNaN: true }), (given, failures, random, delaySeconds) => {
    const delay = retryDelayMs(new RetryableError('no', { delaySeconds }), given, failures, random)
    return delay === (failures >= (given.retries ?? 10) ? undefined : delaySeconds * 1000)
  }), { numRuns: 2000 })
})

test('jobs that failed together do not return together', async (t) => {
  const waits = Array.from({ length: 100 }, () => retryDelayMs(new Error('no'), { retries: 1, backoffMs: 10_000 }, 0, Math.random()))
  t.ok(new Set(waits).size > 90)
})
