import { flushCompileCache } from 'node:module'
import type { FastifyInstance } from 'fastify'

/**
 * For a script that is a server of the fault tests, `node <file> <folder> <port>` with an IPC channel. It loads, says
 * 'loaded', makes the app and listens when told 'start', and says 'ready'. So a killed server can have its successor
 * at hand, and a kill shortly after 'start' hits the opening of the store, not the loading of modules.
 *
 * @param create Makes the app on a folder.
 */
export function serveWhenTold (create: (folder: string) => Promise<FastifyInstance>): void {
  const [folder, port] = process.argv.slice(2) as [string, string]
  process.on('disconnect', () => { process.exit(1) })
  process.once('message', async () => {
    const app = await create(folder)
    process.once('SIGTERM', () => { app.close() })
    await app.listen({ port: Number(port), host: '127.0.0.1' })
    process.send!('ready')
    // From here on the process lives as long as the app does, or whoever listens on the channel.
    if (process.listenerCount('message') === 0) process.channel!.unref()
  })
  // A process that is killed would not write it.
  flushCompileCache()
  process.send!('loaded')
}
