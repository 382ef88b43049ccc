import { mayPass, type Answer, type Caller, type PreparedCall } from './caller.ts'
import { assertPlayed, hasOption, type HttpAction } from './definitions.ts'
import { endingOf, failed, type Ending } from './ending.ts'
import { resolveLocation, retryAfterMs } from './message.ts'
import type { EngineParts } from './parts.ts'
import { asError, headerOf, splitUrl } from './wire.ts'
import type { Scope } from '../workflow/template.ts'

export interface ActionCall {
  name: string
  engine: EngineParts
  caller: Caller
  scope: Scope
  signal: AbortSignal
}

export const httpActionOptions = ['DisableAsyncPattern', 'SuppressWorkflowHeaders', 'DisableAutomaticDecompression'] as const

/** An Http action: a call, and where it is answered 202, polls until it is something else (engine 1.1). */
export async function playHttpAction (definition: HttpAction, { name, engine, caller, scope, signal }: ActionCall): Promise<Ending> {
  assertPlayed(name, definition, httpActionOptions)
  const start = caller.prepare(definition.inputs, scope, name)
  const first = await caller.sendFirst(start, 'start')
  if (!engine.profile.polls || hasOption(definition, 'DisableAsyncPattern')) return endingOf(first)
  return await pollUntilEnded(first, start, { engine, caller, signal })
}

export interface PollParts {
  engine: EngineParts
  caller: Caller
  signal: AbortSignal
}

/** Follows an answer that may be a 202 to the one that is none. */
export async function pollUntilEnded (first: Answer, start: PreparedCall, { engine, caller, signal }: PollParts): Promise<Ending> {
  const { world, unknowns } = engine
  let answer = first
  let url = start.url
  let restarts = 0

  /** One poll, and what the engine makes of a failure that may pass (engine 1.13, 15.2). */
  async function poll (call: PreparedCall): Promise<Answer> {
    if (unknowns.afterPollFailure === 'repeat') return await caller.sendUntilAnswered(call, 'poll')
    const polled = await caller.send(call, 'poll')
    const wait = mayPass(polled) ? caller.retryWaitMs(call, polled, restarts + 1) : undefined
    if (wait === undefined) return polled
    restarts++
    await world.wait(wait, signal)
    url = start.url
    return await caller.sendUntilAnswered(start, 'start')
  }

  for (;;) {
    const { response } = answer
    const isRedirect = response !== undefined && [301, 302, 303, 307, 308].includes(response.statusCode) && url !== start.url && unknowns.pollRedirects === 'follow'
    if (response?.statusCode !== 202 && !isRedirect) return endingOf(answer)
    const location = headerOf(response.headers, 'location')
    if (location === undefined) {
      if (unknowns.acceptedWithoutLocation === 'finish' || isRedirect) return endingOf(answer)
      await forever(signal)
    }
    const next = resolveLocation(location!, url, unknowns.relativeLocation)
    if (next === undefined) return failed('InvalidLocation', `The Location of a ${response.statusCode} must be an absolute URL (engine 1.3); it is ${JSON.stringify(location)}.`, endingOf(answer).outputs)
    url = next
    if (!isRedirect) await world.wait(pollWaitMs(response.headers, engine), signal)
    answer = await poll(pollOf(url, start, engine))
  }
}

/** A GET without body (engine 1.8), authenticated as the profile has it (engine 1.22, 1.23). */
function pollOf (url: string, start: PreparedCall, { profile, unknowns }: EngineParts): PreparedCall {
  const isSameHost = splitUrl(url)!.origin === splitUrl(start.url)!.origin
  const isAuthenticated = profile.authenticatesPolls && (isSameHost || unknowns.authenticationOnOtherHost === 'send')
  const { 'content-type': _, ...headers } = start.headers
  // A hand-written Authorization header is not the action's authentication.
  if (!profile.authenticatesPolls) delete headers.authorization
  return { method: 'GET', url, headers, body: undefined, authorization: isAuthenticated ? start.authorization : undefined, retry: start.retry }
}

function pollWaitMs (headers: Parameters<typeof retryAfterMs>[0], { world, unknowns, quirks }: EngineParts): number {
  const asked = retryAfterMs(headers, world.clock.now(), unknowns.retryAfterDate) ?? unknowns.defaultRetryAfterSeconds * 1000
  const wait = unknowns.retryAfterClamp === 'arm' ? Math.min(Math.max(asked, 10_000), 600_000) : asked
  return wait * { 'on-time': 1, early: 0.5, late: 2 }[quirks.polls]
}

/** Until somebody ends it from outside. */
export function forever (signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const stop = (): void => { reject(asError(signal.reason)) }
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}
