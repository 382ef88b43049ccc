import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { wireCodes } from '../src/errors.ts'
import * as api from '../src/index.ts'

type ErrorClass = new (...values: string[]) => Error & { code: string, statusCode?: number }

const source = readFileSync(new URL('../src/errors.ts', import.meta.url), 'utf8')
const reference = readFileSync(new URL('../docs/reference/errors.md', import.meta.url), 'utf8')

/** The error classes with a FST_LOGIC_APPS_ code, by name, as the package exports them. */
const classes = (Object.entries(api) as [string, unknown][]).filter((entry): entry is [string, ErrorClass] =>
  entry[0].endsWith('Error') && entry[0] !== 'JobError' && entry[0] !== 'RetryableError')
const errors = classes.map(([name, ErrorOf]) => [name, new ErrorOf('one', 'two', 'three')] as const)
const codes = errors.map(([, { code }]) => code)
const union = [...source.matchAll(/^ {2}\| '(\w+)'$/gm)].map(([, code]) => code!)

test('each error class has a code of its own, named after it', (t) => {
  t.equal(classes.length, [...source.matchAll(/= createError\(/g)].length, 'all are exported')
  t.equal(new Set(codes).size, codes.length)
  for (const [name, { code }] of errors) {
    t.equal(code, `FST_LOGIC_APPS_${name.replace(/Error$/, '').replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()}`)
  }
  t.end()
})

test('the union FastifyLogicAppsErrorCode lists all codes', (t) => {
  t.same(union.toSorted(), codes.toSorted())
  t.end()
})

test('docs/reference/errors.md tells of every code, of no other, and of every name on the wire', (t) => {
  const documented = new Set([...reference.matchAll(/FST_LOGIC_APPS_[A-Z_]+[A-Z]/g)].map(([code]) => code))
  t.same([...documented].toSorted(), codes.toSorted())
  for (const name of Object.values(wireCodes)) t.match(reference, name)
  t.end()
})

test('an error carries its code, its status and its cause', (t) => {
  const cause = new Error('the reason')
  const error = new api.StoreUnavailableError('away', { cause })
  t.match(error, { code: 'FST_LOGIC_APPS_STORE_UNAVAILABLE', statusCode: 503, message: 'away', cause })
  t.ok(error instanceof api.StoreUnavailableError)
  t.notOk(error instanceof api.JobNotFoundError)
  t.ok(new api.InvalidOptionsError('no') instanceof TypeError)
  t.end()
})

test('statuses are those of the HTTP contract', (t) => {
  const statuses = Object.fromEntries(errors.map(([name, { statusCode }]) => [name, statusCode]))
  t.match(statuses, {
    StoreUnavailableError: 503,
    QueueFullError: 503,
    TooManyVersionsError: 429,
    JobNotFoundError: 404,
    JobExpiredError: 410,
    JobAlreadyEndedError: 409,
    InvalidRequestError: 400,
    IdempotencyKeyReusedError: 422,
    LoopbackBaseUrlError: 500,
    InvalidCallbackUrlError: 400,
    CallbackUrlNotAllowedError: 400,
    SubscriptionNotFoundError: 404,
    DeliveryNotFoundError: 404,
    InvalidEventError: 500
  })
  t.end()
})

test('every code on the wire is PascalCase and of an error that exists', (t) => {
  for (const [code, name] of Object.entries(wireCodes)) {
    t.match(name, /^([A-Z][a-z]+)+$/)
    t.ok(code.startsWith('FST_ERR_') || codes.includes(code), code)
  }
  t.end()
})

test('JobError keeps what it was given; a code and a status that cannot be are a TypeError', (t) => {
  const cause = new Error('the oven')
  const error = new api.JobError('CakeBurnt', 'The cake burnt.', { statusCode: 409, details: [1], cause })
  t.ok(error instanceof Error)
  t.match({ ...error, name: error.name, message: error.message, cause: error.cause }, { code: 'CakeBurnt', name: 'JobError', message: 'The cake burnt.', statusCode: 409, details: [1], cause })
  const bare = new api.JobError('CakeBurnt', 'The cake burnt.')
  t.equal(bare.statusCode, undefined)
  t.equal(bare.details, undefined)
  t.notOk('cause' in bare)
  for (const code of ['', undefined, 7]) t.throws(() => new api.JobError(code as string, 'x'), { name: 'TypeError', message: /"code" of a JobError/ })
  t.throws(() => new api.JobError('X', 'x', { statusCode: 500 }), { name: 'TypeError', message: /"statusCode" of a JobError/ })
  t.end()
})

test('RetryableError asks for a delay in seconds, or none', (t) => {
  t.equal(new api.RetryableError('hot').delaySeconds, undefined)
  t.equal(new api.RetryableError('hot', { delaySeconds: 0 }).delaySeconds, 0)
  t.match(new api.RetryableError('hot', { delaySeconds: 30, cause: 'x' }), { delaySeconds: 30, name: 'RetryableError', message: 'hot', cause: 'x' })
  for (const delaySeconds of [-1, Number.NaN, Number.POSITIVE_INFINITY, '5']) {
    t.throws(() => new api.RetryableError('hot', { delaySeconds: delaySeconds as number }), { name: 'TypeError', message: /"delaySeconds" of a RetryableError/ })
  }
  t.end()
})
