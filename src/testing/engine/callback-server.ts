import type { IncomingHttpHeaders } from 'node:http'
import type { Exchange } from './caller.ts'
import { createGuid } from './identity.ts'
import { splitUrl } from './wire.ts'
import type { World } from './world.ts'

export interface CallbackCall {
  method: string
  /** Path and query, as they came. */
  target: string
  headers: IncomingHttpHeaders
  body: Buffer
}

export interface CallbackAnswer {
  statusCode: number
  headers?: Record<string, string>
  body?: string
}

/** What a callback meets in place of an answer, in the order given: a status, a broken connection, or a delay. */
export type CallbackFault = number | 'reset' | { statusCode: number, retryAfterSeconds?: number } | { delaySeconds: number }

export interface ReceivedCallback extends CallbackCall {
  /** Epoch milliseconds. */
  at: number
  /** Of which endpoint; `undefined` for a URL that is none. */
  name: string | undefined
  /** `undefined` when the connection was broken. */
  statusCode: number | undefined
  /** Whether it was taken: an output of the action, or a run of the trigger. */
  taken: boolean
}

/** A callback URL that was handed out. */
export interface Endpoint {
  name: string
  url: string
  /** What happens to a callback; resolves to its answer. Asked only for calls that are right in every byte. */
  take: (call: CallbackCall) => CallbackAnswer
}

/** The engine's end of callbacks, however they get here. */
export interface CallbackServer {
  open (endpoint: Endpoint): void
  /** Faults for the next callbacks, to any endpoint or to those of one name. */
  script (faults: CallbackFault[], name?: string): void
  /** Scripted faults that no callback has met yet. */
  readonly scripted: number
  readonly received: readonly ReceivedCallback[]
  /** Resolves when a callback comes that is so; at once for one that came before. */
  when (isSo: (callback: ReceivedCallback) => boolean): Promise<ReceivedCallback>
  /** `reset`: the connection is broken. */
  handle (call: CallbackCall): Promise<CallbackAnswer | 'reset'>
}

export interface CallbackServerParts {
  world: Pick<World, 'clock' | 'random' | 'after'>
  region: string
  onTraffic: (one: Exchange | ReceivedCallback) => void
}

export const errorAnswer = (statusCode: number, code: string, message: string): CallbackAnswer =>
  ({ statusCode, headers: { 'content-type': 'application/json; charset=utf-8' }, body: JSON.stringify({ error: { code, message } }) })

export function createCallbackServer ({ world: { clock, random, after }, region, onTraffic }: CallbackServerParts): CallbackServer {
  const endpoints = new Map<string, Endpoint>()
  const faults: { fault: CallbackFault, name: string | undefined }[] = []
  const received: ReceivedCallback[] = []
  const watchers = new Set<(callback: ReceivedCallback) => void>()

  function takeFault (name: string): CallbackFault | undefined {
    const index = faults.findIndex((one) => one.name === undefined || one.name === name)
    return index === -1 ? undefined : faults.splice(index, 1)[0]!.fault
  }

  /** What is wrong with a call, before anybody looks at what it says (engine 2.16, 2.18). */
  function refusal ({ method, target, headers }: CallbackCall): CallbackAnswer | Endpoint {
    const endpoint = endpoints.get(target)
    if (endpoint === undefined) {
      const path = target.split('?')[0]
      // Not a byte of the query may differ: the signature covers it (rule 16).
      return [...endpoints.keys()].some((known) => known.split('?')[0] === path)
        ? errorAnswer(401, 'DirectApiAuthorizationRequired', 'The request must be authenticated by the signature in its query, which is not the one that was handed out.')
        : errorAnswer(404, 'WorkflowNotFound', 'The workflow could not be found.')
    }
    if (method !== 'POST') return errorAnswer(404, 'WorkflowTriggerNotFound', `A callback is a POST, not a ${method}.`)
    if (headers.authorization !== undefined) return errorAnswer(401, 'DirectApiInvalidAuthorizationScheme', 'The request has a signature and an Authorization header. Send the signature alone.')
    return endpoint
  }

  async function answer (call: CallbackCall): Promise<{ answer: CallbackAnswer | 'reset', name: string | undefined, taken: boolean }> {
    const found = refusal(call)
    if (!('take' in found)) return { answer: found, name: nameOf(call.target), taken: false }
    const { name } = found
    for (let fault = takeFault(name); fault !== undefined; fault = takeFault(name)) {
      if (fault === 'reset') return { answer: fault, name, taken: false }
      if (typeof fault === 'object' && 'delaySeconds' in fault) {
        const { delaySeconds } = fault
        await new Promise<void>((resolve) => { after(delaySeconds * 1000, resolve) })
        continue
      }
      return { answer: faultAnswer(fault), name, taken: false }
    }
    const taken = found.take(call)
    return { answer: withEngineHeaders(taken), name, taken: taken.statusCode < 300 }
  }

  function nameOf (target: string): string | undefined {
    const path = target.split('?')[0]
    return [...endpoints].find(([known]) => known.split('?')[0] === path)?.[1].name
  }

  /** Engine 2.17. */
  function withEngineHeaders (given: CallbackAnswer): CallbackAnswer {
    return { ...given, headers: { 'x-ms-request-id': `${region}:${createGuid(random)}`, 'x-ms-correlation-id': createGuid(random), ...given.headers } }
  }

  return {
    open (endpoint) { endpoints.set(splitUrl(endpoint.url)!.target, endpoint) },
    script (more, name) { faults.push(...more.map((fault) => ({ fault, name }))) },
    get scripted () { return faults.length },
    received,
    when: (isSo) => new Promise((resolve) => {
      const found = received.find(isSo)
      if (found !== undefined) return resolve(found)
      const watch = (callback: ReceivedCallback): void => {
        if (!isSo(callback)) return
        watchers.delete(watch)
        resolve(callback)
      }
      watchers.add(watch)
    }),
    async handle (call) {
      const at = clock.now()
      const { answer: given, name, taken } = await answer(call)
      const callback = { ...call, at, name, taken, statusCode: given === 'reset' ? undefined : given.statusCode }
      received.push(callback)
      onTraffic(callback)
      for (const watch of watchers) watch(callback)
      return given
    }
  }
}

function faultAnswer (fault: number | { statusCode: number, retryAfterSeconds?: number }): CallbackAnswer {
  const { statusCode, retryAfterSeconds } = typeof fault === 'number' ? { statusCode: fault, retryAfterSeconds: undefined } : fault
  const answer = errorAnswer(statusCode, statusCode === 429 ? 'WorkflowTriggerQuotaExceeded' : 'ScriptedFault', 'As the test asked for.')
  return retryAfterSeconds === undefined ? answer : { ...answer, headers: { ...answer.headers, 'retry-after': String(retryAfterSeconds) } }
}
