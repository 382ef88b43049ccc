import { randomUUID } from 'node:crypto'
import { InvalidDatabaseError, StoreUnavailableError } from '../../errors.ts'
import type { Clock } from '../../work/clock.ts'
import type { Logger } from '../../work/log.ts'
import type { BossDatabase, Transaction } from './connection.ts'
import { importPgBoss } from './dependencies.ts'
import { sqlState } from './errors.ts'

/*
 * pg-boss hands out the work. A **ticket** is a pg-boss job that stands for a job of ours and says "may run now": one
 * queue for each operation, so that a replica is never given what it cannot run. Tickets are written, fetched and
 * settled in the transaction that changes the record, so that there is never one without the other. A job that begins as
 * it is accepted waits for nobody: it has none, until it waits for another attempt.
 */

export interface Ticket {
  ticket: string
  operation: string
  number: number
}

export interface Tickets {
  open (host: { clock: Clock, log: Logger }): Promise<void>
  close (): Promise<void>
  /** Before a transaction that writes tickets of these operations: each has its queue from then on. */
  prepare (operations: string[]): Promise<void>
  /** @param waited Of work whose time has come: it goes first. */
  write (transaction: Transaction, tickets: Ticket[], waited?: boolean): Promise<void>
  /** How many more of those that are limited in all replicas together may run. Until the end of the transaction nobody else claims of them. */
  lockCapped (transaction: Transaction, operations: string[]): Promise<Map<string, number>>
  /** Claims tickets, oldest first. */
  fetch (transaction: Transaction, operation: string, limit: number): Promise<Ticket[]>
  /** Claimed tickets that are free again, with the place in the queue that they had. */
  putBack (transaction: Transaction, tickets: Ticket[]): Promise<void>
  remove (transaction: Transaction, tickets: Pick<Ticket, 'ticket' | 'operation'>[]): Promise<void>
}

const uniqueViolation = '23505'
/** Of as many replicas that start at once, each may get in the way of another. */
const maxStarts = 5

/** What pg-boss would otherwise do to work that is ours to judge. */
const queueOptions = {
  // Default 2, after which a ticket is "failed" and its job waits for ever. How often is tried again is the core's to say.
  retryLimit: 2_147_483_647,
  retryDelay: 0,
  // Default 15 minutes, then the ticket of a job that still runs would be handed out again. A day is the most there is;
  // a claim that comes across the ticket of a job that runs for longer leaves it alone.
  expireInSeconds: 86_399,
  // Default 14 days, then a ticket that still waits would be deleted: a queue may stand still for longer than that.
  retentionSeconds: 10 * 365 * 86_400,
  // Tickets are removed when they are settled, so there is nothing to keep. 0 would mean: for ever.
  deleteAfterSeconds: 86_400
}

export function createTickets (database: BossDatabase, schema: string, migrate: boolean, limits: ReadonlyMap<string, number>): Tickets {
  let boss: import('pg-boss').PgBoss | undefined
  const known = new Set<string>()

  const db = ({ boss }: Transaction): { db: BossDatabase } => ({ db: boss })
  const preparedDb = ({ preparedBoss }: Transaction): { db: BossDatabase } => ({ db: preparedBoss })

  /** Asked for at once, so that they share a round trip. */
  async function each<T extends { operation: string }> (items: T[], work: (queue: string, items: T[]) => Promise<void>): Promise<void> {
    await Promise.all([...operationsOf(items)].map((operation) => work(queueOf(operation), items.filter((item) => item.operation === operation))))
  }

  async function write (transaction: Transaction, tickets: Ticket[], waited = false): Promise<void> {
    await each(tickets, async (queue, group) => {
      const ids = await boss!.insert(queue, group.map(({ ticket, number }) => ({
        id: ticket,
        data: { job: number },
        priority: waited ? 1 : 0
      })), { ...preparedDb(transaction), returnId: true })
      // It skips in silence what it has already: never one of these, which are random.
      if (ids?.length !== group.length) throw new Error(`pg-boss took ${ids?.length ?? 0} of ${group.length} tickets for ${queue}`)
    })
  }

  return {
    async open ({ clock, log }) {
      const { PgBoss } = await importPgBoss()
      boss = new PgBoss({
        db: database,
        schema,
        migrate,
        createSchema: migrate,
        clock: {
          now: clock.now,
          setTimeout: (work, ms) => clock.after(ms, work),
          clearTimeout: (cancel) => { (cancel as (() => void) | undefined)?.() },
          setInterval (work, ms) {
            let cancel = clock.after(ms, function again () {
              cancel = clock.after(ms, again)
              work()
            })
            return () => { cancel() }
          },
          clearInterval: (cancel) => { (cancel as (() => void) | undefined)?.() }
        },
        // No cron: it would ask the database several times a minute.
        schedule: false,
        // Ours tells of more than new tickets, and once for all queues: see listener.ts.
        useListenNotify: false,
        // Flows of jobs that depend on each other: there are none here.
        flowIntervalSeconds: 3600,
        // Index builds that an upgrade of pg-boss left for later.
        bamIntervalSeconds: 600,
        // A row a replica, written twice a minute, to tell what the log tells.
        registerInstance: false
      })
      boss.on('error', (error) => { log.warn({ err: error }, 'pg-boss could not do its maintenance, it will try again') })
      boss.on('warning', ({ message, data }) => { log.warn({ data }, `pg-boss: ${message}`) })
      try {
        await startBoss(boss)
      } catch (error) {
        if (migrate || error instanceof StoreUnavailableError || error instanceof InvalidDatabaseError) throw error
        throw new InvalidDatabaseError(`the tables of pg-boss in the schema "${schema}" do not fit its version here (${(error as Error).message}): run "npx fastify-logic-apps migrate" (migratePostgres) with a user who may create tables, then start again`, { cause: error })
      }
    },

    async close () {
      // Our own loop works, so there is nothing to wait for; the pool is not pg-boss's to close.
      await boss?.stop({ graceful: false, close: false })
      boss = undefined
      known.clear()
    },

    async prepare (operations) {
      if (boss === undefined) throw new StoreUnavailableError('the store on PostgreSQL is not open')
      for (const operation of new Set(operations)) {
        if (known.has(operation)) continue
        await boss.createQueue(queueOf(operation), queueOptions)
        known.add(operation)
      }
    },

    write,

    // Not by the groups of pg-boss: of those that there is room for it takes any, not the oldest.
    async lockCapped (transaction, operations) {
      const capped = operations.filter((operation) => limits.has(operation)).sort()
      if (capped.length === 0) return new Map()
      // Two that count at the same time would both find room. All at once and in one order, so that no two wait for each other.
      await transaction.sql('SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest($1::text[]) AS name', capped.map((operation) => `${schema}: running of ${operation}`))
      const running = await transaction.sql('SELECT operation, count(*) AS count FROM @.jobs WHERE worker IS NOT NULL AND operation = ANY ($1) GROUP BY operation', capped)
      const counts = new Map(running.map(({ operation, count }) => [operation, count as number]))
      return new Map(capped.map((operation) => [operation, limits.get(operation)! - (counts.get(operation) ?? 0)]))
    },

    async fetch (transaction, operation, limit) {
      const jobs = await boss!.fetch<{ job?: unknown } | null>(queueOf(operation), { ...db(transaction), batchSize: limit })
      // One that somebody else put there stands for no job of ours: there is none with the number 0.
      return jobs.map(({ id, data }) => ({ ticket: id, operation, number: Number.isSafeInteger(data?.job) ? data!.job as number : 0 }))
    },

    async putBack (transaction, tickets) {
      await each(tickets, async (queue, group) => {
        const response = await boss!.fail(queue, group.map(({ ticket }) => ticket), null, db(transaction)) as unknown as { settled: string[] }
        const settled = new Set(response.settled)
        // Somebody deleted them by hand: without a ticket the jobs would wait for ever.
        await write(transaction, group.filter(({ ticket }) => !settled.has(ticket)))
      })
    },

    async remove (transaction, tickets) {
      // By id, whatever pg-boss thinks of them: the record, which is locked by now, is the fence.
      await each(tickets, async (queue, group) => { await boss!.deleteJob(queue, group.map(({ ticket }) => ticket), preparedDb(transaction)) })
    }
  }
}

/**
 * pg-boss makes its schema under a lock of its own, but what a session knows of the schemas is of before it waited for
 * that: the one that waited then makes the schema a second time, and fails. Started again, it finds what is there.
 */
async function startBoss (boss: import('pg-boss').PgBoss): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await boss.start()
      return
    } catch (error) {
      if (sqlState(error) !== uniqueViolation || tries === maxStarts) throw error
    }
  }
}

export const newTicket = (): string => randomUUID()

/** Of each there is one statement that writes or removes its tickets. */
export const operationsOf = (items: { operation: string }[]): Set<string> => new Set(items.map(({ operation }) => operation))

/** The name of an operation's queue: pg-boss allows letters, digits and `_-./` in it. */
function queueOf (operation: string): string {
  return operation.replace(/[^\w.-]/g, (character) => `/${character.charCodeAt(0).toString(16)}/`)
}
