import { parseCallbackUrl, type CallbackUrl } from '../protocol/callback-url.ts'
import { createRecent } from '../protocol/recent.ts'
import type { Sealer } from '../protocol/seal.ts'
import { refusalOf, type CallbackPolicy } from './callback-policy.ts'
import type { JudgedAnswer } from './judge-answer.ts'
import type { ClaimedDelivery } from './store.ts'

/** A workflow gets event after event: a cipher and a parser are a tenth of what a callback costs. */
const maxRecent = 10_000
/** Of a sealed URL, in bytes. Longer than those of the engine. */
const maxKept = 600

/** The URL, or what is kept in place of a receiver's answer. */
export type CallbackOpener = (of: Pick<ClaimedDelivery, 'subscription' | 'sealedUrl'>) => CallbackUrl | JudgedAnswer

/** Reads what was sealed, and judges it anew: options may have become stricter since. */
export function createCallbackOpener (sealer: Sealer, policy: CallbackPolicy): CallbackOpener {
  const known = createRecent<{ sealedUrl: Uint8Array, url: CallbackUrl }, number>(maxRecent)

  function open (sealedUrl: Uint8Array): CallbackUrl | JudgedAnswer {
    let text: string
    try {
      text = sealer.open(sealedUrl)
    } catch (error) {
      return unsent(`the callback URL cannot be read: ${(error as Error).message}. Put the secret it was kept with back on the list`, 'again')
    }
    const url = parseCallbackUrl(text)
    if ('fault' in url) return unsent(`the callback URL ${url.fault}`, 'dead')
    const refusal = refusalOf(url, policy)
    if (refusal === undefined) return url
    return unsent({
      protocol: 'the callback URL is http, and callbacks.allowHttp is not set any more',
      host: `the host ${url.hostname} is not on callbacks.allowedHosts any more`,
      address: `the address ${url.hostname} is not within callbacks.networks any more`
    }[refusal], 'dead')
  }

  return ({ subscription, sealedUrl }) => {
    const recent = known.get(subscription)
    // It is sealed anew when its caller subscribes again.
    if (recent !== undefined && Buffer.compare(recent.sealedUrl, sealedUrl) === 0) return recent.url
    const url = open(sealedUrl)
    if (!('answer' in url) && sealedUrl.length <= maxKept) known.set(subscription, { sealedUrl, url })
    return url
  }
}

function unsent (text: string, outcome: 'again' | 'dead'): JudgedAnswer {
  return { answer: { statusCode: null, text, retryAfterMs: null, durationMs: 0 }, outcome }
}
