import type { Logger } from './log.ts'

/** Asks the store for due work, over and over while there is some. */
export interface ClaimLoop {
  /** There may be work. All wake-ups of one turn, such as the ends of a settled batch, make one claim. */
  wake (): void
  /** Now, and again until nothing is found. One at a time: a call meanwhile means another round. */
  claim (): Promise<void>
  /** Claims no more; resolves when the last one is through. */
  stop (): Promise<void>
}

/**
 * @param what For the log: what could not be claimed.
 * @param pollMs For the log: when the caller claims in any case.
 * @param claimOnce Resolves to whether there may be more.
 */
export function createClaimLoop (log: Logger, what: string, pollMs: number, claimOnce: () => Promise<boolean>): ClaimLoop {
  const stopped = new AbortController()
  let waking = false
  let again = false
  let claiming: Promise<void> | undefined

  async function rounds (): Promise<void> {
    while (again && !stopped.signal.aborted) {
      again = false
      if (await claimOnce()) again = true
    }
  }

  async function claim (): Promise<void> {
    again = true
    if (claiming !== undefined) return
    claiming = rounds()
    try {
      await claiming
    } finally {
      claiming = undefined
    }
    // Asked for between the last round and now.
    if (again && !stopped.signal.aborted) wake()
  }

  function wake (): void {
    if (waking || stopped.signal.aborted) return
    waking = true
    setImmediate(() => {
      waking = false
      claim().catch((error: unknown) => { log.warn({ err: error }, `cannot claim ${what}, trying again within ${pollMs} ms`) })
    })
  }

  return {
    wake,
    claim,
    async stop () {
      stopped.abort()
      await Promise.allSettled([claiming])
    }
  }
}
