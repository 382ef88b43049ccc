import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { findPort } from '../helpers/find-port.ts'
import { createTempDir } from '../helpers/temp-dir.ts'
import { until } from '../helpers/until.ts'
import { createClient, newOrder, type Order } from './client.ts'
import { readRuns, spawnServer } from './server-process.ts'

t.setTimeout(120_000)

t.test('SIGTERM under load: the process ends by itself, and the next one does what it left', async (t) => {
  const folder = createTempDir(t)
  const port = await findPort()
  const first = spawnServer(folder, port)
  const next = spawnServer(folder, port)
  t.teardown(async () => {
    for (const server of [first, next]) server.kill('SIGKILL')
    await Promise.all([first.exited, next.exited])
  })
  await first.start()
  const client = createClient(() => first.origin)

  const endless = Array.from({ length: 5 }, (_, index) => newOrder({ value: `endless ${index}`, ms: 0, kind: 'stuck' }))
  await Promise.all(endless.map((order) => client.submit(order)))
  await until(() => readRuns(folder).length === endless.length)

  const quick: Order[] = []
  const stop = new AbortController()
  const callers = Array.from({ length: 8 }, async (_, caller) => {
    while (!stop.signal.aborted) {
      const order = newOrder({ value: `quick ${caller} ${quick.length}`, ms: 20 + 20 * caller, kind: 'succeeds' })
      await client.submit(order)
      quick.push(order)
    }
  })
  await until(() => quick.length >= 100)
  const signaledAt = performance.now()
  first.kill('SIGTERM')
  const exit = await first.exited
  const tookMs = performance.now() - signaledAt
  t.match(exit, { code: 0, signal: null, stderr: '' }, 'the process ends by itself')
  // drainSeconds is 1.
  t.ok(tookMs < 6000, `it took ${tookMs.toFixed(0)} ms`)

  t.same(readdirSync(folder).sort(), ['runs.jsonl', 'work.db', 'work.db.key'], 'no file of the process is left')
  const database = new DatabaseSync(join(folder, 'work.db'), { readOnly: true })
  const left = { ...database.prepare("SELECT count(*) FILTER (WHERE status = 'running') AS running, sum(crashes) AS crashes FROM jobs").get() }
  t.same(left, { running: 0, crashes: 0 }, 'what was not done is handed back, not left to expire')
  t.equal(database.prepare('SELECT count(*) AS workers FROM workers').get()!.workers, 0)
  database.close()

  await next.start()
  stop.abort()
  await Promise.all(callers)
  await Promise.all([...endless, ...quick].map(async (order) => { await until(() => client.poll(order)) }))
  t.same(client.violations, [])
  const runs = readRuns(folder)
  t.ok(quick.every(({ id }) => runs.filter((run) => run.id === id).length === 1), 'what ran was drained: it ran once')
  t.ok(endless.every(({ id }) => runs.filter((run) => run.id === id).length === 2), 'what was released ran again')

  next.kill('SIGTERM')
  t.match(await next.exited, { code: 0, stderr: '' })
})
