import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'tap'
import { accept, claim, getOne, leaseMs, leaseOf, newJob, numbersOf, plenty, settle, start, succeeded } from '../../src/testing/store-contract/bench.ts'
import { dump, openStore, watchDatabase } from '../helpers/sqlite.ts'
import { forkStores, type RemoteStore } from '../helpers/store-process.ts'
import { createTempDir } from '../helpers/temp-dir.ts'

const request = { operations: [{ operation: 'Bake', limit: plenty }], limit: 3, now: start }
/** Without the journals that SQLite keeps beside them. */
const workerFiles = (folder: string): string[] => readdirSync(folder).filter((name) => /-worker-[\w-]+$/.test(name) && !name.endsWith('-journal'))

test('two processes open the same new file at once', async (t) => {
  const folder = createTempDir(t)
  const processes = [forkStores(t), forkStores(t)]
  const rounds = 20
  for (let round = 0; round < rounds; round++) {
    const stores = processes.map((process) => process.store(join(folder, `${round}.db`)))
    const [first, second] = await Promise.all(stores.map((store) => store.open()))
    if (first !== second) t.fail(`round ${round}: the keys of ids differ`)
    const secrets = await Promise.all(stores.map((store) => store.secret()))
    if (secrets[0] !== secrets[1]) t.fail(`round ${round}: the secrets differ`)
    const outcomes = (await Promise.all(stores.map((store) => store.submit([newJob()], { maxQueued: plenty })))).flat()
    t.same(outcomes.map(({ outcome }) => outcome), ['accepted', 'accepted'])
    await Promise.all(stores.map((store) => store.close()))
  }
  // SQLite leaves its own two files where both closed at the same instant.
  t.same(readdirSync(folder).filter((name) => !/^\d+\.db(\.key|-wal|-shm)?$/.test(name)), [], 'only databases and secrets stay')
})

test('of what two processes submit and claim at once, nothing is lost and nothing claimed twice', async (t) => {
  const file = join(createTempDir(t), 'jobs.db')
  const stores = [forkStores(t), forkStores(t)].map((process) => process.store(file))
  await Promise.all(stores.map((store) => store.open()))
  const jobs = 80

  const submitted = stores.map(async (store, index) => {
    const numbers: number[] = []
    for (let job = 0; job < jobs; job++) {
      const [outcome] = await store.submit([newJob({ input: `[${index},${job}]` })], { maxQueued: plenty })
      numbers.push((outcome as { job: { number: number } }).job.number)
    }
    return numbers
  })
  const accepted = Promise.all(submitted)
  let done = false
  accepted.finally(() => { done = true })
  const claimed = stores.map(async (store) => {
    const inputs: string[] = []
    for (;;) {
      const last = done
      const { jobs } = await store.claim(request)
      const settled = await store.settle(jobs.map((job) => ({ lease: leaseOf(job), to: succeeded(job.input) })))
      if (settled.includes(false)) t.fail('a lease was lost')
      inputs.push(...jobs.map(({ input }) => input))
      if (last && jobs.length === 0) return inputs
    }
  })
  const inputs = (await Promise.all(claimed)).flat()
  const numbers = (await accepted).flat()

  const expected = [0, 1].flatMap((index) => Array.from({ length: jobs }, (_, job) => `[${index},${job}]`))
  t.same(inputs.sort(), expected.sort())
  t.equal(new Set(numbers).size, 2 * jobs)
  const records = await stores[0]!.get(numbers)
  t.ok(records.every((record) => record?.status === 'succeeded' && record.attempt === 1))
  t.equal(dump(file).jobs!.length, 2 * jobs)
})

test('jobs of a killed process are due when the next one has opened, those of a living one stay', async (t) => {
  const folder = createTempDir(t)
  const file = join(folder, 'jobs.db')
  const processes = [forkStores(t), forkStores(t)]
  const [killed, living] = processes.map((process) => process.store(file)) as [RemoteStore, RemoteStore]
  await Promise.all([killed.open(), living.open()])
  await killed.submit(['"killed"', '"living"', '"queued"'].map((input) => newJob({ input })), { maxQueued: plenty })
  const { jobs: [lost] } = await killed.claim({ ...request, limit: 1 })
  const { jobs: [kept] } = await living.claim({ ...request, limit: 1 })
  const before = workerFiles(folder)
  await processes[0]!.kill()
  t.same(workerFiles(folder), before, 'the kernel frees the lock, not the file')

  const { store } = await openStore(t, file, { worker: 'new' })
  t.equal(before.filter((name) => existsSync(join(folder, name))).length, 1, "the living one's lock file stays, the other's is gone")
  t.equal(readdirSync(folder).filter((name) => name.includes('-worker-')).length, 4, 'and so is its journal')
  const { status, crashes } = await getOne(store, lost!.number)
  t.same({ status, crashes }, { status: 'queued', crashes: 1 })
  const claimed = await claim(store)
  t.same(claimed.map(({ input, attempt, crashes }) => ({ input, attempt, crashes })),
    [{ input: '"killed"', attempt: 2, crashes: 1 }, { input: '"queued"', attempt: 1, crashes: 0 }])
  t.same(await living.heartbeat([leaseOf(kept!)]), [])
  t.same(await living.settle([{ lease: leaseOf(kept!), to: succeeded() }]), [true])
})

test('a store that is open already takes over from a killed process without waiting', async (t) => {
  const file = join(createTempDir(t), 'jobs.db')
  const process = forkStores(t)
  const killed = process.store(file)
  await killed.open()
  const { store } = await openStore(t, file)
  await killed.submit([newJob(), newJob()], { maxQueued: plenty })
  const { jobs } = await killed.claim(request)
  t.equal(await store.recover(), 0)
  await process.kill()
  t.equal(await store.recover(), 2)
  t.same(numbersOf(await claim(store)), numbersOf(jobs))
  t.equal(await store.recover(), 0)
})

test('a process that is killed while it writes leaves all of a call or nothing', async (t) => {
  const file = join(createTempDir(t), 'jobs.db')
  for (let round = 0; round < 3; round++) {
    const process = forkStores(t)
    const store = process.store(file)
    await store.open()
    const before = dump(file).jobs!.length
    const answered = new Set<number>()
    const batch = Array.from({ length: 20 }, () => newJob({ input: JSON.stringify('x'.repeat(1000)) }))
    // The kill lands somewhere within the calls that follow the first answer.
    await store.submit(batch, { maxQueued: plenty })
    const calls = Array.from({ length: 10 }, (_, call) => store.submit(batch, { maxQueued: plenty }).then(() => { answered.add(call) }, () => {}))
    await calls[0]
    await process.kill()
    await Promise.all(calls)

    const { jobs, job_inputs: inputs } = dump(file)
    t.equal(jobs!.length, inputs!.length)
    t.equal((jobs!.length - before) % batch.length, 0, 'no half of a call')
    t.ok(jobs!.length - before >= (1 + answered.size) * batch.length, 'all that was answered is there')
  }
})

test('a worker that moves while it is judged keeps its jobs', async (t) => {
  const file = join(createTempDir(t), 'jobs.db')
  const worker = await openStore(t, file)
  let judging = false
  const observer = await openStore(t, file, {
    clock: worker.clock,
    openDatabase: watchDatabase((sql) => {
      if (!judging || sql !== 'BEGIN IMMEDIATE') return
      judging = false
      // Committed when the call returns.
      worker.store.heartbeat([])
    })
  })
  await accept(worker.store, {})
  const [job] = await claim(worker.store)
  await observer.store.recover()
  await worker.clock.advance(leaseMs)
  judging = true
  t.equal(await observer.store.recover(), 0)
  t.notOk(judging)
  t.same(await worker.store.heartbeat([leaseOf(job!)]), [])
  t.ok(await settle(worker.store, job!, succeeded()))
})

test('a lock file that cannot be used is told by name', async (t) => {
  const file = join(createTempDir(t), 'jobs.db')
  const { store } = await openStore(t, file)
  mkdirSync(`${file}-worker-odd`)
  const database = new DatabaseSync(file)
  database.exec("INSERT INTO workers (id) VALUES ('odd')")
  database.close()
  await t.rejects(store.recover(), { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE', message: `the lock file ${file}-worker-odd cannot be used` })
})

test('a store that closes removes its lock file', async (t) => {
  const folder = createTempDir(t)
  const first = await openStore(t, join(folder, 'jobs.db'), { worker: 'first' })
  await openStore(t, join(folder, 'jobs.db'), { worker: 'second' })
  t.same(workerFiles(folder), ['jobs.db-worker-first', 'jobs.db-worker-second'])
  await first.store.close()
  t.same(workerFiles(folder), ['jobs.db-worker-second'])
})
