import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { CallbackServer } from './callback-server.ts'

export interface CallbackListener {
  origin: string
  close (): Promise<void>
}

/** The callback server on a socket. */
export async function listenForCallbacks (server: CallbackServer, { host = '127.0.0.1', port = 0 }: { host?: string, port?: number } = {}): Promise<CallbackListener> {
  async function take (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url: target = '', headers } = request
    const answer = await server.handle({ method, target, headers, body: Buffer.concat(await request.toArray() as Buffer[]) })
    if (answer === 'reset') request.socket.destroy()
    else response.writeHead(answer.statusCode, answer.headers).end(answer.body)
  }

  const http = createServer((request, response) => {
    // A caller that broke off gets no answer; nobody else can be told.
    take(request, response).catch(() => { response.destroy() })
  })
  http.listen(port, host)
  await once(http, 'listening')
  const { port: actual } = http.address() as AddressInfo
  return {
    origin: `http://${host.includes(':') ? `[${host}]` : host}:${actual}`,
    async close () {
      const closed = once(http, 'close')
      http.close()
      http.closeAllConnections()
      await closed
    }
  }
}
