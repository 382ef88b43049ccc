// A trigger that workflows poll. `node examples/polling-trigger.ts`, then ask once: 202, and where to ask next (Location). Let
// something happen, and ask there: 200 with what is new, and the next Location.
//   curl -i 'localhost:3000/triggers/readings?least=30'
//   curl -i localhost:3000/readings -H 'content-type: application/json' -d '{"sensor":"oven","celsius":31}'
//   curl -i '<the Location of the first answer>'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import { Type } from 'typebox'
import logicApps from '../src/index.ts' // in your app: 'fastify-logic-apps'

const app = Fastify({ logger: true }).withTypeProvider<TypeBoxTypeProvider>()
await app.register(logicApps)

const Reading = Type.Object({ sensor: Type.String(), celsius: Type.Number() })
const readings = app.logicApps.topic('readings', { event: Reading })

app.pollingTrigger('/triggers/readings', {
  schema: {
    operationId: 'PollReadings',
    summary: 'When a sensor gets hot',
    querystring: Type.Object({ least: Type.Number({ default: -273 }) })
  },
  topic: readings,
  matches: (reading, { least }) => reading.celsius >= least
})

// Publish from wherever something happens. Once it resolves, every poller gets it, each in its own time: a kill changes nothing.
app.post('/readings', { schema: { body: Reading } }, async ({ body }) => ({ eventId: await readings.publish(body) }))

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => { app.close() })
await app.listen({ port: Number(process.env.PORT ?? 3000) })
