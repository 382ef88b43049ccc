import { test, type Test } from 'tap'
import { createIdCodec } from '../../src/protocol/token.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createManualClock } from '../../src/testing/index.ts'
import { createJobService, type JobService } from '../../src/work/jobs.ts'
import type { NewJob } from '../../src/work/store.ts'
import { createLog } from '../helpers/runner.ts'
import { turn } from '../helpers/turn.ts'

const newJob = (operation: string, key?: string): NewJob => ({
  operation,
  owner: 'default',
  input: '{}',
  createdAt: 1,
  ...(key === undefined ? {} : { idempotency: { key, fingerprint: 'f' } })
})

interface Accepting {
  jobs: JobService
  ids: ReturnType<typeof createIdCodec>
  /** Of each commit, how many were accepted in it. */
  commits: number[]
}

/** @param runs Whether the process runs jobs. @param commitsAside As of the store. */
async function createAccepting (t: Test, runs: boolean, commitsAside: boolean): Promise<Accepting> {
  const clock = createManualClock()
  const { log } = createLog()
  const inner = sqliteStore({ file: ':memory:' })
  const commits: number[] = []
  const submit = (jobs: NewJob[], limits: { maxQueued: number }): ReturnType<typeof inner.submit> => {
    commits.push(jobs.length)
    return inner.submit(jobs, limits)
  }
  const store = { ...inner, commitsAside, submit }
  const { idKey } = await store.open({ clock, log, leaseMs: 15_000, deliveryRetentionMs: 1, wake () {} })
  t.teardown(() => store.close())
  const ids = createIdCodec(idKey, 'job')
  const jobs = createJobService({
    store,
    clock,
    log,
    ids,
    operations: new Map(),
    maxQueued: 100,
    defaults: { retentionMs: 1, failureStatusCode: 422 },
    runner: () => runs ? { submit, abort () {} } : undefined
  })
  return { jobs, ids, commits }
}

for (const [runs, commitsAside, commits, what] of [
  [false, true, [1, 1], 'each turn has a commit of its own in a process that only accepts, where the store commits elsewhere'],
  [true, true, [2], 'two turns share a commit in a process that runs jobs'],
  [false, false, [2], 'two turns share a commit where the store holds up the process']
] as const) {
  test(what, async (t) => {
    const accepting = await createAccepting(t, runs, commitsAside)
    const first = accepting.jobs.accept(newJob('A'))
    await turn()
    await Promise.all([first, accepting.jobs.accept(newJob('B'))])
    t.same(accepting.commits, commits)
  })
}

test('of our stores the one on PostgreSQL commits elsewhere', async (t) => {
  t.equal(postgresStore({ connectionString: 'postgres://localhost/none' }).commitsAside, true)
  t.notOk(sqliteStore({ file: ':memory:' }).commitsAside)
})

test('each of those that share a commit has the id of its own job, whatever became of the others', async (t) => {
  const { jobs, ids, commits } = await createAccepting(t, false, false)
  const answers = await Promise.all([
    jobs.accept(newJob('A')),
    jobs.accept(newJob('B', 'key')),
    jobs.accept({ ...newJob('C', 'key'), idempotency: { key: 'key', fingerprint: 'another' } }).catch((error: Error) => error),
    jobs.accept(newJob('B', 'key')),
    jobs.accept(newJob('D'))
  ])
  t.equal(commits.length, 1)
  t.match(answers[2], { code: 'FST_LOGIC_APPS_IDEMPOTENCY_KEY_REUSED' })
  const accepted = answers.filter((answer) => 'job' in answer)
  t.same(accepted.map(({ job, repeated }) => [job.operation, repeated]), [['A', false], ['B', false], ['B', true], ['D', false]])
  for (const { job, id } of accepted) t.equal(id, ids.encode(job))
})
