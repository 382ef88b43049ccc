import { crc32 } from 'node:zlib'

const size = 230

/**
 * A PNG of the size and colours that are asked for (openapi 5, icon): a white mark of 160 pixels on the brand's colour. Its
 * data is stored uncompressed, so that the bytes are the same whatever the version of zlib.
 *
 * @param brandColor As `#da3b01`.
 */
export function createIcon (brandColor: string): Buffer {
  // Four shades, from the brand's colour to white, of two bits a pixel: enough for smooth edges.
  const brand = [1, 3, 5].map((at) => Number.parseInt(brandColor.slice(at, at + 2), 16))
  const palette = [0, 1, 2, 3].flatMap((shade) => brand.map((part) => Math.round(part + (255 - part) * shade / 3)))
  const rows = Array.from({ length: size }, (_, y) => rowOf(y))
  const header = Buffer.alloc(13)
  header.writeUInt32BE(size, 0)
  header.writeUInt32BE(size, 4)
  header.set([2, 3, 0, 0, 0], 8)
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', header), chunk('PLTE', Buffer.from(palette)), chunk('IDAT', stored(Buffer.concat(rows))), chunk('IEND', Buffer.alloc(0))
  ])
}

/** One line of pixels, after the byte that says they are as they stand. */
function rowOf (y: number): Buffer {
  const row = Buffer.alloc(1 + Math.ceil(size / 4))
  for (let x = 0; x < size; x++) row[1 + (x >> 2)]! |= Math.round(3 * coverage(x, y)) << (6 - 2 * (x & 3))
  return row
}

/** How much of a pixel the mark covers: a ring, and a triangle in it that says "run". */
function coverage (x: number, y: number): number {
  let hits = 0
  for (const [dx, dy] of [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]] as const) {
    const [right, down] = [x + dx - size / 2, y + dy - size / 2]
    const distance = Math.hypot(right, down)
    const isRing = distance > 62 && distance < 80
    const isTriangle = right > -20 && Math.abs(down) < (40 - right) * 0.6
    if (isRing || isTriangle) hits++
  }
  return hits / 4
}

/** The zlib format with one uncompressed block (RFC 1950, RFC 1951 3.2.4). */
function stored (data: Buffer): Buffer {
  const head = Buffer.from([0x78, 0x01, 0x01, 0, 0, 0, 0])
  head.writeUInt16LE(data.length, 3)
  head.writeUInt16LE(~data.length & 0xffff, 5)
  let [a, b] = [1, 0]
  for (const byte of data) {
    a = (a + byte) % 65_521
    b = (b + a) % 65_521
  }
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(b * 65_536 + a)
  return Buffer.concat([head, data, sum])
}

function chunk (type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  check.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, check])
}
