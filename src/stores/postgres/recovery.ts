import type { StoreHost } from '../../work/store.ts'
import type { Beating, Observer } from '../observer.ts'
import type { Connection, Transaction } from './connection.ts'
import { dropWorker, releaseWorker } from './workers.ts'

/*
 * What is put right: what a replica that closes, or fell silent, has not finished; and what a claim brought whose answer
 * was lost.
 */

export interface RecoveryParts {
  connection: Connection
  host: StoreHost
}

/** Takes everything from the workers that have not moved for the time of a lease. Resolves to how many jobs and deliveries that were. */
export async function recoverSilent (parts: RecoveryParts, observer: Observer): Promise<number> {
  const { connection, host: { clock, leaseMs } } = parts
  const workers = await connection.sql('SELECT id, beat FROM @.workers').catch((error: unknown) => {
    observer.beginAnew()
    throw error
  }) as unknown as Beating[]
  let count = 0
  for (const { id, beat } of observer.findSilent(workers, clock.monotonic(), leaseMs)) {
    count += await release(parts, id, beat)
    observer.forget(id)
  }
  return count
}

/** Takes everything from a worker, if it still is at that beat. */
export async function release ({ connection }: RecoveryParts, id: string, beat?: number): Promise<number> {
  return await connection.write(async (transaction) => {
    // It may have moved since we looked, and a claim it made then must stay its own.
    if (!await dropWorker(transaction, id, beat) && beat !== undefined) return 0
    return tellOf(transaction, await releaseWorker(transaction, id))
  })
}

/** Takes from ourselves what a claim brought whose answer was lost. */
export async function giveBack ({ connection, host }: RecoveryParts, what: string, free: (transaction: Transaction) => Promise<number>): Promise<number> {
  const count = await connection.write(async (transaction) => tellOf(transaction, await free(transaction)))
  if (count > 0) host.log.warn({ count }, `gave back ${what} of a claim that was made, and whose answer was lost`)
  return count
}

function tellOf (transaction: Transaction, count: number): number {
  if (count > 0) transaction.tell()
  return count
}
