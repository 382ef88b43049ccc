/** A replica that takes a job and never ends it, to be killed. Arguments: database, schema, secret. */
import Fastify, { type FastifyInstance } from 'fastify'
import { fastifyLogicApps } from '../../src/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'

const [connectionString, schema, secret] = process.argv.slice(2) as [string, string, string]
const app: FastifyInstance = Fastify()
await app.register(fastifyLogicApps, { store: postgresStore({ connectionString, schema }), secret, baseUrl: 'https://api.example' })
app.asyncAction('/cakes', { schema: { operationId: 'Bake', summary: 'Bake', description: 'Bakes.' } }, async () => {
  process.send!('running')
  await new Promise(() => {})
})
await app.ready()
await app.inject({ method: 'POST', url: '/cakes', payload: {} })
// Orphaned: the test is over.
process.on('disconnect', () => process.exit())
