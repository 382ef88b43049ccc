/*
 * The server that the callbacks campaign kills: one webhook action, one webhook trigger, and a route that publishes.
 */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { createFolderApp, serveWhenTold } from './serve.ts'

const Event = Type.Object({ value: Type.String(), group: Type.String() })
const Outcome = Type.Object({ value: Type.String() })

if (process.argv[1] === import.meta.filename) serveWhenTold(createServer)

async function createServer (folder: string): Promise<FastifyInstance> {
  const app = await createFolderApp(folder, {
    drainSeconds: 1,
    // A campaign kills the same job more often than life does.
    maxCrashes: 1000,
    callbacks: {
      allowedHosts: ['127.0.0.1'],
      allowHttp: true,
      networks: ['127.0.0.0/8'],
      delaySeconds: 0.05,
      // More often than any receiver of the campaign fails, and sooner than the next kill.
      scheduleSeconds: [0, ...new Array<number>(100).fill(0.1)]
    }
  })

  app.webhookAction('/calls', {
    schema: { operationId: 'Call', body: Type.Object({ value: Type.String(), ms: Type.Number() }) },
    result: Outcome
  }, async (job) => {
    await job.sleep(job.input.ms)
    return { value: job.input.value }
  })

  const topic = app.logicApps.topic('events', { event: Event })
  app.webhookTrigger('/hooks', {
    schema: { operationId: 'OnEvent', body: Type.Object({ group: Type.String() }) },
    topic,
    matches: (event, { group }) => group === event.group
  })
  app.post('/events', { schema: { body: Event } }, async (request, reply) => reply.code(201).send({ eventId: await topic.publish(request.body) }))
  return app
}
