import { compare, interleave, poll, startOrders } from '../measure.ts'
import { lineOf, type Row } from '../row.ts'
import type { Reply } from '../subjects/bare.ts'
import { startSubject } from '../subjects/subject.ts'

/** What an answer of ours consists of, for a bare route to give the same. */
export async function replyOf (url: string): Promise<Reply> {
  const answer = await fetch(url)
  const headers = Object.fromEntries([...answer.headers].filter(([name]) => !['connection', 'content-length', 'content-type', 'date', 'keep-alive', 'transfer-encoding'].includes(name)))
  const text = await answer.text()
  return { statusCode: answer.status, headers, ...(text === '' ? {} : { body: JSON.parse(text) as unknown }) }
}

const jobs = 10_000

/** 2: polls of many different jobs, half of them ended. */
export const pollEmbedded: Row = {
  name: '2',
  about: 'poll, embedded, 10,000 jobs',
  async run ({ seconds, rounds, sized, path, progress }) {
    const ours = await startSubject('logic-apps.ts', { file: path('poll.db') })
    const paths = await startOrders(ours, sized(jobs, 200))
    const bare = await startSubject('bare.ts', { replies: await Promise.all([paths[0]!, paths[1]!].map((known) => replyOf(ours.origin + known))) })
    try {
      const values = await interleave(rounds, {
        ours: () => poll(ours.origin, paths, seconds),
        bare: () => poll(bare.origin, paths.map((_, index) => `/replies/${index}`), seconds)
      }, progress)
      return [lineOf('2', `poll of ${paths.length} jobs, embedded`, 'bare route, same headers and body', 'req/s', compare(values.ours, values.bare), 0.9)]
    } finally {
      await Promise.all([ours, bare].map((subject) => subject.stop()))
    }
  }
}

/** 4: the same on PostgreSQL, beside the query that one would write. */
export const pollPostgres: Row = {
  name: '4',
  about: 'poll on PostgreSQL, 50 connections',
  async run ({ seconds, rounds, sized, postgres, progress }) {
    const { url, newSchema, analyze } = await postgres()
    const ours = await startSubject('logic-apps.ts', { url, schema: newSchema() })
    const query = await startSubject('peers.ts', { kind: 'pg-query', url })
    try {
      const paths = await startOrders(ours, sized(jobs, 200))
      await query.call('prepare', paths.length)
      await analyze()
      const values = await interleave(rounds, {
        ours: () => poll(ours.origin, paths, seconds),
        'a query per poll': () => poll(query.origin, paths.map((_, index) => `/orders/${index + 1}`), seconds)
      }, progress)
      return [lineOf('4', `poll of ${paths.length} jobs on PostgreSQL`, 'route with one indexed query', 'req/s', compare(values.ours, values['a query per poll']), 2)]
    } finally {
      await Promise.all([ours, query].map((subject) => subject.stop()))
    }
  }
}
