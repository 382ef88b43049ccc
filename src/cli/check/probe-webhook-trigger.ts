import type { CallbackAnswer, ReceivedCallback } from '../../testing/engine/callback-server.ts'
import { errorAnswer, makeEvent, openSession, quiet, send, statusOf, told, type Bench } from './bench.ts'
import { probeRefusal } from './probe-async-action.ts'
import { judgeCallback, probeDelivery, probeFinal, probeUnsubscribe } from './probe-callbacks.ts'
import { judgeConnectorLocation, subscribe, unsubscribeCall } from './subscription.ts'

/** A webhook trigger: a subscription, and a callback for each event (engine 2.22). */
export async function probeWebhookTrigger (bench: Bench): Promise<void> {
  const found = await probeEvents(bench)
  if (found !== undefined) {
    if (found.isOnce) await probeRestart(bench)
    const cause = async (): Promise<(callback: ReceivedCallback) => boolean> => tells(await makeEvent(bench))
    await probeDelivery({ bench, subscribe: () => subscribe(bench, { answer: { statusCode: 202 } }), cause })
    await probeDisabled(bench, cause)
    if (found.isLasting) await probeSave(bench)
  }
  await probeRefusal(bench)
}

const tells = (id: string) => ({ body }: ReceivedCallback): boolean => body.includes(id)

/** `undefined` when no callbacks come that can be used. */
async function probeEvents (bench: Bench): Promise<{ isOnce: boolean, isLasting: boolean } | undefined> {
  const { judge, timing, say } = bench
  say('subscribing')
  const subscription = await subscribe(bench, { answer: { statusCode: 202 } })
  if (subscription === undefined) return undefined
  judgeConnectorLocation(bench, subscription)
  const { listening } = subscription
  say('an event')
  const first = await makeEvent(bench)
  const callback = await listening.when(() => true)
  if (!judge.that('callback-comes', callback !== undefined, `no callback came within ${timing.patienceSeconds} seconds of an event`, subscription.subscribed)) return undefined
  if (!judgeCallback(bench, callback!, listening)) return undefined
  const second = await makeEvent(bench)
  const further = await listening.when(tells(second))
  const isLasting = judge.that('subscription-lasts', further !== undefined, 'the second event brought no callback', callback)
  await quiet(bench, 'what was taken must not come again')
  const times = listening.received().filter(tells(first))
  const isOnce = judge.that('callback-once', times.length === 1, `the callback of one event came ${times.length} times`, ...times.slice(0, 2))
  if (await probeUnsubscribe(bench, subscription)) await probeSilence(bench, listening)
  return { isOnce, isLasting }
}

async function probeSilence (bench: Bench, listening: { received: () => ReceivedCallback[] }): Promise<void> {
  const id = await makeEvent(bench)
  await quiet(bench, 'after an unsubscribe nothing must come')
  const late = listening.received().find(tells(id))
  bench.judge.that('unsubscribe-stops', late === undefined, 'an event was called back after the unsubscribe', late)
}

/** As Standard does when it starts again: the same URL, once more. */
async function probeRestart (bench: Bench): Promise<void> {
  const { judge, say } = bench
  say('subscribing twice with one URL')
  const subscription = await subscribe(bench, { suppressHeaders: true, answer: { statusCode: 202 } })
  if (subscription === undefined) return
  const second = await subscription.subscribeAgain()
  if (!judge.that('subscribe-idempotent', (statusOf(second) ?? 500) < 300, `the second one was ${told(second)}`, second)) return
  const id = await makeEvent(bench)
  if (await subscription.listening.when(tells(id)) === undefined) return
  await quiet(bench, 'one callback must come for both')
  const received = subscription.listening.received().filter(tells(id))
  judge.that('subscribe-idempotent', received.length === 1, `one event was called back ${received.length} times`, second, ...received.slice(0, 2))
  await subscription.unsubscribe?.()
}

async function probeDisabled (bench: Bench, cause: () => Promise<(callback: ReceivedCallback) => boolean>): Promise<void> {
  const disabled: CallbackAnswer = errorAnswer(400, 'WorkflowTriggerIsNotEnabled', 'Could not execute workflow trigger: it is not enabled.')
  await probeFinal({ bench, subscribe: () => subscribe(bench, { answer: disabled }), cause }, 'disabled-final', 'a callback is answered 400 WorkflowTriggerIsNotEnabled', 400)
}

/** A save: the same trigger with a new URL, and the unsubscribe of the old one comes late (engine 2.9). */
async function probeSave (bench: Bench): Promise<void> {
  const { judge, operation, name, say } = bench
  say('saving the workflow: a new callback URL')
  const trigger = `Check_${name}_${bench.next()}`
  const session = openSession(bench, { operationName: trigger })
  // The URL of the version before is dead.
  const old = await subscribe(bench, { trigger, session, answer: errorAnswer(404, 'WorkflowNotFound', 'The workflow could not be found.') })
  if (old === undefined) return
  const saved = await subscribe(bench, { trigger, session, answer: { statusCode: 202 } })
  if (saved === undefined) return
  const id = await makeEvent(bench)
  const arrived = await saved.listening.when(tells(id))
  await quiet(bench, 'the old callback URL must not be called')
  const stray = old.listening.received().find(tells(id))
  judge.that('save-replaces', stray === undefined && arrived !== undefined, stray === undefined ? 'the new callback URL was not called' : 'the old callback URL was called too', saved.subscribed, stray)
  if (old.unsubscribe === undefined) return
  if (operation.unsubscribe === undefined) await old.unsubscribe()
  else await send(bench, session, unsubscribeCall(bench, session, operation.unsubscribe, old.listening.url), 'unsubscribe')
  const after = await makeEvent(bench)
  const still = await saved.listening.when(tells(after))
  judge.that('late-unsubscribe', still !== undefined, 'after the old URL was unsubscribed the new one is not called any more', session.last())
  await saved.unsubscribe?.()
}
