// An action that calls back when it is done, which may be days later. `ALLOW_LOCAL_CALLBACKS=1 node examples/webhook-action.ts`,
// then start something that takes the callback (`nc -l 127.0.0.1 4000` shows it), and:
//   curl -i localhost:3000/prints -H 'content-type: application/json' -d '{"file":"cake.stl","callbackUrl":"http://127.0.0.1:4000/"}'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import { Type } from 'typebox'
import logicApps from '../src/index.ts' // in your app: 'fastify-logic-apps'

const app = Fastify({ logger: true }).withTypeProvider<TypeBoxTypeProvider>()

// Callbacks go to Logic Apps and Power Automate only, by https. At your desk they may go to http://127.0.0.1.
const local = { allowedHosts: ['127.0.0.1'], networks: ['127.0.0.0/8'], allowHttp: true }
await app.register(logicApps, process.env.ALLOW_LOCAL_CALLBACKS === '1' ? { callbacks: local } : {})

app.webhookAction('/prints', {
  schema: {
    operationId: 'PrintFile',
    summary: 'Print a file and call back',
    // callbackUrl is added to it, and taken out before the handler sees it.
    body: Type.Object({ file: Type.String({ description: 'Such as cake.stl' }) })
  },
  result: Type.Object({ file: Type.String(), layers: Type.Integer() })
}, async (job) => {
  await job.sleep(2000) // your work: hand it job.signal, which aborts when the workflow unsubscribes
  // Returned, it is on disk, and so is the debt to POST it: a receiver that is down is tried again for a day.
  return { file: job.input.file, layers: 120 }
})

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => { app.close() })
await app.listen({ port: Number(process.env.PORT ?? 3000) })
