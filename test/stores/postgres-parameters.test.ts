import t, { test } from 'tap'
import { toParameter } from '../../src/stores/postgres/parameters.ts'
import { createPool } from '../helpers/postgres.ts'

// A server of its own: a busy machine takes its time.
t.setTimeout(300_000)

test('PostgreSQL reads a list as it was given', async (t) => {
  const pool = await createPool(t)
  const read = async (type: string, list: unknown[]): Promise<unknown> => (await pool.query(`SELECT $1::${type}[] AS list`, [toParameter(list)])).rows[0].list
  for (const list of [
    ['a', 'b'],
    [''],
    ['NULL', null, 'null', null],
    ['{"a":"b, \\"c\\" \\\\ d"}', '{', '}', ',', ' '],
    ['Zoë 🎂', '\u0001\u001e\u007f', '\ufffe\u2028'],
    ['x'.repeat(100_000), '🎂'.repeat(50_000)],
    [null],
    []
  ]) t.same(await read('text', list), list)
  t.same(await read('int', [1, -2, 2 ** 31 - 1]), [1, -2, 2 ** 31 - 1])
  t.same(await read('float8', [0.1, 1e300, -0.5]), [0.1, 1e300, -0.5])
  t.same(await read('int', [null, null]), [null, null])
  t.same(await read('int', [1, null]), [1, null])
  t.same(await read('bool', [true, false]), [true, false])
  t.same(await read('bytea', [Buffer.from([0, 255])]), [Buffer.from([0, 255])])
})

test('half of a character of two code units, which UTF-8 has not, is replaced', async (t) => {
  const pool = await createPool(t)
  const { rows: [row] } = await pool.query('SELECT $1::text[] AS list', [toParameter(['a\ud83c', 'b'])])
  t.same(row.list, ['a\ufffd', 'b'])
})

test('what no PostgreSQL text can hold is refused as it is by itself', async (t) => {
  const pool = await createPool(t)
  await t.rejects(pool.query('SELECT $1::text[]', [toParameter(['a\0b', 'c'])]), { code: '22021' })
  await t.rejects(pool.query('SELECT $1::text', ['a\0b']), { code: '22021' })
})

test('what is no list is left as it is', async (t) => {
  for (const value of ['a', 1, null, undefined, true]) t.equal(toParameter(value), value)
})
