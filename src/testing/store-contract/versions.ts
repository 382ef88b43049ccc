import assert from 'node:assert/strict'
import { alone, canceled, plenty, start } from './bench.ts'
import {
  answer, claimDelivery, claimDeliveries, debtsOf, findFanOut, getSubscription, newSubscription, publishAndOwe, publishOne, save, statusesOf, step, subscribe, workflow
} from './webhook-bench.ts'

const limits = { maxUnproved: 3, gapMs: 1000 }
const version = (url: string, createdAt = start): ReturnType<typeof newSubscription> => newSubscription({ url, workflow, createdAt })

/** Made-up versions of a URL, and saves of a workflow. */
export const versionCases = [
  alone('no more versions than allowed wait for their first callback; those that are there may come again', async ({ open }) => {
    const { store } = await open()
    const outcomes: string[] = []
    for (let n = 0; n < 6; n++) outcomes.push((await store.subscribe(version(`v${n}`, start + 1000 * n), limits)).outcome)
    assert.deepEqual(outcomes, ['created', 'created', 'created', 'created', 'crowded', 'crowded'])
    const refused = await store.subscribe(version('v6', start + 60_000), limits)
    assert.deepEqual([refused.outcome, refused.subscription.urlDigest], ['crowded', version('v3').urlDigest])
    assert.equal((await store.listSubscriptions({ limit: plenty })).length, 4)
    assert.equal((await store.subscribe(version('v1', start + 60_000), limits)).outcome, 'repeated')
    // Of another owner, or of another workflow, it is none of their business.
    assert.equal((await store.subscribe({ ...version('v6'), owner: 'ben' }, limits)).outcome, 'created')
    assert.equal((await store.subscribe({ ...version('v7'), versionlessDigest: 'other' }, limits)).outcome, 'created')
  }),

  alone('a version that was proved, or refused, makes room', async ({ open }) => {
    const { store } = await open()
    for (let n = 0; n < 4; n++) await store.subscribe(version(`v${n}`, start + 1000 * n), limits)
    await publishAndOwe(store)
    await answer(store, await claimDelivery(store), 'retired')
    assert.equal((await store.subscribe(version('v4', start + 9000), limits)).outcome, 'created')
    assert.equal((await store.subscribe(version('v5', start + 19_000), limits)).outcome, 'crowded')
    await answer(store, await claimDelivery(store), 'delivered')
    for (let n = 6; n < 9; n++) assert.equal((await store.subscribe(version(`v${n}`, start + 20_000 + 1000 * n), limits)).outcome, 'created')
  }),

  alone('after an unproved version the next one waits for the gap; after one that was proved it does not', async ({ open }) => {
    const { store } = await open()
    const outcomeOf = async (url: string, createdAt: number): Promise<string> => (await store.subscribe(version(url, createdAt), limits)).outcome
    assert.equal(await outcomeOf('a', start), 'created')
    assert.equal(await outcomeOf('b', start + 1), 'created', 'what is there alone needs no proof')
    assert.equal(await outcomeOf('c', start + 1000), 'crowded')
    assert.equal(await outcomeOf('c', start + 1001), 'created')
    assert.equal(await outcomeOf('d', start), 'created', 'by a clock that was put back')
  }),

  alone('a subscription that was suspended before it was superseded is so again when it has its place again', async ({ open }) => {
    for (const way of ['retired', 'suspended', 'unsubscribed'] as const) {
      const { store } = await open()
      const url = (name: string): { url: string, workflow: string } => ({ url: `${way} ${name}`, workflow: way })
      const [real] = await subscribe(store, url('real'))
      await publishAndOwe(store)
      await answer(store, await claimDelivery(store), 'suspended')
      const [forged] = await subscribe(store, url('forged'))
      assert.deepEqual(await statusesOf(store, real!, forged!), ['superseded', 'active'])
      const event = await publishAndOwe(store)
      if (way === 'unsubscribed') await store.unsubscribe(forged!.number, canceled())
      else await answer(store, await claimDelivery(store), way)
      assert.equal((await getSubscription(store, real!)).status, 'suspended', way)
      assert.deepEqual(await claimDeliveries(store), [])
      assert.deepEqual((await debtsOf(store)).filter(([, owed, subscription]) => owed === event && subscription === real!.number), [['dead', event, real!.number]])
      await store.resume(real!.number)
      await store.unsubscribe(real!.number, canceled())
    }
  }),

  // A resume by hand makes two versions active.
  alone('a version that was suspended since it was looked at does not keep an event from another', async ({ open }) => {
    const { store } = await open()
    const [real, other] = await save(store, 'real', 'other')
    await publishAndOwe(store)
    assert.equal(await answer(store, await claimDelivery(store), 'suspended'), 'moved')
    await store.resume(other!.number)
    const event = await publishOne(store)
    const owed = await store.findSubscribers(await findFanOut(store, event), plenty)
    assert.deepEqual(owed.map(({ number, status }) => [number, status]), [real, other].map((one) => [one!.number, 'active']))
    await answer(store, await claimDelivery(store), 'suspended')
    assert.deepEqual(await statusesOf(store, real!, other!), ['suspended', 'active'])
    assert.equal((await store.fanOut(step(event, { owed }))).done, true)
    assert.deepEqual((await debtsOf(store)).filter(([, number]) => number === event), [['pending', event, other!.number]])
    assert.equal((await getSubscription(store, real!)).skipped, 1)
  }),

  alone('headers that came with both versions name the old one, so that its late unsubscribe does not end the new one (engine 2.5)', async ({ open }) => {
    const { store } = await open()
    const tracking = { clientTrackingId: 't', operationName: 'Hook' }
    const [old, saved] = await subscribe(store, { url: 'a', workflow, tracking }, { url: 'b', workflow, tracking })
    const named = async (): Promise<number[]> => (await store.listSubscriptions({ tracking, limit: plenty })).map(({ number }) => number)
    assert.deepEqual(await named(), [old!.number])
    await publishAndOwe(store)
    await answer(store, await claimDelivery(store), 'delivered')
    assert.deepEqual(await statusesOf(store, old!, saved!), [undefined, 'active'])
    assert.deepEqual(await named(), [])
    const other = { ...tracking, clientTrackingId: 'other' }
    const [next] = await subscribe(store, { url: 'c', workflow, tracking: other })
    assert.deepEqual((await getSubscription(store, next!)).tracking, other)
  }),

  alone('the same URL again says what counts from now on: input, tracking and seal', async ({ open }) => {
    const { store } = await open()
    const [first, , superseded] = [...await subscribe(store, { url: 'x', input: '{"n":1}' }), ...await save(store, 'a', 'b')]
    const again = { input: '{"n":2}', tracking: { clientTrackingId: 'new' }, sealedUrl: new Uint8Array([1, 2]) }
    const [renewed] = await subscribe(store, { url: 'x', ...again })
    assert.deepEqual(renewed, { ...first, ...again })
    assert.deepEqual(await getSubscription(store, first!), renewed)
    const [back] = await subscribe(store, { url: 'a', workflow, ...again })
    assert.deepEqual([back!.input, back!.status], [again.input, 'active'])
    assert.deepEqual(await statusesOf(store, superseded!), ['superseded'])
  })
]
