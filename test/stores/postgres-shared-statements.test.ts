import pg from 'pg'
import t, { test, type Test } from 'tap'
import { createManualClock } from '../../src/testing/index.ts'
import { pathOf, type TestApp } from '../helpers/app.ts'
import { createDeployment } from '../helpers/deployment.ts'
import { createPool, isWordAlone } from '../helpers/postgres.ts'

// A server of its own: a busy machine takes its time.
t.setTimeout(300_000)

/*
 * Calls of one moment share statements: counted at the connections, by their text, since that is what the server has to do.
 */

const many = Array.from({ length: 50 }, (_, index) => index)
const documented = (operationId: string): { schema: { operationId: string, summary: string, description: string } } => ({ schema: { operationId, summary: operationId, description: `${operationId}.` } })

interface Asked { text: string, values: unknown[] }

interface Counted {
  app: TestApp['app']
  /** What was asked while `work` ran: all, and that with a text. */
  during<T> (work: () => Promise<T>): Promise<{ result: T, asked: Asked[], having (text: string): Asked[] }>
}

/** An app on a clock that stands still and with no runners: nothing is asked but what calls ask. */
async function createCounted (t: Test): Promise<Counted> {
  let asked: Asked[] = []
  class Client extends pg.Client {
    override query (...values: unknown[]): never {
      const [query, given] = values as [string | Asked, unknown[] | undefined]
      const statement = typeof query === 'string' ? { text: query, values: given ?? [] } : { text: query.text, values: query.values ?? [] }
      if (!isWordAlone(statement.text)) asked.push(statement)
      return (super.query as (...values: unknown[]) => unknown)(...values) as never
    }
  }
  const pool = await createPool(t, { max: 10, Client })
  // After the pool, so that it is closed before that is ended.
  const { replica } = await createDeployment(t)
  const app = await replica({ runners: false, clock: createManualClock() }, { connectionString: undefined, pool })
  const topic = app.logicApps.topic('orders')
  app.asyncAction('/cakes', documented('Bake'), () => {})
  app.webhookTrigger('/hooks', { ...documented('OnOrder'), topic })
  app.pollingTrigger('/orders', { ...documented('PollOrders'), topic })
  app.post('/publish', async (request, reply) => {
    await topic.publish(request.body as object)
    return await reply.code(202).send()
  })
  await app.ready()
  return {
    app,
    async during (work) {
      asked = []
      const result = await work()
      return { result, asked, having: (text) => asked.filter((query) => query.text.includes(text)) }
    }
  }
}

type Answer = Awaited<ReturnType<typeof post>>
const post = async (app: Counted['app'], url: string, payload: object = {}) => await app.inject({ method: 'POST', url, payload })
const statusesOf = (answers: Answer[]): Set<number> => new Set(answers.map(({ statusCode }) => statusCode))
/** How many rows, jobs or events a statement is about. */
function sizeOf ({ values: [first] }: Asked): number {
  // A list of texts in PostgreSQL's binary form, behind dimensions, nulls and type: see parameters.ts.
  if (Buffer.isBuffer(first)) return first.readInt32BE(12)
  return Array.isArray(first) ? first.length : (first as string).split(',').length
}
const sum = (numbers: number[]): number => numbers.reduce((sum, number) => sum + number, 0)

test('fifty starts of one moment cost a handful of statements, and fifty polls of their jobs one', { timeout: 60_000 }, async (t) => {
  const { app, during } = await createCounted(t)
  // The first one counts what waits.
  await post(app, '/cakes')
  const one = await during(() => post(app, '/cakes'))
  const starts = await during(() => Promise.all(many.map(() => post(app, '/cakes'))))
  t.same(statusesOf(starts.result), new Set([202]))
  t.equal(sum(starts.having('.jobs (').map(sizeOf)), 50)
  // Twice: some may come a turn later, and several batches are under way at a time.
  t.ok(starts.asked.length <= 2 * one.asked.length, `${starts.asked.length} statements, and ${one.asked.length} for a single start`)

  const polls = await during(() => Promise.all(starts.result.map(({ headers }) => app.inject(pathOf(headers.location)))))
  t.same(statusesOf(polls.result), new Set([202]))
  t.equal(new Set(polls.result.map((answer) => answer.json<{ id: string }>().id)).size, 50, 'each is told of its own job')
  const reads = polls.having('number = ANY')
  t.equal(sum(reads.map(sizeOf)), 50)
  t.ok(reads.length <= 2, `${reads.length} reads`)
  t.equal(polls.asked.length, reads.length, 'and nothing else')
})

test('fifty publishes of one moment are a single append, and fifty polls of the log behind it one read', { timeout: 60_000 }, async (t) => {
  const { app, during } = await createCounted(t)
  const first = await app.inject('/orders')
  const published = await during(() => Promise.all(many.map((order) => app.logicApps.topic('orders').publish({ order }))))
  t.equal(new Set(published.result).size, 50)
  t.same(published.having('.append_events(').map(sizeOf), [50])
  t.equal(published.asked.length, 1, published.asked.map(({ text }) => text).join('; '))

  const requested = await during(() => Promise.all(many.map((order) => post(app, '/publish', { order }))))
  t.same(statusesOf(requested.result), new Set([202]))
  const appends = requested.having('.append_events(')
  t.equal(sum(appends.map(sizeOf)), 50)
  t.ok(appends.length <= 2, `${appends.length} appends`)

  const polls = await during(() => Promise.all(many.map(() => app.inject(pathOf(first.headers.location)))))
  t.same(statusesOf(polls.result), new Set([200]))
  const reads = polls.having('.place_in_log(')
  t.ok(reads.length <= 2, `${reads.length} reads`)
  t.same(new Set(reads.map(sizeOf)), new Set([1]), 'of the one place at which all are')
  t.ok(polls.asked.length <= 4, `${polls.asked.length} statements, with those that look into the inbox`)
})
