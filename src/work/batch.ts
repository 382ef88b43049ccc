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
  /**
   * How many turns go together. Two halve the commits of a busy process, since an answer brings the next request, and an
   * idle one is through with them at once. @default 1
   */
  turns?: number | undefined
  /**
   * Fewer than this wait for more as long as more come.
   *
   * @param underWay How many items are.
   * @default twice as many
   */
  enough?: ((underWay: number) => number) | undefined
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
 * turn, as it does over a network, each is shared by all that came during the last. Beside a call that is under way only
 * many go at once: where the store is as busy as this process, two small calls take longer than one large one, and where
 * it is only far away, no more come and they go all the same.
 *
 * @param run Gives one result for each item, in order. When it rejects, so do all; with a StoreUnavailableError, so do
 * those who have waited since before it began: where each batch ends with a timeout, nobody waits for more than two.
 */
export function createBatcher<Item, Result> (run: (items: Item[]) => Promise<Result[]>, { maxItems = 500, maxRuns = 2, turns = 1, enough = (underWay) => 2 * underWay }: BatchOptions = {}): (item: Item) => Promise<Result> {
  const waiting: Waiting<Item, Result>[] = []
  let asked = 0
  let runs = 0
  let underWay = 0
  let isDue = false

  function flushSoon (): void {
    if (isDue || runs >= maxRuns || waiting.length === 0) return
    isDue = true
    setImmediate(gather, waiting.length, 0, 1)
  }

  /** By turns rather than by time: a busy loop brings the next soon, and an idle one is through with them at once. */
  function gather (seen: number, quietTurns: number, turn: number): void {
    const isEnough = waiting.length >= Math.min(enough(underWay), maxItems) || quietTurns >= maxQuietTurns || turn > maxTurns
    if (isEnough && turn >= turns) flush()
    else setImmediate(gather, waiting.length, waiting.length > seen ? 0 : quietTurns + 1, turn + 1)
  }

  function flush (): void {
    isDue = false
    const batch = waiting.splice(0, maxItems)
    const before = asked
    runs++
    underWay += batch.length
    run(batch.map(({ item }) => item)).then(
      (results) => { batch.forEach(({ resolve }, index) => resolve(results[index]!)) },
      (error: unknown) => {
        const late = error instanceof StoreUnavailableError ? waiting.filter(({ place }) => place <= before) : []
        waiting.splice(0, late.length)
        for (const { reject } of [...batch, ...late]) reject(error)
      }
    ).finally(() => {
      runs--
      underWay -= batch.length
      flushSoon()
    })
    flushSoon()
  }

  return (item) => new Promise((resolve, reject) => {
    waiting.push({ item, place: ++asked, resolve, reject })
    flushSoon()
  })
}
