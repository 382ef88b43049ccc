/** A worker as its row shows it: the beat changes as long as it moves. */
export interface Beating { id: string, beat: number }

/** Watches the beats of the others, on our monotonic clock: whoever has not moved for the time of a lease is taken for dead. */
export interface Observer {
  findSilent (workers: Beating[], now: number, leaseMs: number): Beating[]
  forget (id: string): void
  /** When we could not look: neither could they move. */
  beginAnew (): void
}

/** @param worker Our own name. */
export function createObserver (worker: string): Observer {
  const beats = new Map<string, { beat: number, since: number }>()
  return {
    findSilent (workers, now, leaseMs) {
      const present = new Set(workers.map(({ id }) => id))
      for (const id of beats.keys()) if (!present.has(id)) beats.delete(id)
      return workers.filter(({ id, beat }) => {
        if (id === worker) return false
        const last = beats.get(id)
        if (last?.beat !== beat) beats.set(id, { beat, since: now })
        return last?.beat === beat && now - last.since >= leaseMs
      })
    },
    forget: (id) => { beats.delete(id) },
    beginAnew: () => { beats.clear() }
  }
}
