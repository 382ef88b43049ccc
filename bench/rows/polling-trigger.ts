import { compare, interleave, poll } from '../measure.ts'
import { lineOf, type Row } from '../row.ts'
import { startSubject } from '../subjects/subject.ts'
import { replyOf } from './poll.ts'

const fresh = 100

/** 8: polls of a trigger over a long log. */
export const pollingTrigger: Row = {
  name: '8',
  about: 'poll of a polling trigger, log of a million entries',
  async run ({ seconds, rounds, sized, path, progress }) {
    const entries = sized(1_000_000, 2000)
    const ours = await startSubject('logic-apps.ts', { file: path('triggers.db') })
    try {
      await ours.call('prepareEvents', entries - fresh)
      const before = await locationOf(`${ours.origin}/triggers/readings`)
      await ours.call('prepareEvents', fresh)
      const seen = await locationOf(before)
      const bare = await startSubject('bare.ts', { replies: await Promise.all([seen, before].map(replyOf)) })
      try {
        const pathOf = (url: string): string => url.slice(new URL(url).origin.length)
        const many = (one: string): string[] => Array.from({ length: 50 }, () => one)
        const values = await interleave(rounds, {
          'nothing new': () => poll(ours.origin, many(pathOf(seen)), seconds),
          'bare 202': () => poll(bare.origin, many('/replies/0'), seconds),
          '100 new': () => poll(ours.origin, many(pathOf(before)), seconds),
          'bare 200': () => poll(bare.origin, many('/replies/1'), seconds)
        }, progress)
        return [
          lineOf('8', `trigger poll, nothing new of ${entries}`, 'bare route, same body', 'req/s', compare(values['nothing new'], values['bare 202']), 0.85),
          lineOf('8', `trigger poll, ${fresh} new of ${entries}`, 'bare route, same body', 'req/s', compare(values['100 new'], values['bare 200']), 0.6)
        ]
      } finally {
        await bare.stop()
      }
    } finally {
      await ours.stop()
    }
  }
}

async function locationOf (url: string): Promise<string> {
  const answer = await fetch(url)
  await answer.arrayBuffer()
  return answer.headers.get('location')!
}
