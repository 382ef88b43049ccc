/** A right that a claim gave. The fence goes up with each claim of the number. */
export interface Claimed { number: number, fence: number }

/**
 * What this replica was given and has not let go of. A claim whose answer was lost may have been committed all the same:
 * it is this replica's then, nobody works on it, and no other takes it while we live. What we know to have is told from it.
 */
export interface HandedOut {
  /** One claim after the other; where the last one rejected, `giveBack` of all but what is known comes first. */
  claim<T> (giveBack: (known: Claimed[]) => Promise<void>, claim: () => Promise<T>, claimedOf: (result: T) => Claimed[]): Promise<T>
  /**
   * A claim beside others, such as comes with a submit. Not while one is in doubt, nor while one of those above is made:
   * then `undefined`, and nothing was done.
   */
  claimAlong<T> (claim: () => Promise<T>, claimedOf: (result: T) => Claimed[]): Promise<T> | undefined
  /** Settled, or lost. */
  letGo (claimed: Claimed[]): void
  /** Nothing is held any more. */
  clear (): void
}

export function createHandedOut (): HandedOut {
  const known = new Map<number, number>()
  let last: Promise<unknown> = Promise.resolve()
  let inDoubt = false
  /** Those beside the others, and whether one of them is in doubt. */
  const along = new Set<Promise<unknown>>()
  let alongInDoubt = false

  function keep (claimed: Claimed[]): void {
    for (const { number, fence } of claimed) known.set(number, fence)
  }

  return {
    async claim (giveBack, claim, claimedOf) {
      // What another claim brings meanwhile is not known yet, and would be given back.
      const mine = last.then(async () => {
        if (inDoubt || alongInDoubt) {
          inDoubt = true
          await Promise.allSettled(along)
          await giveBack([...known].map(([number, fence]) => ({ number, fence })))
          alongInDoubt = false
        }
        inDoubt = true
        const result = await claim()
        inDoubt = false
        keep(claimedOf(result))
        return result
      })
      last = mine.catch(() => {})
      return await mine
    },

    claimAlong (claim, claimedOf) {
      if (inDoubt || alongInDoubt) return undefined
      const mine = claim().then((result) => {
        keep(claimedOf(result))
        return result
      }, (error: unknown) => {
        alongInDoubt = true
        throw error
      }).finally(() => { along.delete(mine) })
      along.add(mine)
      return mine
    },

    letGo (claimed) {
      for (const { number, fence } of claimed) if (known.get(number) === fence) known.delete(number)
    },

    clear () {
      known.clear()
      inDoubt = alongInDoubt = false
    }
  }
}
