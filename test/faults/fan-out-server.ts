/*
 * The server of the fan-out test. Told 'measure', it begins to watch its event loop and its memory; told 'report', it says
 * what it saw.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { createFolderApp, serveWhenTold } from './serve.ts'

export interface Measured { p50Ms: number, p99Ms: number, maxMs: number, rssBeforeMb: number, rssMaxMb: number }

const rssEveryMs = 50

if (process.argv[1] === import.meta.filename) serveWhenTold(createServer)

async function createServer (folder: string): Promise<FastifyInstance> {
  const app = await createFolderApp(folder, {
    callbacks: { allowedHosts: ['*'], allowHttp: true, networks: ['127.0.0.0/8'], delaySeconds: 0 }
  })
  const topic = app.logicApps.topic('events', { event: Type.Object({ value: Type.String() }) })
  app.webhookTrigger('/hooks', { schema: { operationId: 'OnEvent' }, topic })
  app.post('/events', { schema: { body: Type.Object({ value: Type.String() }) } }, async (request, reply) =>
    reply.code(201).send({ eventId: await topic.publish(request.body) }))

  const delays = monitorEventLoopDelay({ resolution: 1 })
  let [rssBefore, rssMax] = [0, 0]
  process.on('message', (message) => {
    if (message === 'measure') {
      rssBefore = rssMax = process.memoryUsage.rss()
      setInterval(() => { rssMax = Math.max(rssMax, process.memoryUsage.rss()) }, rssEveryMs).unref()
      delays.reset()
      delays.enable()
      process.send!('measuring')
    } else if (message === 'report') {
      delays.disable()
      const toMb = (bytes: number): number => Math.round(bytes / 2 ** 20)
      const toMs = (nanoseconds: number): number => Math.round(nanoseconds / 1e5) / 10
      const measured: Measured = {
        p50Ms: toMs(delays.percentile(50)),
        p99Ms: toMs(delays.percentile(99)),
        maxMs: toMs(delays.max),
        rssBeforeMb: toMb(rssBefore),
        rssMaxMb: toMb(rssMax)
      }
      process.send!(measured)
    }
  })
  return app
}
