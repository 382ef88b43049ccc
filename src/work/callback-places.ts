import type { Clock } from './clock.ts'
import type { ClaimedDelivery } from './store.ts'

/** Attempts that may be young at once. */
const maxYoung = 128
/** One that has waited for so long makes room: receivers that never answer must not hold up those that do. */
export const youthMs = 250
const maxSending = 2_000
/** So many of one event are taken at once: they share its body, and there is something to send while more is owed. */
const capacity = 500

/** Who is sent to, and who is next. */
export interface CallbackPlaces {
  /** How many more may be claimed now. @param inGroups Not before half of all places are free, since each claim costs a commit. */
  room (inGroups: boolean): number
  /** How many of one event may be taken: none before it is half of the most. */
  roomAhead (): number
  /** They begin in their order, as soon as may be. */
  take (deliveries: ClaimedDelivery[]): void
  /** Keeps places for what somebody is about to claim. Called back with what it was. */
  keep (count: number): (claimed: ClaimedDelivery[]) => void
  /** Begins with one for which there may be no place. */
  start (delivery: ClaimedDelivery, controller?: AbortController): void
  /** Those that have not begun, which then never do. Resolves when nothing is kept any more. */
  clear (): Promise<ClaimedDelivery[]>
  /** Resolves when nothing is left to do of those that have begun. */
  drained (): Promise<unknown>
}

export interface CallbackPlacesParts {
  clock: Clock
  /** Resolves when nothing of it is left to do. @param onTried To be called when the attempt is over. */
  begin: (delivery: ClaimedDelivery, onTried: () => void, controller?: AbortController) => Promise<void>
  /** There is more room. */
  onRoom: () => void
}

export function createCallbackPlaces ({ clock, begin, onRoom }: CallbackPlacesParts): CallbackPlaces {
  const waiting: ClaimedDelivery[] = []
  const keeping = new Set<Promise<void>>()
  let kept = 0
  let young = 0
  const sending = new Set<Promise<void>>()

  const free = (most: number, taken = young): number => most - taken - waiting.length - kept

  function fill (): void {
    while (young < maxYoung && sending.size < maxSending && waiting.length > 0) start(waiting.shift()!)
  }

  function start (delivery: ClaimedDelivery, controller?: AbortController): void {
    young++
    let isYoung = true
    const grow = (): void => {
      if (!isYoung) return
      isYoung = false
      young--
      fill()
      onRoom()
    }
    const cancelGrowth = clock.after(youthMs, grow)
    const onTried = (): void => {
      cancelGrowth()
      grow()
    }
    const over = begin(delivery, onTried, controller).then(() => {
      sending.delete(over)
      fill()
      onRoom()
    })
    sending.add(over)
  }

  function take (deliveries: ClaimedDelivery[]): void {
    waiting.push(...deliveries)
    fill()
  }

  return {
    take,
    start,
    drained: () => Promise.all(sending),

    room (inGroups) {
      const room = free(maxYoung)
      return inGroups && room < maxYoung / 2 ? 0 : Math.min(room, free(maxSending, sending.size))
    },

    roomAhead () {
      const room = free(capacity)
      return room < capacity / 2 ? 0 : Math.min(room, free(maxSending, sending.size))
    },

    keep (count) {
      kept += count
      let done = (): void => {}
      const filled: Promise<void> = new Promise<void>((resolve) => { done = resolve }).then(() => { keeping.delete(filled) })
      keeping.add(filled)
      return (claimed) => {
        kept -= count
        take(claimed)
        done()
      }
    },

    async clear () {
      const cleared = waiting.splice(0)
      await Promise.all(keeping)
      return [...cleared, ...waiting.splice(0)]
    }
  }
}
