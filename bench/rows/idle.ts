import { setTimeout as delay } from 'node:timers/promises'
import { acceptMany } from '../measure.ts'
import type { Row } from '../row.ts'
import { startSubject } from '../subjects/subject.ts'

const started = 100

/** 12: what it asks of its store while there is nothing to do. */
export const idle: Row = {
  name: '12',
  about: 'idle: statements while nothing happens',
  isUntimed: true,
  async run ({ sized, path, postgres, progress }) {
    const seconds = sized(30, 2)
    const { url, newSchema } = await postgres()
    const embedded = await startSubject('logic-apps.ts', { file: path('idle.db'), counting: true })
    const shared = await startSubject('logic-apps.ts', { url, schema: newSchema(), counting: true })
    try {
      for (const subject of [embedded, shared]) {
        await acceptMany(subject.origin, started)
        await subject.call('untilEnded', started)
      }
      // What the work above still does.
      await delay(sized(6000, 500))
      for (const subject of [embedded, shared]) await subject.call('statements')
      await delay(seconds * 1000)
      const [statements, queries] = [await embedded.call<Record<string, number>>('statements'), await shared.call<Record<string, number>>('statements')]
      const begins = ['BEGIN', 'BEGIN IMMEDIATE', 'COMMIT', 'ROLLBACK']
      const [most, count] = Object.entries(statements).filter(([text]) => !begins.includes(text)).toSorted(([, one], [, other]) => other - one)[0] ?? ['none', 0]
      const perMinute = Math.round((queries.query ?? 0) * 60 / seconds)
      progress(`most often: ${most.trim().replaceAll(/\s+/g, ' ').slice(0, 80)}`)
      return [
        { row: '12', measured: 'idle, embedded: the most frequent statement', ours: count === 0 ? 'none' : `every ${(seconds / count).toFixed(1)} s`, beside: '-', theirs: '-', target: 'every 5 s at most', met: count <= Math.ceil(seconds / 5) },
        { row: '12', measured: 'idle, PostgreSQL', ours: `${perMinute} queries/min`, beside: '-', theirs: '-', target: '<= 250', met: perMinute <= 250 }
      ]
    } finally {
      await Promise.all([embedded, shared].map((subject) => subject.stop()))
    }
  }
}
