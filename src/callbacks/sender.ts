import { createHmac } from 'node:crypto'
import type { Agent, Dispatcher } from 'undici'
import type { CallbackUrl } from '../protocol/callback-url.ts'
import { ForbiddenAddressError, type AddressGuard } from './address-guard.ts'
import { exchange, type Exchanged } from './exchange.ts'
import { disabledCode, retryAfterMsOf, type CallbackAnswer } from './outcome.ts'
import { LookupTurnError } from './shared-lookup.ts'

export interface CallbackRequest {
  url: CallbackUrl
  /** Equal for every attempt at one delivery: receivers recognise a repeat by it. */
  id: string
  /** JSON text. */
  body: string
  /** Epoch milliseconds. */
  now: number
}

/** Makes one HTTP attempt. */
export interface CallbackSender {
  /** Loads what sends, before the first attempt, whose time it would take. */
  prepare (): Promise<void>
  /** Never rejects: what goes wrong is an answer without a status. */
  send (request: CallbackRequest, signal: AbortSignal): Promise<CallbackAnswer>
  close (): Promise<void>
}

/** From the lookup of its name on, the wait for the lookup's turn included. */
const connectTimeoutMs = 10_000
const keptAnswerLength = 1000

/**
 * @param signingSecrets Standard Webhooks secrets (`whsec_` and base64, or any text); each signs.
 * @param dispatcher Sends in our stead, and stays its owner's to close.
 */
export function createCallbackSender (guard: AddressGuard, signingSecrets: string[], dispatcher?: Dispatcher): CallbackSender {
  let own: Promise<Agent> | undefined
  let ready = dispatcher

  async function load (): Promise<Dispatcher> {
    own ??= createAgent()
    ready = await own
    return ready
  }

  async function createAgent (): Promise<Agent> {
    // Where there are callbacks only: it takes half of the time that this package takes to load.
    const { Agent } = await import('undici')
    // The guard is asked when the socket connects, with the very address it connects to. No redirects: undici follows none.
    return new Agent({ connect: { lookup: guard.lookup, timeout: connectTimeoutMs }, connections: 64, pipelining: 1, keepAliveTimeout: 10_000 })
  }

  function post (agent: Dispatcher, { url, id, body, now }: CallbackRequest, signal: AbortSignal): Promise<Exchanged> {
    const timestamp = String(Math.floor(now / 1000))
    return exchange(agent, {
      origin: url.origin,
      // Byte for byte: the signature in the query covers it (rule 16).
      path: url.target,
      method: 'POST',
      headers: {
        'content-type': 'application/json; charset=utf-8',
        'user-agent': 'fastify-logic-apps',
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        ...(signingSecrets.length === 0 ? {} : { 'webhook-signature': signingSecrets.map((secret) => sign(secret, id, timestamp, body)).join(' ') })
      },
      body
    }, signal)
  }

  return {
    prepare: async () => { if (ready === undefined) await load() },

    async send (request, signal) {
      const { url, now } = request
      const started = performance.now()
      try {
        // A socket to an address asks no name server.
        if (!guard.isAllowedHost(url.hostname)) throw new ForbiddenAddressError('callbacks may not go to this address')
        const { statusCode, headers, beginning } = await post(ready ?? await load(), request, signal)
        return { statusCode, retryAfterMs: retryAfterMsOf(headers['retry-after'], now), text: withoutSecrets(beginning, url).slice(0, keptAnswerLength), durationMs: performance.now() - started }
      } catch (error) {
        const text = withoutSecrets(describe(error), url).slice(0, keptAnswerLength)
        return { statusCode: null, retryAfterMs: null, text, durationMs: performance.now() - started, ...(error instanceof LookupTurnError && { isUnsent: true }) }
      }
    },
    close: async () => { await (await own)?.destroy() }
  }
}

/** https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme */
function sign (secret: string, id: string, timestamp: string, body: string): string {
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : Buffer.from(secret)
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`
}

const minSecretLength = 8

/**
 * Many servers quote in their errors what they were asked for, and answers are logged and kept: not what gives access. As
 * good as can be: they quote in forms of their own, escaped and shortened.
 */
function withoutSecrets (text: string, { target }: CallbackUrl): string {
  if (text.length < minSecretLength) return text
  const [path = '', ...queries] = target.split('?')
  const query = queries.join('?')
  const values = query.split('&').map((pair) => pair.slice(pair.indexOf('=') + 1))
  const decoded = [path, ...values].map((value) => {
    try {
      return decodeURIComponent(value)
    } catch {
      return value
    }
  })
  const secrets = [target, path, query, ...values, ...decoded].filter(({ length }) => length >= minSecretLength)
  const rest = secrets.toSorted((a, b) => b.length - a.length).reduce((rest, secret) => rest.replaceAll(secret, '…'), text)
  return withoutPieces(rest, [path, ...values, ...decoded].flatMap((value) => value.split(/(?:%[0-9a-f]{2}|[^\w-])+/i)))
}

const inLowerCase = (text: string): string => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
/** What every URL of the engine has, and what is read in an answer. */
const publicWords = inLowerCase(`${disabledCode} workflows triggers versions`)

/** Takes out whatever the text has in common with one of the runs, if it is long enough: beginnings, ends and all. */
function withoutPieces (text: string, runs: string[]): string {
  const pieces = new Set<string>()
  for (const run of runs.map(inLowerCase)) {
    for (let start = 0; start + minSecretLength <= run.length; start++) pieces.add(run.slice(start, start + minSecretLength))
  }
  const searched = inLowerCase(text)
  let kept = ''
  let end = 0
  for (let start = 0; start + minSecretLength <= text.length; start++) {
    const piece = searched.slice(start, start + minSecretLength)
    if (!pieces.has(piece) || publicWords.includes(piece)) continue
    if (start > end || end === 0) kept += `${text.slice(end, start)}…`
    end = start + minSecretLength
  }
  return kept + text.slice(end)
}

function describe (error: unknown): string {
  const { code, message, name } = error as NodeJS.ErrnoException
  return name === 'AbortError' ? 'no answer in time' : [code, message].filter((part) => part !== undefined && part !== '').join(': ') || name
}
