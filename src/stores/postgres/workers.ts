import type { Statements, Transaction } from './connection.ts'
import type { Claimed } from './handed-out.ts'

/** Shows the others that the worker moves. Whoever took it for dead removed its row, so it is put back. */
export async function keepWorker ({ prepared }: Statements, worker: string): Promise<void> {
  // It begins anywhere: a row that came back at a beat that somebody saw long ago would look as if it had never moved.
  await prepared('INSERT INTO @.workers AS known (id, beat) VALUES ($1, (random() * 1e15)::bigint) ON CONFLICT (id) DO UPDATE SET beat = known.beat + 1', worker)
}

/** Whether the worker's row is there. It stays until the end of the transaction, and others may keep it so at the same time. */
export async function holdWorker ({ prepared }: Statements, worker: string): Promise<boolean> {
  return (await prepared('SELECT 1 FROM @.workers WHERE id = $1 FOR KEY SHARE', worker)).length === 1
}

/** Whether the worker's row was still there, at that beat: from then on it is this transaction's to take from it. */
export async function dropWorker ({ change }: Transaction, worker: string, beat?: number): Promise<boolean> {
  return await change('DELETE FROM @.workers WHERE id = $1 AND beat = coalesce($2, beat)', worker, beat ?? null) === 1
}

/** Takes everything from a worker, `crashes` one higher. Resolves to how many jobs and deliveries that were. */
export async function releaseWorker (transaction: Transaction, worker: string): Promise<number> {
  return await freeJobs(transaction, worker, [], 1) + await freeDeliveries(transaction, worker, [])
}

/** Takes from ourselves what a claim brought whose answer was lost: nobody has begun with it. Resolves to how many. */
export async function giveBackJobs (transaction: Transaction, worker: string, known: Claimed[]): Promise<number> {
  // Waits for that claim, should its commit still be under way: it has this row, too, or holds it as it is.
  await keepWorker(transaction, worker)
  await transaction.prepared('SELECT 1 FROM @.workers WHERE id = $1 FOR UPDATE', worker)
  return await freeJobs(transaction, worker, known, 0)
}

/** The same for deliveries. */
export async function giveBackDeliveries (transaction: Transaction, worker: string, known: Claimed[]): Promise<number> {
  await keepWorker(transaction, worker)
  return await freeDeliveries(transaction, worker, known)
}

async function freeJobs ({ change }: Transaction, worker: string, except: Claimed[], crashes: number): Promise<number> {
  // One that was claimed at its deadline is due again by that time, which it kept.
  return await change(`
    UPDATE @.jobs SET worker = NULL, crashes = crashes + $4, status = CASE WHEN due_at IS NULL THEN 'queued' ELSE status END, due_at = coalesce(due_at, 0)
    WHERE number = ANY (ARRAY(
      SELECT number FROM @.jobs WHERE worker = $1 AND (number, attempt) NOT IN (SELECT * FROM unnest($2::bigint[], $3::int[])) ORDER BY number FOR UPDATE))`,
  worker, ...listsOf(except), crashes)
}

async function freeDeliveries ({ change }: Transaction, worker: string, except: Claimed[]): Promise<number> {
  return await change(`
    UPDATE @.deliveries SET worker = NULL, due_at = 0 WHERE worker = $1
      AND (number, claim) NOT IN (SELECT * FROM unnest($2::bigint[], $3::int[]))`, worker, ...listsOf(except))
}

const listsOf = (claimed: Claimed[]): [number[], number[]] => [claimed.map(({ number }) => number), claimed.map(({ fence }) => fence)]
