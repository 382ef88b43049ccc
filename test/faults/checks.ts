import { readdirSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import type { Client, Order } from './client.ts'
import type { ServerProcess } from './server-process.ts'
import type { Run } from './server.ts'

/** Design 3.2. */
const recoveryLimitMs = 30_000

/** The side file: each attempt ran once at most, and whatever ended well had run. */
export function checkRuns (client: Client, orders: Order[], runs: Run[], startedAt: number[]): void {
  const known = new Map(orders.map((order) => [order.id, order]))
  const seen = new Set<string>()
  for (const { id, attempt, value } of runs) {
    const name = `${id} ${attempt}`
    if (seen.has(name)) client.violation(`attempt ${attempt} of job ${id} ran twice`)
    seen.add(name)
    if (known.get(id)?.task.value !== value) client.violation(`job ${id} ran with ${value}, which nobody asked of it`)
  }
  for (const { id, end } of orders) {
    if (end?.status !== 200) continue
    const { attempt } = JSON.parse(end.text) as { attempt: number }
    if (!seen.has(`${id} ${attempt}`)) client.violation(`job ${id} ended with the result of attempt ${attempt}, which never ran`)
  }
  const recoveryMs = longestRecovery(runs, startedAt)
  if (recoveryMs > recoveryLimitMs) client.violation(`a job was taken up again only after ${recoveryMs} ms`)
}

/** The database is whole and holds just the jobs that were accepted, all of them ended. */
export function checkDatabase (client: Client, folder: string, orders: Order[]): void {
  const database = new DatabaseSync(join(folder, 'work.db'), { readOnly: true })
  const integrity = database.prepare('PRAGMA integrity_check').get()!.integrity_check
  if (integrity !== 'ok') client.violation(`integrity_check: ${String(integrity)}`)
  const { jobs, open } = database.prepare('SELECT count(*) AS jobs, count(*) FILTER (WHERE ended_at IS NULL) AS open FROM jobs').get()!
  if (jobs !== orders.length) client.violation(`${orders.length} orders were accepted, ${String(jobs)} jobs are recorded`)
  if (open !== 0) client.violation(`${String(open)} jobs are recorded as not ended`)
  const { inputs } = database.prepare('SELECT count(*) AS inputs FROM job_inputs').get()!
  if (inputs !== jobs) client.violation(`${String(jobs)} jobs have ${String(inputs)} inputs`)
  database.close()
}

/** Every write of an end, so that one that comes twice is seen. */
export async function noteEnds (pool: pg.Pool): Promise<void> {
  await pool.query(`
    CREATE TABLE logic_apps.ends (job bigint);
    CREATE FUNCTION logic_apps.note_end () RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO logic_apps.ends VALUES (new.number); RETURN new; END $$;
    CREATE TRIGGER note_end AFTER UPDATE ON logic_apps.jobs FOR EACH ROW WHEN (new.ended_at IS NOT NULL) EXECUTE FUNCTION logic_apps.note_end()`)
}

/** The same of PostgreSQL. Resolves to how many ends were recorded twice. */
export async function checkPostgres (client: Client, pool: pg.Pool, orders: Order[]): Promise<number> {
  const { rows: [found] } = await pool.query<Record<'jobs' | 'open' | 'ends' | 'ended', number>>(`
    SELECT (SELECT count(*)::int FROM logic_apps.jobs) AS jobs, (SELECT count(*)::int FROM logic_apps.jobs WHERE ended_at IS NULL) AS open,
      (SELECT count(*)::int FROM logic_apps.ends) AS ends, (SELECT count(DISTINCT job)::int FROM logic_apps.ends) AS ended`)
  const { jobs, open, ends, ended } = found!
  if (jobs !== orders.length) client.violation(`${orders.length} orders were accepted, ${jobs} jobs are recorded`)
  if (open !== 0) client.violation(`${open} jobs are recorded as not ended`)
  if (ended !== orders.length) client.violation(`of ${orders.length} orders ${ended} were seen to end`)
  if (ends !== ended) client.violation(`${ends - ended} ends were recorded twice`)
  return ends - ended
}

/** From the start of a server, when it opens the store, to the next run of a job that a kill had interrupted. */
export function longestRecovery (runs: Run[], startedAt: number[]): number {
  const lastRunAt = new Map<string, number>()
  let longest = 0
  for (const { id, at } of runs) {
    const start = startedAt.findLast((time) => time <= at)
    const before = lastRunAt.get(id)
    if (before !== undefined && start !== undefined && start >= before) longest = Math.max(longest, at - start)
    lastRunAt.set(id, at)
  }
  return longest
}

export async function closeCleanly (server: ServerProcess, violation: (text: string) => void): Promise<void> {
  server.kill('SIGTERM')
  const exit = await Promise.race([server.exited, delay(10_000, undefined, { ref: false })])
  if (exit?.code !== 0) violation(`after SIGTERM the server ended with ${JSON.stringify(exit)}`)
}

/** After a start and a clean close nothing is left of the killed, once their files are old enough to be told from new ones. */
export async function checkFolder (folder: string, spawn: () => ServerProcess, violation: (text: string) => void): Promise<void> {
  const anHourAgo = Date.now() / 1000 - 3600
  for (const name of readdirSync(folder)) utimesSync(join(folder, name), anHourAgo, anHourAgo)
  const server = spawn()
  await server.start()
  await closeCleanly(server, violation)
  const strays = readdirSync(folder).filter((name) => !['work.db', 'work.db.key', 'runs.jsonl'].includes(name))
  if (strays.length > 0) violation(`files are left: ${strays.join(', ')}`)
}
