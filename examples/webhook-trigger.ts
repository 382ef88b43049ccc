// A trigger that workflows subscribe to. `ALLOW_LOCAL_CALLBACKS=1 node examples/webhook-trigger.ts`, then start something that
// takes the callbacks (`nc -lk 127.0.0.1 4000` shows the first), subscribe it, and let something happen:
//   curl -i localhost:3000/hooks/alarms -H 'content-type: application/json' -d '{"level":"high","callbackUrl":"http://127.0.0.1:4000/"}'
//   curl -i localhost:3000/alarms -H 'content-type: application/json' -d '{"level":"high","text":"Smoke"}'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import { Type } from 'typebox'
import logicApps from '../src/index.ts' // in your app: 'fastify-logic-apps'

const app = Fastify({ logger: true }).withTypeProvider<TypeBoxTypeProvider>()

// Callbacks go to Logic Apps and Power Automate only, by https. At your desk they may go to http://127.0.0.1.
const local = { allowedHosts: ['127.0.0.1'], networks: ['127.0.0.0/8'], allowHttp: true }
await app.register(logicApps, process.env.ALLOW_LOCAL_CALLBACKS === '1' ? { callbacks: local } : {})

const Level = Type.Enum(['low', 'high'])
const Alarm = Type.Object({ level: Level, text: Type.String() })
const alarms = app.logicApps.topic('alarms', { event: Alarm })

app.webhookTrigger('/hooks/alarms', {
  schema: {
    operationId: 'OnAlarm',
    summary: 'When an alarm goes off',
    body: Type.Object({ level: Type.Optional(Level) }) // callbackUrl is added to it
  },
  topic: alarms,
  matches: (alarm, { level }) => level === undefined || level === alarm.level
})

// Publish from wherever something happens. Once it resolves, every subscriber is told: a kill changes nothing.
app.post('/alarms', { schema: { body: Alarm } }, async ({ body }) => ({ eventId: await alarms.publish(body) }))

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => { app.close() })
await app.listen({ port: Number(process.env.PORT ?? 3000) })
