import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import logicApps, { JobError, type FastifyLogicAppsOptions } from '../../src/index.ts' // in your app: 'fastify-logic-apps'

/** The app under test. Store, clock and callbacks come from outside, so that a test can bring its own. */
export async function buildApp (options: FastifyLogicAppsOptions): Promise<FastifyInstance> {
  const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
  await app.register(logicApps, options)
  const body = Type.Object({ month: Type.String({ pattern: '^\\d{4}-\\d{2}$' }) })
  const result = Type.Object({ month: Type.String(), total: Type.Number() })

  app.asyncAction('/reports', { schema: { operationId: 'MakeReport', body }, result }, async (job) => {
    await job.sleep(20 * 60_000)
    if (job.input.month > '2026-12') throw new JobError('NoFigures', 'There are no figures for that month yet.')
    return { month: job.input.month, total: 42 }
  })

  app.webhookAction('/reports/calls', { schema: { operationId: 'MakeReportAndCall', body }, result }, async (job) => {
    await job.sleep(20 * 60_000)
    return { month: job.input.month, total: 42 }
  })

  const sales = app.logicApps.topic('sales', { event: Type.Object({ amount: Type.Number() }) })
  app.webhookTrigger('/hooks/sales', { schema: { operationId: 'OnSale' }, topic: sales })
  app.post('/sales', { schema: { body: Type.Object({ amount: Type.Number() }) } }, async (request, reply) => {
    await sales.publish(request.body)
    return await reply.code(201).send()
  })
  return app as unknown as FastifyInstance
}
