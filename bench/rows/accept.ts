import { accept, compare, interleave } from '../measure.ts'
import { lineOf, type Line, type Row } from '../row.ts'
import { startSubject } from '../subjects/subject.ts'

/** 1: what it costs that an accepted job is on disk before the 202. */
export const acceptEmbedded: Row = {
  name: '1',
  about: 'accept, embedded, fsynced, 50 connections',
  async run ({ seconds, rounds, path, progress }) {
    const ours = await startSubject('logic-apps.ts', { file: path('accept.db'), runners: false })
    const bare = await startSubject('bare.ts')
    const insert = await startSubject('peers.ts', { kind: 'insert', file: path('insert.db') })
    try {
      const values = await interleave(rounds, {
        ours: () => accept(ours.origin, seconds),
        bare: () => accept(bare.origin, seconds),
        'ours, engine headers': () => accept(ours.origin, seconds, true),
        'bare, engine headers': () => accept(bare.origin, seconds, true),
        'an INSERT per request': () => accept(insert.origin, seconds, true)
      }, progress)
      const recognised = values['ours, engine headers']
      return [
        lineOf('1a', 'accept: POST -> 202, embedded', 'bare route that stores nothing', 'req/s', compare(values.ours, values.bare), 0.5),
        lineOf('1b', 'the same, repeats recognised', 'bare route, same headers', 'req/s', compare(recognised, values['bare, engine headers']), 0.35),
        lineOf('1c', 'the same, repeats recognised', 'route with one fsynced INSERT', 'req/s', compare(recognised, values['an INSERT per request']), 3)
      ]
    } finally {
      await Promise.all([ours, bare, insert].map((subject) => subject.stop()))
    }
  }
}

/** 3: the same on PostgreSQL, beside queues. */
export const acceptPostgres: Row = {
  name: '3',
  about: 'accept on PostgreSQL, 50 connections',
  async run ({ seconds, rounds, progress, postgres, redis }) {
    const { url, newSchema, analyze } = await postgres()
    const redisServer = await redis()
    const ours = await startSubject('logic-apps.ts', { url, schema: newSchema(), runners: false })
    const boss = await startSubject('peers.ts', { kind: 'pg-boss', url, name: newSchema() })
    const bull = redisServer === undefined ? undefined : await startSubject('peers.ts', { kind: 'bullmq', port: redisServer.port })
    try {
      const measured = async (origin: string): Promise<number> => {
        await analyze()
        return await accept(origin, seconds)
      }
      const values = await interleave(rounds, {
        ours: () => measured(ours.origin),
        'pg-boss': () => measured(boss.origin),
        ...(bull === undefined ? {} : { bullmq: () => measured(bull.origin) })
      } as Record<string, () => Promise<number>>, progress)
      const lines: Line[] = [lineOf('3', 'accept on PostgreSQL', 'route calling pg-boss send', 'req/s', compare(values.ours!, values['pg-boss']!), 5)]
      if (bull !== undefined) lines.push(lineOf('3', 'accept on PostgreSQL', 'route calling BullMQ add, AOF always', 'req/s', compare(values.ours!, values.bullmq!), 1))
      return lines
    } finally {
      await Promise.all([ours, boss, bull].map((subject) => subject?.stop()))
    }
  }
}
