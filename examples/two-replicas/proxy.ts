import { once } from 'node:events'
import { createServer, request as send, type IncomingMessage, type ServerResponse } from 'node:http'

export interface Proxy {
  /** Whom it passes requests to, in turn: names and ports. */
  replicas: Map<string, number>
  close (): void
}

/** A load balancer, as Azure's or your ingress is one: passes each request to the next replica, and says in `x-replica` which that was. */
export async function openProxy (port: number): Promise<Proxy> {
  const replicas = new Map<string, number>()
  let turn = 0

  async function pass (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    // Whole, so that it can be sent to another replica.
    const body = Buffer.concat(await incoming.toArray() as Buffer[])
    for (let tries = 0; tries < replicas.size; tries++) {
      const [name, target] = [...replicas][turn++ % replicas.size]!
      try {
        const answer = await ask(target, incoming, body)
        outgoing.writeHead(answer.statusCode!, { ...answer.headers, 'x-replica': name })
        answer.pipe(outgoing)
        return
      } catch (error) {
        // Nobody listens: nothing was done there. Any other error leaves that open, and is the caller's to repeat.
        if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') break
      }
    }
    outgoing.writeHead(502).end()
  }

  const server = createServer((incoming, outgoing) => { pass(incoming, outgoing).catch(() => { outgoing.destroy() }) })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    replicas,
    close () {
      server.closeAllConnections()
      server.close()
    }
  }
}

/** On a connection of its own: one that is kept could be that of a replica which was killed. */
async function ask (port: number, { method, url, headers }: IncomingMessage, body: Buffer): Promise<IncomingMessage> {
  const outgoing = send({ host: '127.0.0.1', port, agent: false, method, path: url, headers: { ...headers, connection: 'close' } }).end(body)
  const [answer] = await once(outgoing, 'response') as [IncomingMessage]
  return answer
}
