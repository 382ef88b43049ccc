import { compare, interleave, newProcessWarmUps, work } from '../measure.ts'
import { lineOf, type Bench, type Line, type Row } from '../row.ts'
import { startSubject, type Drained, type Subject } from '../subjects/subject.ts'

/** Ours on both stores, and what there is beside. Those that are not installed are left out. */
export async function startQueues ({ path, postgres, redis }: Bench): Promise<{ subjects: Record<string, Subject>, analyze (): Promise<void>, stop (): Promise<void> }> {
  const { url, newSchema, analyze } = await postgres()
  const redisServer = await redis()
  const subjects: Record<string, Subject> = {
    embedded: await startSubject('logic-apps.ts', { file: path('work.db') }),
    plainjob: await startSubject('peers.ts', { kind: 'plainjob', file: path('plainjob.db') }),
    postgres: await startSubject('logic-apps.ts', { url, schema: newSchema() }),
    'pg-boss': await startSubject('peers.ts', { kind: 'pg-boss', url, name: newSchema() }),
    ...(redisServer === undefined ? {} : { bullmq: await startSubject('peers.ts', { kind: 'bullmq', port: redisServer.port }) })
  }
  for (const name of ['plainjob', 'pg-boss', 'bullmq']) await subjects[name]?.call('startWorking')
  return { subjects, analyze, stop: async () => { await Promise.all(Object.values(subjects).map((subject) => subject.stop())) } }
}

/** 5a: from accepted to recorded. */
export const acceptAndRun: Row = {
  name: '5a',
  about: 'accepted singly by 50 submitters until the result is recorded',
  async run (bench) {
    const { subjects, analyze, stop } = await startQueues(bench)
    try {
      const values = await interleave(bench.rounds, Object.fromEntries(Object.entries(subjects).map(([name, subject]) => [name, async () => {
        await analyze()
        return await work(subject, bench.seconds)
      }])), bench.progress)
      return [
        lineOf('5a', 'accepted -> recorded, PostgreSQL', 'pg-boss send + work', 'jobs/s', compare(values.postgres!, values['pg-boss']!), 5),
        lineOf('5a', 'accepted -> recorded, embedded', 'plainjob on SQLite, same fsync', 'jobs/s', compare(values.embedded!, values.plainjob!), 1.5),
        ...(values.bullmq === undefined ? [] : [{ ...lineOf('5a', 'accepted -> recorded, PostgreSQL', 'BullMQ, AOF always', 'jobs/s', compare(values.postgres!, values.bullmq), 0), target: '-' }])
      ]
    } finally {
      await stop()
    }
  }
}

/** A process is new for each backlog: a part of it goes first, and warms it up. What is measured ends before the rest, which keeps it as busy as it was when that began. */
const backlogOf = (count: number): { first: number, all: number } => ({ first: count / 2, all: Math.ceil(count * 2 / 1000) * 1000 })

/** The process ends with it. @returns jobs a second */
async function drainBy (subject: Subject, count: number): Promise<number> {
  const begin = await subject.call<Drained>('drain', backlogOf(count).first)
  const end = await subject.call<Drained>('drain', backlogOf(count).first + count)
  await subject.stop()
  return (end.done - begin.done) / (end.at - begin.at) * 1000
}

/** Makes a backlog of its own first. */
export async function prepareAndDrain (subject: Subject, count: number, analyze: () => Promise<void>): Promise<number> {
  await subject.call('prepareQueued', backlogOf(count).all)
  await analyze()
  return await drainBy(subject, count)
}

/** Each makes a backlog of its own, and drains it. */
export async function drainOf ({ postgres }: Bench, count: number): Promise<Record<'ours' | 'pg-boss', () => Promise<number>>> {
  const { url, newSchema, analyze } = await postgres()
  return {
    async ours () {
      const schema = newSchema()
      const preparing = await startSubject('logic-apps.ts', { url, schema, runners: false })
      await preparing.call('prepareQueued', backlogOf(count).all)
      await preparing.stop()
      await analyze()
      return await drainBy(await startSubject('logic-apps.ts', { url, schema, concurrency: 3000, held: true }), count)
    },
    'pg-boss': async () => await prepareAndDrain(await startSubject('peers.ts', { kind: 'pg-boss', url, name: newSchema() }), count, analyze)
  }
}

/** 5b: what waits already. */
export const drain: Row = {
  name: '5b',
  about: 'drain of a prepared backlog, PostgreSQL',
  async run (bench) {
    const count = bench.sized(24_000, 4000)
    // Each round makes a backlog first, which takes longer than to drain it.
    const values = await interleave(Math.min(bench.rounds, 3), await drainOf(bench, count), bench.progress, newProcessWarmUps)
    return [lineOf('5b', `drain of ${count} jobs, PostgreSQL`, 'pg-boss work, 2 x 500', 'jobs/s', compare(values.ours, values['pg-boss']), 0.8)]
  }
}

/** 6: how soon a handler starts where there is room. */
export const latency: Row = {
  name: '6',
  about: 'latency accept -> handler start at 10 % load',
  async run (bench) {
    const { subjects, analyze, stop } = await startQueues(bench)
    const targets: Record<string, number> = { embedded: 3, postgres: 6 }
    try {
      await analyze()
      const lines: Line[] = []
      for (const [name, subject] of Object.entries(subjects)) {
        const capacity = await work(subject, Math.min(bench.seconds, 1))
        const perSecond = Math.max(10, Math.round(capacity / 10))
        const values = await subject.call<number[]>('latency', perSecond, bench.seconds * 2)
        const at = (share: number): number => values[Math.min(values.length - 1, Math.floor(values.length * share))]!
        bench.progress(`${name}: ${perSecond} a second, p50 ${at(0.5).toFixed(2)} ms`)
        const target = targets[name]
        lines.push({ row: '6', measured: `accept -> handler start, ${perSecond}/s, ${name}`, ours: `p50 ${at(0.5).toFixed(2)} ms, p99 ${at(0.99).toFixed(2)} ms`, beside: '-', theirs: '-', target: target === undefined ? 'a peer' : `p50 < ${target} ms`, met: target === undefined || at(0.5) < target })
      }
      return lines
    } finally {
      await stop()
    }
  }
}
