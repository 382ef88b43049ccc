import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import type { Test } from 'tap'
import type { TestApp } from './app.ts'

/** Options under which callbacks go to a receiver on this machine. */
export const localCallbacks = { allowedHosts: ['127.0.0.1'], allowHttp: true, networks: ['127.0.0.0/8'] }

export interface ReceivedCall {
  method: string
  /** Path and query, as they came. */
  target: string
  headers: IncomingHttpHeaders
  rawHeaders: string[]
  body: string
  /** Equal for calls on one connection. */
  socket: Socket
}

/** An answer by hand, or a status with perhaps headers and a body. */
export type Answer = number | { statusCode: number, headers?: Record<string, string>, body?: string }
type Answering = (call: ReceivedCall, response: ServerResponse) => Answer | undefined

export interface Receiver {
  origin: string
  port: number
  calls: ReceivedCall[]
  /** What is answered from now on; `undefined` from a function: it sees to it itself. */
  answer (answer: Answer | Answering): void
  /** Resolves to that call, the first is 0, when it has come. */
  call (index: number): Promise<ReceivedCall>
}

/** The caller's side: takes callbacks on a port of this machine, and remembers them. Answers 202 as the engine does (engine 2.17). */
export async function createReceiver (t: Test, first: Answer | Answering = 202): Promise<Receiver> {
  let current = first
  const calls: ReceivedCall[] = []
  const waiting: { index: number, resolve (call: ReceivedCall): void }[] = []

  async function take (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url: target = '', headers, rawHeaders, socket } = request
    const body = Buffer.concat(await request.toArray() as Buffer[]).toString()
    const call = { method, target, headers, rawHeaders, body, socket }
    const answer = typeof current === 'function' ? current(call, response) : current
    if (answer !== undefined) {
      const { statusCode, headers, body = '' } = typeof answer === 'number' ? { statusCode: answer, headers: {} } : answer
      response.writeHead(statusCode, headers).end(body)
    }
    calls.push(call)
    for (const { index, resolve } of waiting) if (index < calls.length) resolve(calls[index]!)
  }

  const server = createServer((request, response) => { take(request, response).catch(() => { response.destroy() }) })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    calls,
    answer (answer) { current = answer },
    call: async (index) => calls[index] ?? await new Promise((resolve) => { waiting.push({ index, resolve }) })
  }
}

/** Turns the event loop until it is so: sockets take as long as they take. A test's own timeout ends a wait in vain. */
export async function eventually (isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!await isSo()) await new Promise((resolve) => { setImmediate(resolve) })
}

/** Until every callback that is due has been sent and what came of it is recorded. */
export async function callbacksSettled ({ app, clock }: Pick<TestApp, 'app' | 'clock'>): Promise<void> {
  await clock.advance(0)
  await eventually(async () => (await app.logicApps.deliveries.list({ status: 'pending' })).every(({ dueAt }) => dueAt !== null && dueAt > clock.now()))
}
