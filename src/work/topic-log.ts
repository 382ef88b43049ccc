import { createBatcher } from './batch.ts'
import type { Clock } from './clock.ts'
import type { LogEntry, LogPage, LogRequest, Store } from './store.ts'

/** How far a reader has come. */
export interface LogPlace {
  /** Everything after the entry of this number is to come. */
  number: number
  /** What is dated from here on is new, in a log that has not come so far: one of a restored backup. Epoch milliseconds. */
  at: number
}

/** Where a reader begins that has no place yet. */
export type StartFrom = 'now' | 'beginning' | { lookBackSeconds: number }

/** Why a reader missed entries, or may have. */
export type GapReason =
  /** They were past retention before they were read. */
  | 'forgotten'
  /** The log ends before the reader's place: it was restored from a backup, or made anew. */
  | 'restored'

export interface LogReadRequest {
  topic: string
  place: LogPlace
  /** Entries to be given. */
  limit: number
  /** Entries to be looked at. */
  scanLimit: number
  /** Older ones are passed over. */
  maxAgeMs: number | undefined
  /** Whether an entry is wanted; all of them without it. What it throws is thrown on. */
  wants: ((event: unknown, number: number) => boolean) | undefined
}

export interface LogReading {
  entries: LogEntry[]
  /** Behind the last entry that was looked at and need not be looked at again; the same object where there was none. */
  place: LogPlace
  /** Whether entries are left behind `place`: such as are wanted, as far as was looked. */
  more: boolean
  gap: GapReason | undefined
}

export interface TopicLog {
  /** The place of somebody who comes now. */
  begin (topic: string, from: StartFrom): Promise<LogPlace>
  read (request: LogReadRequest): Promise<LogReading>
}

/** With a filter; without one no more are read than are given. Their bodies are in memory all at once. */
const pageSize = 250

const keyOf = ({ topic, after, notBefore, limit }: LogRequest): string => `${after} ${notBefore} ${limit} ${topic}`

/** Reads the logs of topics. Changes nothing: the same question is answered with the same entries, and newer ones behind them. */
export function createTopicLog ({ store, clock }: { store: Pick<Store, 'readLog'>, clock: Clock }): TopicLog {
  /** Many wait at the same place, most of them at the end: what they ask at once is read once. Only what is still to be read: a log moves on. */
  const asked = new Map<string, Promise<LogPage>>()
  const readPages = createBatcher((requests: LogRequest[]) => {
    asked.clear()
    return store.readLog(requests)
  })

  function readPage (request: LogRequest): Promise<LogPage> {
    const key = keyOf(request)
    const known = asked.get(key)
    if (known !== undefined) return known
    const page = readPages(request)
    asked.set(key, page)
    return page
  }

  return {
    async begin (topic, from) {
      const at = clock.now()
      if (from === 'now') return { number: (await readPage({ topic, after: 0, limit: 0 })).last, at }
      if (from === 'beginning') return { number: (await readPage({ topic, after: 0, limit: 0 })).from, at: 0 }
      const notBefore = at - Math.round(from.lookBackSeconds * 1000)
      return { number: (await readPage({ topic, after: 0, notBefore, limit: 0 })).from, at: notBefore }
    },

    async read (request) {
      const { topic, limit, scanLimit, maxAgeMs, wants } = request
      const notBefore = maxAgeMs === undefined ? undefined : clock.now() - maxAgeMs
      const found: LogEntry[] = []
      let { place } = request
      let gap: GapReason | undefined
      for (let scanned = 0; ;) {
        const size = Math.min(scanLimit - scanned, wants === undefined ? limit : pageSize)
        // One more, to see whether there is one.
        let page = await readPage({ topic, after: place.number, notBefore: scanned === 0 ? notBefore : undefined, limit: size + 1 })
        if (scanned === 0) {
          gap = page.last < place.number ? 'restored' : page.missed ? 'forgotten' : undefined
          // Its numbers will be given again: by them, what comes now would count as seen.
          if (gap === 'restored') page = await readPage({ topic, after: 0, notBefore: Math.max(place.at, notBefore ?? 0), limit: size + 1 })
          if (page.from !== place.number) place = { number: page.from, at: gap === 'restored' ? clock.now() : place.at }
        }
        for (const entry of page.entries.slice(0, size)) {
          if (wants === undefined || wants(JSON.parse(entry.body), entry.number)) {
            // So that nobody is asked to come back for what then turns out to be unwanted.
            if (found.length === limit) return { entries: found, place, more: true, gap }
            found.push(entry)
          }
          place = { number: entry.number, at: entry.reachedAt + 1 }
          scanned++
        }
        const more = page.entries.length > size
        if (!more || scanned >= scanLimit || (wants === undefined && found.length === limit)) return { entries: found, place, more, gap }
      }
    }
  }
}
