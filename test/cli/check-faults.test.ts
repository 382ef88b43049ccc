import Fastify from 'fastify'
import tap, { test } from 'tap'
import { checkApi } from '../../src/cli/check/check.ts'
import type { OperationConfig } from '../../src/cli/check/operations.ts'
import { jsonReport, junitReport, textReport } from '../../src/cli/check/report.ts'
import { rules } from '../../src/cli/check/rules.ts'
import { createMask } from '../../src/cli/check/secrets.ts'
import { createJudge, type Verdict } from '../../src/cli/check/verdicts.ts'
import { createLogicAppsEngine } from '../../src/testing/index.ts'
import { buildWrongApi, operations, origin } from '../helpers/wrong-api/index.ts'

tap.setTimeout(300_000)

type Operation = 'Bake' | 'BakeAndCall' | 'OnOrder' | 'PollOrders' | 'document'

/** Each fault, on the operations that have it, and the one rule that catches it. */
const faults: [fault: string, on: Operation[], rule: keyof typeof rules][] = [
  ['charset refused', ['Bake'], 'request-accepted'],
  ['Accept demanded', ['Bake'], 'request-accepted'],
  ['engine headers demanded', ['Bake'], 'headers-optional'],
  ['start redirected', ['Bake'], 'no-redirect'],
  ['status redirected', ['Bake'], 'no-redirect'],
  ['slow start', ['Bake'], 'answers-in-time'],
  ['slow poll', ['Bake'], 'answers-in-time'],
  ['wrong input as 500', ['Bake'], 'refusal-is-4xx'],
  ['wrong input as 408', ['Bake'], 'refusal-is-4xx'],
  ['no Location', ['Bake'], 'location-present'],
  ['relative Location', ['Bake'], 'location-absolute'],
  ['Location with a lost port', ['Bake'], 'location-reachable'],
  ['location too long', ['Bake'], 'location-short'],
  ['no Retry-After', ['Bake'], 'retry-after-integer'],
  ['Retry-After with a fraction', ['Bake'], 'retry-after-integer'],
  ['job committed late', ['Bake'], 'status-exists'],
  ['early poll punished', ['Bake'], 'poll-early'],
  ['no Location on further 202s', ['Bake'], 'poll-repeats-location'],
  ['no Retry-After on further 202s', ['Bake'], 'poll-repeats-retry-after'],
  ['poll demands authentication', ['Bake'], 'poll-without-auth'],
  ['poll refuses authentication', ['Bake'], 'poll-with-auth'],
  ['job never ends', ['Bake'], 'job-ends'],
  ['sample fails', ['Bake'], 'job-ends'],
  ['result readable once', ['Bake'], 'result-repeatable'],
  ['result empty when read again', ['Bake'], 'result-repeatable'],
  ['start not idempotent', ['Bake'], 'start-idempotent'],
  ['failed job as 200', ['Bake'], 'failure-is-4xx'],
  ['failed job as 500', ['Bake'], 'failure-is-4xx'],
  ['failed job as 429', ['Bake'], 'failure-is-4xx'],
  ['partial content', ['Bake'], 'no-partial-content'],
  ['broken JSON', ['Bake'], 'content-type-matches'],
  ['JSON as text', ['Bake'], 'content-type-matches'],
  ['JSON without a content type', ['Bake'], 'content-type-matches'],

  ['subscribe refused', ['BakeAndCall', 'OnOrder'], 'request-accepted'],
  ['hook demands engine headers', ['BakeAndCall', 'OnOrder'], 'headers-optional'],
  ['wrong subscription as 500', ['BakeAndCall', 'OnOrder'], 'refusal-is-4xx'],
  ['subscribe answered 202', ['BakeAndCall', 'OnOrder'], 'subscribe-not-202'],
  ['subscribe without Location', ['BakeAndCall', 'OnOrder'], 'connector-location'],
  ['subscribe with a foreign Location', ['BakeAndCall', 'OnOrder'], 'connector-location'],
  ['subscribe not idempotent', ['BakeAndCall', 'OnOrder'], 'subscribe-idempotent'],
  ['unsubscribe missing', ['BakeAndCall', 'OnOrder'], 'unsubscribe-accepted'],
  ['unsubscribe twice is 404', ['BakeAndCall', 'OnOrder'], 'unsubscribe-idempotent'],
  ['unsubscribe of the unknown is 404', ['BakeAndCall', 'OnOrder'], 'unsubscribe-unknown'],
  ['unsubscribe demands the URL', ['BakeAndCall', 'OnOrder'], 'unsubscribe-without-url'],
  ['unsubscribe ignored', ['BakeAndCall', 'OnOrder'], 'unsubscribe-stops'],
  ['no callback', ['BakeAndCall', 'OnOrder'], 'callback-comes'],
  ['failure never calls back', ['BakeAndCall'], 'failure-calls-back'],
  ['callback repeated', ['BakeAndCall', 'OnOrder'], 'callback-once'],
  ['callback never retried', ['BakeAndCall', 'OnOrder'], 'callback-retried'],
  ['callback dropped at 429', ['BakeAndCall', 'OnOrder'], 'callback-retried'],
  ['callback retried at once', ['BakeAndCall', 'OnOrder'], 'callback-backs-off'],
  ['dead callback hammered', ['BakeAndCall', 'OnOrder'], 'callback-final'],
  ['disabled trigger hammered', ['OnOrder'], 'disabled-final'],
  ['callback by GET', ['BakeAndCall', 'OnOrder'], 'callback-post'],
  ['callback by PUT', ['BakeAndCall', 'OnOrder'], 'callback-post'],
  ['callback as text', ['BakeAndCall', 'OnOrder'], 'callback-content-type'],
  ['callback with Authorization', ['BakeAndCall', 'OnOrder'], 'callback-no-authorization'],
  ['callback encoded twice', ['BakeAndCall', 'OnOrder'], 'callback-object'],
  ['callback as an array', ['BakeAndCall', 'OnOrder'], 'callback-object'],
  ['callback without JSON', ['BakeAndCall', 'OnOrder'], 'callback-object'],
  ['callback URL decoded', ['BakeAndCall', 'OnOrder'], 'callback-byte-for-byte'],
  ['callback URL reordered', ['BakeAndCall', 'OnOrder'], 'callback-byte-for-byte'],
  ['callback URL with more', ['BakeAndCall', 'OnOrder'], 'callback-byte-for-byte'],
  ['callback URL in lower case escapes', ['BakeAndCall', 'OnOrder'], 'callback-byte-for-byte'],
  ['one callback only', ['OnOrder'], 'subscription-lasts'],
  ['save adds', ['OnOrder'], 'save-replaces'],
  ['late unsubscribe ends the new one', ['OnOrder'], 'late-unsubscribe'],

  ['poll refused', ['PollOrders'], 'request-accepted'],
  ['poll demands engine headers', ['PollOrders'], 'headers-optional'],
  ['history at first poll', ['PollOrders'], 'first-poll-202'],
  ['history at second poll', ['PollOrders'], 'first-poll-202'],
  ['nothing new as 204', ['PollOrders'], 'nothing-new-202'],
  ['nothing new as 404', ['PollOrders'], 'nothing-new-202'],
  ['nothing new as an empty 200', ['PollOrders'], 'nothing-new-202'],
  ['nothing new as an empty batch', ['PollOrders'], 'nothing-new-202'],
  ['0 on a 202', ['PollOrders'], 'no-zero-on-202'],
  ['state with a date', ['PollOrders'], 'trigger-retry-after'],
  ['relative state', ['PollOrders'], 'location-absolute'],
  ['state too long', ['PollOrders'], 'location-short'],
  ['events never told', ['PollOrders'], 'event-found'],
  ['precision of a second', ['PollOrders'], 'no-event-lost'],
  ['events lost on the way', ['PollOrders'], 'no-event-lost'],
  ['state not moved', ['PollOrders'], 'event-once'],
  ['state one short', ['PollOrders'], 'event-once'],
  ['read is removed', ['PollOrders'], 'poll-repeatable'],
  ['batch as an object', ['PollOrders'], 'items-array'],

  ['document behind a key', ['document'], 'document-public'],
  ['document without CORS', ['document'], 'cors-preflight'],
  ['preflight not granted', ['document'], 'cors-preflight'],
  ['OpenAPI 3', ['document'], 'swagger-2'],
  ['document too large', ['document'], 'swagger-size'],
  ['operationId missing', ['document'], 'operation-ids'],
  ['operationId twice', ['document'], 'operation-ids'],
  ['notification URL in the query', ['document'], 'notification-url'],
  ['notification URL optional', ['document'], 'notification-url'],
  ['notification URL as a number', ['document'], 'notification-url'],
  ['notification URL for all to see', ['document'], 'notification-url']
]

async function check (fault: string | undefined, on?: Operation[]): Promise<Verdict[]> {
  const engine = await createLogicAppsEngine({ app: (parts) => buildWrongApi(parts, fault), baseUrl: origin })
  try {
    return await checkApi({
      engine,
      operations: Object.fromEntries(Object.entries(operations).filter(([name]) => on?.includes(name as Operation) ?? true)),
      document: on?.includes('document') ?? true ? `${origin}/swagger.json` : undefined,
      timing: { patienceSeconds: 30, quietSeconds: 8 }
    })
  } finally {
    await engine.close()
  }
}
const wrong = (verdicts: Verdict[]): string[] => verdicts.filter(({ outcome }) => outcome === 'error' || outcome === 'warning').map(({ operation, rule }) => `${operation} ${rule}`)

test('no fault is found in an API that is right, and nothing is left out', async (t) => {
  const verdicts = await check(undefined)
  t.same(verdicts.filter(({ outcome }) => outcome !== 'fine'), [])
  t.equal(new Set(verdicts.map(({ rule }) => rule)).size, Object.keys(rules).length, 'every rule was checked')
})

for (const [fault, on, rule] of faults) {
  test(`${fault}: ${rule} finds it, and nothing else does`, async (t) => {
    const verdicts = await check(fault, on)
    t.same(wrong(verdicts), on.map((operation) => `${operation} ${rule}`))
    const found = verdicts.find((verdict) => verdict.rule === rule && verdict.outcome !== 'fine')
    if (found === undefined) return
    t.ok(found.detail.length > 0)
    t.notMatch([...found.sent, ...found.got].join(), /sig=\w|Key 1/, 'a report holds no secrets')
  })
}

test('a job may fail with any 4xx that is not sent again (engine 14.4)', async (t) => {
  t.same(wrong(await check('failed job as 403', ['Bake'])), [])
})

test('a document may be as large as lint allows', async (t) => {
  t.same(wrong(await check('document just small enough', ['document'])), [])
})

test('every rule has an API that breaks it', async (t) => {
  const caught = new Set(faults.map(([, , rule]) => rule))
  t.same(Object.keys(rules).filter((rule) => !caught.has(rule as keyof typeof rules)), [])
})

test('a report holds no secrets of an API in the style of Durable Functions, in any form', async (t) => {
  const app = Fastify()
  let count = 0
  const at = (id: number | string): string => `https://api.example/status/${id}?taskHub=h&code=SYSTEMKEY123`
  app.post('/start', (_request, reply) => reply.code(202).headers({ location: at(++count), 'retry-after': '0.5', 'set-cookie': 'session=COOKIESECRET' })
    .send({ statusQueryGetUri: at(count), systemKey: 'SYSTEMKEY123', echo: 'FUNCKEY987', escaped: 'https://api.example/?a=1\u0026code=SYSTEMKEY123' }))
  app.get('/status/:id', (_request, reply) => reply.code(500).send({ error: { code: 'Oven_broken' }, back: encodeURIComponent(at(1)) }))
  t.teardown(() => app.close())
  const engine = await createLogicAppsEngine({ app: () => app as never, baseUrl: origin })
  t.teardown(() => engine.close())
  const operation: OperationConfig = {
    kind: 'async-action', path: '/start?tenant=TENANT55', queries: { shop: 'SHOPSECRET' }, body: { password: 'PASS"WORD1' }, headers: { 'x-functions-key': 'FUNCKEY987', 'x-shop': 'A1' }, authentication: { type: 'Basic', username: 'anna', password: 'BASICPASS' }
  }
  const verdicts = await checkApi({ engine, operations: { Start: operation }, timing: { patienceSeconds: 3, quietSeconds: 1 } })
  t.match(verdicts.find(({ rule }) => rule === 'start-idempotent') ?? verdicts.find(({ rule }) => rule === 'job-ends'), { outcome: 'error' })
  t.match(verdicts.find(({ rule }) => rule === 'retry-after-integer'), { outcome: 'error', sent: [/shop=…[^]*x-functions-key: …/], got: [/set-cookie: …/] })
  const target = 'https://anna:BASICPASS@api.example/?code=SYSTEMKEY123'
  for (const report of [textReport(target, verdicts), jsonReport(target, verdicts), junitReport(verdicts)]) {
    t.notMatch(report, /SYSTEMKEY|COOKIESECRET|FUNCKEY|SHOPSECRET|TENANT55|BASICPASS|WORD1|x-shop: A1/)
    t.match(report, 'taskHub=h', 'what is no secret stands')
  }
  const detail = createJudge('Start', 'async-action', createMask(operation))
  detail.that('start-idempotent', false, `two Locations: ${at(1)} and ${at(2)}`)
  t.match(detail.verdicts().find(({ rule }) => rule === 'start-idempotent'), { detail: 'two Locations: https://api.example/status/1?taskHub=h&code=… and https://api.example/status/2?taskHub=h&code=…' })
  t.equal(createMask()('{"error":{"code":"Oven_broken"}} {"code":"a1=="}'), '{"error":{"code":"Oven_broken"}} {"code":"…"}', 'the code of an error is no secret')
  t.equal(createMask()(String.raw`{"log":"{\"token\":\"T1\",\"a\":1}"}`), String.raw`{"log":"{\"token\":\"…\",\"a\":1}"}`)
})
