import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { ManualClock } from '../../src/testing/index.ts'
import type { ClaimedJob, JobEnd, JobRecord, Lease, Store, Transition } from '../../src/work/store.ts'

/** A job as a store should have it: the record, and what the port does not show. */
interface ModelJob extends JobRecord {
  holder: number | null
  dueAt: number | null
  expiresAt: number
}

/** Processes on one store; a single one takes the part of all of them. */
export interface Deployment {
  stores: Store[]
  clocks: ManualClock[]
  leaseMs: number
}

const endKinds = ['succeeded', 'empty', 'failed', 'canceled'] as const
const settleKinds = [...endKinds, 'again', 'at once', 'deferred'] as const

const who = fc.nat(1)
const which = fc.nat(9)
/** Now and then a lease of an earlier attempt, or of none. */
const stale = fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: -2, max: 1 }) })
const settlement = fc.record({ which, stale, kind: fc.constantFrom(...settleKinds), ms: fc.nat(50) })

export const command = fc.oneof(
  { weight: 3, arbitrary: fc.record({ name: fc.constant('submit' as const), who, operations: fc.array(fc.constantFrom('A', 'B'), { minLength: 1, maxLength: 3 }) }) },
  { weight: 5, arbitrary: fc.record({ name: fc.constant('claim' as const), who, limit: fc.integer({ min: 1, max: 4 }), each: fc.integer({ min: 1, max: 3 }), operations: fc.constantFrom(['A'], ['B'], ['A', 'B'], ['B', 'A']) }) },
  { weight: 2, arbitrary: fc.record({ name: fc.constant('progress' as const), who, which, stale, percent: fc.nat(100) }) },
  { weight: 5, arbitrary: fc.record({ name: fc.constant('settle' as const), who, settlements: fc.array(settlement, { minLength: 1, maxLength: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ name: fc.constant('end' as const), who, which, kind: fc.constantFrom(...endKinds) }) },
  { weight: 1, arbitrary: fc.record({ name: fc.constant('heartbeat' as const), who, which, stale }) },
  { weight: 1, arbitrary: fc.record({ name: fc.constant('freeze' as const), who }) },
  { weight: 1, arbitrary: fc.record({ name: fc.constant('sweep' as const), who, limit: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ name: fc.constant('pass' as const), ms: fc.nat(80) }) }
)
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never

/** Does all commands to the stores and to a simple model, and compares them after each. */
export async function runCommands ({ stores, clocks, leaseMs }: Deployment, commands: Command[]): Promise<void> {
  const jobs = new Map<number, ModelJob>()
  const ends = new Map<number, number>()
  const ended = new Map<number, JobRecord>()
  let now = 1_000_000
  const alone = stores.length === 1
  const holderOf = (who: number): number => alone ? 0 : who
  const storeOf = (who: number): Store => stores[holderOf(who)]!

  const pick = (which: number): ModelJob | undefined => [...jobs.values()][which % Math.max(jobs.size, 1)]
  const holds = (who: number, { number, attempt }: Lease): ModelJob | undefined => {
    const job = jobs.get(number)
    return job !== undefined && job.holder === holderOf(who) && job.attempt === attempt ? job : undefined
  }

  function endOf (kind: typeof endKinds[number]): JobEnd {
    const times = { endedAt: now, expiresAt: now + 60 }
    const failure = { code: 'Odd', message: `at ${now}`, statusCode: 409, details: [now] }
    if (kind === 'succeeded' || kind === 'empty') return { status: 'succeeded', result: kind === 'empty' ? null : String(now), ...times }
    return { status: kind, failure, ...times }
  }

  function transitionOf (kind: typeof settleKinds[number], ms: number, failures: number): Transition {
    if (kind === 'again') return { status: 'queued', dueAt: now + ms, failures: failures + 1 }
    if (kind === 'at once') return { status: 'queued', dueAt: 0, failures }
    if (kind === 'deferred') return { status: 'running', deadline: now + ms }
    return endOf(kind)
  }

  function applyEnd (job: ModelJob, end: JobEnd): void {
    Object.assign(job, { status: end.status, holder: null, dueAt: null, endedAt: end.endedAt, expiresAt: end.expiresAt })
    if (end.status === 'succeeded') Object.assign(job, { result: end.result, percentComplete: 100 })
    else job.failure = end.failure
    ends.set(job.number, (ends.get(job.number) ?? 0) + 1)
  }

  function apply (job: ModelJob, to: Transition): void {
    if ('endedAt' in to) applyEnd(job, to)
    else if (to.status === 'queued') Object.assign(job, { status: 'queued', holder: null, dueAt: to.dueAt, failures: to.failures })
    else Object.assign(job, { holder: null, dueAt: to.deadline })
  }

  /** Due jobs of an operation: deadlines, then waits that are over, then the oldest. */
  function dueOf (operation: string): ModelJob[] {
    const due = [...jobs.values()].filter((job) => job.operation === operation && job.endedAt === null && job.holder === null && job.dueAt !== null && job.dueAt <= now)
    const rank = ({ status, dueAt }: ModelJob): number => status === 'running' ? 0 : dueAt! > 0 ? 1 : 2
    return due.sort((a, b) => rank(a) - rank(b) || a.dueAt! - b.dueAt! || a.number - b.number)
  }

  async function claim (who: number, operations: readonly string[], each: number, limit: number): Promise<void> {
    const expected: ModelJob[] = []
    for (const operation of operations) expected.push(...dueOf(operation).slice(0, Math.min(each, limit - expected.length)))
    const { jobs: claimed, nextDueAt } = await storeOf(who).claim({ operations: operations.map((operation) => ({ operation, limit: each })), limit, now })
    // Of equal times any may come first.
    const key = (job: ModelJob | ClaimedJob): string => `${job.operation} ${jobs.get(job.number)!.status} ${jobs.get(job.number)!.dueAt || -job.number}`
    assert.deepEqual(claimed.map(key), expected.map(key))
    for (const { number, attempt, due, input } of claimed) {
      const job = jobs.get(number)!
      assert.equal(attempt, job.attempt + 1)
      assert.equal(due, job.status === 'running' ? 'deadline' : 'run')
      assert.equal(input, `"${job.createdAt}"`)
      Object.assign(job, { attempt, holder: holderOf(who), startedAt: job.startedAt ?? now, dueAt: due === 'run' ? null : job.dueAt, status: 'running' })
    }
    const later = [...jobs.values()].filter((job) => operations.includes(job.operation) && job.holder === null && job.dueAt !== null && job.dueAt > now)
    assert.equal(nextDueAt, later.length === 0 ? null : Math.min(...later.map(({ dueAt }) => dueAt!)))
  }

  /** All the others see that `who` does not move for the time of a lease. */
  async function freeze (who: number): Promise<void> {
    if (alone) return assert.equal(await stores[0]!.recover(), 0)
    const other = 1 - who
    await stores[other]!.recover()
    await clocks[other]!.advance(leaseMs)
    const lost = [...jobs.values()].filter(({ holder }) => holder === who)
    assert.equal(await stores[other]!.recover(), lost.length)
    for (const job of lost) {
      Object.assign(job, { holder: null, crashes: job.crashes + 1 })
      if (job.dueAt === null) Object.assign(job, { status: 'queued', dueAt: 0 })
    }
  }

  async function perform (command: Command): Promise<void> {
    if (command.name === 'pass') now += command.ms
    else if (command.name === 'submit') {
      const outcomes = await storeOf(command.who).submit(command.operations.map((operation) => ({ operation, owner: 'o', input: `"${now}"`, createdAt: now })), { maxQueued: 1000 })
      for (const outcome of outcomes) {
        assert.ok(outcome.outcome === 'accepted' && !jobs.has(outcome.job.number))
        jobs.set(outcome.job.number, { ...outcome.job, holder: null, dueAt: 0, expiresAt: Infinity })
      }
    } else if (command.name === 'claim') await claim(command.who, command.operations, command.each, command.limit)
    else if (command.name === 'freeze') await freeze(command.who)
    else if (command.name === 'sweep') {
      const expired = [...jobs.values()].filter(({ expiresAt }) => expiresAt < now)
      const count = await storeOf(command.who).sweep(now, command.limit)
      assert.equal(count, Math.min(expired.length, command.limit))
      const records = await storeOf(command.who).get(expired.map(({ number }) => number))
      for (const [index, { number }] of expired.entries()) if (records[index] === undefined) jobs.delete(number)
      assert.equal(expired.filter(({ number }) => !jobs.has(number)).length, count)
    } else if (command.name === 'settle') {
      const settlements = command.settlements.flatMap(({ which, stale, kind, ms }) => {
        const job = pick(which)
        return job === undefined ? [] : [{ lease: { number: job.number, attempt: job.attempt + stale }, to: transitionOf(kind, ms, job.failures) }]
      })
      const expected = settlements.map(({ lease, to }) => {
        const job = holds(command.who, lease)
        if (job !== undefined) apply(job, to)
        return job !== undefined
      })
      assert.deepEqual(await storeOf(command.who).settle(settlements), expected)
    } else {
      const job = pick(command.which)
      if (job === undefined) return
      if (command.name === 'end') {
        const end = endOf(command.kind)
        const answer = await storeOf(command.who).end(job.number, end)
        assert.equal(answer!.ended, job.endedAt === null)
        if (job.endedAt === null) applyEnd(job, end)
        assert.deepEqual(answer!.job, recordOf(job))
        return
      }
      const lease = { number: job.number, attempt: job.attempt + command.stale }
      const held = holds(command.who, lease)
      if (command.name === 'heartbeat') return assert.deepEqual(await storeOf(command.who).heartbeat([lease]), held === undefined ? [lease] : [])
      const report = { percentComplete: command.percent, message: `at ${now}` }
      assert.deepEqual(await storeOf(command.who).progress([{ lease, ...report }]), [held !== undefined])
      if (held !== undefined) Object.assign(held, report)
    }
  }

  for (const command of commands) {
    const attempts = new Map([...jobs].map(([number, { attempt }]) => [number, attempt]))
    await perform(command)
    for (const store of stores) {
      const numbers = [...jobs.keys()]
      const records = await store.get(numbers)
      assert.deepEqual(records, numbers.map((number) => recordOf(jobs.get(number)!)), `after ${JSON.stringify(command)}`)
      for (const record of records) {
        const { number, attempt, endedAt } = record!
        assert.ok(attempt >= (attempts.get(number) ?? 0), 'attempts only grow')
        assert.equal(ends.get(number) ?? 0, endedAt === null ? 0 : 1, 'an end is recorded once')
        if (ended.has(number)) assert.deepEqual(record, ended.get(number), 'an ended job never changes')
        else if (endedAt !== null) ended.set(number, structuredClone(record!))
      }
    }
  }
}

function recordOf ({ holder, dueAt, expiresAt, ...record }: ModelJob): JobRecord {
  return record
}
