import { inspect } from 'node:util'
import { test } from 'tap'
import { JobError } from '../../src/errors.ts'
import type { JobView } from '../../src/work/jobs.ts'
import { createApp, type LogLine } from '../helpers/app.ts'
import { isWritable } from '../helpers/json.ts'
import { createWorker, until } from '../helpers/runner.ts'

type Test = Parameters<typeof createWorker>[0]

/** What becomes of a job whose handler does this, and of the one after it. */
async function outcomeOf (t: Test, handler: () => unknown): Promise<{ job: JobView, logs: LogLine[] }> {
  const worker = await createWorker(t, { Odd: handler, Next: () => 'fine' })
  const id = await worker.accept('Odd')
  await until(async () => (await worker.get(id)).endedAt !== null)
  const next = await worker.accept('Next')
  await until(async () => (await worker.get(next)).result === 'fine')
  return { job: await worker.get(id), logs: worker.logs }
}

const circular: Record<string, unknown> = { name: 'circular' }
circular.self = circular

class CircularError extends Error {
  self = this
}

/* eslint-disable no-throw-literal -- a handler may */
const thrown: Record<string, { handler: () => unknown, logged: RegExp }> = {
  'an Error': { handler: () => { throw new Error('secret: connection string') }, logged: /secret: connection string/ },
  'an Error later': { handler: async () => { await null; throw new Error('later') }, logged: /later/ },
  'an Error with a cause': { handler: () => { throw new Error('outer', { cause: new Error('inner') }) }, logged: /outer: inner/ },
  'a TypeError of its own doing': { handler: () => (undefined as never as { x: string }).x, logged: /Cannot read properties of undefined/ },
  'a string': { handler: () => { throw 'oh no' }, logged: /the handler threw 'oh no'/ },
  nothing: { handler: () => { throw undefined }, logged: /the handler threw undefined/ },
  null: { handler: () => { throw null }, logged: /the handler threw null/ },
  'a rejection without a reason': { handler: async () => await Promise.reject(), logged: /the handler threw undefined/ }, // eslint-disable-line prefer-promise-reject-errors
  'a number': { handler: () => { throw 42 }, logged: /the handler threw 42/ },
  'a symbol': { handler: () => { throw Symbol('odd') }, logged: /the handler threw Symbol\(odd\)/ },
  'a bigint': { handler: () => { throw 10n }, logged: /the handler threw 10n/ },
  'a function': { handler: () => { throw function oops () {} }, logged: /the handler threw \[Function: oops\]/ },
  'a plain object': { handler: () => { throw { code: 'E1', deep: { er: { est: { x: 1 } } } } }, logged: /code: 'E1'/ },
  'an object without a prototype': { handler: () => { throw Object.assign(Object.create(null), { code: 'E2' }) }, logged: /code: 'E2'/ },
  'a circular object': { handler: () => { throw circular }, logged: /\[Circular/ },
  'a circular Error': { handler: () => { throw new CircularError('round') }, logged: /round/ },
  'an Error that is its own cause': {
    handler: () => {
      const error = new Error('own cause')
      error.cause = error
      throw error
    },
    logged: /own cause/
  },
  'an AggregateError': { handler: async () => await Promise.any([Promise.reject(new Error('first')), Promise.reject(new Error('second'))]), logged: /first.*second/s },
  'a frozen Error': { handler: () => { throw Object.freeze(new Error('frozen')) }, logged: /frozen/ },
  'an Error with a getter that throws': {
    handler: () => { throw Object.defineProperty(new Error('trap'), 'details', { enumerable: true, get () { throw new Error('do not look') } }) },
    logged: /trap/
  },
  'an Error whose message throws': {
    handler: () => { throw Object.defineProperty(new Error(''), 'message', { get () { throw new Error('do not read') } }) },
    logged: /./
  },
  'an Error whose stack throws': {
    handler: () => { throw Object.defineProperty(new Error('no stack'), 'stack', { get () { throw new Error('do not read') } }) },
    logged: /./
  },
  'an Error with fields that are no JSON': { handler: () => { throw Object.assign(new Error('fields'), { big: 1n, symbol: Symbol('s'), self: circular }) }, logged: /fields/ },
  'an object that inspects badly': { handler: () => { throw { [inspect.custom] () { throw new Error('do not print') } } }, logged: /./ },
  'a Proxy that throws': {
    handler: () => { throw new Proxy({}, { getPrototypeOf () { throw new Error('no prototype') }, get () { throw new Error('nothing to get') } }) },
    logged: /./
  },
  'a revoked Proxy': {
    handler: () => {
      const { proxy, revoke } = Proxy.revocable({}, {})
      revoke()
      throw proxy
    },
    logged: /./
  },
  'an Error with a huge message': { handler: () => { throw new Error('x'.repeat(500_000)) }, logged: /x{1000}/ }
}
/* eslint-enable no-throw-literal */

for (const [what, { handler, logged }] of Object.entries(thrown)) {
  test(`of a handler that throws ${what} the caller sees JobFailed and the id, the log the cause`, async (t) => {
    const { job, logs } = await outcomeOf(t, handler)
    t.same([job.status, job.error], ['failed', { code: 'JobFailed', message: `The job failed. Its id is ${job.id}.`, statusCode: 422 }])
    const lines = logs.filter(({ msg }) => msg === 'job failed')
    t.equal(lines.length, 1)
    t.match(lines[0], { level: 50, jobId: job.id, operationId: 'Odd', attempt: 1 })
    t.match((lines[0]!.err as { message: string, stack: string } | undefined)?.message + JSON.stringify(lines[0]!.err), logged)
  })
}

test('a JobError is shown as given, and its cause is not', async (t) => {
  const { job, logs } = await outcomeOf(t, () => { throw new JobError('CakeBurnt', 'The cake burnt.', { statusCode: 409, details: [{ oven: 3 }], cause: new Error('secret') }) })
  t.same(job.error, { code: 'CakeBurnt', message: 'The cake burnt.', statusCode: 409, details: [{ oven: 3 }] })
  t.match(logs.find(({ msg }) => msg === 'job failed'), { level: 40, err: { message: /secret/ } })
})

const details: Record<string, unknown> = {
  circular,
  'a BigInt': { amount: 10n },
  'a function': () => {},
  'a symbol': Symbol('odd'),
  'an object whose toJSON throws': { toJSON () { throw new Error('no') } },
  'an object with a getter that throws': { get x () { throw new Error('no') } }
}
for (const [what, value] of Object.entries(details)) {
  test(`details of a JobError that are no JSON (${what}) are left out, and the rest is shown`, async (t) => {
    const { job, logs } = await outcomeOf(t, () => { throw new JobError('CakeBurnt', 'The cake burnt.', { details: value }) })
    t.same(job.error, { code: 'CakeBurnt', message: 'The cake burnt.', statusCode: 422 })
    t.ok(logs.some(({ msg }) => msg === 'the details of a JobError ("CakeBurnt") are no JSON value and were left out'))
  })
}

test('details of a JobError are kept as JSON has them', async (t) => {
  for (const [given, kept] of [[null, null], [0, 0], ['', ''], [false, false], [new Date(0), '1970-01-01T00:00:00.000Z'], [{ a: undefined, b: [undefined] }, { b: [null] }], [new Map([[1, 2]]), {}]] as const) {
    const { job } = await outcomeOf(t, () => { throw new JobError('CakeBurnt', 'The cake burnt.', { details: given }) })
    t.same(job.error?.details, kept)
  }
})

test('a frozen JobError is a JobError', async (t) => {
  const { job } = await outcomeOf(t, () => { throw Object.freeze(new JobError('CakeBurnt', 'The cake burnt.')) })
  t.equal(job.error?.code, 'CakeBurnt')
})

test('a JobError with a message of megabytes is kept', async (t) => {
  const { job } = await outcomeOf(t, () => { throw new JobError('CakeBurnt', 'x'.repeat(2_000_000)) })
  t.equal(job.error?.message.length, 2_000_000)
})

test('a JobError that nobody can answer with is a TypeError where it is written', async (t) => {
  t.throws(() => new JobError('', 'no code'), TypeError)
  t.throws(() => new JobError(7 as never, 'no code'), TypeError)
  t.throws(() => new JobError('CakeBurnt', 'no', { statusCode: 500 }), TypeError)
  const { job } = await outcomeOf(t, () => { throw new JobError('CakeBurnt', 'no', { statusCode: 200 }) })
  t.equal(job.error?.code, 'JobFailed', 'thrown in a handler, it is a bug like any other')
})

// The results go through the whole of the plugin, since how they are written belongs to the operation.
const results: Record<string, { value: unknown, statusCode: number, body: string }> = {
  undefined: { value: undefined, statusCode: 204, body: '' },
  'a function': { value: () => {}, statusCode: 204, body: '' },
  'a symbol': { value: Symbol('odd'), statusCode: 204, body: '' },
  null: { value: null, statusCode: 200, body: 'null' },
  false: { value: false, statusCode: 200, body: 'false' },
  'an empty string': { value: '', statusCode: 200, body: '""' },
  'a Date': { value: new Date(0), statusCode: 200, body: '"1970-01-01T00:00:00.000Z"' },
  'a Map': { value: new Map([['a', 1]]), statusCode: 200, body: '{}' },
  'an object with undefined in it': { value: { a: undefined, b: [undefined, () => {}] }, statusCode: 200, body: '{"b":[null,null]}' },
  NaN: { value: NaN, statusCode: 200, body: 'null' },
  'half a surrogate pair': { value: '\ud800', statusCode: 200, body: '"\\ud800"' },
  ['__proto__']: { value: JSON.parse('{"__proto__":{"x":1}}'), statusCode: 200, body: '{"__proto__":{"x":1}}' }
}
for (const [what, { value, statusCode, body }] of Object.entries(results)) {
  test(`a result that is ${what} answers ${statusCode} ${body}`, async (t) => {
    const { app, clock } = await createApp(t)
    app.asyncAction('/odd', { schema: { operationId: 'Odd' } }, async () => value)
    const { headers } = await app.inject({ method: 'POST', url: '/odd' })
    await clock.advance(0)
    const answer = await app.inject({ method: 'GET', url: new URL(headers.location!).pathname })
    t.same([answer.statusCode, answer.body], [statusCode, body])
  })
}

const unwritable: Record<string, unknown> = {
  'a BigInt': 10n,
  'an object with a BigInt': { a: [1n] },
  circular,
  'nested too deeply': (() => {
    let deep: unknown = 1
    for (let depth = 0; depth < 200_000; depth++) deep = [deep]
    return deep
  })(),
  'one whose toJSON throws': { toJSON () { throw new Error('no') } },
  'one whose toJSON throws nothing': { toJSON () { throw null } } // eslint-disable-line no-throw-literal
}
for (const [what, value] of Object.entries(unwritable).filter(([, value]) => !isWritable(value))) {
  test(`a result that is no JSON (${what}) fails the job, and the cause is logged`, async (t) => {
    const { app, clock, logs } = await createApp(t)
    app.asyncAction('/odd', { schema: { operationId: 'Odd' } }, async () => value)
    const { headers } = await app.inject({ method: 'POST', url: '/odd' })
    await clock.advance(0)
    const answer = await app.inject({ method: 'GET', url: new URL(headers.location!).pathname })
    t.equal(answer.statusCode, 422)
    t.match(answer.json().error.code, /^(InvalidResult|JobFailed)$/)
    t.equal(logs.filter(({ level, msg }) => level === 50 && msg.startsWith('job failed')).length, 1)
  })
}

test('a result of megabytes is kept', async (t) => {
  const { job } = await outcomeOf(t, () => 'x'.repeat(2_000_000))
  t.equal((job.result as string).length, 2_000_000)
})
