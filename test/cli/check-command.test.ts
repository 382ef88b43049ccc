import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import tap, { test, type Test } from 'tap'
import { Agent } from 'undici'
import Fastify from 'fastify'
import { main } from '../../src/cli/index.ts'
import { systemClock } from '../../src/work/clock.ts'
import type { CallbackDispatcher } from '../../src/testing/engine/callback-dispatcher.ts'
import { findPort } from '../helpers/find-port.ts'
import { createTempDir } from '../helpers/temp-dir.ts'
import { buildWrongApi, operations } from '../helpers/wrong-api/index.ts'

tap.setTimeout(60_000)
// Real time passes: most of it together.
tap.jobs = 4

interface Ran { code: number, out: string, err: string }

async function run (args: string[], isTerminal = false): Promise<Ran> {
  const written = { out: '', err: '' }
  const code = await main(args, { out: (text) => { written.out += text }, err: (text) => { written.err += text }, isTerminal, env: {} })
  return { code, ...written }
}

/** The API written by hand, on a port of this machine and in real time, so it is a quick one. */
async function listen (t: Test, fault?: string): Promise<string> {
  const port = await findPort()
  const dispatcher = new Agent()
  const app = buildWrongApi({ clock: systemClock, callbacks: { dispatcher: dispatcher as unknown as CallbackDispatcher } }, fault, `http://127.0.0.1:${port}`, { job: 0.9, retryAfter: 1, call: 0.6, retry: 0.2 })
  t.teardown(async () => {
    await app.close()
    await dispatcher.destroy()
  })
  await app.listen({ port, host: '127.0.0.1' })
  return `http://127.0.0.1:${port}`
}

function configOf (t: Test, config: unknown): string {
  const file = join(createTempDir(t), 'check.json')
  writeFileSync(file, typeof config === 'string' ? config : JSON.stringify(config))
  return file
}

test('the commands are listed, and each has a help', async (t) => {
  t.match(await run([]), { code: 2, err: /Usage: fastify-logic-apps COMMAND/, out: '' })
  t.match(await run(['--help']), { code: 0, out: /check +plays the Logic Apps engine/ })
  t.match(await run(['check', '--help']), { code: 0, out: /Usage: fastify-logic-apps check URL/ })
  t.match(await run(['bake']), { code: 2, err: /there is no command "bake"/ })
  t.match(await run(['toString']), { code: 2, err: /there is no command "toString"/ })
})

test('wrong arguments are told, with exit code 2', async (t) => {
  const origin = await listen(t)
  for (const [args, message] of [
    [[], /give one URL/], [['a', 'b'], /give one URL/], [[origin, '--fast'], /Unknown option '--fast'/], [[origin, '--profile', 'premium'], /--profile must be one of consumption/],
    [[origin, '--patience', 'long'], /--patience must be a number of seconds/], [[origin, '--quiet', '0'], /--quiet must be/], [[origin, '--port', '99999'], /--port must be a port number/],
    [[origin, '--header', 'nonsense'], /--header must be 'NAME: VALUE'/], [[origin], /there is nothing to check/], [['/no/such/file.json'], /cannot be read: ENOENT/],
    [['http://127.0.0.1:1/'], /cannot be reached: /], [[origin, '--config', '/no/such/file.json'], /cannot be read/],
    [[origin, '--config', configOf(t, '{')], /is no JSON/], [[origin, '--config', configOf(t, { operations: { A: { kind: 'action', path: '/', speed: 1 } } })], /operations\.A\.speed is not known[^]*operations\.A\.kind must be one of/],
    [[origin, '--config', configOf(t, { operations: { A: { kind: 'polling-trigger' } } })], /operations\.A\.path is missing[^]*operations\.A\.event is missing/],
    [[origin, '--config', configOf(t, { operations: { Bake: operations.Bake } }), '--only', 'Fry'], /--only Fry: there is no such operation; there are Bake/]
  ] as [string[], RegExp][]) t.match(await run(['check', ...args]), { code: 2, err: message, out: '' }, String(message))
})

test('a right API is fine, over HTTP and in real time', async (t) => {
  const origin = await listen(t)
  const { code, out, err } = await run(['check', origin, '--config', configOf(t, { swagger: 'swagger.json', operations }), '--quiet', '0.5', '--patience', '20'], true)
  t.equal(code, 0, out)
  t.match(out, / fine, 0 faults, 0 warnings, 0 not checked\.\n$/)
  t.match(err, '\r\u001b[2KBake: poll 1: answered 202, again in 1 s', 'a progress line, written over')
  t.ok(err.endsWith('\r\u001b[2K'), 'and gone in the end')
})

test('a fault is told with what was sent, what came back, why it matters and whose word it is', async (t) => {
  const origin = await listen(t, 'relative Location')
  const file = configOf(t, { operations: { Bake: operations.Bake } })
  const { code, out } = await run(['check', origin, '--config', file])
  t.equal(code, 1)
  t.match(out, /FAULT Location is an absolute URL\n +sent +POST http:[^]*got +202\n +location: \/jobs\/1|FAULT Location is an absolute URL\n +what +Location is "\/jobs\/1"\n/)
  t.match(out, /why +The engine polls it as it stands\.\n +source +engine 1\.3, rule 5; CREATE-API \[location-absolute\]/)
  t.match(out, / 1 faults, /)
  t.notMatch(out, 'Key 1')
})

test('the report as JSON and for a build server', async (t) => {
  const origin = await listen(t, 'no Retry-After on further 202s')
  const junit = join(createTempDir(t), 'report.xml')
  const { code, out } = await run(['check', origin, '--config', configOf(t, { operations: { Bake: operations.Bake } }), '--json', '--junit', junit])
  t.equal(code, 1)
  const report = JSON.parse(out) as { summary: object, results: { rule: string, outcome: string }[] }
  t.match(report, { target: origin, summary: { errors: 1, warnings: 0 } })
  t.match(report.results.filter(({ outcome }) => outcome === 'error'), [{ rule: 'poll-repeats-retry-after', operation: 'Bake', sent: [/^GET http/], got: [/^202/], source: /engine 1\.2/ }])
  const xml = readFileSync(junit, 'utf8')
  t.match(xml, /<testsuite name="Bake" tests="\d+" failures="1" skipped="\d+">/)
  t.match(xml, /<testcase classname="Bake" name="Every further 202 repeats Retry-After"><failure message="a 202 without Retry-After">/)
  t.notMatch(xml, /&(?!amp;|lt;|gt;|quot;)/)
})

test('warnings are faults where --strict is given', async (t) => {
  const origin = await listen(t, 'location too long')
  const file = configOf(t, { operations: { Bake: operations.Bake } })
  t.match(await run(['check', origin, '--config', file]), { code: 0, out: /WARN +Location is shorter than 2,000 characters/ })
  t.match(await run(['check', origin, '--config', file, '--strict']), { code: 1 })
})

test('an API that remembers the last check is checked anew', async (t) => {
  const origin = await listen(t)
  const file = configOf(t, { operations: { Bake: operations.Bake } })
  for (const time of ['first', 'second']) t.match(await run(['check', origin, '--config', file]), { code: 0, out: / 0 not checked\.\n$/ }, time)
})

test('an event that cannot be made is the config\'s mistake', async (t) => {
  const origin = await listen(t)
  const file = configOf(t, { operations: { PollOrders: { ...operations.PollOrders, event: { path: '/nowhere' } } } })
  t.match(await run(['check', origin, '--config', file]), { code: 2, err: /PollOrders: the event could not be made: POST http:\S+\/nowhere was answered 404/ })
})

test('operations are found in a Swagger document, with samples of their schemas', async (t) => {
  const origin = await listen(t)
  const file = join(createTempDir(t), 'swagger.json')
  writeFileSync(file, JSON.stringify({
    swagger: '2.0',
    host: new URL(origin).host,
    schemes: ['http'],
    paths: {
      '/jobs': { post: { operationId: 'Bake', parameters: [{ in: 'body', name: 'body', required: true, schema: { $ref: '#/definitions/Order' } }], responses: { 202: {} } } },
      '/jobs/{id}': { get: { operationId: 'Status', responses: { 202: {} } } },
      '/poll': { get: { operationId: 'Poll', 'x-ms-trigger': 'batch', responses: { 200: {} } } },
      '/menu': { get: { operationId: 'Menu', responses: { 200: {} } } }
    },
    definitions: { Order: { type: 'object', required: ['flavour'], properties: { flavour: { type: 'string', 'x-ms-test-value': 'lemon' } } } }
  }))
  const { code, out, err } = await run(['check', file, '--json', '--header', 'x-key: 1'])
  t.equal(code, 0)
  t.match(err, 'Poll is left out: the config does not say how an event is made to happen\n')
  const { results } = JSON.parse(out) as { results: { operation: string, rule: string, outcome: string }[] }
  t.same([...new Set(results.map(({ operation }) => operation))], ['Bake'])
  t.match(results.find(({ rule }) => rule === 'job-ends'), { outcome: 'fine' })
})

test('an address with a path: the document is below it, and its basePath is not doubled', async (t) => {
  const app = Fastify()
  const called: string[] = []
  const paths = { '/cakes': { post: { operationId: 'Bake', responses: { 202: {} } } } }
  app.get('/api/swagger.json', () => ({ swagger: '2.0', basePath: '/api', paths }))
  app.get('/open/swagger.json', () => ({ swagger: '2.0', paths }))
  app.post('/*', ({ url }) => {
    called.push(url)
    return {}
  })
  t.teardown(() => app.close())
  const origin = await app.listen({ port: 0, host: '127.0.0.1' })
  const own = { operations: { Own: { kind: 'async-action', path: '/own' } } }
  for (const [target, config, expected] of [
    ['/api', { swagger: 'swagger.json' }, ['/api/cakes']],
    ['/api/', { swagger: '/swagger.json' }, ['/api/cakes']],
    ['/open', { swagger: 'swagger.json' }, ['/open/cakes']],
    ['/api', { swagger: `${origin}/open/swagger.json`, ...own }, ['/api/cakes', '/api/own']],
    ['/api/swagger.json', {}, ['/api/cakes']],
    ['/open/swagger.json', { swagger: '/api/swagger.json', ...own }, ['/cakes', '/own']]
  ] as [string, object, string[]][]) {
    called.length = 0
    const { err } = await run(['check', origin + target, '--config', configOf(t, config)])
    t.same([...new Set(called)].sort(), expected, `${target} ${JSON.stringify(config)}${err}`)
  }
})

test('samples fit formats, headers and forms; what cannot be made up leaves its operation out', async (t) => {
  const app = Fastify()
  const called: Record<string, unknown> = {}
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => { done(null, body) })
  app.post('/*', ({ url, body, headers }) => {
    called[url] = { body, 'x-shop': headers['x-shop'], 'x-key': headers['x-key'], 'x-code': headers['x-code'] }
    return {}
  })
  t.teardown(() => app.close())
  const host = new URL(await app.listen({ port: 0, host: '127.0.0.1' })).host
  const operation = (operationId: string, parameters: object[], more: object = {}): object => ({ post: { operationId, parameters, responses: { 202: {} }, ...more } })
  const body = (properties: Record<string, object>, more: object = {}): object => ({ in: 'body', name: 'body', schema: { required: Object.keys(properties), properties, ...more } })
  const text = { type: 'string' }
  const paths = {
    '/formats': operation('Formats', [body({ id: { ...text, format: 'uuid' }, mail: { ...text, format: 'email' }, site: { ...text, format: 'uri' }, day: { ...text, format: 'date' }, at: { ...text, format: 'date-time' }, short: { ...text, maxLength: 3 }, fine: { ...text, pattern: '^[a-z]+$' }, few: { type: 'integer', maximum: 0 } }, { allOf: [{ required: ['base'], properties: { base: text } }] })]),
    '/headers': operation('Headers', [{ in: 'header', name: 'X-Shop', required: true, ...text }, { in: 'header', name: 'X-Key', required: true, ...text }, { in: 'header', name: 'X-Code', required: true, ...text, pattern: '^[0-9]{4}$' }]),
    '/form': operation('Form', [{ in: 'formData', name: 'a b', required: true, ...text, format: 'email' }], { consumes: ['application/x-www-form-urlencoded'] }),
    '/pattern': operation('Pattern', [body({ code: { ...text, pattern: '^[0-9]{4}$' } })]),
    '/query': operation('Query', [{ in: 'query', name: 'code', required: true, ...text, minLength: 50, format: 'uuid' }]),
    '/file': operation('File', [{ in: 'formData', name: 'file', required: true, type: 'file' }]),
    '/known': operation('Known', [body({ code: { ...text, pattern: '^[0-9]{4}$' } })])
  }
  const file = configOf(t, { swagger: '2.0', host, schemes: ['http'], paths })
  const { code, err } = await run(['check', file, '--config', configOf(t, { headers: { 'x-code': '1234' }, operations: { Known: { body: { code: '1234' } } } }), '--header', 'x-key: 1'])
  t.equal(code, 0)
  t.match(called, {
    '/formats': { body: { id: /^[0-9a-f-]{36}$/, mail: /@/, site: /^https:/, day: /^\d{4}-\d\d-\d\d$/, at: /T/, short: 'che', fine: 'check', few: 0, base: 'check' } },
    '/headers': { 'x-shop': 'check', 'x-key': '1', 'x-code': '1234' },
    '/form': { body: 'a+b=check%40example.com' },
    '/known': { body: { code: '1234' } }
  })
  t.same(Object.keys(called).length, 4)
  for (const [name, field, member] of [['Pattern', 'code', 'body'], ['Query', 'code', 'queries'], ['File', 'file', 'body']]) t.match(err, `${name} is left out: no sample can be made up for "${field}", and the config gives no ${member}\n`)
})
