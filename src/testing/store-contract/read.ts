import assert from 'node:assert/strict'
import type { JobFilter, JobRecord } from '../../work/store.ts'
import { accept, alone, canceled, claim, getOne, leaseOf, numbersOf, plenty, settle, succeeded, together } from './bench.ts'

const unknown = 999_999

export const readCases = [
  alone('records come in the order asked, undefined for those that are not there', async ({ open }) => {
    const { store } = await open()
    const [first, second] = await accept(store, { owner: 'first' }, { owner: 'second' })
    assert.deepEqual(await store.get([second!.number, unknown, first!.number, second!.number]), [second, undefined, first, second])
  }),

  alone('a record shows every change of this instance', async ({ open }) => {
    const { store } = await open()
    const [{ number }] = await accept(store, {}) as [JobRecord]
    const look = async (): Promise<unknown> => {
      const { status, attempt, percentComplete } = await getOne(store, number)
      return { status, attempt, percentComplete }
    }
    assert.deepEqual(await look(), { status: 'queued', attempt: 0, percentComplete: 0 })
    const [running] = await claim(store)
    assert.deepEqual(await look(), { status: 'running', attempt: 1, percentComplete: 0 })
    await store.progress([{ lease: leaseOf(running!), percentComplete: 40, message: 'Rising' }])
    assert.deepEqual(await look(), { status: 'running', attempt: 1, percentComplete: 40 })
    await settle(store, running!, { status: 'queued', dueAt: 0, failures: 1 })
    assert.equal((await getOne(store, number)).failures, 1)
    await store.end(number, canceled())
    assert.equal((await getOne(store, number)).status, 'canceled')
  }),

  together('a record that was read before shows every change of another instance', async ({ open }) => {
    const reader = await open()
    const writer = await open()
    const [{ number }] = await accept(writer.store, {}) as [JobRecord]
    const look = async (): Promise<JobRecord> => getOne(reader.store, number)
    assert.equal((await look()).status, 'queued')
    const [running] = await claim(writer.store)
    assert.equal((await look()).status, 'running')
    await writer.store.progress([{ lease: leaseOf(running!), percentComplete: 40, message: 'Rising' }])
    assert.equal((await look()).message, 'Rising')
    await settle(writer.store, running!, succeeded('"done"'))
    assert.equal((await look()).result, '"done"')
    assert.deepEqual(await look(), await getOne(writer.store, number))
  }),

  alone('a list is newest first and no longer than asked', async ({ open }) => {
    const { store } = await open()
    const jobs = [...await accept(store, { owner: 'a' }, { owner: 'b' }), ...await accept(store, { owner: 'c' })].reverse()
    assert.deepEqual(await store.list({ limit: plenty }), jobs)
    assert.deepEqual(await store.list({ limit: 2 }), jobs.slice(0, 2))
  }),

  alone('the last number of a page asks for the next, until all were listed', async ({ open }) => {
    const { store } = await open()
    const jobs = await accept(store, ...Array.from({ length: 7 }, () => ({})))
    const pages: number[][] = []
    let before: number | undefined
    do {
      const page = numbersOf(await store.list({ limit: 3, before }))
      pages.push(page)
      before = page.at(-1)
    } while (before !== undefined)
    assert.deepEqual(pages.map(({ length }) => length), [3, 3, 1, 0])
    assert.deepEqual(pages.flat(), numbersOf(jobs).reverse())
  }),

  alone('filters narrow a list, each alone and all together', async ({ open }) => {
    const { store } = await open()
    const jobs = await accept(store,
      { operation: 'Bake', owner: 'anna' }, { operation: 'Bake', owner: 'ben' }, { operation: 'Ice', owner: 'anna' }, { operation: 'Bake', owner: 'anna' })
    const [first, second, third, fourth] = numbersOf(jobs)
    await store.end(second!, canceled())
    await store.end(fourth!, canceled())
    const list = async (filter: Omit<JobFilter, 'limit'>): Promise<number[]> => numbersOf(await store.list({ ...filter, limit: plenty }))
    assert.deepEqual(await list({ operation: 'Bake' }), [fourth, second, first])
    assert.deepEqual(await list({ owner: 'anna' }), [fourth, third, first])
    assert.deepEqual(await list({ status: 'canceled' }), [fourth, second])
    assert.deepEqual(await list({ status: 'running' }), [])
    assert.deepEqual(await list({ before: third }), [second, first])
    assert.deepEqual(await list({ operation: 'Bake', owner: 'anna', status: 'canceled', before: unknown }), [fourth])
    assert.deepEqual(await list({ operation: 'Bake', owner: 'anna', status: 'canceled', before: fourth }), [])
    assert.deepEqual(await list({ operation: undefined, owner: undefined, status: undefined, before: undefined }), [fourth, third, second, first])
  }),

  alone('a list holds the same records as get, ended ones with result or failure', async ({ open }) => {
    const { store } = await open()
    await accept(store, {}, {}, {})
    const [first, second] = await claim(store)
    await settle(store, first!, succeeded('{"cake":1}'))
    await store.end(second!.number, canceled())
    const listed = await store.list({ limit: plenty })
    assert.deepEqual(listed, await store.get(numbersOf(listed)))
    assert.deepEqual(listed.map(({ result, failure }) => result ?? failure?.code ?? null), [null, 'JobCanceled', '{"cake":1}'])
  }),

  alone('texts come back as they are, whatever is in them', async ({ open }) => {
    const { store } = await open()
    const odd = ['', ' padded ', '😀 ünïcödé \u2028', '\'"`;--\\ %_ $1 ?', 'a\r\n\tb', 'nul \0 inside', 'lone \ud800 surrogate', 'x'.repeat(1_000_000)]
    for (const text of odd) {
      // JSON text, as the port asks: JSON.stringify escapes NUL and lone surrogates.
      const json = JSON.stringify({ [text]: text })
      const [first, second] = await accept(store, { input: json }, { input: json, owner: 'ann\'s "shop" 😀', idempotency: { key: `'${text.slice(0, 9).replace(/[\0\ud800]/g, '')}`, fingerprint: '"' } })
      const claimed = await claim(store)
      assert.deepEqual(claimed.map(({ input }) => input), [json, json])
      await settle(store, claimed[0]!, succeeded(json))
      await settle(store, claimed[1]!, {
        status: 'failed', failure: { code: 'Odd', message: text.replace(/\ud800/, ''), statusCode: 400, details: { [text]: [text] } }, endedAt: 1, expiresAt: 2
      })
      assert.equal((await getOne(store, first!.number)).result, json)
      const { owner, failure } = await getOne(store, second!.number)
      assert.equal(owner, 'ann\'s "shop" 😀')
      assert.deepEqual(failure, { code: 'Odd', message: text.replace(/\ud800/, ''), statusCode: 400, details: { [text]: [text] } })
      assert.deepEqual(numbersOf(await store.list({ owner, limit: 1 })), [second!.number])
    }
  })
]
