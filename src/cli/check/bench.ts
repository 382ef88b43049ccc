import { createCaller, type Caller, type Exchange, type PreparedCall, type Purpose } from '../../testing/engine/caller.ts'
import { createCallbackUrl } from '../../testing/engine/callback-urls.ts'
import { errorAnswer, type CallbackAnswer, type ReceivedCallback } from '../../testing/engine/callback-server.ts'
import type { HttpInputs } from '../../testing/engine/definitions.ts'
import { createGuid, createRunId, createVersion } from '../../testing/engine/identity.ts'
import { decodeBody } from '../../testing/engine/message.ts'
import type { EngineParts } from '../../testing/engine/parts.ts'
import { headerOf } from '../../testing/engine/wire.ts'
import type { Scope } from '../../testing/workflow/template.ts'
import type { CallConfig, OperationConfig } from './operations.ts'
import { createMask } from './secrets.ts'
import type { Judge } from './verdicts.ts'

export interface Timing {
  /** How long to wait for what must come, in seconds. */
  patienceSeconds: number
  /** How long nothing must come before it counts as nothing, in seconds. */
  quietSeconds: number
}

/** What a probe works with: the engine's parts, one operation, and the judge of it. */
export interface Bench {
  name: string
  operation: OperationConfig
  engine: EngineParts
  judge: Judge
  timing: Timing
  say: (what: string) => void
  /** Names the next subscriptions and events. */
  next: () => number
}

/** One execution of an action or trigger: its ids stay the same. */
export interface Session {
  caller: Caller
  last: () => Exchange
}

export function openSession ({ engine, name }: Bench, { suppressHeaders = false, operationName = name }: { suppressHeaders?: boolean | 'but-promised', operationName?: string } = {}): Session {
  const history: Exchange[] = []
  const runId = createRunId(engine.world.random)
  const caller = createCaller({
    engine,
    tracking: { operationName, runId, clientTrackingId: runId, actionTrackingId: createGuid(engine.world.random) },
    history,
    signal: new AbortController().signal,
    suppressHeaders
  })
  return { caller, last: () => history.at(-1)! }
}

export function inputsOf ({ path, method = 'POST', headers, queries, body, authentication }: CallConfig, own: Partial<HttpInputs> = {}): HttpInputs {
  return {
    method,
    uri: path,
    ...(headers === undefined ? {} : { headers }),
    ...(queries === undefined ? {} : { queries }),
    ...(body === undefined ? {} : { body }),
    ...(authentication === undefined ? {} : { authentication }),
    ...own
  }
}

export function prepare ({ name }: Bench, { caller }: Session, inputs: HttpInputs, scope: Scope = {}): PreparedCall {
  return caller.prepare(inputs, scope, name)
}

/** Sends once, and judges what is true of every answer. */
export async function send (bench: Bench, session: Session, call: PreparedCall, purpose: Purpose): Promise<Exchange> {
  const { response, error } = await session.caller.send(call, purpose)
  const exchange = session.last()
  inspect(bench, exchange)
  if (response === undefined && error.code !== 'RequestTimedOut') bench.say(`no answer from ${call.url.split('?')[0]}: ${error.code}`)
  return exchange
}

function inspect ({ judge, engine }: Bench, exchange: Exchange): void {
  const { response, error } = exchange
  judge.that('answers-in-time', error?.code !== 'RequestTimedOut', `no answer within ${engine.profile.requestTimeoutSeconds} seconds`, exchange)
  if (response === undefined) return
  const { statusCode, headers, body } = response
  judge.that('no-redirect', statusCode < 300 || statusCode > 399, `answered ${statusCode}`, exchange)
  judge.that('no-partial-content', statusCode !== 206, 'answered 206', exchange)
  const { isBroken } = decodeBody({ headers, body: Buffer.from(body) })
  const type = headerOf(headers, 'content-type') ?? ''
  const isHiddenJson = body !== '' && !/json/i.test(type) && /^\s*[[{]/.test(body) && isJson(body)
  judge.that('content-type-matches', !isBroken && !isHiddenJson, isBroken ? `the content type is ${type}, and the body is no JSON` : `the body is JSON, and the content type is ${type || 'missing'}`, exchange)
}

function isJson (text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** Faults that have a rule of their own, so that no other is blamed for them. */
export function isJudged ({ response, error }: Exchange): boolean {
  if (response === undefined) return error!.code === 'RequestTimedOut'
  return (response.statusCode >= 300 && response.statusCode < 400) || response.statusCode === 206
}

export const statusOf = ({ response }: Exchange): number | undefined => response?.statusCode

export function told ({ response, error }: Exchange): string {
  return response === undefined ? `not answered (${error!.code})` : `answered ${response.statusCode}`
}

/** Where a callback is awaited. */
export interface Listening {
  url: string
  received: () => ReceivedCallback[]
  /** The next one that is so, or `undefined` when patience is over. */
  when: (isSo: (callback: ReceivedCallback) => boolean, seconds?: number) => Promise<ReceivedCallback | undefined>
}

/**
 * A callback URL in the engine's form.
 *
 * @param isAction Of an action's run; else of a version of a trigger.
 */
export function listen ({ engine, name, next, timing }: Bench, { isAction, answer = { statusCode: 200 }, trigger = `Check_${name}_${next()}` }: { isAction: boolean, answer?: CallbackAnswer, trigger?: string }): Listening {
  const { world, callbacks, callbackOrigin, identity, profile, unknowns } = engine
  const subject = isAction
    ? { kind: 'action', name: trigger, runId: createRunId(world.random) } as const
    : { kind: 'trigger', name: trigger, version: createVersion(world.random) } as const
  const url = createCallbackUrl(subject, { identity, profile, unknowns, random: world.random, origin: callbackOrigin })
  callbacks.open({ name: trigger, url, take: () => answer })
  // A URL that was damaged on its way still names the run or the version it is of.
  const mark = isAction ? (subject as { runId: string }).runId : (subject as { version: string }).version
  const isOurs = ({ target }: ReceivedCallback): boolean => target.includes(mark)
  return {
    url,
    received: () => callbacks.received.filter(isOurs),
    async when (isSo, seconds = timing.patienceSeconds) {
      const timeOver = new AbortController()
      const none = world.wait(seconds * 1000, timeOver.signal).then(() => undefined, () => undefined)
      const found = await Promise.race([callbacks.when((callback) => isOurs(callback) && isSo(callback)), none])
      timeOver.abort(new Error('found'))
      return found
    }
  }
}

export { errorAnswer }

/** Makes an event happen; gives the text that names it. */
export async function makeEvent (bench: Bench): Promise<string> {
  const id = `check-${bench.next()}-${createGuid(bench.engine.world.random).slice(0, 8)}`
  const session = openSession(bench)
  const event = JSON.parse(JSON.stringify(bench.operation.event).replaceAll('{{id}}', id)) as CallConfig
  const { authentication, headers } = bench.operation
  const call = prepare(bench, session, inputsOf({ ...(authentication && { authentication }), ...(headers && { headers }), ...event }))
  const { response } = await session.caller.send(call, 'start')
  if (response === undefined || response.statusCode >= 300) throw new EventError(createMask(bench.operation)(`${bench.name}: the event could not be made: ${call.method} ${call.url} was ${told(session.last())}`))
  return id
}

/** The config's own mistake, not the API's. */
export class EventError extends Error {
  override readonly name = 'EventError'
}

export async function quiet ({ engine, timing, say }: Bench, what: string, seconds = timing.quietSeconds): Promise<void> {
  say(`waiting ${Math.ceil(seconds)} s: ${what}`)
  await engine.world.wait(seconds * 1000)
}
