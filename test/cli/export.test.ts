/* `fastify-logic-apps export`: apps in every form, which are made ready and do nothing else. */
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import tap, { test } from 'tap'
import { run, writeApp } from '../helpers/command.ts'
import { createTempDir } from '../helpers/temp-dir.ts'

// Each run starts a process.
tap.setTimeout(240_000)

const bakery = join(import.meta.dirname, '../../examples/bakery')
const published = join(bakery, 'connector')
const address = 'https://cakes.contoso.com'

const imports = `
import Fastify from 'fastify'
import logicApps from 'src/index.ts'
`
const plugin = (options = ''): string => `
async function plugin (app, opts) {
  await app.register(logicApps, { connector: { info: { title: 'Exported' } } ${options} })
  app.get('/flavours', { config: { logicApps: true }, schema: { operationId: 'ListFlavours', summary: 'List flavours' } }, () => [])
}
`

test('the bakery\'s bundle in this repository is what export writes', async (t) => {
  const { code, out, err } = await run(['export', '--app', join(bakery, 'server.ts'), '--out', published, '--check'], { BASE_URL: address })
  t.equal(out, '', `run: BASE_URL=${address} node src/cli/bin.ts export --app examples/bakery/server.ts --out examples/bakery/connector`)
  t.equal(code, 0)
  t.equal(err, `The bakery is open at ${address}\n`, 'what the app writes, and no findings')
})

test('files are written; a second time they are the same; what is left of operations that are gone is removed', async (t) => {
  const folder = createTempDir(t)
  const bundle = join(folder, 'connector')
  mkdirSync(join(bundle, 'workflows'), { recursive: true })
  for (const name of ['Gone.http.json', 'notes.json', 'Mine.http.txt']) writeFileSync(join(bundle, 'workflows', name), '{}')
  const args = ['export', '--app', join(bakery, 'server.ts'), '--out', bundle, '--base-url', `${address}/`]
  const first = await run(args)
  t.equal(first.code, 0)
  t.match(first.out, `wrote ${join(bundle, 'apiDefinition.swagger.json')}\n`)
  t.match(first.out, `removed ${join(bundle, 'workflows/Gone.http.json')}: there is no such operation any more\n`)
  t.same(readdirSync(join(bundle, 'workflows')).filter((name) => !existsSync(join(published, 'workflows', name))), ['Mine.http.txt', 'notes.json'], 'what is not ours stays')
  for (const name of readdirSync(published, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())) {
    const path = join(name.parentPath, name.name).slice(published.length)
    t.ok(readFileSync(join(bundle, path)).equals(readFileSync(join(published, path))), path)
  }
})

test('--check tells what is not as it would be written, and writes nothing', async (t) => {
  const folder = join(createTempDir(t), 'connector')
  cpSync(published, folder, { recursive: true })
  writeFileSync(join(folder, 'workflows/Gone.http-webhook.json'), '{}')
  writeFileSync(join(folder, 'apiProperties.json'), '{}')
  rmSync(join(folder, 'icon.png'))
  const checked = await run(['export', '--app', join(bakery, 'server.ts'), '--out', folder, '--check'], { BASE_URL: address })
  t.match(checked, { code: 1, out: 'apiProperties.json is not as it would be written\nicon.png is missing\nworkflows/Gone.http-webhook.json would be removed: there is no such operation any more\n' })
  t.equal(readFileSync(join(folder, 'apiProperties.json'), 'utf8'), '{}')
  t.notOk(existsSync(join(folder, 'icon.png')))
})

const forms: Record<string, { source: string, name?: string, args?: string[] }> = {
  'a plugin, as fastify-cli takes it': { source: `${imports}${plugin()} export default plugin` },
  'a plugin with options of its server': { source: `${imports} export default async function (app, opts) { if (app.initialConfig.bodyLimit !== 77) throw new Error('options are lost'); await app.register(plugin) } ${plugin()} export const options = { bodyLimit: 77 }` },
  'a CommonJS plugin': { name: 'app.cjs', source: "module.exports = async (app) => { await app.register((await import('src/index.ts')).default, { connector: { info: { title: 'Exported' } } }); app.get('/flavours', { config: { logicApps: true }, schema: { operationId: 'ListFlavours', summary: 'List flavours' } }, () => []) }" },
  'an app': { source: `${imports}${plugin()} const app = Fastify(); app.register(plugin); export default app` },
  'a function that makes an app': { source: `${imports}${plugin()} export default async () => { const app = Fastify(); await app.register(plugin); return app }` },
  'a function by another name': { source: `${imports}${plugin()} export default async () => { throw new Error('not this one') }; export function build () { const app = Fastify(); app.register(plugin); return app }`, args: ['--export', 'build'] },
  'a plugin in a scope': { source: `${imports}${plugin()} const app = Fastify(); app.register(async (scope) => { await scope.register(plugin) }, { prefix: '/v1' })` },
  TypeScript: { name: 'app.ts', source: `${imports.replace('Fastify from', 'Fastify, { type FastifyInstance } from')}${plugin().replace('(app, opts)', '(app: FastifyInstance)')} export default plugin` }
}

for (const [form, { source, name, args = [] }] of Object.entries(forms)) {
  test(`the module gives ${form}`, async (t) => {
    const file = writeApp(t, source, name)
    const out = join(createTempDir(t), 'bundle')
    const ran = await run(['export', '--app', file, '--out', out, '--base-url', 'https://api.example', ...args])
    t.equal(ran.code, 0, ran.err)
    const document = JSON.parse(readFileSync(join(out, 'apiDefinition.swagger.json'), 'utf8')) as { host: string, info: { title: string }, paths: object }
    t.match(document, { host: 'api.example', info: { title: 'Exported' } })
    t.same(Object.keys(document.paths), [form === 'a plugin in a scope' ? '/v1/flavours' : '/flavours'])
    t.match(ran.err, /^warning: ListFlavours /m, 'what could be better is told')
  })
}

test('no store is opened, no job runs, nothing listens, and what the app leaves running ends with it', async (t) => {
  // Whoever listened here would fail: the port is taken.
  const taken = createServer().listen(0, '127.0.0.1')
  t.teardown(() => { taken.close() })
  await once(taken, 'listening')
  const { port } = taken.address() as AddressInfo
  const file = writeApp(t, `${imports}
import { createServer } from 'node:http'
const ran = (what) => { throw new Error(what + ' was called') }
const store = new Proxy({}, { get: (_, name) => () => ran('store.' + String(name)) })
const app = Fastify()
await app.register(logicApps, { store, baseUrl: 'https://api.example', connector: { info: { title: 'Exported' } } })
app.asyncAction('/cakes', { schema: { operationId: 'BakeCake', summary: 'Bake a cake' } }, () => ran('a job'))
app.addHook('onClose', async () => { console.log('closed') })
app.addHook('onListen', async () => { ran('onListen') })
const topic = app.logicApps.topic('orders')
await topic.publish({ a: 1 }).then(() => ran('publish'), ({ code, message }) => { console.log(code, message) })
setInterval(() => {}, 1000)
await new Promise((resolve) => createServer().listen(${port}, '127.0.0.1', resolve))
console.log(await app.listen({ port: ${port}, host: '127.0.0.1' }))
await new Promise((resolve) => app.listen({ port: ${port} }, (error, url) => { console.log(error, url); resolve() }))
`)
  const out = join(dirname(file), 'bundle')
  const ran = await run(['export', '--app', file, '--out', out])
  t.equal(ran.code, 0, ran.err)
  t.match(ran.err, /FST_LOGIC_APPS_STORE_UNAVAILABLE the app is only described here, .*onListen hook\nhttp:\/\/127\.0\.0\.1:0\nnull http:\/\/127\.0\.0\.1:0\n/)
  t.match(ran.err, /closed\n/, 'the host could say goodbye')
  t.ok(existsSync(join(out, 'workflows/BakeCake.http.json')))
  t.same(readdirSync(dirname(file)).toSorted(), ['app.mjs', 'bundle', 'node_modules'], 'no data beside it')
})

test('an app without a store of its own opens none, and needs no secret', async (t) => {
  const file = writeApp(t, `${imports}${plugin()} process.chdir(import.meta.dirname); export default plugin`)
  t.equal((await run(['export', '--app', file, '--out', join(dirname(file), 'bundle'), '--base-url', 'https://api.example'])).code, 0)
  t.notOk(existsSync(join(dirname(file), 'data')))
})

test('of several connectors one is named', async (t) => {
  const file = writeApp(t, `${imports}
for (const title of ['One', 'Two']) {
  const app = Fastify()
  app.register(logicApps, { baseUrl: 'https://api.example', connector: { info: { title } } })
}`)
  const out = join(dirname(file), 'bundle')
  t.match(await run(['export', '--app', file, '--out', out]), { code: 2, err: /it has 2 connectors: name the one with --title, of One, Two/ })
  t.match(await run(['export', '--app', file, '--out', out, '--title', 'Three']), { code: 2, err: /no connector has the title "Three"; there are One, Two/ })
  t.equal((await run(['export', '--app', file, '--out', out, '--title', 'Two'])).code, 0)
  t.match(JSON.parse(readFileSync(join(out, 'apiDefinition.swagger.json'), 'utf8')), { info: { title: 'Two' } })
})

test('options of the bundle', async (t) => {
  const security = ', baseUrl: \'https://api.example\', connector: { info: { title: \'Exported\' }, securityDefinitions: { id: { type: \'oauth2\', flow: \'accessCode\', authorizationUrl: \'https://login.microsoftonline.com/common\', tokenUrl: \'https://login.microsoftonline.com/common/token\', scopes: {} } } }'
  const file = writeApp(t, `${imports}${plugin(security)} export default plugin`)
  const [out, icon] = [join(dirname(file), 'bundle'), join(dirname(file), 'icon.png')]
  copyFileSync(join(published, 'icon.png'), icon)
  const ran = await run(['export', '--app', file, '--out', out, '--icon', icon, '--brand-color', '#112233', '--client-id', 'abc', '--resource-uri', 'api://cakes'])
  t.equal(ran.code, 0, ran.err)
  t.ok(readFileSync(join(out, 'icon.png')).equals(readFileSync(icon)))
  t.match(JSON.parse(readFileSync(join(out, 'apiProperties.json'), 'utf8')), {
    properties: { iconBrandColor: '#112233', connectionParameters: { token: { oAuthSettings: { clientId: 'abc', customParameters: { resourceUri: { value: 'api://cakes' } } } } } }
  })
})

test('what cannot be exported is told, with exit code 2 and nothing written', async (t) => {
  const good = writeApp(t, `${imports}${plugin()} export default plugin`)
  const noIcon = join(dirname(good), 'icon.png')
  writeFileSync(noIcon, 'GIF89a')
  const app = (source: string): string => writeApp(t, `${imports}${source}`)
  const out = join(createTempDir(t), 'bundle')
  for (const [args, message] of [
    [[], /--app is missing: name the module/],
    [['--app', '/no/such/app.js'], /Cannot find module '\/no\/such\/app\.js'/],
    [['--app', good], /names no host.*baseUrl/],
    [['--app', good, '--base-url', 'cakes'], /--base-url must be an absolute http or https URL/],
    [['--app', good, '--base-url', address, '--icon', '/no/such.png'], /--icon: \/no\/such\.png cannot be read: ENOENT/],
    [['--app', good, '--base-url', address, '--icon', noIcon], /icon\.png is no PNG/],
    [['--app', good, '--base-url', address, '--brand-color', 'red'], /brandColor is "red"/],
    [['--app', good, '--base-url', address, '--export', 'build'], /it exports no "build"; there are default/],
    [['--app', good, '--fast'], /Unknown option '--fast'/],
    [['--app', app('export default Fastify()')], /no app in it has registered fastify-logic-apps/],
    [['--app', app('export default 42')], /no app in it has registered/],
    [['--app', app("export default async () => { throw new Error('no database') }")], /Error: no database\n +at /],
    [['--app', app("const app = Fastify(); app.register(logicApps); app.ready = () => Promise.reject(new Error('not ready')); await app.listen({ port: 0 })")], /Error: not ready/],
    [['--app', app("const app = Fastify(); app.register(logicApps); app.addHook('onReady', async () => { throw new Error('not ready') }); await new Promise((resolve, reject) => { app.listen({ port: 0 }, (error) => error === null ? resolve() : reject(error)) })")], /Error: not ready/],
    [['--app', app('process.exit(0)')], /the app ended before it was ready \(exit code 0\)/],
    [['--app', app(`${plugin(', connector: false')} export default plugin`)], /registered with connector: false/],
    [['--app', app("export default async (app, opts) => { await app.register(logicApps); app.get('/x/*', { config: { logicApps: true }, schema: { operationId: 'X' } }, () => '') }")], /the connector document would break flows: 1 fault\n- X GET \/x\/\*/]
  ] as [string[], RegExp][]) {
    t.match(await run(['export', '--out', out, ...args]), { code: 2, out: '', err: message }, String(message))
  }
  t.notOk(existsSync(out))
})
