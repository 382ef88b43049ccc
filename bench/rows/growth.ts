import { accept, interleave, median, poll, startOrders, work } from '../measure.ts'
import type { Bench, Line, Row } from '../row.ts'
import { startSubject, type Subject } from '../subjects/subject.ts'

/** 9: what a store that holds much costs. */
export const growth: Row = {
  name: '9',
  about: 'growth: accept, poll and work with 1 k, 100 k and 1 M ended jobs in the store',
  async run ({ seconds, rounds, sized, path, progress }: Bench) {
    const sizes = [1000, sized(100_000, 2000), sized(1_000_000, 4000)]
    const subjects: Subject[] = []
    try {
      const paths: string[][] = []
      for (const size of sizes) {
        const subject = await startSubject('logic-apps.ts', { file: path(`growth-${size}.db`) })
        subjects.push(subject)
        await subject.call('prepareEnded', size)
        paths.push(await startOrders(subject, sized(1000, 200)))
        progress(`${size} ended jobs are there`)
      }
      const measures: Record<string, (subject: Subject, index: number) => Promise<number>> = {
        accept: (subject) => accept(subject.origin, seconds),
        poll: (subject, index) => poll(subject.origin, paths[index]!, seconds),
        work: (subject) => work(subject, seconds)
      }
      const lines: Line[] = []
      for (const [name, measure] of Object.entries(measures)) {
        const values = await interleave(rounds, Object.fromEntries(subjects.map((subject, index) => [`${name} with ${sizes[index]}`, () => measure(subject, index)])), progress)
        const medians = Object.values(values).map(median)
        const ratios = Object.values(values)[0]!.map((_, round) => {
          const ofRound = Object.values(values).map((series) => series[round]!)
          return Math.min(...ofRound) / Math.max(...ofRound)
        })
        const ratio = Math.min(...medians) / Math.max(...medians)
        lines.push({
          row: '9',
          measured: `${name}, embedded, with ${sizes.join(', ')} ended jobs`,
          ours: medians.map((value) => Math.round(value).toLocaleString('en-US')).join(' / '),
          beside: 'itself: slowest to fastest',
          theirs: '-',
          ratio: { ratio, low: Math.min(...ratios), high: Math.max(ratio, ...ratios) },
          target: '>= 0.80',
          met: ratio >= 0.8
        })
      }
      return lines
    } finally {
      await Promise.all(subjects.map((subject) => subject.stop()))
    }
  }
}
