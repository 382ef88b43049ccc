import { existsSync, readdirSync, realpathSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite'
import { InvalidDatabaseError, InvalidOptionsError, StoreUnavailableError } from '../errors.ts'
import { createConnection, type Connection, type Transaction } from './postgres/connection.ts'
import { importPg } from './postgres/dependencies.ts'
import { migratePostgres, type MoveCounts, type PostgresStoreOptions } from './postgres/index.ts'
import { checkPostgresOptions } from './postgres/options.ts'
import { explain } from './sqlite/connection.ts'
import { lastJob } from './sqlite/jobs.ts'
import { markMoved, migrate } from './sqlite/migrations.ts'
import { isWorkerGone } from './sqlite/worker-lock.ts'

type Row = Record<string, SQLOutputValue>

interface Table {
  name: string
  columns: string
  /** Instead of `SELECT columns FROM name`. */
  select?: string
}

/** Expired ones are left, unless a callback of theirs is still owed. */
const keptJobs = `
  FROM jobs WHERE expires_at IS NULL OR expires_at >= :now OR EXISTS (
    SELECT 1 FROM subscriptions JOIN deliveries ON deliveries.subscription = subscriptions.number AND deliveries.status = 'pending' WHERE subscriptions.job = jobs.number)`

const subscriptionColumns = 'number, operation, owner, topic, job, status, status_before, after_event, predecessor, failing_since, skipped, url_digest, versionless_digest, sealed_url, url_hint, host, client_tracking_id, operation_name, workflow_run_id, workflow_id, created_at, input'

/** Columns of both schemas. Nothing has a worker when it arrives: whatever one held was its own, and is due again. */
const tables: Table[] = [
  {
    name: 'jobs',
    columns: 'number, operation, owner, status, due_at, attempt, failures, crashes, percent_complete, message, created_at, started_at, ended_at, expires_at, idempotency_key, fingerprint, input, result, failure',
    // A job that runs with a deadline was deferred: it waits for that. Any other that runs is queued again.
    select: `
      SELECT number, operation, owner, CASE WHEN status = 'running' AND due_at IS NULL THEN 'queued' ELSE status END AS status,
        CASE WHEN ended_at IS NULL THEN coalesce(due_at, 0) END AS due_at, attempt, failures,
        crashes + (worker IS NOT NULL) AS crashes, percent_complete, message, created_at, started_at, ended_at, expires_at, idempotency_key, fingerprint,
        CASE WHEN status IN ('succeeded', 'canceled') THEN '' ELSE input END AS input, result, failure
      FROM jobs JOIN job_inputs USING (number) LEFT JOIN job_results USING (number) WHERE number IN (SELECT number ${keptJobs})`
  },
  {
    name: 'subscriptions',
    columns: subscriptionColumns,
    // Without its job it would never be forgotten.
    select: `SELECT ${subscriptionColumns} FROM subscriptions WHERE job IS NULL OR job IN (SELECT number ${keptJobs})`
  },
  { name: 'topics', columns: 'name, entries, max_entries, reached_at, forgotten_to, forgotten_at' },
  { name: 'events', columns: 'number, topic, created_at, reached_at, expires_at, body' },
  { name: 'fan_outs', columns: 'operation, event, cursor, round' },
  {
    name: 'deliveries',
    columns: 'number, operation, owner, subscription, subscription_created_at, url_hint, host, status, due_at, claim, sent_to, attempts, attempt_log, created_at, ended_at, event, job, body',
    select: `
      SELECT number, operation, owner, subscription, subscription_created_at, url_hint, host, status, CASE WHEN status = 'pending' THEN coalesce(due_at, 0) END AS due_at,
        claim, sent_to, attempts, attempt_log, created_at, ended_at, event, job, body FROM deliveries`
  }
]

/** Rows in one statement: each column is one of its parameters, as a list. */
const batchSize = 500
/** And their texts, in characters: a body may have millions. */
const batchLength = 4_000_000

/** See `moveStore` of postgres/index.ts. */
export async function moveStore (from: { file: string }, to: Omit<PostgresStoreOptions, 'migrate'>): Promise<MoveCounts> {
  if (typeof from?.file !== 'string' || !existsSync(from.file)) throw new InvalidOptionsError('moveStore needs "file", the path of a SQLite store that exists')
  const settings = checkPostgresOptions(to)
  const file = resolve(from.file)
  refuseFileInUse(file)
  const source = new DatabaseSync(file, { timeout: 5000 })
  try {
    migrate(source, file)
    // Until the end: whoever starts on the file meanwhile can write nothing that would be left behind.
    source.exec('BEGIN IMMEDIATE')
    refuseFileInUse(file)
    // Before the copy: where this cannot be written, nothing is moved.
    markMoved(source)
    await migratePostgres(to)
    const pg = await importPg()
    const pool = settings.pool ?? new pg.Pool(settings.config!)
    const connection = createConnection({ pg, pool, owned: settings.pool === undefined, schema: settings.schema, notify: 'SELECT 1', timeoutMs: settings.timeoutMs, prepare: false, onIdleLoss () {}, onUntold () {} })
    try {
      const counts = await copy(source, connection, settings.schema)
      source.exec('COMMIT')
      return counts
    } finally {
      await connection.close()
    }
  } catch (error) {
    throw explain(error, file)
  } finally {
    source.close()
  }
}

/** Each process on it holds a lock file beside it, or beside the link by which it knows the file. */
function refuseFileInUse (file: string): void {
  for (const path of new Set([file, realpathSync(file)])) {
    const prefix = `${basename(path)}-worker-`
    const workers = readdirSync(dirname(path)).filter((name) => name.startsWith(prefix) && !name.endsWith('-journal')).map((name) => name.slice(prefix.length))
    if (!workers.every((worker) => isWorkerGone(path, worker))) throw new StoreUnavailableError(`${file} is in use: stop the app, then move it`)
  }
}

async function copy (source: DatabaseSync, { patiently }: Connection, schema: string): Promise<MoveCounts> {
  return await patiently(async (transaction) => {
    const { sql, script } = transaction
    await script('LOCK TABLE @.jobs, @.subscriptions, @.events, @.deliveries, @.log IN ACCESS EXCLUSIVE MODE')
    const [found] = await sql(`SELECT EXISTS (SELECT 1 FROM @.jobs) OR EXISTS (SELECT 1 FROM @.subscriptions) OR EXISTS (SELECT 1 FROM @.events)
      OR EXISTS (SELECT 1 FROM @.workers) OR (SELECT last > 0 FROM @.log) AS used`)
    if (found!.used === true) throw new InvalidDatabaseError(`the schema "${schema}" is not empty: name another, which nothing was ever stored in. Nothing was changed`)
    const counts: Record<string, number> = {}
    const now = Date.now()
    for (const table of tables) counts[table.name] = await copyTable(source, transaction, schema, table, now)
    await sql('UPDATE @.store SET id_key = $1', Buffer.from((source.prepare('SELECT id_key FROM store').get() as { id_key: Uint8Array }).id_key))
    // A number is never given twice, also not that of a record which is gone.
    const last = (name: string): number => (source.prepare('SELECT seq FROM sqlite_sequence WHERE name = ?').get(name)?.seq ?? 0) as number
    await sql('UPDATE @.log SET last = $1', last('events'))
    for (const [number, sequence] of [
      [lastJob({ sql: (text) => source.prepare(text) }), 'job_numbers'], [last('subscriptions'), 'subscription_numbers'], [last('deliveries'), 'delivery_numbers']
    ] as const) await sql(`SELECT setval('@.${sequence}', $1, false)`, number + 1)
    return { jobs: counts.jobs!, subscriptions: counts.subscriptions!, events: counts.events!, deliveries: counts.deliveries! }
  })
}

async function copyTable (source: DatabaseSync, { sql }: Transaction, schema: string, { name, columns, select = `SELECT ${columns} FROM ${name}` }: Table, now: number): Promise<number> {
  const names = columns.split(', ')
  const types = new Map((await sql('SELECT attname, format_type(atttypid, NULL) AS type FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0', `${schema}.${name}`)).map((row) => [row.attname, row.type as string]))
  const insert = `INSERT INTO @.${name} (${columns}) SELECT * FROM unnest(${names.map((column, index) => `$${index + 1}::${types.get(column)}[]`).join(', ')})`
  let count = 0
  let batch: Row[] = []
  let length = 0
  const flush = async (): Promise<void> => {
    if (batch.length === 0) return
    await sql(insert, ...names.map((column) => batch.map((row) => toPostgres(row[column]!))))
    count += batch.length
    batch = []
    length = 0
  }
  for (const row of source.prepare(select).iterate(select.includes(':now') ? { now } : {})) {
    batch.push(row as Row)
    for (const value of Object.values(row)) length += typeof value === 'string' ? value.length : 0
    if (batch.length === batchSize || length > batchLength) await flush()
  }
  await flush()
  return count
}

/** What a job tells of itself may have a NUL, which no text of PostgreSQL can hold. Texts in JSON spell it out. */
function toPostgres (value: SQLOutputValue): unknown {
  if (typeof value === 'string') return value.replaceAll('\0', '\u{FFFD}')
  return value instanceof Uint8Array ? Buffer.from(value) : value
}
