import { test } from 'tap'
import { JobError } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createFailingStore } from '../helpers/failing-store.ts'
import { createWorker } from '../helpers/runner.ts'

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
