import { copyFileSync } from 'node:fs'
import { moveStore } from '../../src/stores/postgres/index.ts'
import { compare, interleave } from '../measure.ts'
import { lineOf, type Bench, type Row } from '../row.ts'
import { startSubject } from '../subjects/subject.ts'

/** As many at once as the plugin sends. */
export const concurrency = 128

/** Each resolves to callbacks a second, from its begin until the last is received. */
export interface CallbackMeasures {
  embedded (): Promise<number>
  postgres (): Promise<number>
  undici (): Promise<number>
  urls: string[]
  /** Of another way to call all of them back. */
  rateOf (begin: () => Promise<unknown>): Promise<number>
  stop (): Promise<void>
}

/** Receivers, and those who call them back. */
export async function startCallbacks ({ path, postgres }: Bench, count: number): Promise<CallbackMeasures> {
  const { url, newSchema, analyze } = await postgres()
  const [file, moved, schema] = [path('callbacks.db'), path('callbacks-moved.db'), newSchema()]
  const receiver = await startSubject('callbacks.ts', { kind: 'receiver' })
  const undici = await startSubject('callbacks.ts', { kind: 'undici' })
  const urls = await receiver.call<string[]>('urls', count)
  // Once, and into the embedded store: PostgreSQL takes one subscribe call after another.
  const subscribing = await startSubject('logic-apps.ts', { file, runners: false })
  await subscribing.call('subscribe', urls)
  await subscribing.stop()
  copyFileSync(file, moved)
  await moveStore({ file: moved }, { connectionString: url, schema })
  const embedded = await startSubject('logic-apps.ts', { file })
  const shared = await startSubject('logic-apps.ts', { url, schema })
  await analyze()
  const rateOf: CallbackMeasures['rateOf'] = async (begin) => {
    const all = receiver.call('expect', count)
    const began = performance.now()
    await begin()
    await all
    return count / (performance.now() - began) * 1000
  }
  return {
    urls,
    embedded: () => rateOf(() => embedded.call('publish')),
    postgres: () => rateOf(() => shared.call('publish')),
    undici: () => rateOf(() => undici.call('post', urls, concurrency)),
    rateOf,
    stop: async () => { await Promise.all([embedded, shared, undici, receiver].map((subject) => subject.stop())) }
  }
}

/** 7: one event, and everybody it is owed to. */
export const callbacks: Row = {
  name: '7',
  about: 'callbacks: one event to 10,000 subscriptions',
  async run (bench) {
    const count = bench.sized(10_000, 100)
    const { embedded, postgres, undici, stop } = await startCallbacks(bench, count)
    try {
      const values = await interleave(bench.rounds, { embedded, postgres, undici }, bench.progress)
      return [
        lineOf('7', `one event to ${count} subscriptions, embedded`, 'undici loop that stores nothing', 'callbacks/s', compare(values.embedded, values.undici), 0.6),
        lineOf('7', `one event to ${count} subscriptions, PostgreSQL`, 'undici loop that stores nothing', 'callbacks/s', compare(values.postgres, values.undici), 0.35)
      ]
    } finally {
      await stop()
    }
  }
}
