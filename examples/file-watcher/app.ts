import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { Type } from 'typebox'
// From the sources, so that it runs without a build. In your app: 'fastify-logic-apps', 'fastify-logic-apps/connector' and 'fastify-logic-apps/sqlite'.
import { connectorMetadata } from '../../src/connector/index.ts'
import logicApps from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { openFolder } from './folder.ts'

export interface FileWatcherOptions {
  /** The folder that is watched. */
  folder: string
  /** Where the key is kept that states are sealed with. */
  dataDir: string
  baseUrl: string
  /** How long a file must have been left alone before it is given, in seconds. @default 2 */
  settleSeconds?: number
  /** @default the system's */
  now?: () => number
  logger?: FastifyServerOptions['logger']
}

const Place = Type.Object({ time: Type.String({ pattern: '^\\d+$' }), name: Type.String() })
const File = Type.Object({
  name: Type.String({ title: 'File name' }),
  size: Type.Integer({ title: 'Size', description: 'In bytes.' }),
  changedAt: Type.String({ title: 'Changed at', format: 'date-time' }),
  content: Type.String({ title: 'Content', description: 'The text in the file.' })
})

/** The file watcher, not listening yet. */
export async function buildApp ({ folder: path, dataDir, baseUrl, settleSeconds = 2, now = Date.now, logger = false }: FileWatcherOptions): Promise<FastifyInstance> {
  const app = Fastify({ logger }).withTypeProvider<TypeBoxTypeProvider>()
  await app.register(logicApps, {
    baseUrl,
    store: sqliteStore({ file: `${dataDir}/file-watcher.db` }),
    connector: {
      info: {
        title: 'File watcher',
        description: 'Tells of files that are added to a folder or changed in it.',
        contact: { name: 'Contoso', url: 'https://contoso.com', email: 'hello@contoso.com' }
      },
      ...connectorMetadata({ website: 'https://contoso.com', privacyPolicy: 'https://contoso.com/privacy', categories: ['Content and Files'] })
    }
  })
  const folder = openFolder(path, { settleMs: settleSeconds * 1000, now })

  app.pollingTrigger('/files', {
    schema: { operationId: 'WatchFiles', summary: 'When a file is added or changed', description: 'Starts a workflow for each file, with its content.' },
    mode: 'single',
    retryAfterSeconds: 15,
    state: Place,
    item: File,
    start: () => folder.now(),
    async poll ({ state, signal }) {
      const { file, more } = await folder.next(state, signal)
      if (file === undefined) return { items: [], state }
      const { time, name, size, content } = file
      const changedAt = new Date(Number(BigInt(time) / 1_000_000n)).toISOString()
      return { items: [{ name, size, changedAt, content }], state: { time, name }, more }
    }
  })
  return app as unknown as FastifyInstance
}
