import { existsSync, readdirSync, readFileSync } from 'node:fs'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { test, type Test } from 'tap'
import { fastifyLogicApps, type FastifyLogicAppsOptions } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createManualClock } from '../../src/testing/index.ts'
import { closeApp, createServer, pathOf, type TestApp } from '../helpers/app.ts'
import { callbacksSettled, createReceiver, localCallbacks, type Receiver } from '../helpers/callback-receiver.ts'
import { idOf } from '../helpers/cakes.ts'
import { actionUrl, addCalls, addHooks, post, publish, subscribeCall, subscribeHook, triggerUrl, unsubscribe } from '../helpers/webhooks.ts'

const planted = 'PLANTED-4Xz_pZQ7v0mTnB2kLw8sYhR1cJfGdEaU6'
const header = { 'x-ms-trigger-callback-url': `https://prod-01.westeurope.logic.azure.com/workflows/w1/triggers/T/run?sig=${planted}-header` }

/** Serializers as hosts write them, to see everything. */
const serializers = {
  req: (request: FastifyRequest) => ({ ...request, method: request.method, url: request.url, originalUrl: request.originalUrl, headers: request.headers, query: request.query, params: request.params, body: request.body, raw: request.raw.url, rawHeaders: request.raw.rawHeaders }),
  res: (reply: FastifyReply) => ({ statusCode: reply.statusCode, headers: typeof reply.getHeaders === 'function' ? reply.getHeaders() : undefined, asked: reply.request?.url, body: reply.request?.body }),
  err: (error: Error) => ({ ...error, message: error.message, stack: error.stack, cause: error.cause })
}

interface Parts extends TestApp { receiver: Receiver }

async function start (t: Test, file: string, clock: Parts['clock'], receiver: Receiver): Promise<Parts> {
  const { app, logs } = createServer({ logger: { level: 'trace', serializers } as never, ajv: { customOptions: { verbose: true } } })
  t.teardown(() => closeApp(app, clock))
  await app.register(fastifyLogicApps, {
    store: sqliteStore({ file }), clock, baseUrl: 'https://api.example', callbacks: { ...localCallbacks, scheduleSeconds: [0, 5], onDead () { throw new Error('no') } }
  } as FastifyLogicAppsOptions)
  addCalls(app)
  addCalls(app, { schema: { operationId: 'ByHeader' }, result: undefined, callbackUrl: { in: 'header' } }, '/by-header')
  addCalls(app, { schema: { operationId: 'ByQuery' }, result: undefined, callbackUrl: { in: 'query' } }, '/by-query')
  addCalls(app, { schema: { operationId: 'ByBody' }, result: undefined, callbackUrl: { in: 'body' } }, '/by-body')
  addHooks(app, {
    schema: { operationId: 'OnOrder', body: { type: 'object', properties: { odd: { type: 'boolean' } } } },
    matches (_event: unknown, { odd }: { odd?: boolean }) {
      if (odd === true) throw new Error('odd filter')
      return true
    }
  })
  await app.ready()
  return { app, clock, logs, receiver }
}

const url = (receiver: Receiver, name: string, version?: string): string => triggerUrl(receiver, name, version, `${planted}-${name}`)

/** A receiver that answers by the workflow's name, and quotes what it was asked. */
const quoting = ({ target }: { target: string }) => {
  const statusCode = { gone: 410, refused: 401, disabled: 400, moved: 307, teapot: 418, broken: 500 }[/\/workflows\/(\w+)\//.exec(target)?.[1] ?? ''] ?? 202
  return { statusCode, headers: { location: `https://elsewhere.example${target}` }, body: JSON.stringify({ error: { code: statusCode === 400 ? 'WorkflowTriggerIsNotEnabled' : 'Odd', message: `Route POST:${target} not found` }, target: target.replaceAll('&', '&amp;') }) }
}

async function settle (parts: Parts, ms: number): Promise<void> {
  await parts.clock.advance(ms)
  await callbacksSettled(parts)
}

/** Everything that can happen to callbacks. */
async function beBusy (parts: Parts): Promise<void> {
  const { app, receiver } = parts
  receiver.answer(quoting)
  const run = (name: string): string => actionUrl(receiver, name, `${planted}-${name}`)
  // What is accepted.
  for (const name of ['fine', 'gone', 'refused', 'disabled', 'moved', 'teapot', 'broken']) await subscribeHook(app, url(receiver, name), header)
  await subscribeHook(app, url(receiver, 'odd'), header, { odd: true })
  await subscribeHook(app, url(receiver, 'fine', '2'), header)
  await subscribeHook(app, url(receiver, 'fine'), header)
  await subscribeCall(app, run('1'), header)
  await subscribeCall(app, run('2'), header, { flavour: 'burnt' })
  await post(app, '/by-header', {}, { ...header, callbackurl: run('3') })
  await post(app, `/by-query?callbackUrl=${encodeURIComponent(run('4'))}`, {}, header)
  await post(app, '/by-body', JSON.stringify(run('5')), { ...header, 'content-type': 'application/json' })
  await post(app, '/by-body', run('6'), { ...header, 'content-type': 'text/plain' })
  await subscribeCall(app, `http://127.0.0.1:1/workflows/nobody?sig=${planted}`)
  await subscribeCall(app, `http://127.0.0.1:${receiver.port}/hooks/${planted}`)
  // What is refused.
  for (const odd of ['https://evil.example/', 'http://10.0.0.1/', 'ftp://127.0.0.1/', 'https://user:pass@127.0.0.1/', 'https://0x7f.1/', `https://${planted}@127.0.0.1/`, '', 'https://127.0.0.1\r\n/', 'x'.repeat(5000)]) {
    for (const path of ['/calls', '/hooks', '/hooks/unsubscribe', '/calls/unsubscribe']) await post(app, path, { callbackUrl: `${odd}?sig=${planted}`, flavour: 'lemon' }, header)
    await post(app, '/by-body', `${odd}?sig=${planted}`, { ...header, 'content-type': 'text/plain' })
    await post(app, `/by-query?callbackUrl=${encodeURIComponent(`${odd}?sig=${planted}`)}`, {}, header)
  }
  await post(app, '/calls', `{"callbackUrl":"${run('1')}",`, { ...header, 'content-type': 'application/json' })
  await post(app, '/calls', run('1'), { ...header, 'content-type': 'application/json' })
  await post(app, '/calls', { callbackUrl: { [run('1')]: 1 }, flavour: 'lemon' }, header)
  await post(app, '/calls', { callbackUrl: [run('1'), run('2')], flavour: 7 }, header)
  await post(app, `/calls?callbackUrl=${encodeURIComponent(run('1'))}`, { flavour: '' }, header)
  await post(app, '/hooks', `<callbackUrl>${run('1')}</callbackUrl>`, { ...header, 'content-type': 'application/xml' })
  await post(app, '/calls', { callbackUrl: run('1'), flavour: 'x'.repeat(2_000_000) }, header)
  // What is sent, refused, given up and sent again.
  await publish(app, { n: 1 })
  await settle(parts, 12_000)
  await publish(app, { n: 2 })
  await settle(parts, 60_000)
  for (const { id } of await app.logicApps.subscriptions.list({ status: 'suspended' })) await app.logicApps.subscriptions.resume(id)
  await app.logicApps.deliveries.redeliver({})
  await settle(parts, 60_000)
  for (const { id } of await app.logicApps.deliveries.list()) JSON.stringify(await app.logicApps.deliveries.attempts(id))
  // What is ended.
  const last = await subscribeHook(app, url(receiver, 'last'), header)
  await app.inject({ method: 'DELETE', url: `${pathOf(last.headers.location)}?callbackUrl=${encodeURIComponent(url(receiver, 'last'))}`, headers: header })
  await unsubscribe(app, last, header)
  for (const payload of [JSON.stringify({ callbackUrl: url(receiver, 'fine', '2') }), url(receiver, 'broken'), `{"half":"${url(receiver, 'fine')}`]) await post(app, '/hooks/unsubscribe', payload, header)
  const canceled = await subscribeCall(app, run('canceled'), header)
  await app.logicApps.jobs.cancel(idOf(canceled))
  await settle(parts, 2000)
}

/** Where in a file's bytes the secret can be read. */
function isIn (bytes: Buffer): boolean {
  return bytes.includes('PLANTED') || bytes.includes(Buffer.from('PLANTED', 'utf16le')) || bytes.includes(Buffer.from(planted.slice(0, 30)).toString('base64').slice(0, 36)) || bytes.includes(Buffer.from(planted).toString('hex'))
}

test('a planted signature is never in the log and never in the database, through a busy run and a restart (design 3.10)', async (t) => {
  const folder = t.testdir({})
  const file = `${folder}/logic-apps.db`
  const clock = createManualClock()
  const receiver = await createReceiver(t)
  const filesAreClean = (when: string): void => {
    for (const name of readdirSync(folder)) {
      if (name.startsWith('logic-apps.db')) t.notOk(isIn(readFileSync(`${folder}/${name}`)), `${name} ${when}`)
    }
  }

  const first = await start(t, file, clock, receiver)
  await beBusy(first)
  t.ok(existsSync(`${file}-wal`))
  filesAreClean('while it is open')
  // What is owed over the restart.
  receiver.answer(({ target }) => ({ statusCode: 503, body: target }))
  await subscribeHook(first.app, url(receiver, 'restart'), header)
  await publish(first.app, { n: 3 })
  await settle(first, 1000)
  await closeApp(first.app, clock)
  filesAreClean('when it is closed')

  receiver.calls.length = 0
  const second = await start(t, file, clock, receiver)
  receiver.answer(quoting)
  await settle(second, 60_000)
  t.ok(receiver.calls.some(({ target }) => target.includes(`${planted}-restart`)), 'the URL itself was kept')
  await beBusy(second)
  filesAreClean('after the restart')
  await closeApp(second.app, clock)
  filesAreClean('at the end')

  t.ok(receiver.calls.length > 20)
  const lines = [...first.logs, ...second.logs]
  for (const outcome of ['retired', 'suspended', 'dead']) t.ok(lines.some((line) => line.outcome === outcome), `a callback was ${outcome}`)
  t.ok(lines.length > 300, `${lines.length} lines`)
  for (const line of lines) if (JSON.stringify(line).includes('PLANTED')) t.fail(JSON.stringify(line).slice(0, 500))
})
