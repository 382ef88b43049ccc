// An action that may take longer than the 120 s Azure Logic Apps waits for an answer. `node examples/async-action.ts`, then:
//   curl -i localhost:3000/reports -H 'content-type: application/json' -d '{"month":"2026-10"}'
// and curl the Location it names until that answers 200.
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import { Type } from 'typebox'
import logicApps from '../src/index.ts' // in your app: 'fastify-logic-apps'

const app = Fastify({ logger: true }).withTypeProvider<TypeBoxTypeProvider>()

// Work is kept in ./data/logic-apps.db: kill this process at any time, and the next one goes on with it.
await app.register(logicApps)

app.asyncAction('/reports', {
  schema: {
    operationId: 'CreateReport',
    summary: 'Create a report',
    body: Type.Object({ month: Type.String({ description: 'Such as 2026-10' }) })
  },
  result: Type.Object({ month: Type.String(), pages: Type.Integer() })
}, async (job) => {
  await job.progress(10, 'Adding up')
  await job.sleep(5000) // your work, which may take hours: hand it job.signal, so that it can be stopped
  return { month: job.input.month, pages: 12 }
})

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => { app.close() })
await app.listen({ port: Number(process.env.PORT ?? 3000) })
