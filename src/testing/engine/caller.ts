import { UnsupportedDefinitionError, type Authentication, type HttpInputs } from './definitions.ts'
import { engineHeaders, withoutWorkflowHeaders, createGuid, type Tracking } from './identity.ts'
import { allowedHeaders, encodeBody, isRetryable, retryAfterMs, withQueries } from './message.ts'
import type { EngineParts } from './parts.ts'
import { createRetryWaits, type RetryWaits } from './retry.ts'
import { evaluate, type Scope } from '../workflow/template.ts'
import { splitUrl, WireError, type WireRequest, type WireResponse } from './wire.ts'

export type Purpose = 'start' | 'poll' | 'subscribe' | 'unsubscribe'

/** One request and what came of it. */
export interface Exchange {
  purpose: Purpose
  /** When it was sent, and when it was over; epoch milliseconds. */
  at: number
  endedAt: number
  request: { method: string, url: string, headers: Record<string, string>, body: string | undefined }
  /** `undefined` when no answer came, or none that arrived. */
  response: { statusCode: number, headers: WireResponse['headers'], body: string } | undefined
  error: { code: string, message: string } | undefined
}

/** An answer, or why there is none. */
export type Answer = { response: WireResponse, error: undefined } | { response: undefined, error: { code: string, message: string } }

/** A call of a definition, ready to be sent as often as it takes. */
export interface PreparedCall {
  method: string
  url: string
  headers: Record<string, string>
  body: string | Buffer | undefined
  authorization: string | undefined
  retry: RetryWaits
}

export interface CallerParts {
  engine: EngineParts
  tracking: Tracking
  history: Exchange[]
  signal: AbortSignal
  /** Without those of the workflow, or with none but the two that webhooks are promised (engine 5.6). */
  suppressHeaders: boolean | 'but-promised'
}

/** Sends what one action or trigger has to send, under its ids, and writes down all of it. */
export interface Caller {
  prepare (inputs: HttpInputs, scope: Scope, what: string): PreparedCall
  send (call: PreparedCall, purpose: Purpose): Promise<Answer>
  /** Retried as its policy says (engine 6.2). */
  sendUntilAnswered (call: PreparedCall, purpose: Purpose): Promise<Answer>
  /** The first request, with the engine's own habits (engine 6.7, 6.8). */
  sendFirst (call: PreparedCall, purpose: Purpose): Promise<Answer>
  /** Before the `retry`-th retry; `undefined` when there is none. */
  retryWaitMs (call: PreparedCall, answer: Answer, retry: number): number | undefined
}

export function createCaller ({ engine, tracking, history, signal, suppressHeaders }: CallerParts): Caller {
  const { world, profile, unknowns, quirks, identity, onTraffic } = engine

  function headersFor ({ headers, authorization }: PreparedCall, isRetry: boolean): Record<string, string> {
    const ids = isRetry && unknowns.trackingIdOnRetry === 'new' ? { ...tracking, actionTrackingId: createGuid(world.random) } : tracking
    const own = engineHeaders(identity, profile, unknowns, ids, world.random)
    return { ...(suppressHeaders ? withoutWorkflowHeaders(own, suppressHeaders === 'but-promised') : own), ...headers, ...(authorization === undefined ? {} : { authorization }) }
  }

  async function sendOnce (call: PreparedCall, purpose: Purpose, isRetry = false): Promise<Answer> {
    const { method, url, body } = call
    const request: WireRequest = { method, url, headers: headersFor(call, isRetry), body }
    const at = world.clock.now()
    const answer = await world.send(request, profile.requestTimeoutSeconds * 1000, signal).then(
      (response): Answer => ({ response, error: undefined }),
      (error: unknown): Answer => {
        if (!(error instanceof WireError)) throw error
        return { response: undefined, error: { code: error.code, message: error.message } }
      })
    const exchange: Exchange = {
      purpose,
      at,
      endedAt: world.clock.now(),
      request: { method, url, headers: request.headers, body: body?.toString() },
      response: answer.response === undefined ? undefined : { ...answer.response, body: answer.response.body.toString() },
      error: answer.error
    }
    history.push(exchange)
    onTraffic(exchange)
    return answer
  }

  function retryWaitMs (call: PreparedCall, { response }: Answer, retry: number): number | undefined {
    const wait = call.retry(retry)
    if (wait === undefined || response === undefined) return wait
    const asked = response.statusCode === 429 || unknowns.retryAfterOnErrors === 'all'
    return (asked ? retryAfterMs(response.headers, world.clock.now(), unknowns.retryAfterDate) : undefined) ?? wait
  }

  async function retried (first: Answer, call: PreparedCall, purpose: Purpose): Promise<Answer> {
    let answer = first
    for (let retry = 1; mayPass(answer); retry++) {
      const wait = retryWaitMs(call, answer, retry)
      if (wait === undefined) return answer
      await world.wait(wait, signal)
      answer = await sendOnce(call, purpose, true)
    }
    return answer
  }

  return {
    prepare (inputs, scope, what) {
      const evaluated = evaluate({ ...inputs, retryPolicy: undefined }, scope) as HttpInputs
      const { method = 'GET', uri = evaluated.url, headers = {}, queries, body, cookie, authentication } = evaluated
      if (typeof uri !== 'string') throw new UnsupportedDefinitionError(`${what}: uri is missing`)
      const url = withQueries(uri.startsWith('/') ? engine.baseUrl + uri : uri, queries)
      if (splitUrl(url) === undefined) throw new UnsupportedDefinitionError(`${what}: uri must be an absolute http or https URL, or a path below baseUrl; got ${JSON.stringify(uri)}`)
      const { payload, contentType } = method === 'GET' ? { payload: undefined, contentType: undefined } : encodeBody(body)
      return {
        method,
        url,
        headers: {
          ...(contentType === undefined ? {} : { 'content-type': contentType }),
          ...(cookie === undefined ? {} : { cookie }),
          ...allowedHeaders(headers, method)
        },
        body: payload,
        authorization: authentication === undefined ? undefined : authorizationOf(authentication, engine.tokenFor, what),
        retry: createRetryWaits(inputs.retryPolicy, { profile, random: world.random, defaultWaits: unknowns.defaultRetryWaits })
      }
    },
    send: (call, purpose) => sendOnce(call, purpose),
    sendUntilAnswered: async (call, purpose) => await retried(await sendOnce(call, purpose), call, purpose),
    async sendFirst (call, purpose) {
      if (quirks.firstRequest === 'at-once') {
        const [, second] = await Promise.all([sendOnce(call, purpose), sendOnce(call, purpose, true)])
        return await retried(second, call, purpose)
      }
      const first = await sendOnce(call, purpose)
      if (quirks.firstRequest === 'once') return await retried(first, call, purpose)
      // The answer came too late, or not at all: the engine knows nothing of it and asks again.
      if (quirks.firstRequest === 'answer-lost') await world.wait(call.retry(1) ?? profile.retry.intervalSeconds * 1000, signal)
      return await retried(await sendOnce(call, purpose, true), call, purpose)
    },
    retryWaitMs
  }
}

/** Whether an answer is worth another try. */
export function mayPass ({ response }: Answer): boolean {
  return response === undefined || isRetryable(response.statusCode)
}

/** The `Authorization` header that a definition's `authentication` makes (engine 8.1). */
function authorizationOf (authentication: Authentication, tokenFor: (authentication: Authentication) => string, what: string): string | undefined {
  switch (authentication.type) {
    case undefined:
    case 'None':
      return undefined
    case 'Basic':
      return `Basic ${Buffer.from(`${String(authentication.username)}:${String(authentication.password)}`).toString('base64')}`
    case 'Raw':
      return String(authentication.value)
    case 'ActiveDirectoryOAuth':
    case 'ManagedServiceIdentity':
      return `Bearer ${tokenFor(authentication)}`
    default:
      throw new UnsupportedDefinitionError(`${what}: authentication.type "${authentication.type}" is not played by this engine`)
  }
}
