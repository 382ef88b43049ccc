import type { IncomingHttpHeaders } from 'node:http'
import { Dispatcher } from 'undici'
import type { CallbackServer } from './callback-server.ts'

/**
 * The callback server as an undici dispatcher: what is sent through it gets there without a socket, whatever host it is
 * for, so that the cloud's own URL forms can be called on a virtual clock.
 */
export class CallbackDispatcher extends Dispatcher {
  readonly #server: CallbackServer

  constructor (server: CallbackServer) {
    super()
    this.#server = server
  }

  override dispatch (options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    // Never rejects: what goes wrong is told to the handler.
    this.#exchange(options, handler)
    return true
  }

  override close (): Promise<void>
  override close (callback: () => void): void
  override close (callback?: () => void): Promise<void> | undefined {
    callback?.()
    return callback === undefined ? Promise.resolve() : undefined
  }

  override destroy (): Promise<void>
  override destroy (error: Error | null | (() => void), callback?: () => void): void
  override destroy (error?: Error | null | (() => void), callback?: () => void): Promise<void> | undefined {
    const done = typeof error === 'function' ? error : callback
    done?.()
    return done === undefined ? Promise.resolve() : undefined
  }

  async #exchange ({ method, path, headers, body }: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): Promise<void> {
    const controller = new Controller()
    try {
      handler.onRequestStart?.(controller, {})
      const call = { method: String(method), target: path, headers: plainHeaders(headers), body: await readBody(body) }
      const answer = await Promise.race([this.#server.handle(call), controller.aborting])
      if (answer === 'reset') throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
      handler.onResponseStart?.(controller, answer.statusCode, answer.headers ?? {}, '')
      if (answer.body !== undefined) handler.onResponseData?.(controller, Buffer.from(answer.body))
      handler.onResponseEnd?.(controller, {})
    } catch (error) {
      handler.onResponseError?.(controller, error as Error)
    }
  }
}

class Controller implements Dispatcher.DispatchController {
  reason: Error | null = null
  readonly paused = false
  rawHeaders = null
  /** Rejects when the sender gives up. */
  readonly aborting: Promise<never>
  #reject!: (reason: Error) => void

  constructor () {
    this.aborting = new Promise((_resolve, reject) => { this.#reject = reject })
    // Nobody may be waiting any more.
    this.aborting.catch(() => {})
  }

  get aborted (): boolean { return this.reason !== null }
  abort (reason: Error): void {
    this.reason ??= reason
    this.#reject(this.reason)
  }

  pause (): void {}
  resume (): void {}
}

function plainHeaders (headers: Dispatcher.DispatchOptions['headers']): IncomingHttpHeaders {
  if (headers === undefined || headers === null) return {}
  if (Array.isArray(headers) && typeof headers[0] === 'string') {
    const flat = headers as string[]
    return Object.fromEntries(Array.from({ length: flat.length / 2 }, (_, index) => [flat[2 * index]!.toLowerCase(), flat[2 * index + 1]!]))
  }
  const entries = Symbol.iterator in headers ? [...headers as Iterable<[string, string]>] : Object.entries(headers)
  return Object.fromEntries(entries.map(([name, value]) => [name.toLowerCase(), value as string]))
}

async function readBody (body: Dispatcher.DispatchOptions['body']): Promise<Buffer> {
  if (body === undefined || body === null) return Buffer.alloc(0)
  if (typeof body === 'string' || body instanceof Uint8Array) return Buffer.from(body as string)
  const chunks: Buffer[] = []
  for await (const chunk of body as AsyncIterable<Buffer | string>) chunks.push(Buffer.from(chunk as string))
  return Buffer.concat(chunks)
}
