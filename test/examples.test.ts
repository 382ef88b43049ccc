import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createReceiver, type Receiver } from './helpers/callback-receiver.ts'
import { runExample, type Example } from './helpers/example.ts'
import { findPort } from './helpers/find-port.ts'
import { startPostgres } from './helpers/postgres.ts'
import { createTempDir } from './helpers/temp-dir.ts'
import { until } from './helpers/until.ts'

t.setTimeout(300_000)
// They mostly wait, so they wait together.
t.jobs = 3

async function runServer (t: Test, file: string, env: Record<string, string> = {}): Promise<Example & { origin: string }> {
  const { PORT = String(await findPort()) } = env
  const origin = `http://127.0.0.1:${PORT}`
  const example = runExample(t, file, { ...env, PORT })
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

/** What came: path and query, and a member of the body. */
function received ({ calls }: Receiver, name: string): string[] {
  return calls.map(({ target, body }) => `${target} ${String((JSON.parse(body) as Record<string, unknown>)[name])}`).sort()
}

const bodyOf = ({ calls }: Receiver, target: string): unknown => JSON.parse(calls.find((call) => call.target === target)!.body)

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

t.test('examples/webhook-action.ts answers 201, then calls back, and closes on SIGTERM', async (t) => {
  const example = await runServer(t, 'webhook-action.ts', { ALLOW_LOCAL_CALLBACKS: '1' })
  const receiver = await createReceiver(t)
  const accepted = await post(`${example.origin}/prints`, { file: 'cake.stl', callbackUrl: `${receiver.origin}/?sig=secret` })
  t.equal(accepted.status, 201)
  t.ok(accepted.headers.get('location')!.startsWith(`${example.origin}/prints/`))
  await receiver.call(0)
  t.match(receiver.calls, [{ target: '/?sig=secret', headers: { 'webhook-id': String }, body: '{"file":"cake.stl","layers":120}' }])
  t.notMatch(example.output(), 'secret', 'the URL is not in the log')
  await closesOnSigterm(t, example)
})

t.test('examples/webhook-trigger.ts calls its subscribers back, until they unsubscribe, and closes on SIGTERM', async (t) => {
  const example = await runServer(t, 'webhook-trigger.ts', { ALLOW_LOCAL_CALLBACKS: '1' })
  const receiver = await createReceiver(t)
  const subscribed = await post(`${example.origin}/hooks/alarms`, { level: 'high', callbackUrl: `${receiver.origin}/high` })
  t.equal(subscribed.status, 201)
  t.equal((await post(`${example.origin}/hooks/alarms`, { callbackUrl: `${receiver.origin}/all` })).status, 201)
  for (const level of ['low', 'high']) t.equal((await post(`${example.origin}/alarms`, { level, text: level })).status, 200)
  await receiver.call(2)
  t.same(received(receiver, 'text'), ['/all high', '/all low', '/high high'])

  t.equal((await fetch(subscribed.headers.get('location')!, { method: 'DELETE' })).status, 200)
  await post(`${example.origin}/alarms`, { level: 'high', text: 'again' })
  const { target } = await receiver.call(3)
  t.equal(target, '/all')
  t.equal((await post(`${example.origin}/alarms`, { level: 'unknown', text: '' })).status, 400)
  await closesOnSigterm(t, example)
})

t.test('examples/polling-trigger.ts answers 202, then what is new, and closes on SIGTERM', async (t) => {
  const example = await runServer(t, 'polling-trigger.ts')
  const first = await fetch(`${example.origin}/triggers/readings?least=30`)
  t.equal(first.status, 202)
  for (const celsius of [29, 31]) t.equal((await post(`${example.origin}/readings`, { sensor: 'oven', celsius })).status, 200)
  const hot = await fetch(first.headers.get('location')!)
  t.equal(hot.status, 200)
  t.same(await hot.json(), { value: [{ sensor: 'oven', celsius: 31 }] })
  t.equal((await fetch(hot.headers.get('location')!)).status, 202)
  t.notMatch(example.output(), 'triggerState', 'the state is not in the log')
  await closesOnSigterm(t, example)
})

t.test('examples/transactional-publish.ts commits an order with its event, or neither', async (t) => {
  const { url, pool } = await startPostgres()
  const example = await runServer(t, 'transactional-publish.ts', { DATABASE_URL: url })
  const first = await fetch(`${example.origin}/triggers/orders`)
  t.equal((await post(`${example.origin}/orders`, { flavour: 'sold out' })).status, 500)
  t.equal((await post(`${example.origin}/orders`, { flavour: 'lemon' })).status, 200)
  const news = await fetch(first.headers.get('location')!)
  t.equal(news.status, 200)
  t.match(await news.json(), { value: [{ orderId: '2', flavour: 'lemon' }] })
  t.same((await pool.query('SELECT flavour FROM orders')).rows, [{ flavour: 'lemon' }])
  await closesOnSigterm(t, example)
})

t.test('examples/file-watcher says what it watches, gives the files of a folder and closes on SIGTERM', async (t) => {
  const example = await runServer(t, 'file-watcher/server.ts')
  t.equal(example.output(), `Watching ./inbox at ${example.origin}/files\n`)
  let answer = await fetch(`${example.origin}/files`)
  t.equal(answer.status, 202)
  writeFileSync(join(example.folder, 'inbox/hello.txt'), 'Hello')
  await until(async () => {
    answer = await fetch(answer.headers.get('location')!)
    return answer.status === 200
  })
  t.match(await answer.json(), { name: 'hello.txt', size: 5, content: 'Hello' })
  t.equal(answer.headers.get('retry-after'), '15')
  await closesOnSigterm(t, example)
})

t.test('a callback to this machine is refused unless it is allowed', async (t) => {
  const example = await runServer(t, 'webhook-action.ts')
  const answer = await post(`${example.origin}/prints`, { file: 'cake.stl', callbackUrl: 'http://127.0.0.1:4000/' })
  t.equal(answer.status, 400)
})

t.test('examples/approval', async (t) => {
  const port = String(await findPort())
  const env = { ALLOW_LOCAL_CALLBACKS: '1', PORT: port, DATA_DIR: createTempDir(t), LOG_LEVEL: 'info' }
  const start = (): ReturnType<typeof runServer> => runServer(t, 'approval/server.ts', env)
  let example = await start()
  const receiver = await createReceiver(t)
  const linkTo = async (title: string): Promise<string> => {
    const accepted = await post(`${example.origin}/approvals`, { title, details: '<b>7 tiers</b>', callbackUrl: `${receiver.origin}/${receiver.calls.length}` })
    t.equal(accepted.status, 201)
    const pattern = /waits for you at (http\S+\/decisions\/[\w-]{43})\n/g
    await until(() => example.output().includes(`"${title}" waits`))
    return [...example.output().matchAll(pattern)].at(-1)![1]!
  }
  const decide = (link: string, decision: string, comment = ''): Promise<Response> => fetch(link, { method: 'POST', body: new URLSearchParams({ decision, comment }) })

  t.test('a person approves, days and a restart later, and the workflow is called back', async (t) => {
    const link = await linkTo('Wedding <cake>')
    await closesOnSigterm(t, example)
    example = await start()
    const page = await fetch(link)
    t.equal(page.status, 200)
    t.match(page.headers.get('content-type'), 'text/html')
    t.equal(page.headers.get('cache-control'), 'no-store')
    const html = await page.text()
    t.match(html, 'Wedding &#60;cake&#62;')
    t.match(html, '&#60;b&#62;7 tiers')
    t.notMatch(html, '<b>')
    t.match(html, /<form method="post">[^]*value="approve"[^]*value="reject"/)
    await fetch(link)
    t.same(receiver.calls, [], 'looking decides nothing')

    const answer = await decide(link, 'approve', 'Yes')
    t.equal(answer.status, 200)
    t.match(await answer.text(), 'Approved')
    t.match(await receiver.call(0), { body: '{"approved":true,"comment":"Yes"}' })
    t.equal((await decide(link, 'reject')).status, 409, 'one decision is recorded, once')
    t.match(await (await fetch(link)).text(), 'Nothing is left to decide')
  })

  t.test('a rejection calls back with an error', async (t) => {
    const link = await linkTo('Another')
    t.equal((await decide(link, 'perhaps')).status, 400)
    t.equal((await decide(link, 'reject', 'Too dear')).status, 200)
    t.match(await receiver.call(1), { body: '{"error":{"code":"Rejected","message":"Too dear"}}' })
  })

  t.test('a guessed link is unknown', async (t) => {
    const link = `${example.origin}/decisions/${'A'.repeat(43)}`
    t.equal((await fetch(link)).status, 404)
    t.equal((await decide(link, 'approve')).status, 404)
  })

  t.test('no token is in the log', async (t) => {
    t.notMatch(example.output().replaceAll(/^To the approver.*$/gm, ''), /decisions\/[\w-]{9}/)
    await closesOnSigterm(t, example)
  })
})

t.test('the bakery', async (t) => {
  const example = await runServer(t, 'bakery/server.ts', { DATA_DIR: './orders', ALLOW_LOCAL_CALLBACKS: '1' })
  const receiver = await createReceiver(t)
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

  t.test('bakes, and calls back with the cake', async (t) => {
    for (const order of [{ flavour: 'lemon', message: 'Well done', seconds: 0 }, { flavour: 'burnt', seconds: 0 }]) {
      const accepted = await post(`${cakes}/calls`, { ...order, callbackUrl: `${receiver.origin}/calls/${order.flavour}` })
      t.equal(accepted.status, 201)
      t.ok(accepted.headers.get('location')!.startsWith(`${cakes}/calls/`))
    }
    await receiver.call(1)
    t.match(bodyOf(receiver, '/calls/lemon'), { cakeId: String, flavour: 'lemon', message: 'Well done', bakedAt: String })
    t.match(bodyOf(receiver, '/calls/burnt'), { error: { code: 'CakeBurnt', message: String } })
    for (const order of [{ flavour: 'lemon' }, { flavour: 'mud', callbackUrl: `${receiver.origin}/` }]) {
      t.equal((await post(`${cakes}/calls`, order)).status, 400)
    }
  })

  t.test('tells of orders, all or those of one flavour', async (t) => {
    const receiver = await createReceiver(t)
    for (const flavour of [undefined, 'lemon']) {
      const subscribed = await post(`${origin}/hooks/orders`, { callbackUrl: `${receiver.origin}/${flavour ?? 'all'}`, ...(flavour === undefined ? {} : { flavour }) })
      t.equal(subscribed.status, 201)
      t.ok(subscribed.headers.get('location')!.startsWith(`${origin}/hooks/orders/`))
    }
    for (const flavour of ['carrot', 'lemon']) {
      const placed = await post(`${origin}/orders`, { orderId: `of ${flavour}`, flavour })
      t.equal(placed.status, 201)
      t.match(await placed.json(), { eventId: String })
    }
    await receiver.call(2)
    t.same(received(receiver, 'orderId'), ['/all of carrot', '/all of lemon', '/lemon of lemon'])
    t.equal((await post(`${origin}/orders`, { orderId: 'without flavour' })).status, 400)
  })

  t.test('is polled for orders, all at once or one by one', async (t) => {
    const ask = async (url: string): Promise<{ status: number, next: string, retryAfter: string | null, run: string | null, text: string }> => {
      const { status, headers, text } = await fetch(url).then(async (answer) => ({ status: answer.status, headers: answer.headers, text: await answer.text() }))
      return { status, next: headers.get('location')!, retryAfter: headers.get('retry-after'), run: headers.get('x-ms-client-tracking-id'), text }
    }
    let [all, lemon, next] = await Promise.all(['', '?flavour=lemon', '/next'].map((path) => ask(`${origin}/triggers/orders${path}`)))
    for (const { status, retryAfter } of [all!, lemon!, next!]) t.same([status, retryAfter], [202, '15'])
    for (const [orderId, flavour] of [['P-1', 'carrot'], ['P-2', 'lemon']]) t.equal((await post(`${origin}/orders`, { orderId, flavour })).status, 201)
    all = await ask(all!.next)
    t.same([all.status, all.retryAfter, JSON.parse(all.text)], [200, null, { value: [{ orderId: 'P-1', flavour: 'carrot' }, { orderId: 'P-2', flavour: 'lemon' }] }])
    lemon = await ask(lemon!.next)
    t.same(JSON.parse(lemon.text), { value: [{ orderId: 'P-2', flavour: 'lemon' }] })
    next = await ask(next!.next)
    t.same([next.retryAfter, next.run, JSON.parse(next.text)], ['0', 'P-1', { orderId: 'P-1', flavour: 'carrot' }])
    next = await ask(next.next)
    t.same([next.retryAfter, next.run], [null, 'P-2'])
    t.equal((await ask(next.next)).status, 202)
    t.equal((await ask(`${next.next}x`)).status, 400)
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

t.test('the bakery calls nobody on this machine unless it is told to', async (t) => {
  const { origin } = await runServer(t, 'bakery/server.ts')
  for (const path of ['/cakes/calls', '/hooks/orders']) {
    const answer = await post(origin + path, { flavour: 'lemon', callbackUrl: 'http://127.0.0.1:4000/?sig=secret' })
    t.equal(answer.status, 400)
    t.notMatch(await answer.text(), 'secret')
  }
})

for (const [file, passed] of [['testing/with-node-test.ts', /^\S+ pass 4$/m], ['testing/with-tap.ts', /^1\.\.5$/m]] as const) {
  t.test(`examples/${file} passes`, async (t) => {
    const example = runExample(t, file, { NODE_TEST_CONTEXT: '', TAP: '1' })
    t.same(await example.ended, { code: 0, signal: null }, 'ends with 0', { output: example.output() })
    t.match(example.output(), passed)
  })
}
