import { flushCompileCache } from 'node:module'
import { join } from 'node:path'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import { fastifyLogicApps, type FastifyLogicAppsOptions } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'

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

/** An app on the store of a folder. */
export async function createFolderApp (folder: string, options: FastifyLogicAppsOptions) {
  const app = Fastify({ logger: { level: 'error', stream: process.stderr } }).withTypeProvider<TypeBoxTypeProvider>()
  await app.register(fastifyLogicApps, {
    store: sqliteStore({ file: join(folder, 'work.db') }),
    // The same wherever it listens: clients know where the servers are.
    baseUrl: 'https://work.example',
    ...options
  })
  return app
}
