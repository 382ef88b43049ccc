import { outcomeOf } from '../callbacks/outcome.ts'
import type { CallbackSender } from '../callbacks/sender.ts'
import { parseCallbackUrl, type CallbackUrl } from '../protocol/callback-url.ts'
import type { Sealer } from '../protocol/seal.ts'
import type { IdCodec } from '../protocol/token.ts'
import { ShutdownReason } from './attempt.ts'
import { refusalOf, type CallbackPolicy } from './callback-policy.ts'
import { createClaimLoop } from './claim-loop.ts'
import { waitAtMost, type Clock } from './clock.ts'
import { createHostGate } from './host-gate.ts'
import { judgeAnswer, type JudgedAnswer } from './judge-answer.ts'
import type { Logger } from './log.ts'
import { createLoops } from './loops.ts'
import { createSettler } from './settler.ts'
import type { ClaimedDelivery, DeliveryOutcome, DeliverySettlement, Store } from './store.ts'

const pollMs = 5_000
const heartbeatMs = 5_000
/** Attempts that may be young at once. */
const maxYoung = 128
/** One that has waited for so long makes room: receivers that never answer must not hold up those that do. */
const youthMs = 250
const maxSending = 2_000
/** For one whose name was not looked up since others were slow. */
const putBackMs = 5_000

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
  policy: CallbackPolicy
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

/** No attempt was made, or none that counts. */
interface PutBack {
  dueAt: number
  reason: string
}

/** Sends what is owed, until it is taken or given up. */
export function createDeliveryRunner ({ store, clock, log, sender, sealer, policy, deliveryIds, subscriptionIds, operations, schedule, timeoutMs, callbackDelayMs, onNews }: DeliveryRunnerParts): DeliveryRunner {
  const loops = createLoops(clock, log)
  const gate = createHostGate(clock)
  const settler = createSettler<DeliverySettlement, DeliveryOutcome>({
    clock,
    settle: (settlements) => store.settleDeliveries(settlements),
    what: 'what came of a callback',
    otherwise: 'it will be sent again',
    // A second would only wait for the first: what comes of one callback may change whom the next is owed to.
    maxRuns: 1
  })
  const { wake, claim, stop: stopClaiming } = createClaimLoop(log, 'callbacks', pollMs, claimOnce)
  const sending = new Map<AbortController, Promise<void>>()
  let young = 0
  let accepting = false
  /** Whether the last claim brought all that there was room for, so that more is waiting. */
  let behind = false

  async function claimOnce (): Promise<boolean> {
    const room = maxYoung - young
    const limit = Math.min(room, maxSending - sending.size)
    const names = operations()
    // Where more is waiting, half of the places at a time: else each callback that ends would cost a commit to claim the
    // next. None of them stays young for long.
    if (!accepting || limit <= 0 || (behind && room < maxYoung / 2) || names.length === 0) return false
    const { deliveries, nextDueAt } = await store.claimDeliveries({ operations: names, exceptHosts: gate.closed(), limit, now: clock.now() })
    behind = deliveries.length === limit
    for (const delivery of deliveries) begin(delivery)
    const waits = [nextDueAt === null ? undefined : nextDueAt - clock.now(), gate.nextOpenMs()].filter((wait) => wait !== undefined)
    if (accepting && waits.length > 0) loops.after('due callbacks', Math.min(...waits, pollMs), wake)
    return deliveries.length > 0
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
    sending.set(controller, deliver(delivery, controller, grow)
      .catch((error: unknown) => { log.error({ err: error, deliveryId: deliveryIds.encode(delivery) }, 'a callback could not be handled') })
      .finally(() => {
        cancelGrowth()
        sending.delete(controller)
        grow()
        // It may be due again at once, at another URL.
        wake()
      }))
  }

  /** @param onTried Called when the attempt is over. */
  async function deliver (delivery: ClaimedDelivery, controller: AbortController, onTried: () => void): Promise<void> {
    const { number, claim, operation, owner, subscription, subscriptionCreatedAt, urlHint } = delivery
    const id = deliveryIds.encode(delivery)
    const deliveryLog = log.child({ deliveryId: id, operationId: operation, url: urlHint })
    const tried = await attempt(delivery, id, controller)
    // While the store records it, others are sent.
    onTried()
    const settled = await settler.settle(
      'reason' in tried
        ? { lease: { number, claim }, attempt: undefined, to: { status: 'pending', dueAt: tried.dueAt }, subscription: 'unchanged' }
        : judgeAnswer(delivery, tried, schedule, clock.now(), Math.random()),
      deliveryLog, withoutAnswer)
    if (settled === undefined) return
    if (settled.outcome === 'lost') return deliveryLog.warn({}, 'what came of this callback was not recorded: its subscription ended, or another worker has it')
    const { to, subscription: effect } = settled.settlement
    const { statusCode, text } = 'reason' in tried ? {} : tried.answer
    // Refused by a URL that had taken another's place, or taken over while it was sent: nobody was given up.
    if (settled.outcome === 'moved') return deliveryLog.info({ statusCode, answer: text }, 'the callback goes to another URL of this workflow')
    if ('reason' in tried) return deliveryLog.debug({ dueAt: tried.dueAt }, `callback put back: ${tried.reason}`)
    if (to.status === 'delivered') return deliveryLog.debug({ statusCode }, 'callback delivered')
    if (to.status === 'pending') return deliveryLog.info({ statusCode, answer: text, dueAt: to.dueAt }, 'callback failed, it will be sent again')
    const outcome = effect === 'retired' || effect === 'suspended' ? effect : 'dead'
    deliveryLog.warn({ statusCode, answer: text, outcome }, 'callback given up')
    const subscriptionId = subscriptionIds.encode({ number: subscription, createdAt: subscriptionCreatedAt })
    onNews({ outcome, operationId: operation, owner, subscriptionId, deliveryId: id, urlHint, statusCode: tried.answer.statusCode })
  }

  async function attempt ({ sealedUrl, body, subscriptionCreatedAt }: ClaimedDelivery, id: string, controller: AbortController): Promise<JudgedAnswer | PutBack> {
    // A delivery that came from the subscription before is due at once, but its new caller may not have read our answer.
    const readyAt = subscriptionCreatedAt + callbackDelayMs
    if (clock.now() < readyAt) return { dueAt: readyAt, reason: 'its subscription is too new' }
    const url = openUrl(sealedUrl)
    if ('answer' in url) return url
    const host = `${url.hostname}:${url.port}`
    if (!await gate.enter(host)) return { dueAt: clock.now() + Math.ceil(gate.opensInMs(host)), reason: 'its host is out of order' }
    const shutDown = (): PutBack => ({ dueAt: clock.now(), reason: 'the server is shutting down' })
    if (controller.signal.aborted) {
      gate.leave(host, undefined)
      return shutDown()
    }
    const cancelTimeout = clock.after(timeoutMs, () => { controller.abort() })
    // The sender never rejects.
    const answer = await sender.send({ url, id, body, now: clock.now() }, controller.signal)
    cancelTimeout()
    // Our doing, not the receiver's.
    const isCutOff = answer.statusCode === null && controller.signal.reason instanceof ShutdownReason
    gate.leave(host, isCutOff || answer.isUnsent ? undefined : (answer.statusCode ?? 500) < 500)
    if (isCutOff) return shutDown()
    return answer.isUnsent ? { dueAt: clock.now() + putBackMs, reason: answer.text } : { answer, outcome: outcomeOf(answer) }
  }

  /** The URL, or what is kept in place of a receiver's answer. */
  function openUrl (sealedUrl: Uint8Array): CallbackUrl | JudgedAnswer {
    let text: string
    try {
      text = sealer.open(sealedUrl)
    } catch (error) {
      return unsent(`the callback URL cannot be read: ${(error as Error).message}. Put the secret it was kept with back on the list`, 'again')
    }
    const url = parseCallbackUrl(text)
    if ('fault' in url) return unsent(`the callback URL ${url.fault}`, 'dead')
    const refusal = refusalOf(url, policy)
    if (refusal === undefined) return url
    return unsent({
      protocol: 'the callback URL is http, and callbacks.allowHttp is not set any more',
      host: `the host ${url.hostname} is not on callbacks.allowedHosts any more`,
      address: `the address ${url.hostname} is not within callbacks.networks any more`
    }[refusal], 'dead')
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
      await stopClaiming()
      const drained = Promise.all(sending.values())
      if (sending.size > 0) await waitAtMost(clock, drainMs, drained)
      settler.release()
      for (const controller of sending.keys()) controller.abort(new ShutdownReason('the server is shutting down'))
      await drained
      loops.stop('heartbeat of callbacks')
      await sender.close()
    }
  }
}

function unsent (text: string, outcome: 'again' | 'dead'): JudgedAnswer {
  return { answer: { statusCode: null, text, retryAfterMs: null, durationMs: 0 }, outcome }
}

const unkeptAnswer = 'the answer cannot be kept'

/** The attempt without the receiver's words, once. */
function withoutAnswer (refused: DeliverySettlement): DeliverySettlement | undefined {
  const { attempt } = refused
  if (attempt === undefined || attempt.answer === unkeptAnswer) return undefined
  return { ...refused, attempt: { ...attempt, durationMs: 0, answer: unkeptAnswer } }
}
