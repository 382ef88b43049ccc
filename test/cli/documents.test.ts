/* `fastify-logic-apps lint` and `diff`: of files and URLs. */
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import type { SwaggerDocument } from '../../src/connector/index.ts'
import { run } from '../helpers/command.ts'
import { createTempDir } from '../helpers/temp-dir.ts'

const published = join(import.meta.dirname, '../../examples/bakery/connector/apiDefinition.swagger.json')

/** The bakery's document, changed, in a file. */
function changed (t: Test, change: (document: SwaggerDocument) => void): string {
  const document = JSON.parse(readFileSync(published, 'utf8')) as SwaggerDocument
  change(document)
  const file = join(createTempDir(t), 'changed.json')
  writeFileSync(file, JSON.stringify(document))
  return file
}

const faulty = (t: Test): string => changed(t, (document) => { document.paths['/cakes']!.post!.operationId = 'ListFlavours' })
const warned = (t: Test): string => changed(t, (document) => { delete document.paths['/cakes']!.post!.summary })

test('each command is listed, and has a help', async (t) => {
  for (const [name, summary] of Object.entries({ export: 'writes the connector', lint: 'says what in a Swagger document', diff: 'says what of a new Swagger document' })) {
    t.match(await run(['--help']), { code: 0, out: new RegExp(`^  ${name} +${summary}`, 'm') })
    t.match(await run([name, '--help']), { code: 0, out: new RegExp(`^Usage: fastify-logic-apps ${name} `) })
  }
})

test('lint: a fine document', async (t) => {
  t.match(await run(['lint', published]), { code: 0, err: '', out: `${published}: no faults, no warnings\n` })
})

test('lint: faults exit 1, warnings 0, and 1 with --strict', async (t) => {
  t.match(await run(['lint', faulty(t)]), { code: 1, out: /^error: .*ListFlavours.*\(operation-id-duplicate\)\n[^]*: \d+ faults?, / })
  t.match(await run(['lint', warned(t)]), { code: 0, out: /^warning: BakeCake .*has no summary.*\(operation-summary\)\n.*: no faults, 1 warning\n$/ })
  t.equal((await run(['lint', warned(t), '--strict'])).code, 1)
  t.equal((await run(['lint', published, '--strict'])).code, 0)
})

test('lint --json', async (t) => {
  const file = warned(t)
  const { out } = await run(['lint', file, '--json'])
  t.match(JSON.parse(out), { document: file, errors: 0, warnings: 1, findings: [{ rule: 'operation-summary', severity: 'warning', operationId: 'BakeCake', source: String }] })
})

test('lint: OpenAPI 3 is a fault', async (t) => {
  const file = join(createTempDir(t), 'openapi.json')
  writeFileSync(file, '\uFEFF{"openapi":"3.1.0","info":{"title":"T","version":"1"},"paths":{}}')
  t.match(await run(['lint', file]), { code: 1, out: /error: swagger: is "3\.1\.0".*\(swagger-2\)/ })
})

test('documents are read from URLs', async (t) => {
  const server = createServer(({ url }, response) => {
    if (url === '/swagger.json') response.end(readFileSync(published))
    else if (url === '/page') response.end('<html>')
    else response.writeHead(401).end()
  }).listen(0, '127.0.0.1')
  t.teardown(() => { server.close() })
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  t.match(await run(['lint', `${origin}/swagger.json`]), { code: 0, out: /no faults/ })
  t.match(await run(['diff', published, `${origin}/swagger.json`]), { code: 0 })
  t.match(await run(['lint', `${origin}/page`]), { code: 2, err: /is no JSON: .*YAML file must be converted first/ })
  t.match(await run(['lint', `${origin}/secret`]), { code: 2, err: /was answered 401: the document must be open to all/ })
  t.match(await run(['lint', 'http://127.0.0.1:1/swagger.json']), { code: 2, err: /cannot be reached: / })
})

test('diff: exit 1 on what breaks, 0 on what does not', async (t) => {
  t.match(await run(['diff', published, published]), { code: 0, out: 'nothing breaks, 0 compatible\n', err: '' })
  const renamed = changed(t, (document) => { document.paths['/cakes']!.post!.operationId = 'Bake' })
  t.match(await run(['diff', published, renamed]), { code: 1, out: 'breaking: BakeCake paths./cakes.post: is called Bake now (operation-removed)\ncompatible: Bake paths./cakes.post: is new (operation-added)\n1 breaking change, 1 compatible\n' })
  const added = changed(t, (document) => { document.paths['/new'] = { get: { operationId: 'New', responses: {} } } })
  t.match(await run(['diff', published, added]), { code: 0, out: /^compatible: New .*\nnothing breaks, 1 compatible\n$/ })
  const two = changed(t, (document) => { delete document.paths['/cakes']; delete document.paths['/flavours'] })
  t.match(await run(['diff', published, two]), { code: 1, out: /\n2 breaking changes, 0 compatible\n$/ })
})

test('diff --json', async (t) => {
  const renamed = changed(t, (document) => { document.paths['/cakes']!.post!.operationId = 'Bake' })
  const { out, code } = await run(['diff', published, renamed, '--json'])
  t.equal(code, 1)
  t.match(JSON.parse(out), { old: published, new: renamed, breaking: 1, changes: [{ severity: 'breaking', kind: 'operation-removed', operationId: 'BakeCake' }, { severity: 'compatible' }] })
})

test('wrong arguments and unreadable documents are told, with exit code 2', async (t) => {
  const list = join(createTempDir(t), 'list.json')
  writeFileSync(list, '[]')
  const other = join(createTempDir(t), 'other.json')
  writeFileSync(other, '{"openapi":"3.0.0"}')
  for (const [args, message] of [
    [['lint'], /give one Swagger document/], [['lint', 'a', 'b'], /give one/], [['lint', '/no/such.json'], /cannot be read: ENOENT/], [['lint', list], /holds no JSON object/], [['lint', published, '--fast'], /Unknown option/],
    [['diff', published], /give two Swagger documents/], [['diff', 'a', 'b', 'c'], /give two/], [['diff', published, '/no/such.json'], /cannot be read/], [['diff', published, other], /other\.json is no Swagger 2\.0 document/], [['diff', other, published], /is no Swagger 2\.0/]
  ] as [string[], RegExp][]) t.match(await run(args), { code: 2, err: message, out: '' }, args.join(' '))
})
