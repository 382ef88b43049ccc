import { test } from 'tap'
import { createAddressGuard } from '../../src/callbacks/address-guard.ts'
import { createSealer } from '../../src/protocol/seal.ts'
import { createCallbackOpener } from '../../src/work/callback-opener.ts'
import type { CallbackPolicy } from '../../src/work/callback-policy.ts'

const policy: CallbackPolicy = { allowedHosts: ['*.example'], allowHttp: false, guard: createAddressGuard([]) }
const old = createSealer(['an old secret of thirty-two bytes'], 'callback URLs')
const both = createSealer(['a new secret of thirty-two bytes.', 'an old secret of thirty-two bytes'], 'callback URLs')

test('a subscription is told from another, and its URL from the one it had, however often they are opened', async (t) => {
  const open = createCallbackOpener(both, policy)
  const sealed = (text: string): Uint8Array => both.seal(text)
  const [a, b, moved] = [sealed('https://a.example/1?sig=a'), sealed('https://b.example/1?sig=b'), sealed('https://c.example/1?sig=c')]
  for (let times = 0; times < 3; times++) {
    t.match(open({ subscription: 1, sealedUrl: a }), { text: 'https://a.example/1?sig=a', host: 'a.example:443' })
    t.match(open({ subscription: 2, sealedUrl: b }), { text: 'https://b.example/1?sig=b' })
    t.match(open({ subscription: 1, sealedUrl: moved }), { text: 'https://c.example/1?sig=c' })
  }
})

test('one that was sealed with an older secret, or anew with another, is the same URL', async (t) => {
  const open = createCallbackOpener(both, policy)
  for (const sealer of [old, both, old]) t.match(open({ subscription: 1, sealedUrl: sealer.seal('https://a.example/?sig=a') }), { text: 'https://a.example/?sig=a' })
})

test('what cannot be opened, or is not allowed any more, is so each time, and is not remembered', async (t) => {
  const open = createCallbackOpener(both, policy)
  const [good, foreign, strange] = [both.seal('https://a.example/'), createSealer(['a third secret of thirty-two byte'], 'callback URLs').seal('https://a.example/?sig=planted'), both.seal('https://a.elsewhere/?sig=planted')]
  for (let times = 0; times < 2; times++) {
    t.match(open({ subscription: 1, sealedUrl: foreign }), { outcome: 'again', answer: { statusCode: null, text: /cannot be read/ } })
    t.match(open({ subscription: 1, sealedUrl: strange }), { outcome: 'dead', answer: { text: /not on callbacks.allowedHosts/ } })
    t.match(open({ subscription: 1, sealedUrl: good }), { text: 'https://a.example/' })
    t.notMatch(JSON.stringify([open({ subscription: 1, sealedUrl: foreign }), open({ subscription: 1, sealedUrl: strange })]), 'planted')
  }
})
