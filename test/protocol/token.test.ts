import { createHmac, createSecretKey, hkdfSync } from 'node:crypto'
import fc from 'fast-check'
import { test } from 'tap'
import { createIdCodec, createTokenSigner } from '../../src/protocol/token.ts'
import { check } from '../helpers/property.ts'

const key = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex')
const otherKey = Buffer.from('ffeeddccbbaa99887766554433221100', 'hex')
const secret = 'a secret of thirty-two bytes or so'
const otherSecret = 'another secret of thirty-two bytes'
const createdAt = Date.UTC(2026, 0, 1)
const base64url = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Any UTF-16 at all. */
const textOf = (length: number) => fc.array(fc.nat(0xffff), { minLength: length, maxLength: length }).map((codes) => String.fromCharCode(...codes))
const name = fc.record({ number: fc.integer({ min: 1, max: 2 ** 48 - 1 }), createdAt: fc.integer({ min: 0, max: 2 ** 48 - 1 }) })

test('an id is 22 characters that need no escaping, and names its record', async (t) => {
  const ids = createIdCodec(key, 'job')
  await check(t, fc.property(name, (name) => {
    const id = ids.encode(name)
    return /^[\w-]{22}$/.test(id) && JSON.stringify(ids.decode(id)) === JSON.stringify(name)
  }), { numRuns: 1000 })
})

test('ids that are made together are those that are made one by one', async (t) => {
  // A codec of its own for each: nothing of what was made before is left in the cipher.
  const alone = (name: { number: number, createdAt: number }): string => createIdCodec(key, 'delivery').encode(name)
  await check(t, fc.property(fc.array(name, { maxLength: 20 }), (names) => {
    const together = createIdCodec(key, 'delivery').encodeAll(names)
    return JSON.stringify(together) === JSON.stringify(names.map(alone))
  }), { numRuns: 200 })
})

test('an id stays the same for ever: it stands in logs', async (t) => {
  // A changed value breaks every id that was ever handed out, and needs a major version.
  const id = createIdCodec(key, 'job').encode({ number: 1, createdAt })
  t.equal(id, '1dZSYDMm-xJRbKI0civOIg')
  t.equal(createTokenSigner([secret]).sign(id), '1dZSYDMm-xJRbKI0civOIgOuFlXNSV43ei3Iqj3ftidy')
})

test('ids of neighbours tell nothing about each other', async (t) => {
  const ids = createIdCodec(key, 'job')
  const all = Array.from({ length: 2000 }, (_, index) => ids.encode({ number: index + 1, createdAt }))
  t.equal(new Set(all).size, all.length)
  const shared = (a: string, b: string): number => [...a].findIndex((character, index) => character !== b[index])
  const prefixes = all.slice(1).map((id, index) => shared(id, all[index]!))
  t.ok(Math.max(...prefixes) <= 3, `the longest common beginning has ${Math.max(...prefixes)} characters`)
  const mean = prefixes.reduce((sum, length) => sum + length, 0) / prefixes.length
  t.ok(mean < 0.05, `on average ${mean}, chance alone gives 0.016`)
  const ascents = all.slice(1).filter((id, index) => id > all[index]!).length
  t.ok(ascents > 900 && ascents < 1100, 'nor are they in any order')

  const bits = all.map((id) => BigInt(`0x${Buffer.from(id, 'base64url').toString('hex')}`))
  const flips = bits.slice(1).map((id, index) => (id ^ bits[index]!).toString(2).replaceAll('0', '').length)
  const meanFlips = flips.reduce((sum, count) => sum + count, 0) / flips.length
  t.ok(meanFlips > 62 && meanFlips < 66, `${meanFlips} of 128 bits differ`)
})

test('what was never issued is no id', async (t) => {
  const ids = createIdCodec(key, 'job')
  const id = ids.encode({ number: 7, createdAt })
  for (const odd of ['', 'x', id.slice(1), `${id}A`, ` ${id.slice(1)}`, `${id.slice(0, 21)}=`, `${id.slice(0, 21)}!`, 'é'.repeat(22), '\u0000'.repeat(22), 'A'.repeat(22), '_'.repeat(22)]) {
    t.equal(ids.decode(odd), undefined, JSON.stringify(odd))
  }
  t.equal(createIdCodec(otherKey, 'job').decode(id), undefined, 'another store\'s')
})

test('every other character in every place makes an id of nothing', async (t) => {
  const ids = createIdCodec(key, 'job')
  const id = ids.encode({ number: 7, createdAt })
  let decoded = 0
  for (let at = 0; at < id.length; at++) {
    for (const character of `${base64url}+/=`) if (character !== id[at] && ids.decode(id.slice(0, at) + character + id.slice(at + 1)) !== undefined) decoded++
  }
  t.equal(decoded, 0)
})

test('ids of another store, and random ones, are known as foreign', async (t) => {
  const ids = createIdCodec(key, 'job')
  await check(t, fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => ids.decode(Buffer.from(bytes).toString('base64url')) === undefined))
  await check(t, fc.property(textOf(22), (text) => ids.decode(text) === undefined))
})

test('a token is the id and a MAC, 44 characters that need no escaping', async (t) => {
  const ids = createIdCodec(key, 'job')
  const tokens = createTokenSigner([secret])
  await check(t, fc.property(name, (name) => {
    const id = ids.encode(name)
    const token = tokens.sign(id)
    return /^[\w-]{44}$/.test(token) && token.startsWith(id) && tokens.verify(token)?.id === id
  }), { numRuns: 500 })
})

test('the MAC is HMAC-SHA-256', async (t) => {
  const ids = createIdCodec(key, 'job')
  const macKey = createSecretKey(new Uint8Array(hkdfSync('sha256', secret, '', 'fastify-logic-apps capability URL', 32)))
  const tokens = createTokenSigner([secret])
  await check(t, fc.property(name, (name) => {
    const id = ids.encode(name)
    return tokens.sign(id) === id + createHmac('sha256', macKey).update(id).digest('base64url').slice(0, 22)
  }))
})

test('a token with any one character changed is refused', async (t) => {
  const tokens = createTokenSigner([secret])
  const token = tokens.sign(createIdCodec(key, 'job').encode({ number: 7, createdAt }))
  let tried = 0
  let passed = 0
  for (let at = 0; at < token.length; at++) {
    for (const character of [...base64url, '+', '/', '=', '%', ' ', 'é', '\u0000']) {
      if (character === token[at]) continue
      tried++
      if (tokens.verify(token.slice(0, at) + character + token.slice(at + 1)) !== undefined) passed++
    }
  }
  t.ok(tried > 3000)
  t.equal(passed, 0)
})

test('a token with any one bit changed is refused', async (t) => {
  const tokens = createTokenSigner([secret])
  const token = tokens.sign(createIdCodec(key, 'job').encode({ number: 7, createdAt }))
  const bytes = Buffer.from(token, 'latin1')
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = Buffer.from(bytes)
    changed[bit >> 3]! ^= 1 << (bit & 7)
    if (tokens.verify(changed.toString('latin1')) !== undefined) t.fail(`bit ${bit}`)
  }
  t.pass('352 bits')
})

test('a token cut short, drawn out or put together from two is refused', async (t) => {
  const ids = createIdCodec(key, 'job')
  const tokens = createTokenSigner([secret])
  const [one, two] = [1, 2].map((number) => tokens.sign(ids.encode({ number, createdAt }))) as [string, string]
  for (let length = 0; length < one.length; length++) t.equal(tokens.verify(one.slice(0, length)), undefined)
  for (const odd of [`${one}A`, `${one} `, ` ${one}`, one + one, `${one}/`, one.toUpperCase(), one.toLowerCase(), one.slice(0, 22) + two.slice(22), two.slice(0, 22) + one.slice(22), [...one].reverse().join('')]) {
    t.equal(tokens.verify(odd), undefined)
  }
  const elsewhere = (text: string): string => String.fromCharCode(...[...text].map((character) => character.charCodeAt(0) + 0x100))
  t.equal(tokens.verify(elsewhere(one.slice(0, 22)) + one.slice(22)), undefined, 'the same bytes, if only the lower ones are looked at')
  t.equal(tokens.verify('é'.repeat(44)), undefined)
  t.equal(tokens.verify('é'.repeat(22)), undefined)
})

test('no text that nobody signed passes', async (t) => {
  const tokens = createTokenSigner([secret])
  await check(t, fc.property(fc.oneof(fc.string(), textOf(44), fc.string({ minLength: 44, maxLength: 44, unit: fc.constantFrom(...base64url) })), (text) => tokens.verify(text) === undefined), { numRuns: 300 })
})

test('the secret is the key: of another one nothing is accepted', async (t) => {
  const id = createIdCodec(key, 'job').encode({ number: 7, createdAt })
  t.equal(createTokenSigner([otherSecret]).verify(createTokenSigner([secret]).sign(id)), undefined)
  t.equal(createTokenSigner([`${secret} `]).verify(createTokenSigner([secret]).sign(id)), undefined)
})

test('secrets rotate: the first signs, all are accepted, one left out is not', async (t) => {
  const id = createIdCodec(key, 'job').encode({ number: 7, createdAt })
  const before = createTokenSigner([secret]).sign(id)
  const rotated = createTokenSigner([otherSecret, secret])
  t.equal(rotated.sign(id), createTokenSigner([otherSecret]).sign(id))
  t.same(rotated.verify(before), { id, current: rotated.sign(id) })
  t.same(rotated.verify(rotated.sign(id)), { id, current: rotated.sign(id) })
  t.equal(createTokenSigner([secret]).verify(rotated.sign(id)), undefined, 'a replica that has not been told yet refuses it')
  t.equal(createTokenSigner([secret, otherSecret]).verify(rotated.sign(id))?.id, id, 'so it is told first')
  t.equal(createTokenSigner([otherSecret]).verify(before), undefined)
})

test('a secret is text or bytes', async (t) => {
  const id = createIdCodec(key, 'job').encode({ number: 7, createdAt })
  t.equal(createTokenSigner([Buffer.from(secret)]).verify(createTokenSigner([secret]).sign(id))?.id, id)
  t.equal(createTokenSigner([new Uint8Array(32)]).verify(createTokenSigner([Buffer.alloc(32)]).sign(id))?.id, id)
})
