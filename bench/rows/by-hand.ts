import { accept, compare, interleave, newProcessWarmUps, poll, startOrders } from '../measure.ts'
import { lineOf, type Bench, type Line, type Row } from '../row.ts'
import { startSubject, type Subject } from '../subjects/subject.ts'
import { concurrency, startCallbacks } from './callbacks.ts'
import { replyOf } from './poll.ts'
import { drainOf, prepareAndDrain } from './work.ts'

/** What is measured beside what, and the row that it is the limit of. */
interface Limit {
  measured: string
  beside: string
  unit: string
  target: number
}

/** The least, written by hand, beside what the row is held against; and ours beside it. */
function linesOf ({ measured, beside, unit, target }: Limit, values: Record<'ours' | 'hand' | 'peer', number[]>): Line[] {
  return [
    { ...lineOf('hand', `${measured}, by hand`, beside, unit, compare(values.hand, values.peer), target), target: `limit of >= ${target.toFixed(2)}` },
    { ...lineOf('hand', `${measured}, ours`, 'by hand', unit, compare(values.ours, values.hand), 0), target: '-' }
  ]
}

/** Not part of the table: where a target is missed, how far one could get at all. */
export const byHand: Row = {
  name: 'hand',
  about: 'the least that keeps the promises of rows 1a, 2, 3, 5b, 7 and 8, written by hand',
  async run (bench) {
    const lines: Line[] = []
    for (const measure of [acceptByHand, pollByHand, triggerByHand, acceptOnPostgresByHand, drainByHand, callbacksByHand]) lines.push(...await measure(bench))
    return lines
  }
}

async function stopAll (subjects: Subject[]): Promise<void> {
  await Promise.all(subjects.map((subject) => subject.stop()))
}

async function acceptByHand ({ seconds, rounds, path, progress }: Bench): Promise<Line[]> {
  const ours = await startSubject('logic-apps.ts', { file: path('accept.db'), runners: false })
  const hand = await startSubject('by-hand.ts', { file: path('hand.db') })
  const bare = await startSubject('bare.ts')
  try {
    const values = await interleave(rounds, {
      ours: () => accept(ours.origin, seconds),
      hand: () => accept(hand.origin, seconds),
      peer: () => accept(bare.origin, seconds)
    }, progress)
    return linesOf({ measured: 'accept, embedded', beside: 'bare route that stores nothing', unit: 'req/s', target: 0.5 }, values)
  } finally {
    await stopAll([ours, hand, bare])
  }
}

async function pollByHand ({ seconds, rounds, sized, path, progress }: Bench): Promise<Line[]> {
  const count = sized(10_000, 200)
  const ours = await startSubject('logic-apps.ts', { file: path('poll.db') })
  const hand = await startSubject('by-hand.ts', { file: path('hand.db') })
  const paths = await startOrders(ours, count)
  const bare = await startSubject('bare.ts', { replies: await Promise.all([paths[0]!, paths[1]!].map((known) => replyOf(ours.origin + known))) })
  try {
    const handPaths = await hand.call<string[]>('jobPaths', count)
    const values = await interleave(rounds, {
      ours: () => poll(ours.origin, paths, seconds),
      hand: () => poll(hand.origin, handPaths, seconds),
      peer: () => poll(bare.origin, paths.map((_, index) => `/replies/${index}`), seconds)
    }, progress)
    return linesOf({ measured: `poll of ${count} jobs, embedded`, beside: 'bare route, same headers and body', unit: 'req/s', target: 0.9 }, values)
  } finally {
    await stopAll([ours, hand, bare])
  }
}

async function triggerByHand ({ seconds, rounds, path, progress }: Bench): Promise<Line[]> {
  const ours = await startSubject('logic-apps.ts', { file: path('triggers.db') })
  const hand = await startSubject('by-hand.ts', { file: path('hand.db') })
  await ours.call('prepareEvents', 1)
  const { headers } = await fetch(`${ours.origin}/triggers/readings`)
  const url = headers.get('location')!
  const bare = await startSubject('bare.ts', { replies: [await replyOf(url)] })
  try {
    const many = (one: string): string[] => Array.from({ length: 50 }, () => one)
    const triggerPath = await hand.call<string>('triggerPath')
    const values = await interleave(rounds, {
      ours: () => poll(ours.origin, many(url.slice(ours.origin.length)), seconds),
      hand: () => poll(hand.origin, many(triggerPath), seconds),
      peer: () => poll(bare.origin, many('/replies/0'), seconds)
    }, progress)
    return linesOf({ measured: 'trigger poll, nothing new', beside: 'bare route, same body', unit: 'req/s', target: 0.85 }, values)
  } finally {
    await stopAll([ours, hand, bare])
  }
}

async function acceptOnPostgresByHand ({ seconds, rounds, postgres, redis, progress }: Bench): Promise<Line[]> {
  const { url, newSchema } = await postgres()
  const redisServer = await redis()
  if (redisServer === undefined) return []
  const ours = await startSubject('logic-apps.ts', { url, schema: newSchema(), runners: false })
  const hand = await startSubject('by-hand.ts', { url, schema: newSchema() })
  const bullmq = await startSubject('peers.ts', { kind: 'bullmq', port: redisServer.port })
  try {
    const values = await interleave(rounds, {
      ours: () => accept(ours.origin, seconds),
      hand: () => accept(hand.origin, seconds),
      peer: () => accept(bullmq.origin, seconds)
    }, progress)
    return linesOf({ measured: 'accept on PostgreSQL', beside: 'route calling BullMQ add, AOF always', unit: 'req/s', target: 1 }, values)
  } finally {
    await stopAll([ours, hand, bullmq])
  }
}

async function drainByHand (bench: Bench): Promise<Line[]> {
  const count = bench.sized(24_000, 4000)
  const { ours, 'pg-boss': peer } = await drainOf(bench, count)
  const { url, newSchema, analyze } = await bench.postgres()
  const hand = async (): Promise<number> => await prepareAndDrain(await startSubject('by-hand.ts', { url, schema: newSchema() }), count, analyze)
  return linesOf({ measured: `drain of ${count} jobs, PostgreSQL`, beside: 'pg-boss work, 2 x 500', unit: 'jobs/s', target: 0.8 }, await interleave(Math.min(bench.rounds, 3), { ours, hand, peer }, bench.progress, newProcessWarmUps))
}

async function callbacksByHand (bench: Bench): Promise<Line[]> {
  const { url, newSchema } = await bench.postgres()
  const { urls, embedded, postgres, undici, rateOf, stop } = await startCallbacks(bench, bench.sized(10_000, 100))
  const sqlite = await startSubject('by-hand-callbacks.ts', { file: bench.path('hand.db') })
  const shared = await startSubject('by-hand-callbacks.ts', { url, schema: newSchema() })
  try {
    await Promise.all([sqlite, shared].map((subject) => subject.call('subscribe', urls)))
    const callBackBy = (subject: Subject) => () => rateOf(() => subject.call('publish', concurrency))
    const values = await interleave(bench.rounds, {
      embedded,
      'by hand on SQLite': callBackBy(sqlite),
      postgres,
      'by hand on PostgreSQL': callBackBy(shared),
      undici
    }, bench.progress)
    const beside = 'undici loop that stores nothing'
    return [
      ...linesOf({ measured: 'callbacks, embedded', beside, unit: 'callbacks/s', target: 0.6 }, { ours: values.embedded, hand: values['by hand on SQLite'], peer: values.undici }),
      ...linesOf({ measured: 'callbacks, PostgreSQL', beside, unit: 'callbacks/s', target: 0.35 }, { ours: values.postgres, hand: values['by hand on PostgreSQL'], peer: values.undici })
    ]
  } finally {
    await stopAll([sqlite, shared])
    await stop()
  }
}
