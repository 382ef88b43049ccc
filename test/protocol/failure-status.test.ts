import { test } from 'tap'
import { assertFailureStatusCode } from '../../src/protocol/failure-status.ts'

const reserved = [401, 403, 404, 405, 408, 410, 429]

test('a failed job can answer every 4xx that means nothing else to the engine (engine 6.2)', async (t) => {
  for (let statusCode = 400; statusCode <= 499; statusCode++) {
    if (reserved.includes(statusCode)) t.throws(() => assertFailureStatusCode(statusCode, 'it'), TypeError, String(statusCode))
    else t.doesNotThrow(() => assertFailureStatusCode(statusCode, 'it'), String(statusCode))
  }
})

test('anything else would make the engine do something else than fail the action', async (t) => {
  for (const statusCode of [-422, 0, 100, 200, 202, 204, 301, 302, 303, 304, 307, 399, 399.9, 422.5, 499.1, 500, 502, 503, 504, 599, 4220, NaN, Infinity, '422', null, undefined, [422], {}, true, 422n]) {
    t.throws(() => assertFailureStatusCode(statusCode as number, 'it'), TypeError, String(statusCode))
  }
})

test('the error says what is wrong and what to write instead', async (t) => {
  t.throws(() => assertFailureStatusCode(503, 'failureStatusCode of BakeCake'), {
    name: 'TypeError',
    message: 'failureStatusCode of BakeCake must be a 4xx status other than 401, 403, 404, 405, 408, 410, 429, such as 422 or 409; got 503'
  })
})
