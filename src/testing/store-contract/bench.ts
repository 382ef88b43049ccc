import assert from 'node:assert/strict'
import type { ClaimedJob, ClaimRequest, JobEnd, JobRecord, Lease, NewJob, Settlement, Store, StoreIdentity, Transition } from '../../work/store.ts'
import type { ManualClock } from '../manual-clock.ts'

/** What a case works with: instances of the store on data of its own, all closed when it ends. */
export interface Bench {
  clock: ManualClock
  /** Opens another instance, as another process would. */
  open (): Promise<Instance>
}

export interface Instance {
  store: Store
  identity: StoreIdentity
  /** How often the store called `wake`. */
  wakes (): number
}

export interface ContractCase {
  title: string
  /** Whether it takes several instances on the same data. */
  together: boolean
  run (bench: Bench): Promise<void>
}

export const alone = (title: string, run: ContractCase['run']): ContractCase => ({ title, together: false, run })
export const together = (title: string, run: ContractCase['run']): ContractCase => ({ title, together: true, run })

/** Where the wall clock of a bench starts. */
export const start = Date.UTC(2026, 0, 1)
export const leaseMs = 15_000
export const hourMs = 3_600_000
/** No limit, where one must be given. */
export const plenty = 1000

export function newJob (job: Partial<NewJob> = {}): NewJob {
  return { operation: 'Bake', owner: 'anna', input: '{}', createdAt: start, ...job }
}

/** Submits one job for each argument; all must be accepted. */
export async function accept (store: Store, ...jobs: Partial<NewJob>[]): Promise<JobRecord[]> {
  const outcomes = await store.submit(jobs.map(newJob), { maxQueued: plenty })
  return outcomes.map((outcome) => {
    assert.equal(outcome.outcome, 'accepted')
    return (outcome as { job: JobRecord }).job
  })
}

/** What `claim` gives, by default of the operation that `newJob` names. */
export async function claim (store: Store, request: Partial<ClaimRequest> = {}): Promise<ClaimedJob[]> {
  const { jobs } = await store.claim({ operations: [{ operation: 'Bake', limit: plenty }], limit: plenty, now: start, ...request })
  return jobs
}

/** Submits a job and claims it, which must be the only one that is due. */
export async function acceptAndClaim (store: Store, job: Partial<NewJob> = {}): Promise<ClaimedJob> {
  await accept(store, job)
  const [claimed, ...others] = await claim(store, { operations: [{ operation: newJob(job).operation, limit: plenty }] })
  assert.ok(claimed)
  assert.deepEqual(others, [])
  return claimed
}

export const leaseOf = ({ number, attempt }: Lease): Lease => ({ number, attempt })
export const numbersOf = (jobs: { number: number }[]): number[] => jobs.map(({ number }) => number)

/** Settles one attempt. */
export async function settle (store: Store, lease: Lease, to: Transition): Promise<boolean> {
  const settlement: Settlement = { lease: leaseOf(lease), to }
  const [done, ...others] = await store.settle([settlement])
  assert.deepEqual(others, [])
  return done!
}

export async function getOne (store: Store, number: number): Promise<JobRecord> {
  const [job] = await store.get([number])
  assert.ok(job)
  return job
}

const times = { endedAt: start + 60, expiresAt: start + hourMs }

export function succeeded (result: string | null = '"cake"', expiresAt = times.expiresAt): JobEnd {
  return { status: 'succeeded', result, endedAt: times.endedAt, expiresAt }
}

export function failed (details?: unknown): JobEnd {
  return {
    status: 'failed',
    failure: { code: 'CakeBurnt', message: 'The cake burnt.', statusCode: 409, ...(details === undefined ? {} : { details }) },
    ...times
  }
}

export function canceled (message = 'Canceled.'): JobEnd {
  return { status: 'canceled', failure: { code: 'JobCanceled', message, statusCode: 409 }, ...times }
}
