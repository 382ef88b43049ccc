import { InvalidDatabaseError, StoreUnavailableError } from '../errors.ts'
import { createBatcher, type BatchOptions } from './batch.ts'
import type { Clock } from './clock.ts'
import type { Logger } from './log.ts'

const retryMs = 1_000

export interface SettlerParts<Settlement, Outcome> {
  clock: Clock
  /** The store's own: all in one commit. */
  settle: (settlements: Settlement[]) => Promise<Outcome[]>
  /** For the log: what is recorded. */
  what: string
  /** For the log: what follows when it never is. */
  otherwise: string
  /** As of a batcher. */
  maxRuns?: BatchOptions['maxRuns']
  enough?: BatchOptions['enough']
}

export interface Settled<Settlement, Outcome> {
  settlement: Settlement
  outcome: Outcome
}

/** Records what came of an attempt. A short outage of the store must not cost it, nor must others that are settled with it. */
export interface Settler<Settlement, Outcome> {
  /**
   * Tries until it is committed. Resolves to what was, and what became of it, or to `undefined` when it was given up,
   * which is logged.
   *
   * @param log Asked for when there is something to log.
   * @param lesser What to keep in place of a settlement that the store refuses although it is there; `undefined` gives up.
   */
  settle (settlement: Settlement, log: () => Logger, lesser: (refused: Settlement) => Settlement | undefined): Promise<Settled<Settlement, Outcome> | undefined>
  /** The server closes: from now on no outage is waited for. */
  release (): void
}

export function createSettler<Settlement, Outcome> ({ clock, settle, what, otherwise, maxRuns, enough }: SettlerParts<Settlement, Outcome>): Settler<Settlement, Outcome> {
  const together = createBatcher(settle, { maxRuns, enough })
  const alone = async (settlement: Settlement): Promise<Outcome> => (await settle([settlement]))[0]!
  let released = false

  return {
    async settle (given, log, lesser) {
      let settlement = given
      for (let commit = together; ;) {
        try {
          return { settlement, outcome: await commit(settlement) }
        } catch (error) {
          const isOutage = error instanceof StoreUnavailableError || error instanceof InvalidDatabaseError
          if (!isOutage && commit === together) {
            // Something in this batch is what no store can keep. Alone, the others go through.
            log().warn({ err: error }, `cannot record ${what} together with others, trying it alone`)
            commit = alone
            continue
          }
          if (released) {
            log().error({ err: error }, `${what} could not be recorded before the server closed: ${otherwise}`)
            return undefined
          }
          const next = isOutage ? settlement : lesser(settlement)
          if (next === undefined) {
            log().error({ err: error }, `${what} cannot be recorded: ${otherwise} once this process has ended`)
            return undefined
          }
          settlement = next
          log().warn({ err: error }, `cannot record ${what}, trying again in ${retryMs} ms`)
          await new Promise<void>((resolve) => { clock.after(retryMs, resolve) })
        }
      }
    },

    release () { released = true }
  }
}
