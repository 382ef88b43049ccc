import type { ClaimedJob, ClaimRequest, NewJob, Store, SubmitOutcome } from './store.ts'

/** Jobs that begin with the commit that accepts them: nothing is looked for, and nothing claimed. */
export interface EarlyStart {
  submit (jobs: NewJob[], limits: { maxQueued: number }): Promise<SubmitOutcome[]>
  /** Places that are kept for jobs while the store accepts them. */
  kept (): ClaimRequest['operations']
  /** Resolves when those that are being accepted have begun. */
  begun (): Promise<unknown>
}

export interface EarlyStartParts {
  store: Pick<Store, 'submit'>
  /** Places for those of these jobs that may begin, if any may. */
  placesFor: (jobs: NewJob[]) => ClaimRequest | undefined
  begin: (jobs: ClaimedJob[]) => void
  /** There may be work that waits. */
  wake: () => void
}

export function createEarlyStart ({ store, placesFor, begin, wake }: EarlyStartParts): EarlyStart {
  const underWay = new Map<Promise<void>, ClaimRequest['operations']>()

  async function submit (jobs: NewJob[], limits: { maxQueued: number }): Promise<SubmitOutcome[]> {
    const places = placesFor(jobs)
    let give: (mine: ClaimedJob[]) => void = () => {}
    if (places !== undefined) {
      const begun: Promise<void> = new Promise<ClaimedJob[]>((resolve) => { give = resolve }).then((mine) => {
        underWay.delete(begun)
        begin(mine)
      })
      underWay.set(begun, places.operations)
    }
    try {
      const outcomes = await store.submit(jobs, { ...limits, begin: places })
      const mine = outcomes.flatMap((outcome, index) => begunOf(outcome, jobs[index]!))
      // The answers first: handlers take their time.
      if (mine.length > 0) setImmediate(give, mine)
      else give([])
      if (outcomes.some((outcome) => outcome.outcome === 'accepted' && outcome.job.status === 'queued')) wake()
      return outcomes
    } catch (error) {
      give([])
      // What was accepted all the same, and given to us, comes with a claim.
      wake()
      throw error
    }
  }

  return {
    submit,
    kept: () => [...underWay.values()].flat(),
    begun: () => Promise.all(underWay.keys())
  }
}

const begunOf = (outcome: SubmitOutcome, { input }: NewJob): ClaimedJob[] =>
  outcome.outcome === 'accepted' && outcome.job.status === 'running' ? [{ ...outcome.job, input, due: 'run' }] : []
