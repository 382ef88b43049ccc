import { outcomeOf, type CallbackAnswer, type CallbackOutcome } from '../callbacks/outcome.ts'
import type { CallbackSender } from '../callbacks/sender.ts'
import { parseCallbackUrl, type CallbackUrl, type CallbackUrlFault } from '../protocol/callback-url.ts'
import type { Sealer } from '../protocol/seal.ts'
import type { IdCodec } from '../protocol/token.ts'
import { ShutdownReason } from './attempt.ts'
import { createBatcher } from './batch.ts'
import { nextAttemptMs } from './callback-schedule.ts'
import type { Clock } from './clock.ts'
import { createHostGate } from './host-gate.ts'
import type { Logger } from './log.ts'
import { createLoops } from './loops.ts'
import type { ClaimedDelivery, DeliverySettlement, Store } from './store.ts'

const pollMs = 5_000
const heartbeatMs = 5_000
const settleRetryMs = 1_000
/** Attempts that may be young at once. */
const maxYoung = 256
/** One that has waited for so long makes room: receivers that never answer must not hold up those that do. */
const youthMs = 250
const maxSending = 2_000
const suspendAfterMs = 5 * 86_400_000

/** Told to the host when a subscription or a callback is given up. */
export interface DeliveryNews {
  outcome: 'retired' | 'suspended' | 'dead'
  operationId: string
  owner: string
  subscriptionId: string
  deliveryId: string
  urlHint: string
  statusCode: number | null
}

export interface DeliveryRunnerParts {
  store: Store
  clock: Clock
  log: Logger
  sender: CallbackSender
  sealer: Sealer
  deliveryIds: IdCodec
  subscriptionIds: IdCodec
  /** Those whose callbacks this process sends. */
  operations: () => string[]
  schedule: readonly number[]
  timeoutMs: number
  /** How long after a subscription nothing is sent to it, so that its caller has read our answer. */
  callbackDelayMs: number
  onNews: (news: DeliveryNews) => void
}

export interface DeliveryRunner {
  start (): void
  wake (): void
  stop (drainMs: number): Promise<void>
}

/** Sends what is owed, until it is taken or given up. */
export function createDeliveryRunner ({ store, clock, log, sender, sealer, deliveryIds, subscriptionIds, operations, schedule, timeoutMs, callbackDelayMs, onNews }: DeliveryRunnerParts): DeliveryRunner {
  const loops = createLoops(clock, log)
  const gate = createHostGate(clock)
  const settle = createBatcher((settlements: DeliverySettlement[]) => store.settleDeliveries(settlements))
  const sending = new Map<AbortController, Promise<void>>()
  let young = 0
  let accepting = false
  let waking = false
  let inRounds = false
  let claimAgain = false
  let claiming: ReturnType<Store['claimDeliveries']> | undefined

  function wake (): void {
    if (waking || !accepting) return
    waking = true
    setImmediate(() => {
      waking = false
      claim().catch((error: unknown) => { log.warn({ err: error }, `cannot claim callbacks, trying again within ${pollMs} ms`) })
    })
  }

  async function claim (): Promise<void> {
    claimAgain = true
    if (inRounds) return
    inRounds = true
    try {
      while (claimAgain) {
        claimAgain = false
        await claimOnce()
      }
    } finally {
      inRounds = false
    }
  }

  async function claimOnce (): Promise<void> {
    const limit = Math.min(maxYoung - young, maxSending - sending.size)
    const names = operations()
    if (!accepting || limit <= 0 || names.length === 0) return
    claiming = store.claimDeliveries({ operations: names, exceptHosts: gate.closed(), limit, now: clock.now() })
    const { deliveries, nextDueAt } = await claiming
    for (const delivery of deliveries) begin(delivery)
    const waits = [nextDueAt === null ? undefined : nextDueAt - clock.now(), gate.nextOpenMs()].filter((wait) => wait !== undefined)
    if (waits.length > 0) loops.after('due callbacks', Math.min(...waits, pollMs), wake)
    if (deliveries.length > 0) claimAgain = true
  }

  function begin (delivery: ClaimedDelivery): void {
    const controller = new AbortController()
    young++
    let isYoung = true
    const grow = (): void => {
      if (!isYoung) return
      isYoung = false
      young--
      wake()
    }
    const cancelGrowth = clock.after(youthMs, grow)
    sending.set(controller, deliver(delivery, controller)
      .catch((error: unknown) => { log.error({ err: error, deliveryId: deliveryIds.encode(delivery) }, 'a callback could not be handled') })
      .finally(() => {
        cancelGrowth()
        sending.delete(controller)
        grow()
        wake()
      }))
  }

  async function deliver (delivery: ClaimedDelivery, controller: AbortController): Promise<void> {
    const { operation, owner, subscription, subscriptionCreatedAt, urlHint } = delivery
    const id = deliveryIds.encode(delivery)
    const subscriptionId = subscriptionIds.encode({ number: subscription, createdAt: subscriptionCreatedAt })
    const deliveryLog = log.child({ deliveryId: id, operationId: operation, url: urlHint })
    // A delivery that came from the subscription before is due at once, but its new caller may not have read our answer.
    const readyAt = subscriptionCreatedAt + callbackDelayMs
    const answer = clock.now() < readyAt ? undefined : await attempt(delivery, id, controller)
    const settlement = answer === undefined ? giveBack(delivery, Math.max(readyAt, clock.now())) : judge(delivery, answer, controller.signal)
    if (!await settleUntilDone(settlement, deliveryLog)) return deliveryLog.warn({}, 'what came of this callback was not recorded: its subscription ended, or another worker has it')
    if (answer === undefined) return
    const { statusCode } = answer
    if (settlement.to.status === 'delivered') deliveryLog.debug({ statusCode }, 'callback delivered')
    else if (settlement.to.status === 'pending') deliveryLog.info({ statusCode, answer: answer.text, dueAt: settlement.to.dueAt }, 'callback failed, it will be sent again')
    else {
      const outcome = settlement.subscription === 'retired' || settlement.subscription === 'suspended' ? settlement.subscription : 'dead'
      deliveryLog.warn({ statusCode, answer: answer.text, outcome }, 'callback given up')
      onNews({ outcome, operationId: operation, owner, subscriptionId, deliveryId: id, urlHint, statusCode })
    }
  }

  /** `undefined` when the server shut down before its turn came. */
  async function attempt ({ sealedUrl, body }: ClaimedDelivery, id: string, controller: AbortController): Promise<CallbackAnswer | undefined> {
    const url = openUrl(sealedUrl)
    if ('fault' in url) return { statusCode: null, text: `the callback URL ${url.fault}`, retryAfterMs: null, durationMs: 0 }
    const host = `${url.hostname}:${url.port}`
    await gate.enter(host)
    if (controller.signal.aborted) {
      gate.leave(host, true)
      return undefined
    }
    const cancelTimeout = clock.after(timeoutMs, () => { controller.abort() })
    // The sender never rejects.
    const answer = await sender.send({ url, id, body, now: clock.now() }, controller.signal)
    cancelTimeout()
    gate.leave(host, (answer.statusCode ?? 500) < 500)
    return answer
  }

  function openUrl (sealedUrl: Uint8Array): CallbackUrl | CallbackUrlFault {
    try {
      return parseCallbackUrl(sealer.open(sealedUrl))
    } catch (error) {
      return { fault: `cannot be read: ${(error as Error).message}. Put the secret it was kept with back on the list` }
    }
  }

  function giveBack ({ number, claim }: ClaimedDelivery, dueAt: number): DeliverySettlement {
    return { lease: { number, claim }, attempt: undefined, to: { status: 'pending', dueAt }, subscription: 'unchanged' }
  }

  /** What follows from an answer, for the callback and for its subscription. */
  function judge ({ number, claim, attempts, failingSince }: ClaimedDelivery, answer: CallbackAnswer, signal: AbortSignal): DeliverySettlement {
    const { durationMs, statusCode, text } = answer
    const now = clock.now()
    const base = { lease: { number, claim }, attempt: { at: now, durationMs, statusCode, answer: text } }
    // Our doing, not the receiver's: it must not cost the last attempt.
    if (statusCode === null && signal.reason instanceof ShutdownReason) return { ...base, to: { status: 'pending', dueAt: now }, subscription: 'unchanged' }
    const outcome: CallbackOutcome = outcomeOf(answer)
    if (outcome === 'delivered') return { ...base, to: { status: 'delivered' }, subscription: 'confirmed' }
    if (outcome !== 'again') return { ...base, to: { status: 'dead' }, subscription: outcome === 'dead' ? 'unchanged' : outcome }
    if (failingSince !== null && now - failingSince >= suspendAfterMs) return { ...base, to: { status: 'dead' }, subscription: 'suspended' }
    const delayMs = nextAttemptMs(schedule, attempts + 1, answer.retryAfterMs, Math.random())
    return delayMs === undefined
      ? { ...base, to: { status: 'dead' }, subscription: 'failing' }
      : { ...base, to: { status: 'pending', dueAt: now + Math.round(delayMs) }, subscription: 'failing' }
  }

  async function settleUntilDone (settlement: DeliverySettlement, deliveryLog: Logger): Promise<boolean> {
    for (;;) {
      try {
        return await settle(settlement)
      } catch (error) {
        if (!accepting) throw error
        deliveryLog.warn({ err: error }, `cannot record what came of a callback, trying again in ${settleRetryMs} ms`)
        await new Promise<void>((resolve) => { clock.after(settleRetryMs, resolve) })
      }
    }
  }

  return {
    wake,

    start () {
      accepting = true
      loops.every('claiming callbacks', pollMs, claim)
      loops.every('heartbeat of callbacks', heartbeatMs, async () => { if (sending.size > 0) await store.heartbeat([]) })
    },

    async stop (drainMs) {
      accepting = false
      loops.stop('claiming callbacks', 'due callbacks')
      // A claim under way may still bring deliveries.
      await Promise.allSettled([claiming])
      const drained = Promise.all(sending.values())
      if (sending.size > 0) {
        await new Promise<void>((resolve) => {
          const cancel = clock.after(drainMs, resolve)
          drained.then(() => { cancel(); resolve() })
        })
      }
      for (const controller of sending.keys()) controller.abort(new ShutdownReason('the server is shutting down'))
      await drained
      loops.stop('heartbeat of callbacks')
      await sender.close()
    }
  }
}
