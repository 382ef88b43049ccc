/*
 * The documentation is true: its code compiles, the quick start runs, links lead somewhere, names exist.
 *
 * A fenced `ts` or `js` block stands for one file. One that is a fragment has its missing beginning in a comment right
 * before it, which readers do not see:
 *
 *     <!-- prelude
 *     const app = Fastify()
 *     -->
 *
 * Both are written to a file at the lines they have in the page, so that an error names the line to mend.
 */
import { execFile, execFileSync, spawn } from 'node:child_process'
import { existsSync, globSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import tap, { test, type Test } from 'tap'
import { outcomeOf } from '../src/callbacks/outcome.ts'
import * as errors from '../src/errors.ts'
import { findPort } from './helpers/find-port.ts'
import { createTempDir } from './helpers/temp-dir.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { name: string, exports: Record<string, unknown> }

/** What the pages import and this repository does not have. */
const stubs = `
declare module 'jose' {
  export function createRemoteJWKSet (url: URL): (header: object) => Promise<object>
  export function jwtVerify (token: string, keys: (header: object) => Promise<object>, options: { issuer: string, audience: string }): Promise<{ payload: { [claim: string]: unknown } }>
}
`

interface Block {
  language: string
  /** Number of its first line, from 0. */
  line: number
  code: string[]
  prelude: { line: number, code: string[] } | undefined
}

interface Page {
  /** From the root of the repository. */
  path: string
  text: string
  /** Without code blocks and comments. */
  prose: string
  blocks: Block[]
}

const pages = ['README.md', 'SECURITY.md', ...globSync('docs/**/*.md', { cwd: root })].map((path) => parse(path, readFileSync(join(root, path), 'utf8')))

// The compiler takes its time on a busy machine.
tap.setTimeout(240_000)
// The tutorials wait while it does.
tap.jobs = 2

test('every code block compiles, and every JSON block parses', async (t) => {
  const project = createProject(t)
  for (const { path, blocks } of pages) {
    for (const block of blocks) {
      if (block.language === 'json') t.doesNotThrow(() => JSON.parse(block.code.join('\n')), `${path}:${block.line}`)
      if (!['ts', 'js'].includes(block.language)) continue
      const extension = block.language === 'js' && block.code.some((line) => line.includes('require(')) ? 'cjs' : block.language
      writeFileSync(join(project, `${path.replaceAll('/', '__')}__${block.line}.${extension}`), inPlace(block))
    }
  }
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({
    extends: join(root, 'tsconfig.json'),
    compilerOptions: {
      noUnusedLocals: false,
      verbatimModuleSyntax: false,
      allowJs: true,
      checkJs: true,
      // A fragment without imports is a module too.
      moduleDetection: 'force',
      paths: { 'fastify-logic-apps': [join(root, 'src/index.ts')], ...Object.fromEntries(subpaths().map(([name, file]) => [`fastify-logic-apps/${name}`, [file]])) }
    },
    include: ['*'],
    exclude: []
  }))
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const output = await promisify(execFile)(process.execPath, [tsc, '-p', project, '--pretty', 'false'], { cwd: project })
    .then(() => '', (error: { stdout: string }) => error.stdout.replaceAll('__', '/'))
  t.equal(output, '')
})

test('the quick start of the README runs as it stands', async (t) => {
  const readme = pages.find(({ path }) => path === 'README.md')!
  const quickStart = readme.blocks.find(({ code }) => code.some((line) => line.includes('app.listen')))!
  t.ok(quickStart.code.length <= 30, 'it has 30 lines at most')
  const source = quickStart.code.join('\n')
  t.match(source, 'port: 3000')

  const project = createProject(t)
  const file = join(project, 'server.js')
  writeFileSync(file, source.replace('port: 3000', 'port: 0'))
  const server = spawn(process.execPath, [file], { cwd: project, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => { server.kill('SIGKILL') })
  const address = await addressOf(server.stdout)

  const start = await fetch(`${address}/cakes`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ flavour: 'lemon' }) })
  t.equal(start.status, 202)
  t.match(start.headers.get('retry-after'), /^\d+$/)
  const location = start.headers.get('location')!
  t.match(location, `${address}/cakes/jobs/`)
  let poll = await fetch(location)
  t.equal(poll.status, 202)
  while (poll.status === 202) {
    await delay(200)
    poll = await fetch(location)
  }
  t.equal(poll.status, 200)
  t.match(await poll.json(), { cakeId: /^[\w-]{22}$/, order: { flavour: 'lemon' } })
  t.equal((await fetch(`${address}/cakes`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"flavour":"tar"}' })).status, 400)
  t.ok(existsSync(join(project, 'data/logic-apps.db')))
})

test('the webhook tutorial runs as it stands', async (t) => {
  const tutorial = pages.find(({ path }) => path === 'docs/tutorial/first-webhook.md')!
  const [receiverCode, serverCode] = tutorial.blocks.filter(({ language }) => language === 'ts').map(({ code }) => code.join('\n'))
  const project = createProject(t)
  const port = await findPort()
  const run = (name: string, source: string): NodeJS.ReadableStream => {
    const file = join(project, name)
    writeFileSync(file, source)
    const child = spawn(process.execPath, [file], { cwd: project, stdio: ['ignore', 'pipe', 'inherit'] })
    t.teardown(() => { child.kill('SIGKILL') })
    return child.stdout
  }
  const startReceiver = (): AsyncIterator<string> =>
    createInterface({ input: run('receiver.ts', receiverCode!.replace('listen(4000', `listen(${port}`)) })[Symbol.asyncIterator]()
  const address = await addressOf(run('webhooks.ts', serverCode!.replace('port: 3000', 'port: 0').replace('10_000', '100')))
  const subscribe = (path: string, body: object): Promise<Response> => fetch(`${address}${path}`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body)
  })
  const callbackUrl = `http://127.0.0.1:${port}/runs/1?sig=secret`

  const first = await subscribe('/cakes/calls', { callbackUrl, flavour: 'burnt' })
  t.equal(first.status, 201)
  t.same(await (await subscribe('/cakes/calls', { callbackUrl, flavour: 'burnt' })).json(), await first.json())
  // The receiver is down as yet, so the callback is sent again.
  const received = startReceiver()
  const next = async (): Promise<string> => (await received.next()).value as string
  t.match(await next(), /^POST \/runs\/1\?sig=secret webhook-id=[\w-]{22} {"error":{"code":"CakeBurnt","message":"The cake burnt."}}$/)

  const subscription = await subscribe('/hooks/orders', { callbackUrl, flavour: 'carrot' })
  t.equal(subscription.status, 201)
  t.equal((await subscribe('/orders', { orderId: '1', flavour: 'lemon' })).status, 201)
  t.equal((await subscribe('/orders', { orderId: '2', flavour: 'carrot' })).status, 201)
  t.match(await next(), '{"orderId":"2","flavour":"carrot"}')
  t.equal((await fetch(subscription.headers.get('location')!, { method: 'DELETE' })).status, 200)
  for (const [url, code] of [['https://evil.example.com/x?sig=secret', 'CallbackUrlNotAllowed'], ['http://2130706433:4000/', 'InvalidCallbackUrl']]) {
    const refused = await subscribe('/hooks/orders', { callbackUrl: url })
    t.equal(refused.status, 400)
    t.match(await refused.json(), { error: { code } })
  }
})

test('the polling tutorial runs as it stands', async (t) => {
  const tutorial = pages.find(({ path }) => path === 'docs/tutorial/first-polling-trigger.md')!
  const project = createProject(t)
  const file = join(project, 'polling.ts')
  writeFileSync(file, tutorial.blocks.find(({ language }) => language === 'ts')!.code.join('\n').replace('port: 3000', 'port: 0'))
  const server = spawn(process.execPath, [file], { cwd: project, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => { server.kill('SIGKILL') })
  const address = await addressOf(server.stdout)
  const first = await fetch(`${address}/triggers/orders`)
  t.equal(first.status, 202)
  t.equal(first.headers.get('retry-after'), '15')
  for (const orderId of ['1', '2', '3']) await fetch(`${address}/orders`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ orderId, flavour: 'lemon' }) })
  const found = await fetch(first.headers.get('location')!)
  t.equal(found.status, 200)
  t.equal(await found.text(), '{"value":[{"orderId":"1","flavour":"lemon"},{"orderId":"2","flavour":"lemon"},{"orderId":"3","flavour":"lemon"}]}')
  const refused = await fetch(`${found.headers.get('location')}x`)
  t.ok(tutorial.text.includes(await refused.text()), 'the error is the one that is shown')
})

test('the README names the two commands and is short', async (t) => {
  const readme = pages.find(({ path }) => path === 'README.md')!
  t.match(readme.text, 'npm ci && npm run demo')
  t.match(readme.text, 'npm ci && npm test')
  t.ok(readme.text.split('\n').length <= 251)
})

test('every relative link and every anchor leads somewhere', async (t) => {
  for (const { path, prose } of pages) {
    for (const [, target] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue
      const [file, anchor] = target!.split('#')
      const linked = file === '' ? path : relative(root, resolve(root, dirname(path), file!))
      t.ok(existsSync(join(root, linked)), `${path}: ${target} exists`)
      if (anchor === undefined || !existsSync(join(root, linked)) || statSync(join(root, linked)).isDirectory()) continue
      t.ok(anchorsOf(readFileSync(join(root, linked), 'utf8')).includes(anchor), `${path}: ${target} is a heading`)
    }
  }
})

test('every page of docs is in its index', async (t) => {
  const index = pages.find(({ path }) => path === 'docs/README.md')!
  for (const { path } of pages) {
    if (path.startsWith('docs/') && path !== index.path) t.match(index.prose, `(${path.slice('docs/'.length)})`, path)
  }
})

test('every subpath that is named is exported', async (t) => {
  for (const { path, text } of pages) {
    for (const [, subpath] of text.matchAll(/(?<![\w/.@-])fastify-logic-apps\/([\w-]+)/g)) {
      t.hasProp(manifest.exports, `./${subpath}`, `${path}: ${subpath}`)
    }
  }
})

test('every error code that is named exists', async (t) => {
  const codes = errorCodes()
  for (const { path, text } of pages) {
    for (const [code] of text.matchAll(/\bFST_LOGIC_APPS_[A-Z][A-Z_]*/g)) t.ok(codes.has(code), `${path}: ${code}`)
  }
})

test('the error page, the errors and their union name the same codes, statuses and wire codes', async (t) => {
  const { text } = pages.find(({ path }) => path === 'docs/reference/errors.md')!
  const rows = Object.fromEntries([...text.matchAll(/^\| `(FST_LOGIC_APPS_\w+)` \| (?:`(\w+)`|–) \| (\d+) \|/gm)].map(([, code, wire, status]) => [code, { wire, status: Number(status) }]))
  const wireCodes: Record<string, string> = errors.wireCodes
  t.same(rows, Object.fromEntries([...errorCodes()].map(([code, status]) => [code, { wire: wireCodes[code], status }])))

  const union = /export type FastifyLogicAppsErrorCode =(.*?)\n\n/s.exec(readFileSync(join(root, 'src/errors.ts'), 'utf8'))![1]!
  t.same([...union.matchAll(/'(\w+)'/g)].map(([, code]) => code).sort(), [...errorCodes().keys()].sort())

  for (const code of Object.keys(wireCodes)) t.match(text, `\`${code}\``)
  for (const code of new Set(Object.values(wireCodes))) t.match(text, `\`${code}\``)
})

test('the error page names the codes of failed jobs', async (t) => {
  const { text } = pages.find(({ path }) => path === 'docs/reference/errors.md')!
  const named = [...text.slice(text.indexOf('## How a job failed')).matchAll(/^\| `(\w+)` \|/gm)].map(([, code]) => code).sort()
  const sources = globSync('src/work/*.ts', { cwd: root }).map((path) => readFileSync(join(root, path), 'utf8')).join('\n')
  const inCode = [...sources.matchAll(/\bcode: '(\w+)'/g)].map(([, code]) => code)
  t.same(named, [...new Set(inCode)].sort())
})

test('the log messages that are named are logged', async (t) => {
  const { text } = pages.find(({ path }) => path === 'docs/how-to/run-in-production.md')!
  const sources = globSync('src/**/*.ts', { cwd: root }).map((path) => readFileSync(join(root, path), 'utf8')).join('\n')
  const rows = [...text.matchAll(/^\| (?:error|warn|info) \| `([^`]+)`/gm)]
  t.ok(rows.length > 0)
  for (const [, message] of rows) t.ok(sources.includes(message!), message!)
})

test('the glossary names every role', async (t) => {
  const union = /export type Role =(.*)/.exec(readFileSync(join(root, 'src/operations/generated-route.ts'), 'utf8'))![1]!
  const { text } = pages.find(({ path }) => path === 'docs/reference/glossary.md')!
  for (const [, role] of union.matchAll(/'(\w+)'/g)) t.match(text, `\`${role}\``)
})

test('the answers to callbacks mean what the page says', async (t) => {
  const { text } = pages.find(({ path }) => path === 'docs/reference/http.md')!
  const table = text.slice(text.indexOf('### What the answer means'))
  const said = { delivered: ' delivered |', again: ' is sent again', retired: ' retired', suspended: ' suspended', dead: ' goes on' }
  for (const [cell, statusCode, body = ''] of [
    ['2xx', 202], ['408, 425, 429, 5xx', 408], ['408, 425, 429, 5xx', 425], ['408, 425, 429, 5xx', 429], ['408, 425, 429, 5xx', 503],
    ['404, 410', 404], ['404, 410', 410], ['401, 403, ', 401], ['401, 403, ', 403], ['`WorkflowTriggerIsNotEnabled`', 400, 'WorkflowTriggerIsNotEnabled'],
    ['any other 3xx or 4xx', 302], ['any other 3xx or 4xx', 400], ['none in `timeoutSeconds`', null]
  ] as [string, number | null, string?][]) {
    const row = table.split('\n').find((line) => line.startsWith('|') && line.includes(cell))!
    t.match(row, said[outcomeOf({ statusCode, text: body, retryAfterMs: null, durationMs: 0 })], `${statusCode}: ${row}`)
  }
})

test('the table of options is made from the schema as it is', async (t) => {
  t.doesNotThrow(() => execFileSync(process.execPath, [join(root, 'scripts/make-reference.ts'), '--check']))
})

/** `code` and status of each error class. */
function errorCodes (): Map<string, number> {
  const classes = Object.values(errors).filter((value) => typeof value === 'function') as (new (...args: unknown[]) => { code: string, statusCode?: number })[]
  return new Map(classes.map((Class) => new Class('Code', '', {})).filter(({ code }) => /^FST_/.test(code)).map(({ code, statusCode }) => [code, statusCode!]))
}

function parse (path: string, text: string): Page {
  const lines = text.split('\n')
  const blocks: Block[] = []
  const prose: string[] = []
  let prelude: Block['prelude']
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!
    const fence = /^\s*```(\w*)$/.exec(line)
    if (fence !== null) {
      const end = lines.findIndex((other, index) => index > at && other.trim() === '```')
      blocks.push({ language: fence[1]!, line: at + 1, code: lines.slice(at + 1, end), prelude })
      at = end
    } else if (line === '<!-- prelude') {
      const end = lines.indexOf('-->', at)
      prelude = { line: at + 1, code: lines.slice(at + 1, end) }
      at = end
      continue
    } else {
      prose.push(line)
    }
    if (line !== '') prelude = undefined
  }
  return { path, text, prose: prose.join('\n'), blocks }
}

/** The code at the lines where the page has it. */
function inPlace ({ line, code, prelude }: Block): string {
  const lines: string[] = Array(line).fill('')
  if (prelude !== undefined) lines.splice(prelude.line, prelude.code.length, ...prelude.code)
  return [...lines, ...code, ''].join('\n')
}

/** A folder in which the package and its dependencies can be imported. The package is its sources. */
function createProject (t: Test): string {
  const project = createTempDir(t)
  writeFileSync(join(project, 'package.json'), '{"type":"module"}')
  writeFileSync(join(project, 'stubs.d.ts'), stubs)
  mkdirSync(join(project, 'node_modules', manifest.name), { recursive: true })
  for (const name of ['fastify', 'typebox', '@fastify', '@types']) symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name))
  // Node strips no types below node_modules, but this link leads out of it.
  symlinkSync(join(root, 'src'), join(project, 'node_modules', manifest.name, 'src'))
  writeFileSync(join(project, 'node_modules', manifest.name, 'package.json'), JSON.stringify({ name: manifest.name, type: 'module', exports: { '.': './src/index.ts' } }))
  return project
}

/** Names of the exports but the main one, with their source. */
function subpaths (): [string, string][] {
  return Object.entries(manifest.exports).flatMap(([name, target]) => {
    const file = (target as { default?: string }).default
    return name === '.' || file === undefined ? [] : [[name.slice(2), join(root, file.replace('./dist/', 'src/').replace(/\.js$/, '.ts'))]]
  })
}

/** As GitHub makes them. */
function anchorsOf (text: string): string[] {
  return [...parse('', text).prose.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-'))
}

async function addressOf (stdout: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface({ input: stdout })) {
    const address = /Server listening at (http:\/\/127\.0\.0\.1:\d+)/.exec(line)?.[1]
    if (address !== undefined) {
      stdout.resume()
      return address
    }
  }
  throw new Error('the server ended')
}
