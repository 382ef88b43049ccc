import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * A port below the range that the kernel gives to outgoing connections: a client that calls a killed server there can
 * neither take its port nor, as TCP allows, connect to itself.
 */
export async function findPort (): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    const probe = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      probe.once('error', () => { resolve(false) })
      probe.listen(port, '127.0.0.1', () => { resolve(true) })
    })
    if (!isFree) continue
    probe.close()
    await once(probe, 'close')
    return port
  }
}
