import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { findPort } from './helpers/find-port.ts'
import { createTempDir } from './helpers/temp-dir.ts'
import { until } from './helpers/until.ts'

t.setTimeout(300_000)

interface Example {
  child: ChildProcess
  folder: string
  output: () => string
  ended: Promise<{ code: number | null, signal: string | null }>
}

/** Runs a file of examples/ in a folder of its own, which also is where its temporary files go. */
function run (t: Test, file: string, env: Record<string, string> = {}): Example {
  const folder = createTempDir(t)
  const child = spawn(process.execPath, [join(import.meta.dirname, '../examples', file)], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: folder, _TAPJS_PROCESSINFO_COVERAGE_: '0', ...env }
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text })
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal }))
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return { child, folder, output: () => output, ended }
}

async function runServer (t: Test, file: string, env: Record<string, string> = {}): Promise<Example & { origin: string }> {
  const port = await findPort()
  const origin = `http://127.0.0.1:${port}`
  const example = run(t, file, { PORT: String(port), ...env })
  await until(() => {
    if (example.child.exitCode !== null) throw new Error(`${file} ended: ${example.output()}`)
    return fetch(origin).then(() => true, () => false)
  })
  return { ...example, origin }
}

function post (url: string, body: object): Promise<Response> {
  return fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
}

/** The first answer that is no 202. Asks more often than it is told to. */
async function poll (accepted: Response): Promise<Response> {
  let answer = accepted
  while (answer.status === 202) {
    await delay(100)
    answer = await fetch(answer.headers.get('location')!)
  }
  return answer
}

async function closesOnSigterm (t: Test, { child, ended, output }: Example): Promise<void> {
  child.kill('SIGTERM')
  t.same(await ended, { code: 0, signal: null }, 'ends with 0', { output: output() })
}

t.test('examples/async-action.ts answers 202, then the report, and closes on SIGTERM', async (t) => {
  const example = await runServer(t, 'async-action.ts')
  const accepted = await post(`${example.origin}/reports`, { month: '2026-10' })
  t.equal(accepted.status, 202)
  const ended = await poll(accepted)
  t.equal(ended.status, 200)
  t.same(await ended.json(), { month: '2026-10', pages: 12 })
  await closesOnSigterm(t, example)
  t.same(readdirSync(join(example.folder, 'data')).sort(), ['logic-apps.db', 'logic-apps.db.key'])
})

t.test('the bakery', async (t) => {
  const example = await runServer(t, 'bakery/server.ts', { DATA_DIR: './orders' })
  const { origin } = example
  const cakes = `${origin}/cakes`

  t.test('says where it is, in one line', async (t) => {
    t.equal(example.output(), `The bakery is open at ${origin}\n`)
  })

  t.test('lists its flavours, each of which can be ordered', async (t) => {
    const answer = await fetch(`${origin}/flavours`)
    t.equal(answer.status, 200)
    const flavours = await answer.json() as { id: string, name: string }[]
    t.ok(flavours.length > 1)
    for (const flavour of flavours) {
      t.same(Object.keys(flavour), ['id', 'name'])
      const accepted = await post(cakes, { flavour: flavour.id, seconds: 0 })
      t.equal(accepted.status, 202)
      t.match(await (await poll(accepted)).json(), { cakeId: String, flavour: flavour.id, bakedAt: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/ })
    }
  })

  t.test('bakes to order and tells how far it is', async (t) => {
    const accepted = await post(cakes, { flavour: 'lemon', message: 'Well done' })
    t.equal(accepted.status, 202)
    t.equal(accepted.headers.get('retry-after'), '2')
    t.ok(accepted.headers.get('location')!.startsWith(`${cakes}/jobs/`))
    const begun = performance.now()
    await until(async () => {
      const progress = await (await fetch(accepted.headers.get('location')!)).json() as { percentComplete?: number, message?: string }
      return [25, 50, 75].includes(progress.percentComplete ?? 0) && ['In the oven', 'Rising', 'Decorating'].includes(progress.message ?? '')
    })
    const ended = await poll(accepted)
    t.equal(ended.status, 200)
    t.match(await ended.json(), { flavour: 'lemon', message: 'Well done' })
    t.ok(performance.now() - begun > 2000, 'three seconds, where the order says nothing else')
  })

  t.test('fails with CakeBurnt', async (t) => {
    const ended = await poll(await post(cakes, { flavour: 'burnt', seconds: 0 }))
    t.equal(ended.status, 422)
    t.match(await ended.json(), { error: { code: 'CakeBurnt', message: String } })
  })

  t.test('refuses what it cannot bake with 400', async (t) => {
    for (const order of [{ flavour: 'mud' }, {}, { flavour: 'lemon', seconds: -1 }]) {
      const answer = await post(cakes, order)
      t.equal(answer.status, 400)
      t.match(await answer.json(), { error: { code: 'InvalidRequest' } })
    }
  })

  t.test('cancels an order', async (t) => {
    const accepted = await post(cakes, { flavour: 'carrot', seconds: 600 })
    t.equal((await fetch(accepted.headers.get('location')!, { method: 'DELETE' })).status, 204)
    t.match(await (await poll(accepted)).json(), { error: { code: 'JobCanceled' } })
  })

  t.test('closes on SIGTERM and keeps its orders in DATA_DIR', async (t) => {
    await closesOnSigterm(t, example)
    t.same(readdirSync(join(example.folder, 'orders')).sort(), ['bakery.db', 'bakery.db.key'])
  })
})

t.test('the bakery hands out URLs under BASE_URL, signed with SECRET', async (t) => {
  const example = await runServer(t, 'bakery/server.ts', { BASE_URL: 'https://cakes.contoso.com/api', SECRET: 'a secret of more than thirty-two bytes' })
  const accepted = await post(`${example.origin}/cakes`, { flavour: 'lemon', seconds: 0 })
  t.match(accepted.headers.get('location'), /^https:\/\/cakes\.contoso\.com\/api\/cakes\/jobs\/[\w-]+$/)
  example.child.kill('SIGINT')
  t.same(await example.ended, { code: 0, signal: null }, 'Ctrl-C closes it too')
  t.same(readdirSync(join(example.folder, 'data')), ['bakery.db'], 'no key file')
})

t.test('the demo plays to its end', async (t) => {
  const demo = run(t, 'bakery/demo.ts')
  t.same(await demo.ended, { code: 0, signal: null }, 'ends with 0', { output: demo.output() })
  const output = demo.output()
  for (const line of [
    /POST \/cakes {2}\{"flavour":"lemon"/,
    /-> 202 Accepted {3}location: http:\/\/127\.0\.0\.1:\d+\/cakes\/jobs\/[\w-]{8}… {3}retry-after: 2/,
    /-> 200 OK\n.*"message":"Happy birthday"/,
    /DELETE \/cakes\/jobs\/[\w-]{8}…\n +-> 204 No Content/,
    /-> 422 Unprocessable Entity\n.*"code":"JobCanceled"/,
    /-> 422 Unprocessable Entity\n.*"code":"CakeBurnt"/,
    /x-ms-action-tracking-id: /,
    /SIGKILL: the server is gone\n.*\n +-> no answer \(ECONNREFUSED\)/,
    /The bakery is open[^]*The bakery is open[^]*-> 200 OK\n.*"flavour":"chocolate"/,
    /the server ended with 0\n\nAll as promised/
  ]) t.match(output, line)
  t.notMatch(output, /\/(jobs|operations)\/[\w-]{9}/, 'no token is shown')
  t.same(readdirSync(demo.folder), [], 'the data is gone')
})

t.test('the demo, when interrupted, takes its server and its data with it', async (t) => {
  const demo = run(t, 'bakery/demo.ts')
  await until(() => demo.output().includes('POST /cakes'))
  const [, port] = /is open at http:\/\/127\.0\.0\.1:(\d+)/.exec(demo.output())!
  demo.child.kill('SIGINT')
  t.same(await demo.ended, { code: 130, signal: null })
  await t.rejects(fetch(`http://127.0.0.1:${port}/flavours`), 'the server is gone')
  t.same(readdirSync(demo.folder), [])
})
