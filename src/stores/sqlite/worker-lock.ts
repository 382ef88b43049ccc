import { existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { StoreUnavailableError } from '../../errors.ts'

/*
 * Proof of life that no crash can fake: each worker holds a lock on a file of its own, and the kernel frees it when the
 * process dies, however it dies. Node has no call for file locks, but SQLite takes them: an empty database with an
 * exclusive transaction that stays open is a held lock, and works between threads of one process too. Never a pid:
 * in a container every process is pid 1.
 */

export interface WorkerLock {
  release (): void
}

function openLock (file: string): DatabaseSync {
  try {
    return new DatabaseSync(file, { timeout: 0 })
  } catch (error) {
    throw unusable(file, error)
  }
}

const unusable = (file: string, error: unknown): Error =>
  new StoreUnavailableError(`the lock file ${file} cannot be used: ${(error as Error).message}`, { cause: error })

const fileOf = (database: string, worker: string): string => `${database}-worker-${worker}`

/** Old enough that its process is past the instant between making the file and locking it. */
const strayAfterMs = 60_000

export function holdWorkerLock (database: string, worker: string): WorkerLock {
  removeStrays(database)
  const file = fileOf(database, worker)
  const lock = openLock(file)
  try {
    lock.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    lock.close()
    rmSync(file, { force: true })
    throw unusable(file, error)
  }
  return {
    release () {
      lock.close()
      rmSync(file, { force: true })
    }
  }
}

/** Whether that worker's process is gone for certain. A file that is not there was removed by whoever found it so. */
export function isWorkerGone (database: string, worker: string): boolean {
  const file = fileOf(database, worker)
  if (!existsSync(file)) return true
  const lock = openLock(file)
  try {
    lock.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    if ((error as { errcode?: number }).errcode === 5) return false // SQLITE_BUSY: held
    throw unusable(file, error)
  } finally {
    lock.close()
  }
  // Closed before: Windows removes no file that is open.
  rmSync(file, { force: true })
  return true
}

/** Files of processes killed before the database knew them: nobody else would ever look. */
function removeStrays (database: string): void {
  const prefix = fileOf(database, '')
  const folder = dirname(prefix)
  for (const name of readdirSync(folder)) {
    const file = join(folder, name)
    if (!file.startsWith(prefix) || file.endsWith('-journal')) continue
    const stat = statSync(file, { throwIfNoEntry: false })
    if (stat !== undefined && stat.mtimeMs < Date.now() - strayAfterMs) isWorkerGone(database, file.slice(prefix.length))
  }
}
