import { retryAfterMs, resolveLocation } from '../../testing/engine/message.ts'
import type { Exchange, PreparedCall } from '../../testing/engine/caller.ts'
import { headerOf, splitUrl } from '../../testing/engine/wire.ts'
import { inputsOf, isJudged, openSession, prepare, send, statusOf, told, type Bench, type Session } from './bench.ts'

const maxUrlLength = 2000
/** Sent again (engine 1.13, 6.2). */
const notForFailures = [408, 429]

/** An asynchronous action: 202, polls, and an end (engine 1). */
export async function probeAsyncAction (bench: Bench): Promise<void> {
  // What is wrong with the plain case would be found again in all others.
  if (!await probeRun(bench)) return
  await probeRepeatedStart(bench)
  await probeFailure(bench)
  await probeRefusal(bench)
}

interface Started {
  session: Session
  start: PreparedCall
  first: Exchange
  /** Where it is polled. */
  url: string
}

/** `undefined` where there is nothing to poll; the judge knows why, or it was answered at once. */
async function begin (bench: Bench, body: unknown = bench.operation.body, suppressHeaders = false): Promise<Started | Exchange> {
  const session = openSession(bench, { suppressHeaders })
  const start = prepare(bench, session, inputsOf(bench.operation, body === undefined ? {} : { body }))
  const first = await send(bench, session, start, 'start')
  const url = statusOf(first) === 202 ? locationOf(bench, first, start.url) : undefined
  return url === undefined ? first : { session, start, first, url }
}

/** Judges the Location of a 202; a relative one is told and then followed all the same. */
function locationOf ({ judge }: Bench, exchange: Exchange, from: string): string | undefined {
  const location = headerOf(exchange.response!.headers, 'location')
  if (!judge.that('location-present', location !== undefined, 'a 202 without Location', exchange)) return undefined
  judge.that('location-absolute', splitUrl(location!) !== undefined, `Location is ${JSON.stringify(location)}`, exchange)
  judge.that('location-short', location!.length < maxUrlLength, `Location has ${location!.length} characters`, exchange)
  return resolveLocation(location!, from, 'resolve')
}

/** @returns whether a start leads to an end. */
async function probeRun (bench: Bench): Promise<boolean> {
  const { judge, say } = bench
  say('starting it')
  const started = await begin(bench)
  const first = 'first' in started ? started.first : started
  const isTaken = (statusOf(first) ?? 500) < 300
  if (isJudged(first) || !judge.that('request-accepted', isTaken, told(first), first)) return false
  // Answered at once, which is fine, or with a 202 that leads nowhere.
  if (!('first' in started)) return statusOf(first) !== 202
  judge.that('retry-after-integer', hasWholeRetryAfter(first), retryAfterFault(first), first)

  const headerless = await begin(bench, undefined, true)
  const answer = 'first' in headerless ? headerless.first : headerless
  judge.that('headers-optional', (statusOf(answer) ?? 500) < 300, told(answer), answer)

  const end = await followToEnd(bench, started)
  if (end === undefined) return false
  const { exchange, call } = end
  if (!judge.that('job-ends', statusOf(exchange)! < 400, `the sample was to succeed, and its last poll was ${told(exchange)}`, exchange)) return true
  const again = await send(bench, started.session, call, 'poll')
  judge.that('result-repeatable', statusOf(again) === statusOf(exchange) && again.response?.body === exchange.response!.body,
    `read again, it was ${told(again)}${statusOf(again) === statusOf(exchange) ? ' with another body' : ''}`, exchange, again)
  return true
}

/** A poll as the engine makes it: GET, no body, the start's authentication (engine 1.8, 1.22). */
function pollOf ({ start }: Started, url: string): PreparedCall {
  const { 'content-type': _, ...headers } = start.headers
  return { ...start, method: 'GET', url, headers, body: undefined }
}

/** The first answer that is no 202, with the poll that got it; `undefined` where none came or the judge knows why. */
async function followToEnd (bench: Bench, started: Started, isSample = true): Promise<{ exchange: Exchange, call: PreparedCall } | undefined> {
  const { engine: { world }, judge, timing, say } = bench
  const deadline = world.clock.monotonic() + timing.patienceSeconds * 1000
  let call = pollOf(started, started.url)
  // At once, before Retry-After is over: the job must be there already. One that is to fail may have failed by then.
  if (!isSample) await world.wait(waitMs(bench, started.first))
  let exchange = await send(bench, started.session, call, 'poll')
  if (isSample) {
    if (!judgeFirstPoll(bench, exchange, started)) return undefined
    await pollWithoutAuthentication(bench, started, call)
  }
  for (let polls = 1; ; polls++) {
    const status = statusOf(exchange)
    if (isJudged(exchange)) return undefined
    if (status !== undefined && status !== 202 && !(isSample && polls === 1 && status >= 400)) return { exchange, call }
    const wait = waitMs(bench, exchange)
    if (world.clock.monotonic() + wait > deadline) {
      judge.that('job-ends', false, `no end within ${timing.patienceSeconds} seconds; the last poll was ${told(exchange)}`, exchange)
      return undefined
    }
    say(`poll ${polls}: ${told(exchange)}, again in ${wait / 1000} s`)
    await world.wait(wait)
    exchange = await send(bench, started.session, call, 'poll')
    if (statusOf(exchange) === 202) call = { ...call, url: judgeAccepted(bench, exchange) ?? call.url }
  }
}

/** What a 202 asks for, or the default. */
function waitMs ({ engine: { world, unknowns } }: Bench, { response }: Exchange): number {
  return (response === undefined ? undefined : retryAfterMs(response.headers, world.clock.now(), 'ignore')) ?? unknowns.defaultRetryAfterSeconds * 1000
}

/** @returns whether to go on. */
function judgeFirstPoll (bench: Bench, exchange: Exchange, { start }: Started): boolean {
  const { judge } = bench
  const status = statusOf(exchange)
  if (isJudged(exchange)) return false
  if (!judge.that('location-reachable', status !== undefined, told(exchange), exchange)) return false
  if (status === 401 || status === 403) {
    judge.that('poll-with-auth', false, `a poll with the start's authentication was ${told(exchange)}`, exchange)
    return false
  }
  if (start.authorization !== undefined) judge.that('poll-with-auth', true, '')
  else judge.skip('poll-with-auth', 'the config has no authentication')
  const isMissing = status === 404 || status === 410 || status === 400
  judge.that('status-exists', !isMissing, `the first poll was ${told(exchange)}`, exchange)
  if (!isMissing) judge.that('poll-early', status! < 400, told(exchange), exchange)
  if (status === 202) judgeAccepted(bench, exchange)
  return true
}

/** @returns the Location of a further 202. */
function judgeAccepted (bench: Bench, exchange: Exchange): string | undefined {
  const { judge } = bench
  const location = headerOf(exchange.response!.headers, 'location')
  judge.that('poll-repeats-retry-after', hasWholeRetryAfter(exchange), retryAfterFault(exchange), exchange)
  if (!judge.that('poll-repeats-location', location !== undefined, 'a further 202 has no Location', exchange)) return undefined
  judge.that('location-absolute', splitUrl(location!) !== undefined, `Location is ${JSON.stringify(location)}`, exchange)
  return resolveLocation(location!, exchange.request.url, 'resolve')
}

async function pollWithoutAuthentication (bench: Bench, { session, start }: Started, call: PreparedCall): Promise<void> {
  const { judge } = bench
  const isAuthenticated = start.authorization !== undefined || Object.keys(start.headers).some((name) => name !== 'content-type')
  if (!isAuthenticated) {
    judge.that('poll-without-auth', true, '')
    return
  }
  const bare = await send(bench, session, { ...call, headers: {}, authorization: undefined }, 'poll')
  judge.that('poll-without-auth', ![401, 403].includes(statusOf(bare) ?? 0), `a poll without authentication was ${told(bare)}`, bare)
}

/** The same request with the same ids (engine 6.7): by its Location one sees whether it is the same job. */
async function probeRepeatedStart (bench: Bench): Promise<void> {
  const { judge, say } = bench
  say('starting it twice')
  const session = openSession(bench)
  const start = prepare(bench, session, inputsOf(bench.operation))
  const first = await send(bench, session, start, 'start')
  const second = await send(bench, session, start, 'start')
  if (statusOf(first) !== 202) return judge.skip('start-idempotent', `the start was ${told(first)}: there is no Location to compare`)
  const [one, other] = [first, second].map(({ response }) => response === undefined ? undefined : headerOf(response.headers, 'location'))
  if (one === undefined) return judge.skip('start-idempotent', 'there is no Location to compare')
  judge.that('start-idempotent', one === other, `two starts with the same ids gave two Locations: ${one} and ${other}`, first, second)
}

async function probeFailure (bench: Bench): Promise<void> {
  const { judge, operation: { failingBody }, say } = bench
  if (failingBody === undefined) return judge.skip('failure-is-4xx', 'the config has no failingBody')
  say('a job that fails')
  const started = await begin(bench, failingBody)
  const end = 'first' in started ? (await followToEnd(bench, started, false))?.exchange : started
  if (end === undefined) return judge.skip('failure-is-4xx', 'the job did not end')
  const status = statusOf(end)
  const isRight = status !== undefined && status >= 400 && status < 500 && !notForFailures.includes(status)
  judge.that('failure-is-4xx', isRight, `the job that was to fail was ${told(end)}`, end)
}

/** Shared with webhooks: a start or subscribe call that must be refused. */
export async function probeRefusal (bench: Bench): Promise<void> {
  const { judge, operation: { badBody } } = bench
  if (badBody === undefined) return judge.skip('refusal-is-4xx', 'the config has no badBody')
  const session = openSession(bench)
  const refused = await send(bench, session, prepare(bench, session, inputsOf(bench.operation, { body: badBody }), { listCallbackUrl: () => 'https://example.com/' }), 'start')
  const status = statusOf(refused) ?? 500
  judge.that('refusal-is-4xx', status >= 400 && status < 500 && status !== 408 && status !== 429, `wrong input was ${told(refused)}`, refused)
}

export function hasWholeRetryAfter ({ response }: Exchange): boolean {
  return /^\d{1,9}$/.test(headerOf(response!.headers, 'retry-after')?.trim() ?? '')
}

function retryAfterFault ({ response }: Exchange): string {
  const value = headerOf(response!.headers, 'retry-after')
  return value === undefined ? 'a 202 without Retry-After' : `Retry-After is ${JSON.stringify(value)}`
}
