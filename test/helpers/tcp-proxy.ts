import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'

export interface TcpProxy {
  port: number
  /** What is open stays open, and nothing comes through any more in either direction: a cable that was cut. */
  freeze (): void
  /** For new connections; those that were frozen stay so. */
  thaw (): void
}

/** Between a client and a server on this machine; gone with the test. */
export async function createTcpProxy (t: Test, target: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>()
  let frozen = false
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1')
    for (const [from, to] of [[near, far], [far, near]] as const) {
      sockets.add(from)
      from.on('error', () => { to.destroy() }).on('close', () => { sockets.delete(from); to.destroy() })
      if (!frozen) from.pipe(to)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  return {
    port: (server.address() as AddressInfo).port,
    freeze () {
      frozen = true
      for (const socket of sockets) socket.unpipe().pause()
    },
    thaw () { frozen = false }
  }
}
