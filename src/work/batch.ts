import { StoreUnavailableError } from '../errors.ts'

interface Waiting<Item, Result> {
  item: Item
  /** Counts the calls. */
  place: number
  resolve: (result: Result) => void
  reject: (error: unknown) => void
}

export interface BatchOptions {
  /** @default 500 */
  maxItems?: number | undefined
  /** @default 2 */
  maxRuns?: number | undefined
  /** How many turns go together. Asked for each batch, when its first item waits: it may not be known earlier. @default 1 */
  turns?: (() => number) | undefined
  /** Instead, where nobody waits for the result: fewer than this wait for more as long as more come. */
  enough?: (() => number) | undefined
}

/** Turns of the event loop in which none comes, after which those that wait go: some microseconds each, and a wait of no time at all for a process that has nothing else to do. */
const maxQuietTurns = 20
/** After which they go, whatever comes. */
const maxTurns = 100

/**
 * Turns calls with one item each into calls with many: what is asked within one turn of the event loop goes together,
 * so that fifty concurrent requests share one commit. `setImmediate`, since a microtask would never find company: the
 * requests of a turn are parsed one by one with the microtask queue emptied in between.
 *
 * While `maxRuns` calls are under way, what is asked waits, and goes together too: where a commit takes longer than a
 * turn, as it does over a network, each is shared by all that came during the last.
 *
 * @param run Gives one result for each item, in order. When it rejects, so do all; with a StoreUnavailableError, so do
 * those who have waited since before it began: where each batch ends with a timeout, nobody waits for more than two.
 */
export function createBatcher<Item, Result> (run: (items: Item[]) => Promise<Result[]>, { maxItems = 500, maxRuns = 2, turns = () => 1, enough }: BatchOptions = {}): (item: Item) => Promise<Result> {
  const waiting: Waiting<Item, Result>[] = []
  let asked = 0
  let runs = 0
  let isDue = false

  function flushSoon (): void {
    if (isDue || runs >= maxRuns || waiting.length === 0) return
    isDue = true
    if (enough === undefined) setImmediate(flushAfter, turns())
    else setImmediate(gather, waiting.length, 0, 0)
  }

  function flushAfter (turns: number): void {
    if (turns > 1) setImmediate(flushAfter, turns - 1)
    else flush()
  }

  /** By turns rather than by time: a busy loop brings the next soon, and an idle one is through with them at once. */
  function gather (seen: number, quietTurns: number, turns: number): void {
    if (waiting.length >= Math.min(enough!(), maxItems) || quietTurns >= maxQuietTurns || turns >= maxTurns) flush()
    else setImmediate(gather, waiting.length, waiting.length > seen ? 0 : quietTurns + 1, turns + 1)
  }

  function flush (): void {
    isDue = false
    // They may have been told meanwhile that the store is away.
    if (waiting.length === 0) return
    const batch = waiting.splice(0, maxItems)
    const before = asked
    runs++
    run(batch.map(({ item }) => item)).then(
      (results) => { batch.forEach(({ resolve }, index) => resolve(results[index]!)) },
      (error: unknown) => {
        const late = error instanceof StoreUnavailableError ? waiting.filter(({ place }) => place <= before) : []
        waiting.splice(0, late.length)
        for (const { reject } of [...batch, ...late]) reject(error)
      }
    ).finally(() => {
      runs--
      flushSoon()
    })
    flushSoon()
  }

  return (item) => new Promise((resolve, reject) => {
    waiting.push({ item, place: ++asked, resolve, reject })
    flushSoon()
  })
}
