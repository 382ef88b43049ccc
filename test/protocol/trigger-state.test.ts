import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { test } from 'tap'
import { createTriggerStates } from '../../src/protocol/trigger-state.ts'
import { check } from '../helpers/property.ts'

const place = { trigger: '["PollOrders",{}]', query: '["a","1"]' }
const secrets = [randomBytes(32)]
const states = createTriggerStates(secrets)
const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Each change of one character, and each of one bit of the bytes. */
function * changesOf (text: string): Generator<string> {
  for (let index = 0; index < text.length; index++) {
    for (const letter of letters) if (letter !== text[index]) yield text.slice(0, index) + letter + text.slice(index + 1)
    yield text.slice(0, index) + text.slice(index + 1)
    yield `${text.slice(0, index)}A${text.slice(index)}`
  }
  const bytes = Buffer.from(text, 'base64url')
  for (let index = 0; index < bytes.length; index++) {
    for (let bit = 0; bit < 8; bit++) {
      const changed = Buffer.from(bytes)
      changed[index]! ^= 1 << bit
      yield changed.toString('base64url')
    }
  }
}

test('whatever JSON value a state is, it comes back as it was, for its place alone', async (t) => {
  await check(t, fc.property(fc.jsonValue(), fc.string(), fc.string(), fc.string(), (value, trigger, query, other) => {
    // JSON has no -0.
    const state: unknown = JSON.parse(JSON.stringify(value))
    const sealed = states.seal({ trigger, query }, state)
    if (!/^[\w-]+$/.test(sealed)) return false
    if (sealed.length > 2000) return states.open(sealed, { trigger, query }) === undefined
    const same = JSON.stringify(states.open(sealed, { trigger, query })) === JSON.stringify({ state, isOfQuery: true, isCurrent: true })
    const elsewhere = states.open(sealed, { trigger: other, query })
    return same && (elsewhere === undefined) === (other !== trigger) && states.open(sealed, { trigger, query: other })?.isOfQuery === (other === query)
  }), { numRuns: 1000 })
})

test('a state in which any byte was changed is refused', (t) => {
  for (const state of [[123456, 1_795_527_096_157], { since: '2026-11-24', name: 'a.txt' }, 0]) {
    const sealed = states.seal(place, state)
    let changes = 0
    for (const changed of changesOf(sealed)) {
      changes++
      if (states.open(changed, place) !== undefined) t.fail(`${sealed} as ${changed}`)
    }
    t.ok(changes > sealed.length * 65, `${changes} changes`)
    t.same(states.open(sealed, place), { state, isOfQuery: true, isCurrent: true })
  }
  t.end()
})

test('what is no state at all is refused', (t) => {
  for (const text of ['', 'A', 'null', '0', 'AQ', letters, '='.repeat(40), 'ü'.repeat(50), randomBytes(60).toString('base64url'), Buffer.concat([Buffer.of(1), randomBytes(60)]).toString('base64url'), 'A'.repeat(100_000)]) {
    t.equal(states.open(text, place), undefined)
  }
  const sealed = states.seal(place, 1)
  for (const text of [`${sealed}=`, ` ${sealed}`, `${sealed}\n`, sealed.replaceAll('_', '/').replaceAll('-', '+') + '==', sealed.slice(1), sealed + sealed]) t.equal(states.open(text, place), undefined)
  t.end()
})

test('equal states look alike, and nothing of them can be read', (t) => {
  const state = { folder: 'secret-customer' }
  const sealed = states.seal(place, state)
  t.equal(states.seal({ ...place }, structuredClone(state)), sealed)
  const bytes = Buffer.from(sealed, 'base64url')
  t.notOk(bytes.includes('secret') || bytes.includes('folder'))
  // With the same key stream, two cipher texts would show where their states are equal.
  const other = Buffer.from(states.seal(place, { folder: 'secret-customeR' }), 'base64url')
  t.ok(bytes.subarray(17).filter((byte, index) => byte === other[17 + index]).length < 8)
  t.end()
})

test('a state of an event log is short', (t) => {
  t.ok(states.seal(place, [2 ** 31, 1_795_527_096_157]).length <= 72)
  t.end()
})

test('secrets rotate: the first seals, all of them open', (t) => {
  const newer = randomBytes(32)
  const old = states.seal(place, 7)
  const rotated = createTriggerStates([newer, ...secrets])
  t.same(rotated.open(old, place), { state: 7, isOfQuery: true, isCurrent: false })
  t.not(rotated.seal(place, 7), old)
  t.equal(rotated.seal(place, 7), createTriggerStates([newer]).seal(place, 7))
  t.equal(createTriggerStates([newer]).open(old, place), undefined)
  t.end()
})

test('parts of a place cannot be moved into one another', (t) => {
  const sealed = states.seal({ trigger: 'ab', query: 'c' }, 1)
  for (const trigger of ['a', 'abc', 'b', '', '2:ab']) t.equal(states.open(sealed, { trigger, query: 'c' }), undefined)
  t.end()
})

test('a state that is asked for again comes back new, whatever became of the one before', async (t) => {
  const text = states.seal(place, { seen: ['a'] })
  const first = states.open(text, place)!
  ;(first.state as { seen: string[] }).seen.push('b')
  first.isOfQuery = false
  t.same(states.open(text, place), { state: { seen: ['a'] }, isOfQuery: true, isCurrent: true })
  t.equal(states.open(text, { ...place, trigger: '["PollCakes",{}]' }), undefined, 'and not for another trigger')
  t.same(states.open(text, { ...place, query: '["a","2"]' }), { state: { seen: ['a'] }, isOfQuery: false, isCurrent: false })
})
