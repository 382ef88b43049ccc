import { readdirSync } from 'node:fs'
import t from 'tap'
import { findPort } from '../helpers/find-port.ts'
import { createTempDir } from '../helpers/temp-dir.ts'
import { until } from '../helpers/until.ts'
import { createClient, newOrder } from './client.ts'
import { readRuns, spawnServer } from './server-process.ts'

t.setTimeout(120_000)

t.test('two processes on one database file, started at once, share the work; when one is killed the other ends its jobs', async (t) => {
  const folder = createTempDir(t)
  const a = spawnServer(folder, await findPort())
  const b = spawnServer(folder, await findPort())
  t.teardown(async () => {
    for (const server of [a, b]) server.kill('SIGKILL')
    await Promise.all([a.exited, b.exited])
  })
  // Together, on a folder without a database: both make it.
  await Promise.all([a.loaded, b.loaded])
  await Promise.all([a.start(), b.start()])
  const atA = createClient(() => a.origin)
  const atB = createClient(() => b.origin)

  const orders = Array.from({ length: 40 }, (_, index) => newOrder({ value: `order ${index}`, ms: 50, kind: index % 5 === 0 ? 'fails' : 'succeeds' }))
  await Promise.all(orders.map(async (order, index) => {
    const [here, there] = index % 2 === 0 ? [atA, atB] : [atB, atA]
    await here.submit(order)
    await there.submit(order, true)
    await until(() => there.poll(order))
    await here.poll(order)
  }))
  t.same([...atA.violations, ...atB.violations], [], 'each tells of the jobs that the other accepted')
  t.equal(readRuns(folder).length, orders.length, 'each job ran once')

  const endless = Array.from({ length: 10 }, (_, index) => newOrder({ value: `endless ${index}`, ms: 0, kind: 'stuck' }))
  await Promise.all(endless.map((order) => atA.submit(order)))
  const begun = orders.length + endless.length
  await until(() => readRuns(folder).length === begun)
  const pidOf = new Map(readRuns(folder).map(({ id, pid }) => [id, pid]))
  const ofA = endless.filter(({ id }) => pidOf.get(id!) === a.pid)
  const ofB = endless.filter(({ id }) => pidOf.get(id!) === b.pid)
  t.ok(ofA.length > 0, `${ofA.length} jobs are with the process that is killed, ${ofB.length} with the other`)

  const killedAt = performance.now()
  a.kill('SIGKILL')
  await a.exited
  await Promise.all(ofA.map(async (order) => { await until(() => atB.poll(order)) }))
  const tookMs = performance.now() - killedAt
  // Design 3.2 promises 30 s; a lock that the kernel frees proves the death, so the next look finds it.
  t.ok(tookMs < 15_000, `the jobs of the killed process ended after ${tookMs.toFixed(0)} ms`)
  t.equal(readRuns(folder).length, begun + ofA.length, 'they ran once more, those of the other process did not')

  await Promise.all(ofB.map(async (order) => {
    await atB.cancel(order)
    await atB.poll(order)
  }))
  t.same(atB.violations, [])
  b.kill('SIGTERM')
  t.match(await b.exited, { code: 0, stderr: '' })
  t.same(readdirSync(folder).sort(), ['runs.jsonl', 'work.db', 'work.db.key'])
})
