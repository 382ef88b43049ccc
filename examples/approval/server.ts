import { join } from 'node:path'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import { Type } from 'typebox'
import logicApps from '../../src/index.ts' // in your app: 'fastify-logic-apps'
import { sqliteStore } from '../../src/stores/sqlite/index.ts' // and 'fastify-logic-apps/sqlite'
import { decide } from './decide.ts'
import { openLinks } from './links.ts'

const { PORT = '3000', DATA_DIR = './data', LOG_LEVEL = 'warn', ALLOW_LOCAL_CALLBACKS } = process.env
const { BASE_URL = `http://127.0.0.1:${PORT}` } = process.env

const app = Fastify({ logger: { level: LOG_LEVEL } }).withTypeProvider<TypeBoxTypeProvider>()
const links = openLinks(join(DATA_DIR, 'links.db'))
app.addHook('onClose', async () => { links.close() })

const local = { allowedHosts: ['127.0.0.1'], networks: ['127.0.0.0/8'], allowHttp: true }
await app.register(logicApps, {
  baseUrl: BASE_URL,
  store: sqliteStore({ file: join(DATA_DIR, 'logic-apps.db') }),
  callbacks: ALLOW_LOCAL_CALLBACKS === '1' ? local : {}
})

app.webhookAction('/approvals', {
  schema: {
    operationId: 'AskForApproval',
    summary: 'Ask for approval',
    description: 'Asks a person, and calls back when they have decided. A rejection calls back with an error of code Rejected.',
    body: Type.Object({
      title: Type.String({ title: 'Title', description: 'What is to be approved, in a few words.', minLength: 1, maxLength: 200 }),
      details: Type.String({ title: 'Details', maxLength: 2000, default: '' })
    })
  },
  result: Type.Object({ approved: Type.Boolean(), comment: Type.String() }),
  deferTimeoutSeconds: 14 * 86_400
}, (job) => {
  const { title, details } = job.input
  // A handler that a crash interrupted runs again: the person then gets a second link, and the first is void.
  const token = links.issue({ jobId: job.id, title, details })
  send(`${BASE_URL}/decisions/${token}`, title)
  // No process waits from here on: the job does, on disk, until somebody decides or two weeks have passed.
  return job.defer()
})

await app.register(decide, { links })

/** Your mail or chat goes here. */
function send (link: string, title: string): void {
  console.log(`To the approver: "${title}" waits for you at ${link}`)
}

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => { app.close() })
await app.listen({ port: Number(PORT) })
