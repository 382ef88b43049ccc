import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** One callback as it arrived. Times are of performance.now(). */
export interface Receipt {
  /** The path, which names whom it is for. */
  target: string
  webhookId: string
  /** `value` of the body. */
  value: string
  at: number
  /** `taken`: answered 200. `refused`: answered 503. `cut`: the connection ended without an answer. */
  answer: 'none' | 'taken' | 'refused' | 'cut'
  answeredAt: number
}

/** Where callbacks go: some ports, each of which now and then is slow, refuses, or breaks off. */
export interface Receiver {
  readonly receipts: Receipt[]
  /** A URL of one of the ports. */
  urlOf (target: string): string
  /** Told of each callback when it has arrived, and again when it is answered. */
  onNews: (receipt: Receipt) => void
  /** From here on everything is taken at once. */
  behave (): void
  close (): Promise<void>
}

/** No more than so many failures in a row, or the circuit breaker would hold up the campaign. */
const maxFailuresInRow = 3

export async function createReceiver (ports: number, random: () => number): Promise<Receiver> {
  const receipts: Receipt[] = []
  let behaves = false
  let next = 0

  function answer (receipt: Receipt, response: ServerResponse, host: { failures: number }): void {
    const chance = behaves || host.failures >= maxFailuresInRow ? 1 : random()
    const settle = (result: Receipt['answer']): void => {
      if (receipt.answer !== 'none') return
      receipt.answer = result
      receipt.answeredAt = performance.now()
      receiver.onNews(receipt)
    }
    host.failures = chance < 0.1 ? host.failures + 1 : 0
    response.once('close', () => { settle('cut') })
    response.once('finish', () => { settle(chance < 0.1 ? 'refused' : 'taken') })
    if (chance < 0.05) response.destroy()
    else if (chance < 0.1) response.writeHead(503).end()
    else if (chance < 0.2) setTimeout(() => { response.end() }, random() * 150)
    else response.end()
  }

  async function read (request: IncomingMessage): Promise<string> {
    let text = ''
    for await (const chunk of request.setEncoding('utf8')) text += chunk
    return text
  }

  async function listen (): Promise<Server> {
    const host = { failures: 0 }
    const server = createServer((request, response) => {
      const at = performance.now()
      read(request).then((text) => {
        const { value } = JSON.parse(text) as { value: string }
        const receipt: Receipt = { target: request.url!, webhookId: String(request.headers['webhook-id']), value, at, answer: 'none', answeredAt: Infinity }
        receipts.push(receipt)
        receiver.onNews(receipt)
        answer(receipt, response, host)
        // Killed while it sent: nothing had arrived.
      }).catch(() => { response.destroy() })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return server
  }

  const servers = await Promise.all(Array.from({ length: ports }, listen))
  const receiver: Receiver = {
    receipts,
    onNews: () => {},
    urlOf: (target) => `http://127.0.0.1:${(servers[next++ % ports]!.address() as AddressInfo).port}${target}`,
    behave () { behaves = true },
    async close () {
      for (const server of servers) server.closeAllConnections()
      await Promise.all(servers.map(async (server) => { await once(server.close(), 'close') }))
    }
  }
  return receiver
}
