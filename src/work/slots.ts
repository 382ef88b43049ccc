/**
 * A Set for what comes and goes by the thousand. A Set and a Map get a new table after about as many deletions as they
 * have room for, and the old one, what was in it, and all that hangs on that wait for a full collection. Here the one table
 * has slots, which are used again.
 */
export interface Slots<Value extends object> {
  readonly size: number
  /** Gives the slot that `free` takes. */
  add (value: Value): number
  free (slot: number): void
  /** In no order. */
  values (): Value[]
}

export function createSlots<Value extends object> (): Slots<Value> {
  const values: (Value | undefined)[] = []
  const empty: number[] = []

  return {
    get size () { return values.length - empty.length },

    add (value) {
      const slot = empty.pop() ?? values.length
      values[slot] = value
      return slot
    },

    free (slot) {
      values[slot] = undefined
      empty.push(slot)
    },

    values: () => values.filter((value) => value !== undefined)
  }
}
