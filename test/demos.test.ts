/* The two demos, played to their ends. They mostly wait, so they wait together. */
import { readdirSync } from 'node:fs'
import t from 'tap'
import { runExample } from './helpers/example.ts'
import { until } from './helpers/until.ts'

t.setTimeout(300_000)
t.jobs = 2

t.test('the demo plays to its end', async (t) => {
  const demo = runExample(t, 'bakery/demo.ts')
  t.same(await demo.ended, { code: 0, signal: null }, 'ends with 0', { output: demo.output() })
  const output = demo.output()
  for (const line of [
    /POST \/cakes {2}\{"flavour":"lemon"/,
    /-> 202 Accepted {3}location: http:\/\/127\.0\.0\.1:\d+\/cakes\/jobs\/[\w-]{8}… {3}retry-after: 2/,
    /-> 200 OK\n.*"message":"Happy birthday"/,
    /DELETE \/cakes\/jobs\/[\w-]{8}…\n +-> 204 No Content/,
    /-> 422 Unprocessable Entity\n.*"code":"JobCanceled"/,
    /-> 422 Unprocessable Entity\n.*"code":"CakeBurnt"/,
    /x-ms-action-tracking-id: ([\w-]+)\n[^]*?(location: \S+)[^]*?x-ms-action-tracking-id: \1\n[^]*?\2/,
    /SIGKILL: the server is gone\n.*\n +-> no answer \(ECONNREFUSED\)/,
    /The bakery is open[^]*The bakery is open[^]*-> 200 OK\n.*"flavour":"chocolate"/,
    /POST \/cakes\/calls {2}\{"callbackUrl":"http:\/\/127\.0\.0\.1:\d+\/workflows\/\w+\/runs\/\w+\/actions\/Bake_and_call\/run\?…"/,
    /-> 201 Created {3}location: http:\/\/127\.0\.0\.1:\d+\/hooks\/orders\/[\w-]{8}…/,
    /the bakery calls: POST .*\/Bake_and_call\/run\?… {3}webhook-id: ([\w-]+)\n.*"message":"Surprise".*\n +<- 503[^]*SIGKILL[^]*webhook-id: \1\n.*\n +<- 200 OK/,
    /the bakery calls: POST .*\/On_order\/versions\/\d+\/run\?… {3}webhook-id: ([\w-]+)\n.*"orderId":"A-2".*\n +<- 503[^]*SIGKILL[^]*webhook-id: \1\n.*\n +<- 202 Accepted/,
    /POST \/hooks\/orders\/unsubscribe .*\n +-> 200 OK[^]*nothing came/,
    /GET \/triggers\/orders\?triggerState=[\w-]{8}…\n +-> 200 OK.*\n.*\{"value":\[\{"orderId":"B-1".*"B-2".*"B-3"/,
    /-> 200 OK.*retry-after: 0\n.*"B-1"[^]*-> 200 OK.*retry-after: 0\n.*"B-2"[^]*-> 200 OK[^\n]*…\n.*"B-3"/,
    /the server ended with 0\n\nAll as promised/
  ]) t.match(output, line)
  t.notMatch(output, /\/(jobs|operations|calls|hooks\/orders)\/(?!unsubscribe\b)[\w-]{9}/, 'no token is shown')
  t.notMatch(output, /triggerState=[\w-]{9}/, 'no state is shown')
  t.notMatch(output, 'sig=', 'nor what makes a callback URL a key')
  t.same(readdirSync(demo.folder), [], 'the data is gone')
})

t.test('the demo, when it fails, says so and ends', async (t) => {
  const demo = runExample(t, 'bakery/demo.ts', { LOG_LEVEL: 'nonsense' })
  t.same(await demo.ended, { code: 1, signal: null })
  t.match(demo.output(), /The demo failed after [\d.]+ s: the bakery ended before it was open/)
  t.same(readdirSync(demo.folder), [])
})

t.test('the demo, when interrupted, takes its server and its data with it', async (t) => {
  const demo = runExample(t, 'bakery/demo.ts')
  await until(() => demo.output().includes('POST /cakes'))
  const [, port] = /is open at http:\/\/127\.0\.0\.1:(\d+)/.exec(demo.output())!
  demo.child.kill('SIGINT')
  t.same(await demo.ended, { code: 130, signal: null })
  await t.rejects(fetch(`http://127.0.0.1:${port}/flavours`), 'the server is gone')
  t.same(readdirSync(demo.folder), [])
})

t.test('two bakeries on one database: every pattern crosses them, and what a killed one had in hand goes on at the other', async (t) => {
  const example = runExample(t, 'two-replicas/main.ts')
  t.same(await example.ended, { code: 0, signal: null }, 'ends with 0', { output: example.output() })
  const output = example.output()
  for (const line of [
    /POST \/cakes {2}.*"Across".*\n +-> 202 from ([AB])[^]*-> 200 from (?!nobody)[AB] .*"Across"/,
    /-> 202 from ([AB]).*\n[^\n]*DELETE \/cakes\/jobs\/[\w-]{8}…\n +-> 204 from (?!\1)[AB]/,
    /a bakery calls: POST \/cakes .*"Surprise"/,
    /POST \/hooks\/orders .*\n +-> 201 from ([AB]) .*\n.*POST \/orders .*\n +-> 201 from (?!\1)[AB]/,
    /a bakery calls: POST \/orders .*"A-1"/,
    /GET \/triggers\/orders\n +-> 202 from ([AB])[^]*triggerState=[\w-]{8}…\n +-> 200 from (?!\1)[AB] .*"B-1".*"B-2"/,
    /bakery A is gone\n[^]*-> 202 from B [^]*-> 200 from B .*"Twice"/,
    /bakery B ended with 0\n\nAll as promised/
  ]) t.match(output, line)
  t.notMatch(output, /\/(jobs|operations|calls|hooks\/orders)\/[\w-]{9}/, 'no token is shown')
  t.notMatch(output, /triggerState=[\w-]{9}/, 'no state is shown')
  t.same(readdirSync(example.folder), [], 'the data is gone')
})
