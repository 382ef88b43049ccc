import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { accept, acceptAndClaim, alone, canceled, claim, getOne, leaseOf, newJob, plenty, settle, start, succeeded, together, type Instance } from './bench.ts'

export const openCases = [
  alone('the key of ids is 16 bytes', async ({ open }) => {
    const { identity } = await open()
    assert.equal(identity.idKey.length, 16)
  }),

  together('all instances, now and later, have the same key of ids', async ({ open }) => {
    const first = await open()
    const second = await open()
    assert.deepEqual(Buffer.from(second.identity.idKey), Buffer.from(first.identity.idKey))
    await first.store.close()
    await second.store.close()
    assert.deepEqual(Buffer.from((await open()).identity.idKey), Buffer.from(first.identity.idKey))
  }),

  together('several instances may make the store at once', async ({ open }) => {
    const instances = await Promise.all([open(), open(), open(), open()])
    const keys = new Set(instances.map(({ identity }) => Buffer.from(identity.idKey).toString('hex')))
    assert.equal(keys.size, 1)
    const jobs = await Promise.all(instances.map(({ store }) => accept(store, {})))
    assert.equal(new Set(jobs.flat().map(({ number }) => number)).size, 4)
  }),

  alone('a local secret, if the store keeps one, is 32 bytes and the same each time', async ({ open }) => {
    const { localSecret } = (await open()).identity
    if (localSecret === undefined) return
    const secret = await localSecret()
    assert.equal(secret.length, 32)
    assert.deepEqual(Buffer.from(await localSecret()), Buffer.from(secret))
  }),

  together('all instances, now and later, have the same local secret', async ({ open }) => {
    const [first, second] = await Promise.all([open(), open()])
    if (first.identity.localSecret === undefined) return
    const [secret, other] = await Promise.all([first.identity.localSecret(), second.identity.localSecret!()])
    assert.deepEqual(Buffer.from(other), Buffer.from(secret))
    await first.store.close()
    await second.store.close()
    assert.deepEqual(Buffer.from(await (await open()).identity.localSecret!()), Buffer.from(secret))
  }),

  together('what was committed outlives all instances', async ({ open }) => {
    const first = await open()
    const done = await acceptAndClaim(first.store)
    await settle(first.store, done, succeeded())
    await accept(first.store, { input: '{"waits":true}' })
    const kept = await first.store.list({ limit: plenty })
    await first.store.close()

    const { store } = await open()
    assert.deepEqual(await store.list({ limit: plenty }), kept)
    assert.deepEqual((await claim(store)).map(({ input }) => input), ['{"waits":true}'])
  }),

  alone('closing twice is fine', async ({ open }) => {
    const { store } = await open()
    await store.close()
    await store.close()
  }),

  alone('every method of a closed store rejects with StoreUnavailableError', async ({ open }) => {
    const { store } = await open()
    const lease = leaseOf(await acceptAndClaim(store))
    await store.close()
    const calls = {
      submit: () => store.submit([newJob()], { maxQueued: plenty }),
      get: () => store.get([lease.number]),
      list: () => store.list({ limit: 1 }),
      claim: () => claim(store),
      heartbeat: () => store.heartbeat([lease]),
      progress: () => store.progress([{ lease, percentComplete: 1, message: '' }]),
      settle: () => settle(store, lease, succeeded()),
      end: () => store.end(lease.number, canceled()),
      sweep: () => store.sweep(start, 1)
    }
    for (const [method, call] of Object.entries(calls)) {
      await assert.rejects(call, { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE' }, method)
    }
  }),

  together('a write wakes the other instances', async ({ open, clock }) => {
    const writer = await open()
    const watcher = await open()
    /** Lets time pass until the watcher was woken by `write`. */
    const wakes = async (write: () => Promise<unknown>, { wakes }: Instance): Promise<void> => {
      // What opening wrote may still be on its way.
      await clock.advance(5000)
      const before = wakes()
      await write()
      // News of another server come in real time, however much of the clock has passed: for up to 10 s.
      for (let waits = 0; waits < 1000 && wakes() === before; waits++) {
        await clock.advance(100)
        await delay(10)
      }
      assert.notEqual(wakes(), before)
    }
    await wakes(() => accept(writer.store, {}, {}), watcher)
    const [first, second] = await claim(writer.store)
    await wakes(() => settle(writer.store, first!, { status: 'queued', dueAt: 0, failures: 0 }), watcher)
    await wakes(() => writer.store.end(second!.number, canceled()), watcher)
    assert.equal((await getOne(watcher.store, second!.number)).status, 'canceled')
  })
]
