import { randomBytes } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { InvalidDatabaseError, SchemaVersionError } from '../../errors.ts'

/** Marks the file as ours ("FLAj"), so that a foreign database is never touched. */
const applicationId = 0x464c416a
/** Marks it as moved to PostgreSQL ("FLAm"): two stores must not both carry on the same work. */
const movedId = 0x464c416d

/**
 * Each entry takes the schema one version up and is never edited once released.
 *
 * A CHECK has no IN: of its list SQLite makes a table anew for each statement, and that doubles the price of an INSERT.
 */
const migrations = [`
  CREATE TABLE store (
    id_key BLOB NOT NULL,
    -- Whether a key file was made beside the database: its loss must not go unnoticed.
    has_key_file INTEGER NOT NULL DEFAULT 0,
    -- the newest number of a job when jobs were last deleted
    last_job INTEGER NOT NULL DEFAULT 0
  ) STRICT;

  -- One row for each process that holds leases. It proves that it lives by its lock file, and by its beat.
  CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    beat INTEGER NOT NULL DEFAULT 0
  ) STRICT;

  -- Small rows: a claim, a heartbeat or a progress report rewrites the whole row. Input and result stand apart.
  -- A number must never be given twice. AUTOINCREMENT would write the newest one down for each job, in a page of its own.
  CREATE TABLE jobs (
    number INTEGER PRIMARY KEY,
    operation TEXT NOT NULL,
    owner TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status = 'queued' OR status = 'running' OR status = 'succeeded' OR status = 'failed' OR status = 'canceled'),
    -- queued: not before (0 = at once); deferred, also while a worker ends it: the deadline
    due_at INTEGER,
    worker TEXT,
    attempt INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    percent_complete REAL NOT NULL DEFAULT 0,
    message TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    expires_at INTEGER,
    idempotency_key TEXT,
    fingerprint TEXT,
    failure TEXT
  ) STRICT;
  CREATE INDEX jobs_queued ON jobs (operation, due_at, number) WHERE status = 'queued';
  CREATE INDEX jobs_deferred ON jobs (operation, due_at) WHERE status = 'running' AND due_at IS NOT NULL;
  CREATE INDEX jobs_worker ON jobs (worker) WHERE worker IS NOT NULL;
  CREATE INDEX jobs_expiry ON jobs (expires_at) WHERE expires_at IS NOT NULL;
  CREATE UNIQUE INDEX jobs_idempotency ON jobs (idempotency_key) WHERE idempotency_key IS NOT NULL;

  CREATE TABLE job_inputs (number INTEGER PRIMARY KEY, input TEXT NOT NULL) STRICT;
  CREATE TABLE job_results (number INTEGER PRIMARY KEY, result TEXT NOT NULL) STRICT;
`, `
  CREATE TABLE subscriptions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    operation TEXT NOT NULL,
    owner TEXT NOT NULL,
    -- whose events it waits for, or which job
    topic TEXT,
    job INTEGER,
    status TEXT NOT NULL CHECK (status = 'active' OR status = 'suspended' OR status = 'superseded'),
    -- superseded: what it was before, and will be if it has its place again
    status_before TEXT,
    -- events up to this one are not owed to it
    after_event INTEGER NOT NULL,
    -- the superseded one that takes its place again if it turns out false
    predecessor INTEGER,
    failing_since INTEGER,
    skipped INTEGER NOT NULL DEFAULT 0,
    url_digest TEXT NOT NULL,
    versionless_digest TEXT,
    sealed_url BLOB NOT NULL,
    url_hint TEXT NOT NULL,
    host TEXT NOT NULL,
    client_tracking_id TEXT,
    operation_name TEXT,
    workflow_run_id TEXT,
    workflow_id TEXT,
    created_at INTEGER NOT NULL,
    input TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX subscriptions_url ON subscriptions (url_digest, operation, owner);
  CREATE INDEX subscriptions_versionless ON subscriptions (versionless_digest, status) WHERE versionless_digest IS NOT NULL;
  CREATE INDEX subscriptions_topic ON subscriptions (topic, operation, number) WHERE topic IS NOT NULL;
  CREATE INDEX subscriptions_job ON subscriptions (job) WHERE job IS NOT NULL;
  CREATE INDEX subscriptions_predecessor ON subscriptions (predecessor) WHERE predecessor IS NOT NULL;
  CREATE INDEX subscriptions_tracking ON subscriptions (client_tracking_id) WHERE client_tracking_id IS NOT NULL;

  -- The log. One writer at a time, so that a later number never shows before an earlier one.
  CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- the latest of its topic's dates up to here: in the order of the numbers it never goes back, as clocks do
    reached_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE INDEX events_topic ON events (topic, number);

  -- Each topic's log: what of the events above is still read. Rows stay, so that it is known what was forgotten.
  CREATE TABLE topics (
    name TEXT PRIMARY KEY,
    -- how many entries it has, and may have
    entries INTEGER NOT NULL,
    max_entries INTEGER,
    reached_at INTEGER NOT NULL,
    -- events up to this one left it, and the reached_at of that one
    forgotten_to INTEGER NOT NULL DEFAULT 0,
    forgotten_at INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;

  -- Events still to be turned into deliveries to the subscriptions of an operation, and how far that went.
  CREATE TABLE fan_outs (
    operation TEXT NOT NULL,
    event INTEGER NOT NULL,
    cursor INTEGER NOT NULL DEFAULT 0,
    -- how often it changed who is to be looked at
    round INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (operation, event)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX fan_outs_event ON fan_outs (event);

  CREATE TABLE deliveries (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    operation TEXT NOT NULL,
    owner TEXT NOT NULL,
    subscription INTEGER NOT NULL,
    subscription_created_at INTEGER NOT NULL,
    url_hint TEXT NOT NULL,
    host TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status = 'pending' OR status = 'delivered' OR status = 'dead'),
    -- pending and not claimed: not before
    due_at INTEGER,
    worker TEXT,
    claim INTEGER NOT NULL DEFAULT 0,
    -- the subscription it was claimed for: an answer speaks of that one, though the delivery may be another's by then
    sent_to INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    ended_at INTEGER,
    -- what is sent: an event's body, or the job's own
    event INTEGER,
    job INTEGER,
    body TEXT,
    -- the newest of all attempts, in JSON: see records.ts. Last, since they may be long
    attempt_log TEXT
  ) STRICT;
  CREATE INDEX deliveries_due ON deliveries (due_at, number, operation, host) WHERE due_at IS NOT NULL;
  CREATE INDEX deliveries_host ON deliveries (operation, host, due_at) WHERE due_at IS NOT NULL;
  CREATE UNIQUE INDEX deliveries_event ON deliveries (event, subscription) WHERE event IS NOT NULL;
  -- What is not delivered stands apart, so that a yes changes small indexes only.
  CREATE INDEX deliveries_subscription ON deliveries (subscription);
  CREATE INDEX deliveries_undelivered ON deliveries (subscription, status) WHERE status <> 'delivered';
  CREATE INDEX deliveries_worker ON deliveries (worker) WHERE worker IS NOT NULL;
  CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE ended_at IS NOT NULL;
`]

/** The WHERE of deliveries_undelivered. SQLite uses that index only for a WHERE in which it reads the same words. */
export const undelivered = "status <> 'delivered'"

/**
 * Brings the database to this version's schema. Nothing is written before it is known to be ours or empty.
 *
 * @throws {InvalidDatabaseError} when another program's tables are in it, or when it was moved.
 * @throws {SchemaVersionError} when a newer version of this package wrote it.
 */
export function migrate (database: DatabaseSync, file: string): void {
  if (readVersion(database, file) === migrations.length) {
    // WAL is a property of the file, and was set when it was made.
    return
  }
  const mode = database.prepare('PRAGMA journal_mode = WAL').get()!.journal_mode
  if (mode !== 'wal' && mode !== 'memory') {
    throw new InvalidDatabaseError(`${file} is on a file system without the shared memory that SQLite's WAL needs: put it on a local disk, or use PostgreSQL`)
  }
  database.exec('BEGIN IMMEDIATE')
  try {
    // Another process may have been faster.
    for (const statements of migrations.slice(readVersion(database, file))) database.exec(statements)
    database.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${migrations.length}`)
    database.prepare('INSERT INTO store (id_key) SELECT ? WHERE NOT EXISTS (SELECT * FROM store)').run(randomBytes(16))
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

/** From the commit on, nobody works on the file. */
export function markMoved (database: DatabaseSync): void {
  database.exec(`PRAGMA application_id = ${movedId}`)
}

function readVersion (database: DatabaseSync, file: string): number {
  const pragma = (name: string): number => (database.prepare(`SELECT ${name} AS value FROM pragma_${name}`).get() as { value: number }).value
  const version = pragma('user_version')
  const owner = pragma('application_id')
  if (owner === movedId) throw new InvalidDatabaseError(`${file} was moved to PostgreSQL, and its work goes on there: start with postgresStore. Nothing was changed`)
  if (owner !== applicationId) {
    const { tables } = database.prepare('SELECT count(*) AS tables FROM sqlite_schema').get() as { tables: number }
    if (tables > 0 || version !== 0 || owner !== 0) {
      throw new InvalidDatabaseError(`${file} is the database of another program: name another file. Nothing was changed`)
    }
  }
  if (version > migrations.length) {
    throw new SchemaVersionError(`${file} has schema version ${version}, this version of fastify-logic-apps knows ${migrations.length}: install the newer version again. Nothing was changed`)
  }
  return version
}
