import Fastify from 'fastify'
import byDefault, { fastifyLogicApps } from 'fastify-logic-apps'
import { sqliteStore } from 'fastify-logic-apps/sqlite'
import * as testing from 'fastify-logic-apps/testing'

const app = Fastify()
await app.register(byDefault === fastifyLogicApps ? fastifyLogicApps : byDefault, { store: sqliteStore({ file: ':memory:' }) })

app.asyncAction('/double', {
  schema: {
    operationId: 'Double',
    summary: 'Double',
    body: { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] }
  },
  result: { type: 'object', properties: { doubled: { type: 'number' } }, required: ['doubled'] }
}, async (job) => ({ doubled: (job.input as { n: number }).n * 2 }))

console.log(Object.keys(testing))
