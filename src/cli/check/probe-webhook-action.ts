import { quiet, statusOf, told, type Bench } from './bench.ts'
import { probeRefusal } from './probe-async-action.ts'
import { isTaken, judgeCallback, probeDelivery, probeUnsubscribe } from './probe-callbacks.ts'
import { judgeConnectorLocation, subscribe } from './subscription.ts'

/** A webhook action: one subscribe call, one callback (engine 2). */
export async function probeWebhookAction (bench: Bench): Promise<void> {
  const found = await probeCallback(bench)
  if (found !== undefined) {
    if (found.isOnce) await probeRepeatedSubscribe(bench)
    await probeDelivery({ bench, subscribe: () => subscribe(bench), cause: async () => () => true })
    if (found.isUnsubscribed) await probeCancel(bench, found.seconds)
    await probeFailure(bench)
  }
  await probeRefusal(bench)
}

interface Found {
  /** How long the callback took. */
  seconds: number
  isOnce: boolean
  isUnsubscribed: boolean
}

/** `undefined` when no callback came that can be used. */
async function probeCallback (bench: Bench): Promise<Found | undefined> {
  const { judge, engine: { world }, timing, say } = bench
  say('subscribing')
  const began = world.clock.monotonic()
  const subscription = await subscribe(bench)
  if (subscription === undefined) return undefined
  judgeConnectorLocation(bench, subscription)
  say('waiting for the callback')
  const { listening } = subscription
  const callback = await listening.when(() => true)
  if (!judge.that('callback-comes', callback !== undefined, `none came within ${timing.patienceSeconds} seconds`, subscription.subscribed)) return undefined
  const seconds = (world.clock.monotonic() - began) / 1000
  if (!judgeCallback(bench, callback!, listening)) return undefined
  await quiet(bench, 'a callback that was taken must not come again')
  const taken = listening.received().filter(isTaken)
  const isOnce = judge.that('callback-once', listening.received().length === 1, `it came ${listening.received().length} times`, ...taken.slice(0, 2))
  return { seconds, isOnce, isUnsubscribed: await probeUnsubscribe(bench, subscription) }
}

async function probeRepeatedSubscribe (bench: Bench): Promise<void> {
  const { judge, say } = bench
  say('subscribing twice with one URL')
  const subscription = await subscribe(bench, { suppressHeaders: true })
  if (subscription === undefined) return
  const second = await subscription.subscribeAgain()
  if (!judge.that('subscribe-idempotent', (statusOf(second) ?? 500) < 300, `the second one was ${told(second)}`, second)) return
  if (await subscription.listening.when(isTaken) === undefined) return
  await quiet(bench, 'one callback must come for both')
  const received = subscription.listening.received()
  judge.that('subscribe-idempotent', received.length === 1, `${received.length} callbacks came`, second, ...received.slice(0, 2))
}

/** Unsubscribed before its time: nothing may come. */
async function probeCancel (bench: Bench, seconds: number): Promise<void> {
  const { judge } = bench
  const subscription = await subscribe(bench)
  if (subscription?.unsubscribe === undefined) return
  const { listening, unsubscribe } = subscription
  await unsubscribe()
  if (listening.received().length > 0) return judge.skip('unsubscribe-stops', 'the callback came before the unsubscribe: give a sample that takes longer')
  await quiet(bench, 'after an unsubscribe nothing must come', 2 * seconds + 1)
  const [late] = listening.received()
  judge.that('unsubscribe-stops', late === undefined, 'a callback came after the unsubscribe', late)
}

async function probeFailure (bench: Bench): Promise<void> {
  const { judge, operation: { failingBody }, timing, say } = bench
  if (failingBody === undefined) return judge.skip('failure-calls-back', 'the config has no failingBody')
  say('a job that fails')
  const subscription = await subscribe(bench, { body: failingBody })
  if (subscription === undefined) return
  const callback = await subscription.listening.when(() => true)
  judge.that('failure-calls-back', callback !== undefined, `nothing came within ${timing.patienceSeconds} seconds`, subscription.subscribed)
}
