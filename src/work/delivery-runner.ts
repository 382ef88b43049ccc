import { outcomeOf } from '../callbacks/outcome.ts'
import type { CallbackSender } from '../callbacks/sender.ts'
import type { Sealer } from '../protocol/seal.ts'
import type { IdCodec } from '../protocol/token.ts'
import { ShutdownReason } from './attempt.ts'
import { createCallbackOpener } from './callback-opener.ts'
import { createCallbackPlaces, youthMs, type Outgoing } from './callback-places.ts'
import type { CallbackPolicy } from './callback-policy.ts'
import { createClaimLoop } from './claim-loop.ts'
import { waitAtMost, type Clock } from './clock.ts'
import { createHostGate } from './host-gate.ts'
import { judgeAnswer, type JudgedAnswer } from './judge-answer.ts'
import type { Logger } from './log.ts'
import { createLoops } from './loops.ts'
import { createSettler, type Settled } from './settler.ts'
import { createSlots } from './slots.ts'
import type { ClaimedDelivery, DeliveryOutcome, DeliverySettlement, Store } from './store.ts'

const pollMs = 5_000
const heartbeatMs = 5_000
/** How long a step of a fan-out waits for places: as long as one may be young. Where fewer have come free, others may have some. */
const paceMs = youthMs
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

/** Room for callbacks that begin as they are owed. */
export interface KeptPlaces {
  limit: number
  /** Hosts that have enough to do, or are out of order. */
  exceptHosts: string[]
  /** To be called with what the commit brought, or with nothing. */
  fill (begun: ClaimedDelivery[]): void
}

export interface DeliveryRunner {
  start (): void
  /** There may be callbacks that are due. */
  wake (): void
  /** Waits for a moment until there are places; resolves to `undefined` when there are none, or when others wait for them. */
  keepPlaces (): Promise<KeptPlaces | undefined>
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
    maxRuns: 1,
    // It is not urgent: three quarters of all that will be over soon share a commit.
    enough: () => places.lively() * 3 / 4
  })
  const { wake: look, claim, stop: stopClaiming } = createClaimLoop(log, 'callbacks', pollMs, claimOnce)
  const openUrl = createCallbackOpener(sealer, policy)
  const places = createCallbackPlaces({ clock, begin, onRoom })
  const sending = createSlots<AbortController>()
  let accepting = false
  let claiming = false
  /** Whether the last claim brought all that there was room for, so that more is waiting. */
  let behind = false
  /** The last claim left nothing but for these hosts, and nothing has been heard of since: what is owed now overtakes nobody. */
  let nothingWaits = false
  let passedOver: string[] = []
  /** Whoever waits for a place. */
  let onChange = (): void => {}
  /** Somebody waited for one in vain, and there has been none since. */
  let isVain = false

  function wake (): void {
    nothingWaits = false
    look()
  }

  function onRoom (): void {
    isVain = false
    if (!nothingWaits || passedOver.length > 0) look()
    onChange()
  }

  async function claimOnce (): Promise<boolean> {
    const limit = places.room(behind)
    const names = operations()
    if (!accepting || limit <= 0 || names.length === 0) return false
    passedOver = gate.closed()
    // Unless one of them is heard of meanwhile.
    nothingWaits = true
    claiming = true
    try {
      const { deliveries, nextDueAt } = await store.claimDeliveries({ operations: names, exceptHosts: passedOver, limit, now: clock.now() })
      behind = deliveries.length === limit
      // A store looks at those that have waited longest, not at all: the next claim tells.
      if (deliveries.length > 0) nothingWaits = false
      places.take(outgoing(deliveries))
      const waits = [nextDueAt === null ? undefined : nextDueAt - clock.now(), gate.nextOpenMs()].filter((wait) => wait !== undefined)
      if (accepting && waits.length > 0) loops.after('due callbacks', Math.min(...waits, pollMs), wake)
      return deliveries.length > 0
    } catch (error) {
      nothingWaits = false
      throw error
    } finally {
      claiming = false
      onChange()
    }
  }

  /** A claim under way may fill any place. */
  const isCrowded = (): boolean => accepting && (claiming || (nothingWaits && places.roomAhead() <= 0))

  async function keepPlaces (): Promise<KeptPlaces | undefined> {
    if (isCrowded() && !isVain) {
      const cancel = clock.after(paceMs, () => {
        isVain = true
        onChange()
      })
      const goesOn = (): boolean => isVain || !isCrowded()
      while (!goesOn()) await new Promise<void>((resolve) => { onChange = resolve })
      cancel()
    }
    if (!accepting || !nothingWaits || isCrowded()) return undefined
    const limit = places.roomAhead()
    const fill = places.keep(limit)
    return { limit, exceptHosts: [...new Set([...gate.closed(), ...passedOver])], fill: (begun) => { fill(outgoing(begun)) } }
  }

  function outgoing (deliveries: ClaimedDelivery[]): Outgoing[] {
    const ids = deliveryIds.encodeAll(deliveries)
    return deliveries.map((delivery, index) => ({ delivery, id: ids[index]! }))
  }

  async function begin ({ delivery, id }: Outgoing, onTried: () => void, controller = new AbortController()): Promise<void> {
    const slot = sending.add(controller)
    try {
      const tried = await attempt(delivery, id, controller)
      // While the store records it, others are sent.
      onTried()
      const settled = await settler.settle(settlementOf(delivery, tried), () => logOf(delivery, id), withoutAnswer)
      if (settled?.outcome === 'kept' && settled.settlement.to.status === 'delivered') {
        return log.debug({ ...aboutOf(delivery, id), statusCode: settled.settlement.attempt?.statusCode }, 'callback delivered')
      }
      // It may be due again, or others are due at once, at another URL.
      wake()
      if (settled !== undefined) tell(delivery, id, tried, settled)
    } catch (error) {
      log.error({ err: error, ...aboutOf(delivery, id) }, 'a callback could not be handled')
    } finally {
      sending.free(slot)
      onTried()
    }
  }

  function settlementOf (delivery: ClaimedDelivery, tried: JudgedAnswer | PutBack): DeliverySettlement {
    if (!('reason' in tried)) return judgeAnswer(delivery, tried, schedule, clock.now(), Math.random())
    const { number, claim } = delivery
    return { lease: { number, claim }, attempt: undefined, to: { status: 'pending', dueAt: tried.dueAt }, subscription: 'unchanged' }
  }

  const aboutOf = ({ operation, urlHint }: ClaimedDelivery, id: string): Record<string, unknown> => ({ deliveryId: id, operationId: operation, url: urlHint })
  /** Made for those that have something to tell: most have not. */
  const logOf = (delivery: ClaimedDelivery, id: string): Logger => log.child(aboutOf(delivery, id))

  /** Of one that was not taken, or whose yes could not be kept. */
  function tell (delivery: ClaimedDelivery, id: string, tried: JudgedAnswer | PutBack, settled: Settled<DeliverySettlement, DeliveryOutcome>): void {
    const deliveryLog = logOf(delivery, id)
    if (settled.outcome === 'lost') return deliveryLog.warn({}, 'what came of this callback was not recorded: its subscription ended, or another worker has it')
    const { to, subscription: effect } = settled.settlement
    const { statusCode, text } = 'reason' in tried ? {} : tried.answer
    // Refused by a URL that had taken another's place, or taken over while it was sent: nobody was given up.
    if (settled.outcome === 'moved') return deliveryLog.info({ statusCode, answer: text }, 'the callback goes to another URL of this workflow')
    if ('reason' in tried) return deliveryLog.debug({ dueAt: tried.dueAt }, `callback put back: ${tried.reason}`)
    if (to.status === 'pending') return deliveryLog.info({ statusCode, answer: text, dueAt: to.dueAt }, 'callback failed, it will be sent again')
    const outcome = effect === 'retired' || effect === 'suspended' ? effect : 'dead'
    deliveryLog.warn({ statusCode, answer: text, outcome }, 'callback given up')
    const { operation, owner, subscription, subscriptionCreatedAt, urlHint } = delivery
    const subscriptionId = subscriptionIds.encode({ number: subscription, createdAt: subscriptionCreatedAt })
    onNews({ outcome, operationId: operation, owner, subscriptionId, deliveryId: id, urlHint, statusCode: tried.answer.statusCode })
  }

  async function attempt (delivery: ClaimedDelivery, id: string, controller: AbortController): Promise<JudgedAnswer | PutBack> {
    const { body, subscriptionCreatedAt } = delivery
    const shutDown = (): PutBack => ({ dueAt: clock.now(), reason: 'the server is shutting down' })
    if (controller.signal.aborted) return shutDown()
    // A delivery that came from the subscription before is due at once, but its new caller may not have read our answer.
    const readyAt = subscriptionCreatedAt + callbackDelayMs
    if (clock.now() < readyAt) return { dueAt: readyAt, reason: 'its subscription is too new' }
    const url = openUrl(delivery)
    if ('answer' in url) return url
    const { host } = url
    // Most need not wait: an await less for each.
    const entered = gate.enter(host)
    if (!(entered === true || await entered)) return { dueAt: clock.now() + Math.ceil(gate.opensInMs(host)), reason: 'its host is out of order' }
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

  return {
    wake,
    keepPlaces,

    start () {
      accepting = true
      loops.every('claiming callbacks', pollMs, async () => {
        // Whatever became due without a word, what is owed from now on does not go before it.
        nothingWaits = false
        await claim()
      })
      loops.every('heartbeat of callbacks', heartbeatMs, async () => { if (sending.size > 0) await store.heartbeat([]) })
    },

    async stop (drainMs) {
      accepting = false
      onChange()
      loops.stop('claiming callbacks', 'due callbacks')
      // A claim under way may still bring deliveries.
      await stopClaiming()
      const shutdown = new ShutdownReason('the server is shutting down')
      const givenBack = places.clear().then((callbacks) => {
        for (const callback of callbacks) {
          const unsent = new AbortController()
          unsent.abort(shutdown)
          places.start(callback, unsent)
        }
      })
      // A fan-out under way may bring some yet.
      const drained = givenBack.then(() => places.drained())
      await waitAtMost(clock, drainMs, drained)
      settler.release()
      for (const controller of sending.values()) controller.abort(shutdown)
      await drained
      loops.stop('heartbeat of callbacks')
      await sender.close()
    }
  }
}

const unkeptAnswer = 'the answer cannot be kept'

/** The attempt without the receiver's words, once. */
function withoutAnswer (refused: DeliverySettlement): DeliverySettlement | undefined {
  const { attempt } = refused
  if (attempt === undefined || attempt.answer === unkeptAnswer) return undefined
  return { ...refused, attempt: { ...attempt, durationMs: 0, answer: unkeptAnswer } }
}
