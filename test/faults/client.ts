import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Task } from './server.ts'

/** One piece of work as its client knows it. */
export interface Order {
  task: Task
  headers: Record<string, string>
  /** Path of the `Location` of its 202. */
  path?: string
  id?: string
  /** The first end that was seen. */
  end?: Answer
  /** Whether a cancel was asked for, and what was answered. */
  cancel?: 'asked' | 'canceled' | 'refused'
}

export interface Answer { status: number, text: string }

export interface ClientCounts {
  accepted: number
  /** Starts that repeated an accepted one and were answered with its Location. */
  repeatedStarts: number
  polls: number
  /** Polls that could not say more than "wait": the store was away. */
  waits: number
  unanswered: number
  serverErrors: number
}

/** Calls servers as the engine does: retries what got no answer or a 5xx, and expects all that was promised. */
export interface Client {
  readonly counts: ClientCounts
  /** What should never have happened. */
  readonly violations: string[]
  violation (text: string): void
  /** Starts the work, with the same key until it is accepted; `again` starts it once more. */
  submit (order: Order, again?: boolean): Promise<void>
  /** One poll. Resolves to whether the order has ended. */
  poll (order: Order): Promise<boolean>
  cancel (order: Order): Promise<void>
  /** Reads the status document and compares it with the end that the polls told of. */
  checkOperation (order: Order): Promise<void>
}

const maxViolations = 30
const requestLimitMs = 15_000
/** Doubled up to the greatest. Far shorter than the engine's, to make more of the time. */
const retryDelayMs = 30
const maxRetryDelayMs = 250

export function newOrder (task: Task, keyHeader = 'idempotency-key'): Order {
  return { task, headers: { 'content-type': 'application/json', [keyHeader]: randomUUID() } }
}

/**
 * @param origin Where to send a request: asked for each, so that it can be another server.
 * @param signal Ends all calls; else a call is tried until it is answered.
 * @param storeMayBeAway Whether servers that live may lose their store: any poll may then be told to wait, and nothing else but a 503 with `Retry-After` may go wrong.
 */
export function createClient (origin: () => string, signal?: AbortSignal, storeMayBeAway = false): Client {
  const violations: string[] = []
  const counts: ClientCounts = { accepted: 0, repeatedStarts: 0, polls: 0, waits: 0, unanswered: 0, serverErrors: 0 }

  function violation (text: string): void {
    if (violations.length < maxViolations) violations.push(text)
  }

  async function request (path: string, init: RequestInit): Promise<Answer & { headers: Headers }> {
    for (let retryMs = retryDelayMs; ; retryMs = Math.min(2 * retryMs, maxRetryDelayMs)) {
      signal?.throwIfAborted()
      try {
        const response = await fetch(origin() + path, { ...init, redirect: 'manual', signal: AbortSignal.timeout(requestLimitMs) })
        const text = await response.text()
        if (response.status < 500) return { status: response.status, text, headers: response.headers }
        counts.serverErrors++
        const { status, headers } = response
        if (storeMayBeAway && (status !== 503 || !/^[1-9]\d*$/.test(headers.get('retry-after') ?? ''))) violation(`${init.method} ${path} was answered ${status}, Retry-After ${headers.get('retry-after')}: ${text}`)
      } catch (error) {
        counts.unanswered++
        // The servers live, so they answer.
        if (storeMayBeAway && signal?.aborted !== true) violation(`${init.method} ${path} was not answered: ${String(error)}`)
      }
      await delay(retryMs * (0.5 + Math.random()))
    }
  }

  return {
    counts,
    violations,
    violation,

    async submit (order, again = false) {
      const { status, headers, text } = await request('/work', { method: 'POST', headers: order.headers, body: JSON.stringify(order.task) })
      const location = headers.get('location')
      if (status !== 202 || location === null) {
        violation(`a start was answered ${status}: ${text}`)
        return
      }
      const path = new URL(location).pathname
      if (again) counts.repeatedStarts++
      else counts.accepted++
      if (again && order.path !== path) violation(`a repeated start of ${order.path} was answered with ${path}`)
      order.path = path
      order.id = (JSON.parse(text) as { id: string }).id
    },

    async poll (order) {
      const { status, text, headers } = await request(order.path!, { method: 'GET' })
      counts.polls++
      if (status === 202) {
        const isWait = JSON.stringify(JSON.parse(text)) === JSON.stringify({ id: order.id, status: 'Running' })
        if (isWait) counts.waits++
        if (order.end !== undefined && !(storeMayBeAway && isWait)) violation(`${order.path} had ended (${order.end.status}) and was then answered 202: ${text}`)
        if (headers.get('location') !== `https://work.example${order.path}` || headers.get('retry-after') !== '1') violation(`a 202 of ${order.path} lacks a header`)
        return false
      }
      if (order.end === undefined) {
        order.end = { status, text }
        const fault = faultOf(order)
        if (fault !== undefined) violation(`${order.path} (${order.task.kind}, ${order.task.value}) ended with ${status} ${text}: ${fault}`)
      } else if (order.end.status !== status || order.end.text !== text) {
        violation(`the end of ${order.path} changed from ${order.end.status} ${order.end.text} to ${status} ${text}`)
      }
      return true
    },

    async cancel (order) {
      order.cancel = 'asked'
      const { status, text } = await request(order.path!, { method: 'DELETE' })
      if (status === 204) order.cancel = 'canceled'
      else if (status === 409) order.cancel = 'refused'
      else violation(`a cancel of ${order.path} was answered ${status}: ${text}`)
    },

    async checkOperation (order) {
      const { status, text } = await request(order.path!.replace('/jobs/', '/operations/'), { method: 'GET' })
      const document = (status === 200 ? JSON.parse(text) : {}) as { status?: string, result?: object, error?: object }
      const end = order.end!.status === 200 ? document.result : { error: document.error }
      if (JSON.stringify(end) !== order.end!.text) violation(`${order.path} ended with ${order.end!.text}, its status document is ${status} ${text}`)
    }
  }
}

/** What is wrong with the end of an order, if anything. */
function faultOf ({ task, end, cancel }: Order): string | undefined {
  const { status, text } = end!
  const body = JSON.parse(text) as { value?: string, attempt?: number, error?: { code: string, message: string } }
  if (body.error?.code === 'JobCanceled') return status === 422 && (cancel === 'asked' || cancel === 'canceled') ? undefined : 'nobody canceled it'
  if (cancel === 'canceled') return 'it was canceled before'
  if (task.kind === 'fails') return status === 422 && body.error?.code === 'Asked' && body.error.message === task.value ? undefined : 'another failure was asked for'
  const leastAttempt = task.kind === 'succeeds' ? 1 : 2
  return status === 200 && body.value === task.value && body.attempt! >= leastAttempt ? undefined : 'another result was asked for'
}
