import { createCipheriv, createDecipheriv, createHmac, createSecretKey, hash, hkdfSync, timingSafeEqual } from 'node:crypto'
import { createRecent } from './recent.ts'

/*
 * A polling trigger keeps nothing of those who poll it: how far each has come stands in the URL that it is told to poll
 * next (engine 3.6). So the state comes back from outside, and is worth something: it is sealed, so that it can neither
 * be made nor read (an event's number would tell one owner how much happens to the others), and it is equal for equal
 * states, so that "nothing new" answers the same URL as before (engine 3.4).
 */

/** What a state belongs to. */
export interface TriggerPlace {
  /** The trigger, with its path parameters: another's state is refused. */
  trigger: string
  /** The rest of the query. */
  query: string
}

export interface OpenedState {
  /** Any JSON value. */
  state: unknown
  /** Whether it was handed out for this very query: only then is it a permission to ask. */
  isOfQuery: boolean
  /** Whether sealing the state again gives the same text. */
  isCurrent: boolean
}

/** A text that was opened. */
interface KnownState extends TriggerPlace, Omit<OpenedState, 'state'> {
  /** JSON text of the state, so that nobody changes what another is given. */
  state: string
}

export interface TriggerStates {
  seal (place: TriggerPlace, state: unknown): string
  /** `undefined` for anything that was not sealed for this trigger. */
  open (text: string, place: TriggerPlace): OpenedState | undefined
}

const version = 1
const sizes = { mac: 16, query: 8 }
/** Longer than any that fits into a URL that we hand out: nothing of it is worth computing. */
const maxLength = 2000
/** While there is nothing new, a trigger is polled with the same state again and again. */
const maxRecent = 5_000
const maxKept = 2 * maxLength

/**
 * Layout, in base64url: version (1 byte), synthetic IV (16), cipher text. The IV is an HMAC over the plain text and what
 * it belongs to, and so is its signature (the construction of RFC 5297, with HMAC-SHA-256 in place of CMAC).
 *
 * @param secrets The first seals; all of them open, so that a secret is rotated by putting the new one in front.
 */
export function createTriggerStates (secrets: (string | Uint8Array)[]): TriggerStates {
  const keys = secrets.map((secret) => {
    const derive = (purpose: string): Uint8Array => new Uint8Array(hkdfSync('sha256', secret, '', `fastify-logic-apps trigger state ${purpose}`, 32))
    return { mac: createSecretKey(derive('MAC')), cipher: createSecretKey(derive('cipher')) }
  })
  type Keys = typeof keys[number]

  // Lengths are authenticated too, so that no two lists of parts read alike.
  const ivOf = ({ mac }: Keys, { trigger }: TriggerPlace, plain: Uint8Array): Buffer => createHmac('sha256', mac)
    .update(`${version}:${Buffer.byteLength(trigger)}:${trigger}`).update(plain).digest().subarray(0, sizes.mac)
  const digestOf = ({ query }: TriggerPlace): Buffer => hash('sha256', query, 'buffer').subarray(0, sizes.query)

  const sealed = createRecent<string>(maxRecent, maxKept)
  const opened = createRecent<KnownState>(maxRecent)
  const keyOf = ({ trigger, query }: TriggerPlace, text: string): string => `${trigger.length},${query.length}:${trigger}${query}${text}`

  function sealText (place: TriggerPlace, text: string): string {
    const plain = Buffer.concat([digestOf(place), Buffer.from(text)])
    const iv = ivOf(keys[0]!, place, plain)
    const cipher = createCipheriv('aes-256-ctr', keys[0]!.cipher, iv)
    return Buffer.concat([Buffer.of(version), iv, cipher.update(plain), cipher.final()]).toString('base64url')
  }

  function openText (text: string, place: TriggerPlace): KnownState | undefined {
    const bytes = Buffer.from(text, 'base64url')
    const body = bytes.subarray(1 + sizes.mac)
    // Base64 has several spellings of the same bytes; only one of them was handed out.
    if (bytes[0] !== version || body.length <= sizes.query || bytes.toString('base64url') !== text) return undefined
    const iv = bytes.subarray(1, 1 + sizes.mac)
    for (const secret of keys) {
      const decipher = createDecipheriv('aes-256-ctr', secret.cipher, iv)
      const plain = Buffer.concat([decipher.update(body), decipher.final()])
      if (!timingSafeEqual(iv, ivOf(secret, place, plain))) continue
      const isOfQuery = timingSafeEqual(plain.subarray(0, sizes.query), digestOf(place))
      const known = { ...place, state: plain.toString('utf8', sizes.query), isOfQuery, isCurrent: isOfQuery && secret === keys[0] }
      return place.trigger.length + place.query.length > maxKept ? known : opened.set(text, known)
    }
    return undefined
  }

  return {
    seal (place, state) {
      const text = JSON.stringify(state)
      const key = keyOf(place, text)
      return sealed.get(key) ?? sealed.set(key, sealText(place, text))
    },
    open (text, place) {
      if (text.length > maxLength) return undefined
      const last = opened.get(text)
      const known = last?.trigger === place.trigger && last.query === place.query ? last : openText(text, place)
      return known === undefined ? undefined : { state: JSON.parse(known.state) as unknown, isOfQuery: known.isOfQuery, isCurrent: known.isCurrent }
    }
  }
}
