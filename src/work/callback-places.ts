import type { Clock } from './clock.ts'
import { createSlots } from './slots.ts'
import type { ClaimedDelivery } from './store.ts'

/** Attempts that may be young at once. */
const maxYoung = 128
/** One that has waited for so long makes room: receivers that never answer must not hold up those that do. */
export const youthMs = 250
const maxSending = 2_000
/** So many of one event are taken at once: they share its body, and there is something to send while more is owed. */
const capacity = 500

/** A callback, and the public id of its delivery. */
export interface Outgoing {
  delivery: ClaimedDelivery
  id: string
}

/** Who is sent to, and who is next. */
export interface CallbackPlaces {
  /** How many more may be claimed now. @param inGroups Not before half of all places are free, since each claim costs a commit. */
  room (inGroups: boolean): number
  /** How many of one event may be taken: none before it is half of the most. */
  roomAhead (): number
  /** Those that will be over soon: who has not answered for long is none of them. */
  lively (): number
  /** They begin in their order, as soon as may be. */
  take (callbacks: Outgoing[]): void
  /** Keeps places for what somebody is about to claim. Called back with what it was. */
  keep (count: number): (claimed: Outgoing[]) => void
  /** Begins with one for which there may be no place. */
  start (callback: Outgoing, controller?: AbortController): void
  /** Those that have not begun, which then never do, nor does what is taken from now on. Resolves when nothing is kept any more. */
  clear (): Promise<Outgoing[]>
  /** Resolves when nothing is left to do of those that have begun. */
  drained (): Promise<unknown>
}

export interface CallbackPlacesParts {
  clock: Clock
  /** Resolves when nothing of it is left to do. @param onTried To be called when the attempt is over. */
  begin: (callback: Outgoing, onTried: () => void, controller?: AbortController) => Promise<void>
  /** There is more room. */
  onRoom: () => void
}

export function createCallbackPlaces ({ clock, begin, onRoom }: CallbackPlacesParts): CallbackPlaces {
  const waiting: Outgoing[] = []
  const keeping = new Set<Promise<void>>()
  let kept = 0
  let young = 0
  /** Their attempts are over, and are being recorded. */
  let tried = 0
  let cleared = false
  const sending = createSlots<Promise<void>>()

  function fill (): void {
    if (cleared) return
    while (young < maxYoung && sending.size < maxSending && waiting.length > 0) start(waiting.shift()!)
  }

  function start (callback: Outgoing, controller?: AbortController): void {
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
    let isTried = false
    const onTried = (): void => {
      if (isTried) return
      isTried = true
      tried++
      cancelGrowth()
      grow()
    }
    const slot = sending.add(begin(callback, onTried, controller).then(() => {
      tried--
      sending.free(slot)
      fill()
      onRoom()
    }))
  }

  function take (callbacks: Outgoing[]): void {
    waiting.push(...callbacks)
    fill()
  }

  return {
    take,
    start,
    drained: () => Promise.all(sending.values()),

    // Whatever is kept for others: where that is used, too, some wait here for a moment.
    room (inGroups) {
      const room = maxYoung - young - waiting.length
      return inGroups && room < maxYoung / 2 ? 0 : Math.min(room, maxSending - sending.size - waiting.length)
    },

    roomAhead () {
      const room = Math.min(capacity - young, maxSending - sending.size) - waiting.length - kept
      return room < capacity / 2 ? 0 : room
    },

    lively: () => young + tried,

    keep (count) {
      kept += count
      let done = (): void => {}
      const filled: Promise<void> = new Promise<void>((resolve) => { done = resolve }).then(() => { keeping.delete(filled) })
      keeping.add(filled)
      return (claimed) => {
        kept -= count
        take(claimed)
        done()
        onRoom()
      }
    },

    async clear () {
      cleared = true
      await Promise.all(keeping)
      return waiting.splice(0)
    }
  }
}
