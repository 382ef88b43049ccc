/** Of `text`, in every PostgreSQL. */
const textOid = 25
const sizeOfHead = 20
const sizeOfLength = 4
/** In place of a length. */
const isNull = -1

/**
 * A list as PostgreSQL takes it with the least work. `pg` would look at each entry and put one text together piece by
 * piece, with a backslash before each quote of a JSON text, which the server takes out again byte by byte. Others are left
 * to `pg`. The type of a parameter that has a list of texts must be `text[]`: PostgreSQL refuses it for any other, where
 * it would read the entries of what `pg` sends.
 */
export function encodeParameter (value: unknown): unknown {
  if (!Array.isArray(value)) return value
  if (value.every((entry) => typeof entry === 'number')) return `{${value.join()}}`
  return isTexts(value) ? textArray(value) : value
}

/** Nulls alone may be of any type. */
function isTexts (values: unknown[]): values is (string | null)[] {
  return values.some((entry) => entry !== null) && values.every((entry) => entry === null || typeof entry === 'string')
}

/**
 * The binary form, which a Buffer is sent as: number of dimensions, whether there are nulls, type, number of entries, and the
 * first index; then each entry behind its length (array_recv in PostgreSQL's arrayfuncs.c).
 */
function textArray (values: (string | null)[]): Buffer {
  const size = values.reduce((size, text) => size + sizeOfLength + (text === null ? 0 : Buffer.byteLength(text)), sizeOfHead)
  const bytes = Buffer.allocUnsafe(size)
  let end = 0
  for (const number of [1, values.includes(null) ? 1 : 0, textOid, values.length, 1]) end = bytes.writeInt32BE(number, end)
  for (const text of values) {
    const start = end + sizeOfLength
    const length = text === null ? isNull : bytes.write(text, start)
    bytes.writeInt32BE(length, end)
    end = start + Math.max(length, 0)
  }
  return bytes
}
