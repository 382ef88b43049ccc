import { createCallbackUrl } from './callback-urls.ts'
import { errorAnswer, type CallbackAnswer, type CallbackCall } from './callback-server.ts'
import { createCaller, type Caller, type Exchange } from './caller.ts'
import { UnsupportedDefinitionError, type HttpWebhookTrigger, type TriggerDefinition } from './definitions.ts'
import { toMs } from './duration.ts'
import { createGuid, createRunId, createVersion } from './identity.ts'
import type { EngineParts } from './parts.ts'
import { assertTrigger, createFiring, type TriggerHandle, type TriggerOptions } from './trigger.ts'
import { createUnsubscriber, type Unsubscriber } from './unsubscriber.ts'
import { endingOf } from './ending.ts'
import { pollUntilEnded } from './http-action.ts'

/** A subscription of one version of the trigger. */
interface Subscription {
  url: string
  /** Under which both calls go (engine 2.5). */
  clientTrackingId: string
  unsubscriber: Unsubscriber
  state: 'active' | 'disabled' | 'deleted'
}

/** An HttpWebhook trigger: subscribes when it is enabled, and each callback starts a run (engine 2.22). */
export function createWebhookTrigger (engine: EngineParts, given: HttpWebhookTrigger, options: TriggerOptions): TriggerHandle {
  const { world, profile, unknowns, quirks, identity, callbacks, callbackOrigin, ledger } = engine
  const { name = 'Trigger', scope = {} } = options
  let definition = checked(given)
  const firing = createFiring(engine, () => definition, options)
  const exchanges: Exchange[] = []
  let current: Subscription | undefined
  let close = (): void => {}

  function checked (one: TriggerDefinition): HttpWebhookTrigger {
    assertTrigger(name, one)
    if (one.type !== 'HttpWebhook') throw new UnsupportedDefinitionError(`${name}: a webhook trigger cannot be saved as "${one.type}"`)
    return one
  }

  function callerFor (clientTrackingId: string): Caller {
    return createCaller({
      engine,
      tracking: { operationName: name, runId: undefined, clientTrackingId, actionTrackingId: createGuid(world.random) },
      history: exchanges,
      signal: new AbortController().signal,
      suppressHeaders: false
    })
  }

  function createSubscription (): Subscription {
    const url = createCallbackUrl({ kind: 'trigger', name, version: identity.version }, { identity, profile, unknowns, random: world.random, origin: callbackOrigin })
    const clientTrackingId = createRunId(world.random)
    const subscription: Subscription = {
      url,
      clientTrackingId,
      state: 'active',
      unsubscriber: createUnsubscriber({
        engine,
        name,
        inputs: definition.inputs,
        caller: callerFor(unknowns.clientTrackingIdAtUnsubscribe === 'same' ? clientTrackingId : createRunId(world.random)),
        scope: { ...scope, listCallbackUrl: () => url }
      })
    }
    callbacks.open({ name, url, take: (call) => take(subscription, call) })
    return subscription
  }

  /** Engine 2.17, 2.18. */
  function take (subscription: Subscription, { headers, body }: CallbackCall): CallbackAnswer {
    if (subscription.state === 'disabled') return errorAnswer(400, 'WorkflowTriggerIsNotEnabled', 'Could not execute workflow trigger: it is not enabled.')
    if (subscription.state === 'deleted') return errorAnswer(404, 'WorkflowNotFound', 'The workflow could not be found.')
    if (!firing.hasRoom()) return errorAnswer(429, 'WaitingRunsLimit', 'Too many runs wait.')
    const event = firing.fire({ headers: headers as Record<string, string>, body })
    if (event.status === 'Failed') return errorAnswer(400, event.code, event.message ?? '')
    const run = event.runs === 0 ? undefined : firing.runs.at(-1)
    if (unknowns.triggerUnsubscribesAfterCallback === 'yes') renew(subscription)
    return { statusCode: 202, ...(run === undefined ? {} : { headers: { 'x-ms-workflow-run-id': run.id, 'x-ms-client-tracking-id': run.clientTrackingId, 'x-ms-trigger-history-name': run.id } }) }
  }

  /** As one page says that the trigger does after a callback (engine 2.4). */
  function renew (subscription: Subscription): void {
    const renewing = async (): Promise<void> => {
      await subscription.unsubscriber.unsubscribe()
      if (subscription === current) await subscribe(subscription)
    }
    renewing().catch((error: unknown) => { ledger.complain(`${name}: ${(error as Error).message}`) })
  }

  async function subscribe (subscription: Subscription): Promise<void> {
    const caller = callerFor(subscription.clientTrackingId)
    const call = caller.prepare(definition.inputs.subscribe, { ...scope, listCallbackUrl: () => subscription.url }, `${name}.subscribe`)
    const answer = await caller.sendFirst(call, 'subscribe')
    subscription.unsubscriber.subscribed(answer, call)
    const ending = unknowns.subscribeAccepted === 'poll' && profile.polls
      ? await pollUntilEnded(answer, call, { engine, caller, signal: new AbortController().signal })
      : endingOf(answer)
    if (ending.status === 'Succeeded') return
    const { code, message } = ending.error!
    throw new Error(`${name} cannot be enabled: subscribe failed with ${code}: ${message}`)
  }

  async function enable (): Promise<void> {
    if (current !== undefined) return
    const subscription = createSubscription()
    await world.until(subscribe(subscription), `the subscribe call of ${name}`)
    current = subscription
    close = ledger.open(() => `${name} is still subscribed`)
  }

  async function leave (state: 'disabled' | 'deleted'): Promise<void> {
    const subscription = current
    if (subscription === undefined) return
    current = undefined
    close()
    subscription.state = state
    last = subscription
    await world.until(subscription.unsubscriber.unsubscribe(), `the unsubscribe call of ${name}`)
  }

  let last: Subscription | undefined

  return {
    name,
    get isEnabled () { return current !== undefined },
    runs: firing.runs,
    history: firing.history,
    exchanges,
    get callbackUrl () { return (current ?? last)?.url },
    nextPoll: undefined,
    enable,
    disable: () => leave('disabled'),
    async save (changed) {
      const next = changed === undefined ? definition : checked(changed)
      const old = current
      if (old !== undefined && quirks.save === 'unsubscribe-first') await leave('deleted')
      definition = next
      identity.version = createVersion(world.random)
      if (old === undefined) return
      if (quirks.save === 'unsubscribe-first') return await enable()
      const subscription = createSubscription()
      await world.until(subscribe(subscription), `the subscribe call of ${name}`)
      current = subscription
      // The URL of the version before is dead from now on (engine 2.9).
      old.state = 'deleted'
      await world.until(old.unsubscriber.unsubscribe(), `the unsubscribe call of ${name}`)
    },
    async restart () {
      if (current !== undefined) await world.until(subscribe(current), `the subscribe call of ${name}`)
    },
    async remove () {
      await leave('deleted')
      if (last !== undefined) last.state = 'deleted'
    },
    advance: (duration) => world.advance(toMs(duration, 'duration'))
  }
}
