import t, { test } from 'tap'
import { encodeParameter } from '../../src/stores/postgres/parameters.ts'
import { createPool } from '../helpers/postgres.ts'

// A server of its own: a busy machine takes its time.
t.setTimeout(300_000)

test('PostgreSQL reads a list as it was given', async (t) => {
  const pool = await createPool(t)
  const read = async (type: string, list: unknown[]): Promise<unknown> => (await pool.query(`SELECT $1::${type}[] AS list`, [encodeParameter(list)])).rows[0].list
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
  const { rows: [row] } = await pool.query('SELECT $1::text[] AS list', [encodeParameter(['a\ud83c', 'b'])])
  t.same(row.list, ['a\ufffd', 'b'])
})

test('what no PostgreSQL text can hold is refused as it is by itself', async (t) => {
  const pool = await createPool(t)
  await t.rejects(pool.query('SELECT $1::text[]', [encodeParameter(['a\0b', 'c'])]), { code: '22021' })
  await t.rejects(pool.query('SELECT $1::text', ['a\0b']), { code: '22021' })
})

test('a list of texts goes out in the binary form, whose quotes need no backslash', async (t) => {
  t.same((encodeParameter(['"', null]) as Buffer).toString('hex', 0), [
    '00000001', // one dimension
    '00000001', // there are nulls
    '00000019', // text
    '00000002', // entries
    '00000001', // the first is number 1
    '00000001', '22',
    'ffffffff' // null
  ].join(''))
  t.ok(Buffer.isBuffer(encodeParameter([''])))
})

test('what is no list of texts or of numbers is left to pg', async (t) => {
  for (const value of ['a', 1, null, undefined, true, [null, null], [1, null], [true], [Buffer.from('a')], [['a']]]) t.equal(encodeParameter(value), value)
})

test('a list of texts is refused where another type is asked for', async (t) => {
  const pool = await createPool(t)
  await t.rejects(pool.query('SELECT $1::bigint[]', [encodeParameter(['1', '2'])]), { code: '42804' })
})
