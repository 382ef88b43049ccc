import { test } from 'tap'
import { accept, acceptAndClaim, canceled, leaseMs, plenty, settle, start, succeeded } from '../../src/testing/store-contract/bench.ts'
import {
  answer, claimDeliveries, fanOutStep, findFanOuts, newSubscription, only, operation, owing, publishAndOwe, publishOne, settlementOf, step, subscribe
} from '../../src/testing/store-contract/webhook-bench.ts'
import { openStore, openTraced, plansOf } from '../helpers/sqlite.ts'

const webhookTable = /\b(subscriptions|events|fan_outs|deliveries)\b/

test('no statement reads all subscriptions, events or deliveries, but lists that ask for all', async (t) => {
  const { store, file, taken, clock } = await openTraced(t)
  const rival = await openStore(t, file, { clock })
  taken()
  const job = await acceptAndClaim(store, { subscription: newSubscription({ url: 'run', operation: 'Bake', topic: null }) })
  await subscribe(store, { url: 'a', workflow: 'w' }, { url: 'a', workflow: 'w' }, { url: 'x' }, { url: 'y' })
  await publishAndOwe(store)
  const event = await publishOne(store)
  await fanOutStep(store, event, { limit: 1 })
  await subscribe(store, { url: 'b', workflow: 'w' }, { url: 'c', workflow: 'w' })
  await fanOutStep(store, event)
  await store.fanOut(step(await publishOne(store), { owed: [{ number: 3 }], skipped: [3], failed: [{ subscription: 4, reason: '' }] }))
  await settle(store, job, { ...succeeded('"cake"', start), ...owing('{}', start) })
  const claimed = await claimDeliveries(store, { operations: [operation, 'Bake'], exceptHosts: ['z:443'] })
  const answers = ['retired', 'delivered', 'again', 'refused', 'suspended', 'delivered', 'delivered', 'delivered', 'delivered'] as const
  for (const [index, delivery] of claimed.entries()) await answer(store, delivery, answers[index]!)
  await subscribe(store, { url: 'c', workflow: 'w' })
  await claimDeliveries(store)
  await store.redeliver({ number: 1, limit: 1 }, start)
  await store.redeliver({ subscription: 2, limit: plenty }, start)
  await store.resume(3)
  await store.getAttempts(1)
  await store.listDeliveries({ limit: 10, subscription: 3 })
  await store.listDeliveries({ limit: 10, subscription: 3, status: 'dead' })
  await store.listSubscriptions({ limit: 10, operation, owner: 'anna', tracking: { clientTrackingId: 'c', operationName: 'o' } })
  await store.listSubscriptions({ limit: 10, operation, urlDigest: 'digest of a' })
  await store.listSubscriptions({ limit: 10, job: 1 })
  await findFanOuts(store)
  await findFanOuts(store, { operations: [], strangersBefore: start + 1 })
  // Versions that are refused, one that waits behind another, and the proof that drops it.
  await subscribe(store, { url: 'v1', workflow: 'v' }, { url: 'v2', workflow: 'v' }, { url: 'v3', workflow: 'v' }, { url: 'v1', workflow: 'v', operation: 'OnCake' })
  await publishAndOwe(store, {}, only('v2'))
  await answer(store, (await claimDeliveries(store)).at(-1)!, 'suspended')
  await publishAndOwe(store, {}, only('v3'))
  for (const delivery of await claimDeliveries(store)) await answer(store, delivery, 'delivered')
  await claimDeliveries(rival.store)
  await store.recover()
  await clock.advance(leaseMs)
  await store.recover()
  await accept(store, { subscription: newSubscription({ url: 'other run', operation: 'Bake', topic: null }) })
  const [late] = await store.listSubscriptions({ limit: 1, job: 2 })
  await store.unsubscribe(late!.number, canceled())
  await store.unsubscribe(3, canceled())
  await store.sweep(start + 10 * 86_400_000, plenty)
  await store.close()

  const plans = plansOf(t, file, taken().filter((sql) => webhookTable.test(sql)))
  t.ok(plans.length >= 45, `${plans.length} statements were looked at`)
  for (const { sql, plan } of plans) {
    // The lists of operations, hosts and versions; what a recursion has found so far.
    const harmless = /SCAN (json_each VIRTUAL TABLE INDEX \d+:|subscribing|owing|past|places|\(subquery-\d+\))(; |$)/g
    // Few answer to one URL, or one tracking id, or stand behind one subscription: those may be put in order.
    const few = /ORDER BY place$|^SELECT \* FROM subscriptions WHERE operation = \?.* (url_digest|client_tracking_id) = \?|WHERE subscription = \? (AND status = 'dead' )?ORDER BY number/.test(sql)
    t.notMatch(plan.replace(harmless, ''), few ? /\bSCAN/ : /\bSCAN|TEMP B-TREE/, `${sql}: ${plan}`)
  }
  const planOf = (part: string): string => plans.filter(({ sql }) => sql.includes(part)).map(({ plan }) => plan).join('; ')
  t.match(planOf('due_at <= ?'), /COVERING INDEX deliveries_due/)
  t.match(planOf('due_at > ?'), /COVERING INDEX deliveries_due/)
  t.match(planOf('INSERT INTO fan_outs'), /subscriptions_topic \(topic=\?\);.*subscriptions_topic \(topic=\? AND operation>\?\)/)
  t.match(planOf('WITH RECURSIVE owing'), /^CO-ROUTINE owing; SETUP; SEARCH fan_outs USING PRIMARY KEY; .*fan_outs USING PRIMARY KEY \(operation>\?\)/)
  t.match(planOf('FROM fan_outs WHERE operation = ?1 ORDER BY event'), /^SEARCH fan_outs USING PRIMARY KEY \(operation=\?\)$/)
  t.match(planOf('UPDATE fan_outs SET cursor = min'), /^SEARCH fan_outs USING PRIMARY KEY \(operation=\?\)/)
  t.match(planOf('WITH RECURSIVE past'), /SETUP; SEARCH subscriptions USING INTEGER PRIMARY KEY .*RECURSIVE STEP; SCAN past; SEARCH subscriptions USING INTEGER PRIMARY KEY/)
  t.match(planOf('AS versions JOIN'), /PRIMARY KEY.*subscriptions_versionless.*deliveries_event \(event=\? AND subscription=\?\)/)
  t.match(planOf('DELETE FROM subscriptions WHERE number IN'), /INTEGER PRIMARY KEY/)
  t.match(planOf('topic = ? AND operation = ? AND number > ?'), /subscriptions_topic \(topic=\? AND operation=\? AND number>\?\)/)
  t.match(planOf('versionless_digest = ?'), /subscriptions_versionless/)
  t.match(planOf('url_digest = ? AND operation = ? AND owner = ?'), /subscriptions_url/)
  t.match(planOf('client_tracking_id = ?'), /subscriptions_tracking/)
  t.match(planOf('UPDATE OR IGNORE deliveries'), /deliveries_undelivered \(subscription=\? AND status=\?\)/)
  t.match(planOf('DELETE FROM deliveries WHERE subscription IN'), /deliveries_undelivered \(subscription=\? AND status=\?\)/)
  t.match(planOf('DELETE FROM deliveries WHERE subscription = ?1'), /deliveries_undelivered \(subscription=\? AND status=\?\)/)
  t.match(planOf('WHERE subscription = ? ORDER BY number'), /deliveries_subscription/)
  t.match(planOf('subscription = ? AND status = ? AND status <>'), /deliveries_undelivered \(subscription=\? AND status=\?\)/)
  t.match(planOf('WHERE predecessor = ?1'), /subscriptions_predecessor/)
  t.match(planOf('due_at = 0 WHERE worker'), /deliveries_worker/)
  t.match(planOf('ended_at < ?'), /deliveries_ended/)
  t.match(planOf('DELETE FROM events'), /events_topic \(topic=\? AND number<\?\).*deliveries_event/)
  t.match(planOf('FROM jobs WHERE expires_at'), /jobs_expiry.*subscriptions_job.*deliveries_undelivered/)
})

test('an idle claim of deliveries takes no lock', async (t) => {
  const { store, taken } = await openTraced(t)
  await subscribe(store, { url: 'a' })
  await publishAndOwe(store)
  await claimDeliveries(store)
  taken()
  t.same(await claimDeliveries(store), [])
  t.same(taken().filter((sql) => /IMMEDIATE|UPDATE|INSERT/.test(sql)), [])
})

test('a claim with many deliveries for other hosts and operations finds its own by the index alone', async (t) => {
  const { store } = await openTraced(t)
  await subscribe(store, ...Array.from({ length: 300 }, (_, index) => ({ url: `slow${index}`, host: 'slow:443' })), { url: 'fast' })
  for (let events = 0; events < 5; events++) await publishAndOwe(store)
  const claimed = await claimDeliveries(store, { exceptHosts: ['slow:443'], limit: 3 })
  t.same(claimed.map(({ urlHint }) => urlHint), Array(3).fill('https://fast.example/'))
})

test('a callback that is taken costs one statement, beside those that it shares with others', async (t) => {
  const costOf = async (count: number): Promise<number> => {
    const { store, taken } = await openTraced(t)
    await subscribe(store, ...Array.from({ length: count }, (_, index) => ({ url: `a${index}` })))
    taken()
    await publishAndOwe(store)
    const claimed = await claimDeliveries(store)
    t.equal(claimed.length, count)
    t.same(await store.settleDeliveries(claimed.map((delivery) => settlementOf(delivery, 'delivered'))), Array(count).fill('kept'))
    return taken().length
  }
  t.equal((await costOf(60) - await costOf(10)) / 50, 1)
})
