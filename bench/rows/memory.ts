import { setTimeout as delay } from 'node:timers/promises'
import { acceptMany } from '../measure.ts'
import type { Bench, Line, Row } from '../row.ts'
import { startSubject } from '../subjects/subject.ts'

const mb = (bytes: number): number => Math.round(bytes / 2 ** 20)

/** 10: nothing that is on disk is in memory too. */
export const memory: Row = {
  name: '10',
  about: 'memory: a million jobs accepted, a million callbacks pending',
  isUntimed: true,
  async run (bench) {
    // At once, since nothing here is a matter of time.
    return await Promise.all([acceptJobs(bench), owePending(bench)])
  }
}

async function acceptJobs ({ sized, path, progress }: Bench): Promise<Line> {
  const count = sized(1_000_000, 2000)
  const accepting = await startSubject('logic-apps.ts', { file: path('memory-jobs.db'), runners: false })
  try {
    // Until the heap has the size that it keeps.
    await acceptMany(accepting.origin, sized(50_000, 500))
    const before = await accepting.call<number>('rss')
    let most = before
    for (let made = 0; made < count; made += count / 10) {
      await acceptMany(accepting.origin, count / 10)
      most = Math.max(most, await accepting.call<number>('rss'))
      progress(`${made + count / 10} accepted, ${mb(most)} MB`)
    }
    return lineOfRss(`${count.toLocaleString('en-US')} jobs accepted, embedded`, before, most)
  } finally {
    await accepting.stop()
  }
}

/** To receivers that never come to an end with them: whatever is pending stays so. */
async function owePending ({ sized, path, progress }: Bench): Promise<Line> {
  const count = sized(1_000_000, 2000)
  const subscribers = sized(1000, 100)
  const sending = await startSubject('logic-apps.ts', { file: path('memory-callbacks.db') })
  try {
    // Ports of this machine that nobody listens on.
    await sending.call('subscribe', Array.from({ length: subscribers }, (_, index) => `http://127.2.${index >> 8}.${index & 255}:9/${index}`))
    const before = await sending.call<number>('rss')
    let most = before
    const events = count / subscribers
    for (let made = 0; made < events; made += events / 10) {
      await sending.call('publish', events / 10)
      const pending = subscribers * (made + events / 10)
      while (await sending.call<number>('pending') < pending) {
        most = Math.max(most, await sending.call<number>('rss'))
        await delay(100)
      }
      most = Math.max(most, await sending.call<number>('rss'))
      progress(`${pending} pending, ${mb(most)} MB`)
    }
    return lineOfRss(`${count.toLocaleString('en-US')} callbacks pending, embedded`, before, most)
  } finally {
    await sending.stop()
  }
}

function lineOfRss (measured: string, before: number, most: number): Line {
  return { row: '10', measured, ours: `RSS ${mb(before)} -> ${mb(most)} MB`, beside: 'start', theirs: '-', target: '< 150 MB more', met: most - before < 150 * 2 ** 20 }
}
