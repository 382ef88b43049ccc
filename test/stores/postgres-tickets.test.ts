import pg from 'pg'
import t, { test } from 'tap'
import type { ClaimRequest, Settlement } from '../../src/work/store.ts'
import { createReplicas } from '../helpers/replicas.ts'

// A server of its own: a busy machine takes its time.
t.setTimeout(300_000)

const start = Date.UTC(2026, 0, 1)
const newJob = { operation: 'Bake', owner: '', input: '{}', createdAt: start }
const bake: ClaimRequest = { operations: [{ operation: 'Bake', limit: 100 }], limit: 100, now: start }
const succeeded = ({ number, attempt }: { number: number, attempt: number }): Settlement =>
  ({ lease: { number, attempt }, to: { status: 'succeeded', result: null, endedAt: start, expiresAt: start } })

test('a job that runs for longer than pg-boss lets a ticket live stays with its worker', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const [one, other] = [await open(), await open()]
  await one.store.submit([newJob], { maxQueued: 10 })
  const { jobs: [job] } = await one.store.claim(bake)
  // What its monitor does after a day.
  await server.pool.query(`UPDATE ${schema}_boss.job SET state = 'retry', start_after = now() WHERE state = 'active'`)
  await one.store.submit([newJob], { maxQueued: 10 })
  const { jobs } = await other.store.claim(bake)
  t.equal(jobs.length, 1)
  t.not(jobs[0]!.number, job!.number)
  t.same(await one.store.findLost([job!]), [])
  t.same(await one.store.settle([succeeded(job!)]), [true])
  t.same(await other.store.settle(jobs.map(succeeded)), [true])
  t.same((await server.pool.query(`SELECT id FROM ${schema}_boss.job`)).rows, [])
})

test('every job that may run has one ticket, every other none, whatever becomes of it', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const { store } = await open()
  const tickets = async (): Promise<unknown[]> => (await server.pool.query(`
    SELECT jobs.number::int, jobs.status, job.state::text FROM ${schema}.jobs FULL JOIN ${schema}_boss.job ON job.id = jobs.ticket ORDER BY 1`)).rows.map((row: object) => Object.values(row))
  await store.submit([newJob, newJob, newJob, newJob, newJob], { maxQueued: 10 })
  t.same(await tickets(), [1, 2, 3, 4, 5].map((number) => [number, 'queued', 'created']))
  const { jobs } = await store.claim({ ...bake, limit: 4 })
  t.same(await tickets(), [...[1, 2, 3, 4].map((number) => [number, 'running', 'active']), [5, 'queued', 'created']])
  const lease = (index: number): Settlement['lease'] => ({ number: jobs[index]!.number, attempt: jobs[index]!.attempt })
  await store.settle([
    succeeded(jobs[0]!),
    { lease: lease(1), to: { status: 'queued', dueAt: 0, failures: 1 } },
    { lease: lease(2), to: { status: 'queued', dueAt: start + 1000, failures: 1 } },
    { lease: lease(3), to: { status: 'running', deadline: start + 2000 } }
  ])
  await store.end(5, { status: 'canceled', failure: { code: 'JobCanceled', message: '', statusCode: 409 }, endedAt: start, expiresAt: start })
  t.same(await tickets(), [[1, 'succeeded', null], [2, 'queued', 'retry'], [3, 'queued', null], [4, 'running', null], [5, 'canceled', null]])
  const later = await store.claim({ ...bake, now: start + 2000 })
  t.same(later.jobs.map(({ number, due }) => [number, due]), [[3, 'run'], [4, 'deadline'], [2, 'run']])
  await store.close()
  t.same(await tickets(), [[1, 'succeeded', null], [2, 'queued', 'retry'], [3, 'queued', 'retry'], [4, 'running', null], [5, 'canceled', null]])
})

test('a ticket that somebody else put into our queue is none, and goes', async (t) => {
  const { server, schema, open } = await createReplicas(t)
  const { store } = await open()
  await store.submit([newJob, newJob], { maxQueued: 10 })
  await server.pool.query(`
    INSERT INTO ${schema}_boss.job (id, name, data, priority) SELECT gen_random_uuid(), 'Bake', data::jsonb, 9
    FROM (VALUES (NULL), ('"text"'), ('{"job":"1"}'), ('{"job":1}'), ('{"job":77}')) AS strange (data)`)
  t.same((await store.claim({ ...bake, limit: 5 })).jobs, [], 'they come first')
  const { jobs } = await store.claim(bake)
  t.same(jobs.map(({ number }) => number), [1, 2])
  t.same(await store.settle(jobs.map(succeeded)), [true, true])
  t.same((await server.pool.query(`SELECT id FROM ${schema}_boss.job`)).rows, [])
})

test('a host that reads JSON in a way of its own loses no ticket', async (t) => {
  const { open } = await createReplicas(t)
  const { store } = await open()
  await store.submit([newJob], { maxQueued: 10 })
  const parsers = [114, 3802].map((oid) => [oid, pg.types.getTypeParser(oid)] as const)
  for (const [oid] of parsers) pg.types.setTypeParser(oid, (text) => text)
  t.teardown(() => { for (const [oid, parser] of parsers) pg.types.setTypeParser(oid, parser as (text: string) => unknown) })
  t.equal((await store.claim(bake)).jobs.length, 1)
})
