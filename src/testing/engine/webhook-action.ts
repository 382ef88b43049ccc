import type { IncomingHttpHeaders } from 'node:http'
import { createCallbackUrl } from './callback-urls.ts'
import { errorAnswer, type CallbackAnswer, type CallbackCall } from './callback-server.ts'
import { assertPlayed, type HttpWebhookAction } from './definitions.ts'
import { EndOfWait, endingOf, failed, type Ending } from './ending.ts'
import { forever, pollUntilEnded, type ActionCall } from './http-action.ts'
import { decodeBody } from './message.ts'
import type { EngineParts } from './parts.ts'
import { createUnsubscriber } from './unsubscriber.ts'

export interface WebhookActionCall extends ActionCall {
  runId: string
  /** A caller that still sends when the action was ended from outside. */
  lastCaller: ActionCall['caller']
}

/** An HttpWebhook action: subscribes, and waits until its callback URL is called (engine 2). */
export async function playWebhookAction (definition: HttpWebhookAction, { name, engine, caller, lastCaller, scope, signal, runId }: WebhookActionCall): Promise<Ending> {
  // Webhooks have no SuppressWorkflowHeaders: two of the headers are promised to them (engine 5.6).
  assertPlayed(name, definition, [])
  const { world, profile, unknowns, quirks, identity, callbackOrigin } = engine
  const url = createCallbackUrl({ kind: 'action', name, runId }, { identity, profile, unknowns, random: world.random, origin: callbackOrigin })
  const endpoint = openEndpoint(engine, name, url)
  const withUrl = { ...scope, listCallbackUrl: () => url }
  const unsubscriber = createUnsubscriber({ engine, name, inputs: definition.inputs, caller: lastCaller, scope: withUrl })
  try {
    const subscribe = caller.prepare(definition.inputs.subscribe, withUrl, `${name}.subscribe`)
    const answer = await caller.sendFirst(subscribe, 'subscribe')
    unsubscriber.subscribed(answer, subscribe)
    const subscribed = unknowns.subscribeAccepted === 'poll' && profile.polls
      ? await pollUntilEnded(answer, subscribe, { engine, caller, signal })
      : endingOf(answer)
    if (subscribed.status !== 'Succeeded') return subscribed
    const call = await Promise.race([endpoint.called, forever(signal)])
    const ending = outputsOf(call)
    endpoint.end()
    // After success too, or only when it gives up: the pages disagree (engine 2.3).
    if (quirks.unsubscribe !== 'when-given-up') await unsubscriber.unsubscribe()
    return ending
  } catch (error) {
    endpoint.end()
    if (error instanceof EndOfWait) await unsubscriber.unsubscribe()
    throw error
  } finally {
    endpoint.end()
  }
}

interface ActionEndpoint {
  called: Promise<CallbackCall>
  end: () => void
}

/** One callback completes an action (engine 2.22); what a further one is answered is not known (engine 2.19). */
function openEndpoint ({ callbacks, unknowns }: EngineParts, name: string, url: string): ActionEndpoint {
  let isWaiting = true
  let complete!: (call: CallbackCall) => void
  const called = new Promise<CallbackCall>((resolve) => { complete = resolve })
  callbacks.open({
    name,
    url,
    take (call): CallbackAnswer {
      if (!isWaiting) return unknowns.lateCallbackAnswer === 200 ? { statusCode: 200 } : errorAnswer(unknowns.lateCallbackAnswer, 'WorkflowRunActionNotWaiting', 'The action does not wait for a callback.')
      isWaiting = false
      complete(call)
      return { statusCode: unknowns.callbackAnswer }
    }
  })
  return { called, end: () => { isWaiting = false } }
}

/** Body and headers of the callback become outputs (engine 2.15). */
function outputsOf ({ headers, body }: CallbackCall): Ending {
  const parsed = decodeBody({ headers: headers as Record<string, string>, body })
  const outputs = { headers: headers as IncomingHttpHeaders & Record<string, string>, ...(parsed.body === undefined ? {} : { body: parsed.body }) }
  if (parsed.isBroken) return failed('BadRequest', 'The content type of the callback says JSON, and its body is none (engine 1.27).', outputs)
  return { status: 'Succeeded', code: 'OK', outputs, error: undefined }
}
