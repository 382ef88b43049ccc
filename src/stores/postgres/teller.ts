/** Tells other replicas that there is news. */
export interface Teller {
  /** For a commit that brings news: whether the word goes out with it. If not, `later` is to follow. */
  goesAlong (): boolean
  /** What was committed is told soon. */
  later (): void
  /** Tells at once what is still to be told. From then on every word goes along. */
  stop (): Promise<void>
}

/**
 * How long one word stands for all that follows: those who hear it gather for as long before they look, and each costs
 * the server, and every replica, as much as several starts.
 */
const pauseMs = 25

/**
 * @param send Must not reject.
 * @param now In milliseconds, from any start. Others work in real time, so this is no matter for the Clock.
 */
export function createTeller (send: () => Promise<void>, now: () => number = () => performance.now()): Teller {
  let toldAt = -Infinity
  let timer: NodeJS.Timeout | undefined
  let sending: Promise<void> | undefined
  /** There is news that no word has gone out for, and that waits for the one under way. */
  let isOwed = false
  let stopped = false

  function tell (): void {
    timer = undefined
    isOwed = false
    toldAt = now()
    sending = send().finally(() => {
      sending = undefined
      if (isOwed) later()
    })
  }

  function later (): void {
    isOwed = true
    if (sending !== undefined) return
    timer ??= setTimeout(tell, Math.max(0, toldAt + pauseMs - now()))
  }

  return {
    goesAlong () {
      if (stopped) return true
      if (isOwed || sending !== undefined || now() - toldAt < pauseMs) return false
      toldAt = now()
      return true
    },

    later,

    async stop () {
      stopped = true
      await sending
      clearTimeout(timer)
      if (isOwed) tell()
      await sending
    }
  }
}
