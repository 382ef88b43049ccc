import type { ReceivedCallback } from '../../testing/engine/callback-server.ts'
import { headerOf } from '../../testing/engine/wire.ts'
import { inputsOf, openSession, prepare, quiet, send, statusOf, told, type Bench, type Listening } from './bench.ts'
import type { Subscription } from './subscription.ts'
import { unsubscribeCall } from './subscription.ts'

/** What is wrong with a callback, seen from the one that came. @returns whether it was taken. */
export function judgeCallback ({ judge }: Bench, callback: ReceivedCallback, { url }: Listening): boolean {
  const { method, target, headers } = callback
  const isSame = url.endsWith(target)
  judge.that('callback-byte-for-byte', isSame, `the path and query that were called differ from ${url.slice(new URL(url).origin.length).replace(/sig=.*/, 'sig=…')}`, callback)
  judge.that('callback-post', method === 'POST', `it was a ${method}`, callback)
  judge.that('callback-no-authorization', headers.authorization === undefined, 'it has an Authorization header', callback)
  if (!callback.taken) return false
  judgeBody({ judge }, callback)
  return true
}

function judgeBody ({ judge }: Pick<Bench, 'judge'>, callback: ReceivedCallback): void {
  const type = headerOf(callback.headers, 'content-type') ?? ''
  judge.that('callback-content-type', /^application\/([\w.-]+\+)?json\b/i.test(type), `its content type is ${type || 'missing'}`, callback)
  let body: unknown
  try {
    body = JSON.parse(callback.body.toString())
  } catch {
    judge.that('callback-object', false, 'its body is no JSON', callback)
    return
  }
  const kind = Array.isArray(body) ? 'an array' : body === null ? 'null' : `a ${typeof body}`
  judge.that('callback-object', kind === 'a object', `its body is ${kind}`, callback)
}

export const isTaken = ({ taken }: ReceivedCallback): boolean => taken
const retryAfterSeconds = 3

export interface DeliveryProbe {
  bench: Bench
  /** Subscribes anew. */
  subscribe: () => Promise<Subscription | undefined>
  /** Makes the callback owed; resolves to what tells it from others. */
  cause: () => Promise<(callback: ReceivedCallback) => boolean>
}

/** 503 and 429 pass, 404 does not (rule 17). */
export async function probeDelivery (probe: DeliveryProbe): Promise<void> {
  await probeRetries(probe)
  await probeGone(probe)
}

async function probeRetries ({ bench, subscribe, cause }: DeliveryProbe): Promise<void> {
  const { engine: { callbacks, world }, judge, say } = bench
  const subscription = await subscribe()
  if (subscription === undefined) return
  const { listening } = subscription
  const name = nameOf(listening)
  callbacks.script([503, { statusCode: 429, retryAfterSeconds }], name)
  const isOurs = await cause()
  say('callbacks are answered 503, then 429')
  const first = await listening.when(isOurs)
  if (first === undefined) return
  const attempts = (): ReceivedCallback[] => listening.received().filter(isOurs)
  const throttled = await listening.when((callback) => isOurs(callback) && callback.statusCode === 429)
  if (!judge.that('callback-retried', throttled !== undefined, `one that was answered 503 did not come again within ${bench.timing.patienceSeconds} seconds`, first)) return
  const last = await listening.when((callback) => isOurs(callback) && callback.taken)
  if (!judge.that('callback-retried', last !== undefined, `one that was answered 429 did not come again within ${bench.timing.patienceSeconds} seconds`, throttled)) return
  const waited = (last!.at - throttled!.at) / 1000
  // Clocks and sockets are not exact.
  judge.that('callback-backs-off', waited >= retryAfterSeconds - 0.1, `after a 429 with Retry-After: ${retryAfterSeconds} it came again after ${waited.toFixed(1)} seconds`, throttled, last)
  say(`${attempts().length} attempts, the last one taken at ${new Date(world.clock.now()).toISOString()}`)
  await subscription.unsubscribe?.()
}

async function probeGone (probe: DeliveryProbe): Promise<void> {
  await probeFinal(probe, 'callback-final', 'a callback is answered 404', 404)
}

export async function probeFinal ({ bench, subscribe, cause }: DeliveryProbe, rule: 'callback-final' | 'disabled-final', what: string, status: number, answered: () => void = () => {}): Promise<void> {
  const { engine: { callbacks }, judge } = bench
  const subscription = await subscribe()
  if (subscription === undefined) return
  const { listening } = subscription
  if (rule === 'callback-final') callbacks.script([status], nameOf(listening))
  answered()
  const isOurs = await cause()
  const first = await listening.when(isOurs)
  if (first === undefined) return
  await quiet(bench, `${what}; it must not come again`)
  const further = listening.received().filter(isOurs).slice(1)
  judge.that(rule, further.length === 0, `after a ${status} it came ${further.length} more times`, first, further[0])
  await subscription.unsubscribe?.()
}

function nameOf ({ url }: Listening): string {
  return decodeURIComponent(/\/(?:actions|triggers)\/([^/]+)\//.exec(url)![1]!)
}

/** Unsubscribe may come late, twice, and for what never was (rule 14). @returns whether there is one that is taken. */
export async function probeUnsubscribe (bench: Bench, { unsubscribe, session, listening }: Subscription): Promise<boolean> {
  const { judge, operation } = bench
  const rules = ['unsubscribe-accepted', 'unsubscribe-idempotent', 'unsubscribe-unknown', 'unsubscribe-without-url'] as const
  if (unsubscribe === undefined) {
    for (const rule of [...rules, 'unsubscribe-stops', 'late-unsubscribe'] as const) judge.skip(rule, 'neither the config nor a Location says how to unsubscribe')
    return false
  }
  const isFine = (status: number | undefined): boolean => status !== undefined && status < 300
  const first = await unsubscribe()
  if (!judge.that('unsubscribe-accepted', isFine(statusOf(first)), told(first), first)) return false
  const second = await unsubscribe()
  judge.that('unsubscribe-idempotent', isFine(statusOf(second)), `the second one was ${told(second)}`, second)
  const config = operation.unsubscribe
  if (config === undefined) {
    for (const rule of rules.slice(2)) judge.skip(rule, 'the config has no unsubscribe call')
    return true
  }
  const other = openSession(bench)
  const never = `${listening.url.slice(0, -43)}${'A'.repeat(43)}`
  const unknown = await send(bench, other, unsubscribeCall(bench, other, config, never), 'unsubscribe')
  judge.that('unsubscribe-unknown', isFine(statusOf(unknown)), told(unknown), unknown)
  const { body: _, queries, ...bodyless } = config
  const { headers, authentication } = operation
  const bare = prepare(bench, session, inputsOf({ ...(headers && { headers }), ...(authentication && { authentication }), ...bodyless, ...(queries && !JSON.stringify(queries).includes('listCallbackUrl(') && { queries }) }), { listCallbackUrl: () => '' })
  const withoutUrl = await send(bench, session, bare, 'unsubscribe')
  judge.that('unsubscribe-without-url', isFine(statusOf(withoutUrl)), told(withoutUrl), withoutUrl)
  return true
}
