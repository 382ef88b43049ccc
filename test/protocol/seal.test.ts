import fc from 'fast-check'
import { test } from 'tap'
import { createSealer } from '../../src/protocol/seal.ts'
import { engineUrls } from '../helpers/callback-urls.ts'
import { check } from '../helpers/property.ts'

const secret = 'a secret of thirty-two bytes or so'
const otherSecret = 'another secret of thirty-two bytes'
const purpose = 'callback URLs'
const sealer = createSealer([secret], purpose)
/** Version and key id stand before it. */
const nonceOf = (sealed: Uint8Array): string => Buffer.from(sealed.subarray(5, 17)).toString('hex')

test('what was sealed is read again as it was', async (t) => {
  for (const url of [...Object.values(engineUrls), '', 'é', '\u0000']) t.equal(sealer.open(sealer.seal(url)), url)
  await check(t, fc.property(fc.string({ unit: 'grapheme', maxLength: 5000 }), (text) => sealer.open(sealer.seal(text)) === text))
})

test('nothing of the text can be read in what is kept, only its length', async (t) => {
  const sealed = Buffer.from(sealer.seal(engineUrls.trigger))
  for (let at = 0; at + 6 < engineUrls.trigger.length; at++) t.notOk(sealed.includes(engineUrls.trigger.slice(at, at + 6)))
  t.equal(sealed.length, engineUrls.trigger.length + 33)
})

test('the nonce never repeats, not for one text either', async (t) => {
  const nonces = new Set(Array.from({ length: 20_000 }, () => nonceOf(sealer.seal('https://a.example/'))))
  t.equal(nonces.size, 20_000)
})

test('a store that was moved to another process opens it: the key comes from the secret alone', async (t) => {
  t.equal(createSealer([Buffer.from(secret)], purpose).open(sealer.seal('x')), 'x')
})

test('secrets rotate: the first seals, all open, one left out does not', async (t) => {
  const before = sealer.seal('x')
  const rotated = createSealer([otherSecret, secret], purpose)
  t.equal(rotated.open(before), 'x')
  const after = rotated.seal('y')
  t.equal(createSealer([otherSecret], purpose).open(after), 'y')
  t.equal(createSealer([secret, otherSecret], purpose).open(after), 'y', 'a replica that is told first')
  t.throws(() => sealer.open(after), { message: 'it was sealed with a secret that is not given any more' })
  t.throws(() => createSealer([otherSecret], purpose).open(before), /not given any more/)
})

test('a key is for one purpose', async (t) => {
  t.throws(() => createSealer([secret], 'something else').open(sealer.seal('x')), /not given any more/)
})

test('with any one bit changed it does not open', async (t) => {
  const sealed = sealer.seal('https://a.example/?sig=x')
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const changed = Uint8Array.from(sealed)
    changed[bit >> 3]! ^= 1 << (bit & 7)
    t.throws(() => sealer.open(changed), `bit ${bit}`)
  }
})

test('cut short, drawn out or put together from two it does not open', async (t) => {
  const [one, two] = [sealer.seal('https://a.example/one'), sealer.seal('https://a.example/two')] as const
  for (let length = 0; length < one.length; length++) t.throws(() => sealer.open(one.slice(0, length)), `${length} bytes`)
  t.throws(() => sealer.open(Buffer.concat([one, Buffer.of(0)])))
  for (const at of [17, 33]) t.throws(() => sealer.open(Buffer.concat([one.subarray(0, at), two.subarray(at)])))
})

test('no short tag is taken: it could be guessed', async (t) => {
  const warnings: Error[] = []
  const listener = (warning: Error): void => { warnings.push(warning) }
  process.on('warning', listener)
  t.teardown(() => { process.off('warning', listener) })
  for (let size = 0; size < 16; size++) t.throws(() => sealer.open(sealer.seal('').slice(0, 17 + size)), { code: 'ERR_CRYPTO_INVALID_AUTH_TAG' })
  await new Promise((resolve) => { setImmediate(resolve) })
  t.same(warnings, [])
})
