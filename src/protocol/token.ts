import { createCipheriv, createDecipheriv, createHmac, createSecretKey, hkdfSync, timingSafeEqual } from 'node:crypto'
import { createRecent } from './recent.ts'

/*
 * Two names for one record. The **id** is public: it stands in logs, lists and bodies and is the record's row number,
 * encrypted so that it tells nothing about how many others there are. The **token** is the id plus a MAC: whoever
 * holds it may poll and cancel (a capability URL). Both are computed, so that accepting work writes no random key, and
 * a genuine token is known without a read.
 */

/** An engine asks for the same job again and again, and a MAC and a cipher are a tenth of what a poll costs. */
const maxRecent = 20_000

/** What an id encodes. The time tells a record from a later one that took its number, after a restored backup. */
export interface RecordName {
  number: number
  createdAt: number
}

export interface IdCodec {
  encode (name: RecordName): string
  /** The same for many, with one call of the cipher, which is most of what an id costs. */
  encodeAll (names: RecordName[]): string[]
  /** `undefined` for anything that this store never issued. */
  decode (id: string): RecordName | undefined
}

const idLength = 22
const blockLength = 16
export const tokenLength = 2 * idLength
/** So that an id of one kind is never taken for another. */
const recordKinds = { job: 1, subscription: 2, event: 3, delivery: 4 }
export type RecordKind = keyof typeof recordKinds

/**
 * Ids are one AES block: kind (1 byte), number (6), time (6), three bytes of zeros that make a foreign id recognisable.
 * The key belongs to the store and never changes, so that an id in a log stays findable when `secret` rotates.
 */
export function createIdCodec (key: Uint8Array, kind: RecordKind): IdCodec {
  const kindByte = recordKinds[kind]
  // One block in, one block out: in ECB mode without padding a cipher object can be used for ever.
  const cipher = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false)
  const decipher = createDecipheriv('aes-128-ecb', key, null).setAutoPadding(false)

  function encodeAll (names: RecordName[]): string[] {
    const blocks = Buffer.alloc(blockLength * names.length)
    for (const [index, { number, createdAt }] of names.entries()) {
      const start = index * blockLength
      blocks.writeUInt8(kindByte, start)
      blocks.writeUIntBE(number, start + 1, 6)
      blocks.writeUIntBE(createdAt, start + 7, 6)
    }
    const encrypted = cipher.update(blocks)
    return names.map((_, index) => encrypted.toString('base64url', index * blockLength, (index + 1) * blockLength))
  }

  return {
    encode: (name) => encodeAll([name])[0]!,
    encodeAll,
    decode (id) {
      const bytes = id.length === idLength ? Buffer.from(id, 'base64url') : undefined
      // Base64 has several spellings of the same bytes; only one of them was issued.
      if (bytes?.length !== blockLength || bytes.toString('base64url') !== id) return undefined
      const plain = decipher.update(bytes)
      if (plain[0] !== kindByte || plain[13] !== 0 || plain[14] !== 0 || plain[15] !== 0) return undefined
      return { number: plain.readUIntBE(1, 6), createdAt: plain.readUIntBE(7, 6) }
    }
  }
}

/** What a token proved to be. */
export interface GenuineToken {
  id: string
  /** Itself, or what is handed out in its place since another secret came first. */
  current: string
}

export interface TokenSigner {
  sign (id: string): string
  /** `undefined` for anything that was not signed here. Needs no store. */
  verify (token: string): Readonly<GenuineToken> | undefined
}

/**
 * @param secrets The first signs; all of them verify, so that a secret is rotated by putting the new one in front.
 */
export function createTokenSigner (secrets: (string | Uint8Array)[]): TokenSigner {
  // A KeyObject, because a Buffer key costs six times as much on Node 24.
  const keys = secrets.map((secret) => createSecretKey(new Uint8Array(
    hkdfSync('sha256', secret, '', 'fastify-logic-apps capability URL', 32))))
  const mac = (key: (typeof keys)[number], id: string): string => createHmac('sha256', key).update(id).digest('base64url').slice(0, 22)
  const sign = (id: string): string => id + mac(keys[0]!, id)
  const verified = createRecent<GenuineToken>(maxRecent)

  function check (token: string): GenuineToken | undefined {
    const id = token.slice(0, idLength)
    const given = Buffer.from(token.slice(idLength))
    const signer = keys.findIndex((key) => given.length === idLength && timingSafeEqual(given, Buffer.from(mac(key, id))))
    return signer === -1 ? undefined : verified.set(token, { id, current: signer === 0 ? token : sign(id) })
  }

  return { sign, verify: (token) => token.length === tokenLength ? verified.get(token) ?? check(token) : undefined }
}

/** What a token names. */
export interface TokenName extends GenuineToken, RecordName {}

/** Reads tokens of records of one kind. @returns `undefined` for any other. */
export function createTokenReader (tokens: TokenSigner, ids: IdCodec): (token: string) => Readonly<TokenName> | undefined {
  const read = createRecent<TokenName>(maxRecent)

  function readNew (token: string): TokenName | undefined {
    const genuine = tokens.verify(token)
    const name = genuine === undefined ? undefined : ids.decode(genuine.id)
    return name === undefined ? undefined : read.set(token, { ...genuine!, ...name })
  }

  return (token) => read.get(token) ?? readNew(token)
}
