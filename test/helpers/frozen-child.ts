/** A replica whose job ends when it is told to, whatever has become of it meanwhile. Arguments: database, schema, secret. */
import { once } from 'node:events'
import Fastify, { type FastifyInstance } from 'fastify'
import { fastifyLogicApps } from '../../src/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import type { Store } from '../../src/work/store.ts'

const [connectionString, schema, secret] = process.argv.slice(2) as [string, string, string]
const inner = postgresStore({ connectionString, schema })
const store: Store = {
  ...inner,
  // No heartbeat tells it what it lost, so that its late result gets as far as the database.
  async heartbeat (leases) {
    await inner.heartbeat(leases)
    return []
  },
  async settle (settlements) {
    const settled = await inner.settle(settlements)
    process.send!({ settled })
    return settled
  }
}
const app: FastifyInstance = Fastify()
await app.register(fastifyLogicApps, { store, secret, baseUrl: 'https://api.example' })
app.asyncAction('/cakes', { schema: { operationId: 'Bake', summary: 'Bake', description: 'Bakes.' } }, async () => {
  const told = once(process, 'message')
  process.send!('running')
  await told
  return 'late'
})
await app.ready()
await app.inject({ method: 'POST', url: '/cakes', payload: {} })
// Orphaned: the test is over.
process.on('disconnect', () => process.exit())
