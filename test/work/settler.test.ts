import { test } from 'tap'
import { InvalidDatabaseError, StoreUnavailableError } from '../../src/errors.ts'
import { JobError } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createManualClock } from '../../src/testing/index.ts'
import { createSettler, type Settler } from '../../src/work/settler.ts'
import { createFailingStore } from '../helpers/failing-store.ts'
import { createLog, createWorker, linesOf, warn } from '../helpers/runner.ts'

interface Fixture {
  settler: Settler<string, string>
  clock: ReturnType<typeof createManualClock>
  /** Each commit that was asked for. */
  asked: string[][]
  lines: () => string[]
  settle: (text: string, lesser?: (refused: string) => string | undefined) => Promise<{ settlement: string, outcome: string } | undefined>
}

/** @param refuse Throws, or lets a commit through. */
function create (refuse: (texts: string[]) => void): Fixture {
  const clock = createManualClock()
  const { log, logs } = createLog()
  const asked: string[][] = []
  const settler = createSettler<string, string>({
    clock,
    what: 'the count',
    otherwise: 'it is counted again',
    async settle (texts) {
      asked.push(texts)
      refuse(texts)
      return texts.map((text) => `${text} kept`)
    }
  })
  return { settler, clock, asked, lines: () => linesOf(logs, warn), settle: (text, lesser = () => undefined) => settler.settle(text, () => log, lesser) }
}

const outOf = (error: Error, times: number): () => void => () => { if (times-- > 0) throw error }
const bad = (texts: string[]): void => { if (texts.some((text) => text.startsWith('bad'))) throw new TypeError('no such value') }

test('what is settled in one turn goes into one commit', async (t) => {
  const { asked, settle, lines } = create(() => {})
  t.same(await Promise.all([settle('a'), settle('b')]), [{ settlement: 'a', outcome: 'a kept' }, { settlement: 'b', outcome: 'b kept' }])
  t.same(asked, [['a', 'b']])
  t.same(lines(), [])
})

for (const error of [new StoreUnavailableError('away'), new InvalidDatabaseError('damaged')]) {
  test(`${error.code}: the same is tried again, as long as it takes`, async (t) => {
    const { clock, asked, settle, lines } = create(outOf(error, 50))
    const settled = settle('a', () => { throw new Error('asked for less') })
    await clock.advance(49_999)
    t.equal(asked.length, 50)
    await clock.advance(1)
    t.same(await settled, { settlement: 'a', outcome: 'a kept' })
    t.same(asked, Array(51).fill(['a']))
    t.same(lines(), Array(50).fill('cannot record the count, trying again in 1000 ms'))
  })
}

test('a batch that is refused is settled one by one at once, and what is refused alone is replaced', async (t) => {
  const { clock, asked, settle, lines } = create(bad)
  const settled = [settle('a'), settle('bad', () => 'less'), settle('c')] as const
  t.match(await settled[0], { outcome: 'a kept' })
  t.match(await settled[2], { outcome: 'c kept' })
  await clock.advance(1000)
  t.same(await settled[1], { settlement: 'less', outcome: 'less kept' })
  t.same(asked, [['a', 'bad', 'c'], ['a'], ['bad'], ['c'], ['less']])
  t.same(lines(), [...Array<string>(3).fill('cannot record the count together with others, trying it alone'), 'cannot record the count, trying again in 1000 ms'])
})

test('what has nothing less is given up, once, and the log has the error', async (t) => {
  const { clock, asked, settle, lines } = create(bad)
  const settled = settle('bad', (refused) => refused === 'bad' ? 'bad too' : undefined)
  await clock.advance(1000)
  t.equal(await settled, undefined)
  await clock.advance(600_000)
  t.same(asked, [['bad'], ['bad'], ['bad too']])
  t.equal(lines().at(-1), 'the count cannot be recorded: it is counted again once this process has ended')
})

test('an outage in between replaces nothing', async (t) => {
  let outage = true
  const { clock, asked, settle } = create((texts) => {
    bad(texts)
    if (outage) throw new StoreUnavailableError('away')
  })
  const settled = settle('bad', () => 'less')
  await clock.advance(5000)
  outage = false
  await clock.advance(1000)
  t.match(await settled, { settlement: 'less' })
  t.same(asked, [['bad'], ['bad'], ...Array<string[]>(6).fill(['less'])])
})

test('released, it waits for nothing; what a bad one would spoil is still settled', async (t) => {
  const { settler, clock, settle, lines } = create(bad)
  settler.release()
  const settled = await Promise.all([settle('a'), settle('bad', () => 'less')])
  t.same(settled, [{ settlement: 'a', outcome: 'a kept' }, undefined])
  t.equal(lines().at(-1), 'the count could not be recorded before the server closed: it is counted again')
  t.equal(clock.pending, 0)

  const away = create(outOf(new StoreUnavailableError('away'), 2))
  const waiting = away.settle('a')
  await away.clock.advance(0)
  away.settler.release()
  await away.clock.advance(1000)
  t.equal(await waiting, undefined)
  t.equal(away.asked.length, 2)
})

test('an outcome that no store can keep fails its own job; those settled with it are recorded', async (t) => {
  const worker = await createWorker(t, {
    Good: () => 'fine',
    Bad: { handler: () => 'bad', encodeResult: () => Symbol('no SQL value') as unknown as string }
  })
  const [good, bad] = await Promise.all([worker.accept('Good'), worker.accept('Bad')])
  await worker.clock.advance(5000)
  t.match(await worker.get(good), { status: 'succeeded', result: 'fine' })
  t.match(await worker.get(bad), { status: 'failed', error: { code: 'JobFailed' } })
})

test('the failure in place of such an outcome is what the caller is called back with', async (t) => {
  const store = sqliteStore({ file: ':memory:' })
  const ends: unknown[] = []
  const { settle } = store
  store.settle = async (settlements) => {
    ends.push(...settlements.map(({ to }) => to))
    return await settle.call(store, settlements)
  }
  const worker = await createWorker(t, {
    Bad: { handler: () => 'bad', encodeResult: () => Symbol('no SQL value') as unknown as string, callbackDelayMs: 1000 }
  }, { store })
  const id = await worker.accept('Bad')
  await worker.clock.advance(5000)
  t.match(await worker.get(id), { status: 'failed' })
  t.match(ends.at(-1), { status: 'failed', callback: { body: JSON.stringify({ error: { code: 'JobFailed', message: `The job failed. Its id is ${id}.` } }) } })
})

test('a status that a JobError may not have is replaced, however it came there (design 3.7)', async (t) => {
  for (const statusCode of [200, 404, 429, 503, 9999, 'odd']) {
    const worker = await createWorker(t, {
      Work: () => { throw Object.assign(new JobError('CakeBurnt', 'It burnt.'), { statusCode }) }
    })
    const id = await worker.accept('Work')
    await worker.clock.advance(0)
    t.match(await worker.get(id), { status: 'failed', error: { code: 'CakeBurnt', statusCode: 422 } })
  }
})

test('a job whose record is damaged fails, instead of running for ever', async (t) => {
  const worker = await createWorker(t, { Work: () => 'done' })
  for (const input of ['{"input":', 'null', '{}']) {
    const [outcome] = await worker.store.submit([{ operation: 'Work', owner: 'default', input, createdAt: worker.clock.now() }], { maxQueued: 10 })
    if (outcome?.outcome !== 'accepted') return t.fail('not accepted')
    worker.runner.wake()
    await worker.clock.advance(0)
    t.match(await worker.get(worker.ids.encode(outcome.job)), { status: 'failed', error: { code: 'JobFailed' } })
  }
})

test('news of another process makes a look at the leases, and no write that would be news in turn', async (t) => {
  const store = createFailingStore(sqliteStore({ file: ':memory:' }))
  const worker = await createWorker(t, { Work: async (job) => await job.sleep(3_600_000) }, { store })
  await worker.accept('Work')
  await worker.clock.advance(0)
  const beats = store.calls('heartbeat')
  for (let news = 0; news < 10; news++) worker.runner.storeChanged()
  await worker.clock.advance(0)
  t.equal(store.calls('findLost'), 10)
  t.equal(store.calls('heartbeat'), beats)
})
