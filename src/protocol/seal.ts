import { createCipheriv, createDecipheriv, createHash, createSecretKey, hkdfSync, randomBytes } from 'node:crypto'

/** Keeps texts unreadable for whoever has the store but not the secret: AES-256-GCM, the key by HKDF from the secret. */
export interface Sealer {
  seal (text: string): Uint8Array
  /** @throws {Error} when it was sealed with a secret that is not on the list any more, or was changed. */
  open (sealed: Uint8Array): string
}

const version = 1
const sizes = { keyId: 4, iv: 12, tag: 16 }

/**
 * Layout: version (1 byte), key id (4), IV (12), tag (16), cipher text.
 *
 * @param secrets The first seals; all of them open.
 * @param purpose Keeps keys of one secret apart.
 */
export function createSealer (secrets: (string | Uint8Array)[], purpose: string): Sealer {
  const keys = secrets.map((secret) => {
    const key = Buffer.from(hkdfSync('sha256', secret, '', `fastify-logic-apps ${purpose}`, 32))
    // A KeyObject, because a Buffer key costs more than twice as much on Node 24.
    return { key: createSecretKey(key), id: createHash('sha256').update(key).digest().subarray(0, sizes.keyId) }
  })
  return {
    seal (text) {
      const { key, id } = keys[0]!
      const iv = randomBytes(sizes.iv)
      const cipher = createCipheriv('aes-256-gcm', key, iv)
      const encrypted = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return Buffer.concat([Buffer.of(version), id, iv, cipher.getAuthTag(), encrypted])
    },
    open (sealed) {
      const bytes = Buffer.from(sealed)
      let offset = 1
      const take = (size: number): Buffer => {
        offset += size
        return bytes.subarray(offset - size, offset)
      }
      const id = take(sizes.keyId)
      const found = bytes[0] === version ? keys.find((key) => key.id.equals(id)) : undefined
      if (found === undefined) throw new Error('it was sealed with a secret that is not given any more')
      const decipher = createDecipheriv('aes-256-gcm', found.key, take(sizes.iv), { authTagLength: sizes.tag }).setAuthTag(take(sizes.tag))
      return Buffer.concat([decipher.update(bytes.subarray(offset)), decipher.final()]).toString('utf8')
    }
  }
}
