import assert from 'node:assert/strict'
import { accept, acceptAndClaim, alone, canceled, claim, failed, getOne, hourMs, newJob, numbersOf, plenty, settle, start, succeeded, together } from './bench.ts'
import {
  answer, claimDeliveries, claimDelivery, debtsOf, getSubscription, newSubscription, owing, publishAndOwe, publishOne, statusesOf, subscribe, urlBytes
} from './webhook-bench.ts'

const ofJob = newSubscription({ url: 'run', topic: null, operation: 'Bake' })
const bake = { operations: ['Bake'], now: start + 100 }

export const subscribeCases = [
  together('a submitted job has its subscription from the same commit on', async ({ open }) => {
    const { store } = await open()
    const [job, plain] = await accept(store, { subscription: ofJob }, {})
    for (const other of [store, (await open()).store]) {
      const [subscription, ...others] = await other.listSubscriptions({ job: job!.number, limit: plenty })
      assert.deepEqual(others, [])
      const { number, afterEvent, ...rest } = subscription!
      assert.deepEqual(rest, { ...ofJob, status: 'active', job: job!.number, failingSince: null, skipped: 0 })
      assert.deepEqual(await other.listSubscriptions({ job: plain!.number, limit: plenty }), [])
    }
  }),

  alone('a repeated start and one for which the queue is full keep no subscription', async ({ open }) => {
    const { store } = await open()
    const idempotency = { key: 'k', fingerprint: 'f' }
    await accept(store, { idempotency, subscription: ofJob })
    const outcomes = await store.submit([
      newJob({ idempotency, subscription: ofJob }),
      newJob({ idempotency: { key: 'k', fingerprint: 'other' }, subscription: newSubscription({ url: 'second' }) }),
      newJob({ subscription: newSubscription({ url: 'third' }) })
    ], { maxQueued: 1 })
    assert.deepEqual(outcomes.map(({ outcome }) => outcome), ['repeated', 'conflict', 'full'])
    assert.equal((await store.listSubscriptions({ limit: plenty })).length, 1)
  }),

  alone('a repeated start makes the subscription of its job active again, sealed as it is now', async ({ open }) => {
    const { store } = await open()
    const idempotency = { key: 'k', fingerprint: 'f' }
    const repeat = { idempotency, subscription: { ...ofJob, sealedUrl: urlBytes('sealed anew') } }
    await accept(store, { idempotency, subscription: ofJob })
    const [job] = await claim(store)
    await settle(store, job!, { ...succeeded(), ...owing() })
    await answer(store, await claimDelivery(store, bake), 'suspended')
    await store.submit([newJob(repeat)], { maxQueued: 0 })
    const [subscription, ...others] = await store.listSubscriptions({ job: job!.number, limit: plenty })
    assert.deepEqual(others, [])
    assert.deepEqual([subscription!.status, subscription!.sealedUrl], ['active', urlBytes('sealed anew')])
    assert.equal(await store.redeliver({ subscription: subscription!.number, limit: 1 }, start), 1)
  }),

  ...[succeeded(), failed(), canceled()].map((end) => together(`a job that ${end.status === 'succeeded' ? 'succeeds' : `is ${end.status}`} owes its callback from the same commit on`, async ({ open }) => {
    const { store } = await open()
    const other = await open()
    const job = await acceptAndClaim(store, { subscription: ofJob })
    assert.deepEqual(await store.listDeliveries({ limit: plenty }), [])
    assert.equal(await settle(store, job, { ...end, ...owing() }), true)
    const [subscription] = await store.listSubscriptions({ job: job.number, limit: 1 })
    const [delivery, ...others] = await other.store.listDeliveries({ limit: plenty })
    assert.deepEqual(others, [])
    const { number, ...rest } = delivery!
    assert.deepEqual(rest, {
      operation: 'Bake',
      owner: 'anna',
      subscription: subscription!.number,
      subscriptionCreatedAt: start,
      urlHint: 'https://run.example/',
      status: 'pending',
      attempts: 0,
      createdAt: end.endedAt,
      dueAt: start + 100,
      endedAt: null,
      event: null,
      job: job.number
    })
    const { body, sealedUrl } = await claimDelivery(other.store, bake)
    assert.deepEqual({ body, sealedUrl }, { body: '{"cake":1}', sealedUrl: urlBytes('run') })
  })),

  alone('a job that is ended from outside owes its callback too, once', async ({ open }) => {
    const { store } = await open()
    const job = await acceptAndClaim(store, { subscription: ofJob })
    await store.end(job.number, { ...canceled(), ...owing('{"n":1}') })
    await store.end(job.number, { ...canceled(), ...owing('{"n":2}') })
    assert.equal(await settle(store, job, { ...succeeded(), ...owing('{"n":3}') }), false)
    assert.equal((await claimDelivery(store, bake)).body, '{"n":1}')
  }),

  alone('without a subscription, and without a callback, nothing is owed', async ({ open }) => {
    const { store } = await open()
    await settle(store, await acceptAndClaim(store), { ...succeeded(), ...owing() })
    await settle(store, await acceptAndClaim(store, { subscription: ofJob }), succeeded())
    const again = await acceptAndClaim(store, { subscription: newSubscription({ url: 'other run' }) })
    await settle(store, again, { status: 'queued', dueAt: start + hourMs, failures: 1 })
    assert.deepEqual(await store.listDeliveries({ limit: plenty }), [])
  }),

  alone('the callback of a job confirms its subscription away: nothing more is owed to it', async ({ open }) => {
    const { store } = await open()
    const job = await acceptAndClaim(store, { subscription: ofJob })
    await settle(store, job, { ...succeeded(), ...owing() })
    assert.equal(await answer(store, await claimDelivery(store, bake), 'delivered'), 'kept')
    assert.deepEqual(await store.listSubscriptions({ limit: plenty }), [])
    assert.deepEqual((await debtsOf(store)).map(([status]) => status), ['delivered'])
  }),

  alone('the callback of a job that is refused is a dead letter, which can be sent when its subscription is resumed', async ({ open }) => {
    const { store } = await open()
    await settle(store, await acceptAndClaim(store, { subscription: ofJob }), { ...succeeded(), ...owing() })
    const { number, subscription } = await claimDelivery(store, bake)
    await store.settleDeliveries([{ lease: { number, claim: 1 }, attempt: undefined, to: { status: 'dead' }, subscription: 'suspended' }])
    assert.equal(await store.redeliver({ number, limit: 1 }, start + 100), 0)
    assert.equal(await store.resume(subscription), true)
    assert.equal(await store.redeliver({ number, limit: 1 }, start + 100), 1)
    assert.equal((await claimDelivery(store, bake)).body, '{"cake":1}')
  }),

  alone('a job is not forgotten while its callback is owed, and its subscription goes with it', async ({ open }) => {
    const { store } = await open()
    const job = await acceptAndClaim(store, { subscription: ofJob })
    await settle(store, job, { ...succeeded('"cake"', start + 200), ...owing() })
    assert.equal(await store.sweep(start + 201, plenty), 0)
    const delivery = await claimDelivery(store, bake)
    assert.equal(await store.sweep(start + 201, plenty), 0)
    await answer(store, delivery, 'exhausted')
    assert.equal(await store.sweep(start + 201, plenty), 1)
    assert.deepEqual(await store.listSubscriptions({ limit: plenty }), [])
    assert.deepEqual((await debtsOf(store)).map(([status]) => status), ['dead'])
  }),

  together('a subscription is kept as it was given, active, behind the last event', async ({ open }) => {
    const { store } = await open()
    await publishOne(store, { topic: 'elsewhere' })
    const event = await publishOne(store)
    const given = newSubscription({
      url: 'a',
      workflow: 'w',
      input: '{"flavour":"lemon"}',
      tracking: { clientTrackingId: 'c', operationName: 'o', workflowRunId: 'r', workflowId: 'w' },
      createdAt: start + 7
    })
    const { outcome, subscription } = await store.subscribe(given)
    const { number, ...rest } = subscription
    assert.equal(outcome, 'created')
    assert.ok(Number.isSafeInteger(number) && number > 0)
    assert.deepEqual(rest, { ...given, status: 'active', job: null, afterEvent: event, failingSince: null, skipped: 0 })
    for (const other of [store, (await open()).store]) assert.deepEqual(await other.getSubscription(number), subscription)
    assert.equal(await store.getSubscription(number + 1), undefined)
  }),

  alone('a number is not given again when its subscription is gone', async ({ open }) => {
    const { store } = await open()
    const [first] = await subscribe(store, { url: 'a' })
    await store.unsubscribe(first!.number, canceled())
    const [second] = await subscribe(store, { url: 'a' })
    assert.notEqual(second!.number, first!.number)
  }),

  alone('the same URL is the same subscription, of the time and place of the first', async ({ open }) => {
    const { store } = await open()
    const [first] = await subscribe(store, { url: 'a', workflow: 'w' })
    await publishOne(store)
    const again = await store.subscribe(newSubscription({ url: 'a', workflow: 'w', sealedUrl: urlBytes('sealed anew'), createdAt: start + 9 }))
    const resealed = { ...first, sealedUrl: urlBytes('sealed anew') }
    assert.deepEqual(again, { outcome: 'repeated', subscription: resealed })
    assert.deepEqual(await store.listSubscriptions({ limit: plenty }), [resealed])
  }),

  alone('the same URL for another operation, or of another owner, is another subscription', async ({ open }) => {
    const { store } = await open()
    const records = await subscribe(store, { url: 'a', workflow: 'w' }, { url: 'a', workflow: 'w', owner: 'ben' }, { url: 'a', workflow: 'w', operation: 'OnCake' })
    assert.equal(new Set(numbersOf(records)).size, 3)
    assert.deepEqual(await statusesOf(store, ...records), ['active', 'active', 'active'])
  }),

  together('instances that subscribe the same URL at once make one subscription', async ({ open }) => {
    const instances = await Promise.all([open(), open()])
    const outcomes = await Promise.all(instances.flatMap(({ store }) => [1, 2, 3].map(() => store.subscribe(newSubscription({ url: 'a' })))))
    assert.equal(outcomes.filter(({ outcome }) => outcome === 'created').length, 1)
    assert.equal(new Set(outcomes.map(({ subscription }) => subscription.number)).size, 1)
  }),

  alone('a suspended subscription is active again when its URL is subscribed again', async ({ open }) => {
    const { store } = await open()
    const [first] = await subscribe(store, { url: 'a' })
    await publishAndOwe(store)
    await answer(store, await claimDelivery(store), 'again')
    assert.ok((await getSubscription(store, first!)).failingSince !== null)
    await answer(store, await claimDelivery(store, { now: start + 5000 }), 'suspended')
    assert.deepEqual(await statusesOf(store, first!), ['suspended'])
    assert.deepEqual(await store.subscribe(newSubscription({ url: 'a' })), { outcome: 'repeated', subscription: first })
  }),

  alone('resume makes a suspended subscription active, and tells whether it did', async ({ open }) => {
    const { store } = await open()
    const [first] = await subscribe(store, { url: 'a' })
    assert.equal(await store.resume(first!.number), false)
    assert.equal(await store.resume(first!.number + 1), false)
    await publishAndOwe(store)
    await answer(store, await claimDelivery(store), 'suspended')
    assert.equal(await store.resume(first!.number), true)
    assert.deepEqual(await store.getSubscription(first!.number), first)
    assert.equal(await store.resume(first!.number), false)
    const event = await publishAndOwe(store)
    assert.equal((await claimDelivery(store)).event, event)
  }),

  alone('lists are newest first, in pages, of what all filters fit', async ({ open }) => {
    const { store } = await open()
    const all = await subscribe(store,
      { url: 'a', tracking: { clientTrackingId: 'c', operationName: 'o', workflowRunId: 'r', workflowId: 'w' } },
      { url: 'b', tracking: { clientTrackingId: 'c', operationName: 'other' } },
      { url: 'a', owner: 'ben', tracking: { clientTrackingId: 'c' } },
      { url: 'a', operation: 'OnCake', tracking: { clientTrackingId: 'other', operationName: 'o' } })
    const [a, b, ofBen, onCake] = numbersOf(all)
    const list = async (filter: Partial<Parameters<typeof store.listSubscriptions>[0]>): Promise<number[]> => numbersOf(await store.listSubscriptions({ limit: plenty, ...filter }))
    assert.deepEqual(await store.listSubscriptions({ limit: plenty }), [...all].reverse())
    assert.deepEqual(await list({ limit: 3 }), [onCake, ofBen, b])
    assert.deepEqual(await list({ limit: 3, before: b! }), [a])
    assert.deepEqual(await list({ operation: 'OnCake' }), [onCake])
    assert.deepEqual(await list({ owner: 'ben' }), [ofBen])
    assert.deepEqual(await list({ urlDigest: 'digest of a' }), [onCake, ofBen, a])
    assert.deepEqual(await list({ urlDigest: 'digest of a', operation: 'OnOrder', owner: 'anna' }), [a])
    assert.deepEqual(await list({ tracking: { clientTrackingId: 'c' } }), [ofBen, b, a])
    assert.deepEqual(await list({ tracking: { clientTrackingId: 'c', operationName: 'o' } }), [a])
    assert.deepEqual(await list({ tracking: { workflowRunId: 'r', workflowId: 'w' } }), [a])
    assert.deepEqual(await list({ tracking: { workflowRunId: 'r', workflowId: 'other' } }), [])
    await publishAndOwe(store)
    await answer(store, (await claimDeliveries(store, { limit: 1 }))[0]!, 'suspended')
    assert.deepEqual(await list({ status: 'suspended' }), [a])
    assert.deepEqual(await list({ status: 'active' }), [onCake, ofBen, b])
  }),

  together('an unsubscribe forgets the subscription and what it is still owed, no more', async ({ open }) => {
    const { store } = await open()
    const other = await open()
    const [first, second] = await subscribe(store, { url: 'a' }, { url: 'b' })
    const events = [await publishAndOwe(store), await publishAndOwe(store), await publishAndOwe(store)]
    const [sent, refused, flying] = (await claimDeliveries(store)).filter(({ subscription }) => subscription === first!.number)
    await answer(store, sent!, 'delivered')
    await answer(store, refused!, 'refused')
    const last = await publishAndOwe(store)
    assert.deepEqual(await other.store.unsubscribe(first!.number, canceled()), { job: null, ended: false })
    assert.equal(await answer(store, flying!, 'again'), 'lost')
    assert.deepEqual(await statusesOf(store, first!, second!), [undefined, 'active'])
    assert.deepEqual(await debtsOf(store, { subscription: first!.number }), [['delivered', events[0], first!.number], ['dead', events[1], first!.number]])
    assert.deepEqual((await debtsOf(store, { subscription: second!.number })).map(([status, event]) => [status, event]), [...events, last].map((event) => ['pending', event]))
    assert.equal(await store.getAttempts(flying!.number), undefined)
    assert.equal(await other.store.unsubscribe(first!.number, canceled()), undefined)
    await publishAndOwe(store)
    assert.equal((await debtsOf(store, { subscription: first!.number })).length, 2)
  }),

  alone('an unsubscribe ends the job that it waits for, in whatever state', async ({ open }) => {
    const { store } = await open()
    const jobs = await accept(store, ...['a', 'b', 'c', 'd'].map((url) => ({ subscription: newSubscription({ url, topic: null }) })))
    const [running, deferred, ended] = await claim(store, { limit: 3 })
    await settle(store, deferred!, { status: 'running', deadline: start + hourMs })
    await settle(store, ended!, { ...succeeded(), ...owing() })
    for (const job of jobs) {
      const [subscription] = await store.listSubscriptions({ job: job.number, limit: 1 })
      const wasEnded = job.number === ended!.number
      assert.deepEqual(await store.unsubscribe(subscription!.number, canceled()), { job: job.number, ended: !wasEnded })
      assert.equal((await getOne(store, job.number)).status, wasEnded ? 'succeeded' : 'canceled')
    }
    assert.equal(await settle(store, running!, { ...succeeded(), ...owing() }), false)
    assert.deepEqual(await claim(store, { now: start + 2 * hourMs }), [])
    assert.deepEqual(await store.listDeliveries({ limit: plenty }), [])
    assert.equal((await store.submit([newJob(), newJob()], { maxQueued: 1 }))[0]?.outcome, 'accepted')
  })
]
