import { compare, interleave } from '../measure.ts'
import { lineOf, type Row } from '../row.ts'
import { startSubject, type Subject } from '../subjects/subject.ts'

/** As many at once as the plugin sends. */
const concurrency = 128

/** 7: one event, and everybody it is owed to. */
export const callbacks: Row = {
  name: '7',
  about: 'callbacks: one event to 10,000 subscriptions',
  async run ({ rounds, sized, path, postgres, progress }) {
    const count = sized(10_000, 100)
    const { url, newSchema, analyze } = await postgres()
    const receiver = await startSubject('callbacks.ts', { kind: 'receiver' })
    const undici = await startSubject('callbacks.ts', { kind: 'undici' })
    const embedded = await startSubject('logic-apps.ts', { file: path('callbacks.db') })
    const shared = await startSubject('logic-apps.ts', { url, schema: newSchema() })
    try {
      const urls = await receiver.call<string[]>('urls', count)
      await Promise.all([embedded, shared].map((subject) => subject.call('subscribe', urls)))
      await analyze()
      const rateOf = async (begin: () => Promise<unknown>): Promise<number> => {
        const all = receiver.call('expect', count)
        const began = performance.now()
        await begin()
        await all
        return count / (performance.now() - began) * 1000
      }
      const publishBy = (subject: Subject) => () => rateOf(() => subject.call('publish'))
      const values = await interleave(rounds, {
        embedded: publishBy(embedded),
        postgres: publishBy(shared),
        undici: () => rateOf(() => undici.call('post', urls, concurrency))
      }, progress)
      return [
        lineOf('7', `one event to ${count} subscriptions, embedded`, 'undici loop that stores nothing', 'callbacks/s', compare(values.embedded, values.undici), 0.6),
        lineOf('7', `one event to ${count} subscriptions, PostgreSQL`, 'undici loop that stores nothing', 'callbacks/s', compare(values.postgres, values.undici), 0.35)
      ]
    } finally {
      await Promise.all([embedded, shared, undici, receiver].map((subject) => subject.stop()))
    }
  }
}
