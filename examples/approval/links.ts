import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** What the page shows of a request. */
export interface ApprovalRequest { jobId: string, title: string, details: string }

/** The links that were sent, in a table of your own: a link works for days, and so across deploys. */
export interface ApprovalLinks {
  /** The token of a new link to the request; one sent before stops working. */
  issue (request: ApprovalRequest): string
  find (token: string): ApprovalRequest | undefined
  close (): void
}

export function openLinks (file: string): ApprovalLinks {
  mkdirSync(dirname(file), { recursive: true })
  const database = new DatabaseSync(file)
  database.exec(`
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS links (job_id TEXT PRIMARY KEY, token_hash TEXT NOT NULL UNIQUE, title TEXT NOT NULL, details TEXT NOT NULL) STRICT`)
  const insert = database.prepare('INSERT OR REPLACE INTO links (job_id, token_hash, title, details) VALUES (?, ?, ?, ?)')
  const select = database.prepare('SELECT job_id AS jobId, title, details FROM links WHERE token_hash = ?')
  return {
    issue ({ jobId, title, details }) {
      const token = randomBytes(32).toString('base64url')
      insert.run(jobId, hashOf(token), title, details)
      return token
    },
    find: (token) => select.get(hashOf(token)) as ApprovalRequest | undefined,
    close: () => { database.close() }
  }
}

/** Who reads the table, or a backup of it, still has no link. */
const hashOf = (token: string): string => createHash('sha256').update(token).digest('base64url')
