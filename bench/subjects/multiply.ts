/* Fills a file of the embedded store with copies of what the store wrote there itself: a million in seconds. */
import { DatabaseSync } from 'node:sqlite'

/** The records of a file that holds nothing else, until there are so many. Ended jobs, of which none is recognised as a repeat. */
export function multiplyJobs (file: string, count: number): void {
  multiply(file, 'jobs', count, ['idempotency_key', 'fingerprint'], (made, more) => `
    INSERT INTO job_inputs (number, input) SELECT number + ${made}, input FROM job_inputs WHERE number <= ${more};
    INSERT INTO job_results (number, result) SELECT number + ${made}, result FROM job_results WHERE number <= ${more};`)
}

/** Entries of one topic's log. */
export function multiplyEvents (file: string, count: number): void {
  multiply(file, 'events', count, [], (_made, more) => `UPDATE topics SET entries = entries + ${more};`)
}

function multiply (file: string, table: 'jobs' | 'events', count: number, without: string[], beside: (made: number, more: number) => string): void {
  const database = new DatabaseSync(file, { timeout: 5000 })
  try {
    const columns = database.prepare('SELECT name FROM pragma_table_info(?)').all(table).map(({ name }) => String(name))
      .filter((name) => name !== 'number' && !without.includes(name)).join(', ')
    const last = database.prepare(`SELECT max(number) AS last FROM ${table}`)
    for (let made = last.get()!.last as number; made < count; made = last.get()!.last as number) {
      const more = Math.min(made, count - made)
      database.exec(`
        BEGIN IMMEDIATE;
        INSERT INTO ${table} (number, ${columns}) SELECT number + ${made}, ${columns} FROM ${table} WHERE number <= ${more};
        ${beside(made, more)}
        COMMIT`)
    }
    // What is measured next waits for no write of this.
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  } finally {
    database.close()
  }
}
