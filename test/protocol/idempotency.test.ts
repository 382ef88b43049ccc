import fc from 'fast-check'
import { test } from 'tap'
import { idempotencyOf } from '../../src/protocol/idempotency.ts'
import { check } from '../helpers/property.ts'

const body = '{"input":{"flavour":"lemon"}}'
const otherBody = '{"input":{"flavour":"vanilla"}}'

test('a start that carries no key is not recognised', async (t) => {
  t.equal(idempotencyOf({}, 'BakeCake', 'o', body), undefined)
  t.equal(idempotencyOf({
    'content-type': 'application/json',
    'x-ms-client-tracking-id': 'c',
    'x-ms-workflow-run-id': 'run',
    'x-ms-workflow-id': 'workflow',
    'x-ms-client-request-id': 'r',
    'x-request-id': 'r'
  }, 'BakeCake', 'o', body), undefined, 'no looser guess is made')
  t.equal(idempotencyOf({ 'idempotency-key': '', 'repeatability-request-id': '', 'x-ms-action-tracking-id': '' }, 'BakeCake', 'o', body), undefined)
})

for (const header of ['idempotency-key', 'repeatability-request-id']) {
  test(`${header} names the work, and the body is its fingerprint`, async (t) => {
    const first = idempotencyOf({ [header]: 'k1' }, 'BakeCake', 'o', body)!
    t.same(idempotencyOf({ [header]: 'k1' }, 'BakeCake', 'o', body), first)
    const other = idempotencyOf({ [header]: 'k1' }, 'BakeCake', 'o', otherBody)!
    t.equal(other.key, first.key)
    t.not(other.fingerprint, first.fingerprint)
    for (const [key, operation, owner] of [['k2', 'BakeCake', 'o'], ['K1', 'BakeCake', 'o'], ['k1 ', 'BakeCake', 'o'], ['k1', 'OtherCake', 'o'], ['k1', 'BakeCake', 'p']] as const) {
      t.not(idempotencyOf({ [header]: key }, operation, owner, body)!.key, first.key)
    }
    t.match(first, { key: /^[\w-]{22}$/, fingerprint: /^[\w-]{22}$/ })
  })
}

test('the action\'s tracking id counts together with the body: another body is another job', async (t) => {
  const headers = { 'x-ms-action-tracking-id': 'a1' }
  const first = idempotencyOf(headers, 'BakeCake', 'o', body)!
  t.same(idempotencyOf(headers, 'BakeCake', 'o', body), first)
  t.not(idempotencyOf(headers, 'BakeCake', 'o', otherBody)!.key, first.key)
  t.not(idempotencyOf({ 'x-ms-action-tracking-id': 'a2' }, 'BakeCake', 'o', body)!.key, first.key)
  t.not(idempotencyOf(headers, 'OtherCake', 'o', body)!.key, first.key)
  t.not(idempotencyOf(headers, 'BakeCake', 'p', body)!.key, first.key)
})

test('of several keys the stronger counts', async (t) => {
  const all = { 'idempotency-key': 'k', 'repeatability-request-id': 'r', 'x-ms-action-tracking-id': 'a' }
  const key = (headers: Record<string, string>): string => idempotencyOf(headers, 'BakeCake', 'o', body)!.key
  t.equal(key(all), key({ 'idempotency-key': 'k' }))
  const { 'idempotency-key': _, ...rest } = all
  t.equal(key(rest), key({ 'repeatability-request-id': 'r' }))
  t.equal(key({ ...all, 'idempotency-key': '' }), key({ 'repeatability-request-id': 'r' }), 'an empty one is none')
  t.equal(key({ ...all, 'idempotency-key': '', 'repeatability-request-id': '' }), key({ 'x-ms-action-tracking-id': 'a' }))
})

test('the same text in two headers is two keys', async (t) => {
  const keys = ['idempotency-key', 'repeatability-request-id', 'x-ms-action-tracking-id'].map((header) => idempotencyOf({ [header]: 'same' }, 'BakeCake', 'o', body)!.key)
  t.equal(new Set(keys).size, 3)
})

test('no two lists of parts read alike', async (t) => {
  // Texts made to look like the seams between parts.
  const part = fc.array(fc.constantFrom(':', '1', '2', '3', 'a', ',', '"', '15:idempotency-key')).map((parts) => parts.join(''))
  const parts = fc.record({ header: fc.constantFrom('idempotency-key', 'repeatability-request-id'), operation: part, owner: part, value: part.filter((value) => value !== '') })
  const keyOf = ({ header, operation, owner, value }: { header: string, operation: string, owner: string, value: string }): string =>
    idempotencyOf({ [header]: value }, operation, owner, body)!.key
  await check(t, fc.property(parts, parts, (one, two) => (keyOf(one) === keyOf(two)) === (JSON.stringify(one) === JSON.stringify(two))), { numRuns: 2000 })
  const moved = [['ab', 'c', 'd'], ['a', 'bc', 'd'], ['a', 'b', 'cd'], ['', 'abc', 'd'], ['abc', '', 'd'], ['1:a', 'b', 'cd'], ['a1:b', '', 'cd']] as const
  t.equal(new Set(moved.map(([operation, owner, value]) => keyOf({ header: 'idempotency-key', operation, owner, value }))).size, moved.length)
})

test('keys of one moment are neighbours: they begin like the id of the run (engine 5.3)', async (t) => {
  const keyOf = (run: string | undefined, action: string): string =>
    idempotencyOf({ 'x-ms-action-tracking-id': action, ...(run === undefined ? {} : { 'x-ms-workflow-run-id': run }) }, 'BakeCake', 'o', body)!.key
  const run = '08585287554177334956853859655CU00'
  t.match(keyOf(run, 'a'), /^0858528755417733[\w-]{22}$/)
  t.equal(keyOf(run, 'a'), keyOf(run, 'a'))
  t.not(keyOf(run, 'a'), keyOf(run, 'b'))
  for (const odd of [undefined, '', 'run', '1234567', '-'.repeat(200), "0858'; --"]) t.equal(keyOf(odd, 'a'), keyOf(undefined, 'a'), 'what does not begin so adds nothing')
})
