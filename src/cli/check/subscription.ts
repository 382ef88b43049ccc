import type { Exchange, PreparedCall } from '../../testing/engine/caller.ts'
import type { CallbackAnswer } from '../../testing/engine/callback-server.ts'
import { headerOf, splitUrl } from '../../testing/engine/wire.ts'
import { inputsOf, isJudged, listen, openSession, prepare, send, statusOf, told, type Bench, type Listening, type Session } from './bench.ts'
import type { CallConfig } from './operations.ts'

/** A subscribe call that was taken, and what ends it. */
export interface Subscription {
  session: Session
  listening: Listening
  subscribed: Exchange
  /** The same call again. */
  subscribeAgain: () => Promise<Exchange>
  /** `undefined` where the API offers no way that we know of. */
  unsubscribe: (() => Promise<Exchange>) | undefined
}

export interface SubscribeOptions {
  body?: unknown
  /** All but the two that an unsubscribe call is known by (engine 2.5). */
  suppressHeaders?: boolean
  answer?: CallbackAnswer
  /** For a further version of the same trigger. */
  trigger?: string
  session?: Session
}

/** `undefined` where it was refused; the judge knows. */
export async function subscribe (bench: Bench, options: SubscribeOptions = {}): Promise<Subscription | undefined> {
  const { operation, judge } = bench
  const { body = operation.body, suppressHeaders = false, answer, trigger } = options
  const listening = listen(bench, { isAction: operation.kind === 'webhook-action', ...(answer && { answer }), ...(trigger === undefined ? {} : { trigger }) })
  const session = options.session ?? openSession(bench, { suppressHeaders: suppressHeaders && 'but-promised' })
  const withUrl = JSON.stringify([operation.headers, operation.queries, body]).includes('listCallbackUrl(') ? body : { ...body as object, callbackUrl: '@{listCallbackUrl()}' }
  const call = prepare(bench, session, inputsOf(operation, { body: withUrl }), { listCallbackUrl: () => listening.url })
  const subscribed = await send(bench, session, call, 'subscribe')
  if (isJudged(subscribed)) return undefined
  const isTaken = (statusOf(subscribed) ?? 500) < 300
  if (!judge.that(suppressHeaders ? 'headers-optional' : 'request-accepted', isTaken, told(subscribed), subscribed)) return undefined
  judge.that('subscribe-not-202', statusOf(subscribed) !== 202, 'answered 202', subscribed)
  return {
    session,
    listening,
    subscribed,
    subscribeAgain: () => send(bench, session, call, 'subscribe'),
    unsubscribe: unsubscriberOf(bench, session, subscribed, listening.url, call)
  }
}

function unsubscriberOf (bench: Bench, session: Session, subscribed: Exchange, url: string, subscribe: PreparedCall): (() => Promise<Exchange>) | undefined {
  const { operation: { unsubscribe } } = bench
  if (unsubscribe !== undefined) return () => send(bench, session, unsubscribeCall(bench, session, unsubscribe, url), 'unsubscribe')
  const location = headerOf(subscribed.response!.headers, 'location')
  if (location === undefined || splitUrl(location) === undefined) return undefined
  const { 'content-type': _, ...headers } = subscribe.headers
  return () => send(bench, session, { ...subscribe, method: 'DELETE', url: location, headers, body: undefined }, 'unsubscribe')
}

export function unsubscribeCall (bench: Bench, session: Session, config: CallConfig, url: string): PreparedCall {
  const { headers, authentication } = bench.operation
  const inputs = inputsOf({ ...(headers && { headers }), ...(authentication && { authentication }), ...config })
  return prepare(bench, session, inputs, { listCallbackUrl: () => url })
}

/** Engine 4.3, 4.6. */
export function judgeConnectorLocation ({ judge }: Bench, { subscribed }: Subscription): void {
  // A 202 has a rule of its own.
  if (statusOf(subscribed) === 202) return judge.skip('connector-location', 'it was answered 202')
  const location = headerOf(subscribed.response!.headers, 'location')
  const isOwn = location !== undefined && splitUrl(location)?.origin === splitUrl(subscribed.request.url)!.origin
  judge.that('connector-location', statusOf(subscribed) === 201 && isOwn, `${told(subscribed)}, ${location === undefined ? 'without Location' : `Location is ${location}`}`, subscribed)
}
