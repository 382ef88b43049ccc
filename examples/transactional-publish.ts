// An order and its event, both or neither. Needs PostgreSQL: `DATABASE_URL=postgres://… node examples/transactional-publish.ts`, then:
//   curl -i localhost:3000/triggers/orders   and poll the URL that its Location gives
//   curl -i localhost:3000/orders -H 'content-type: application/json' -d '{"flavour":"lemon"}'
//   curl -i localhost:3000/orders -H 'content-type: application/json' -d '{"flavour":"sold out"}'   is rolled back, and never happened
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import pg from 'pg'
import { Type } from 'typebox'
import logicApps from '../src/index.ts' // in your app: 'fastify-logic-apps'
import { postgresStore } from '../src/stores/postgres/index.ts' // 'fastify-logic-apps/postgres'

const { DATABASE_URL: connectionString = 'postgres://localhost/orders', SECRET = 'at your desk only: a secret of 32 bytes and more' } = process.env
const pool = new pg.Pool({ connectionString })
await pool.query("CREATE TABLE IF NOT EXISTS orders (id bigint GENERATED ALWAYS AS IDENTITY, flavour text NOT NULL CHECK (flavour <> 'sold out'))")

const app = Fastify({ logger: true }).withTypeProvider<TypeBoxTypeProvider>()
await app.register(logicApps, { store: postgresStore({ connectionString }), secret: SECRET })

const Order = Type.Object({ flavour: Type.String() })
const orders = app.logicApps.topic('orders', { event: Type.Object({ orderId: Type.String(), flavour: Type.String() }) })
app.pollingTrigger('/triggers/orders', { schema: { operationId: 'PollOrders', summary: 'When orders are placed' }, topic: orders })

app.post('/orders', { schema: { body: Order } }, async ({ body: { flavour } }) => {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const { rows: [{ id }] } = await client.query('INSERT INTO orders (flavour) VALUES ($1) RETURNING id', [''])
    await orders.publish({ orderId: id, flavour }, { db: client })
    // The event is written by now, and nobody sees it before the commit.
    await client.query('UPDATE orders SET flavour = $1 WHERE id = $2', [flavour, id])
    await client.query('COMMIT')
    return { orderId: id }
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  } finally {
    client.release()
  }
})

app.addHook('onClose', () => pool.end())
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => { app.close() })
await app.listen({ port: Number(process.env.PORT ?? 3000) })
