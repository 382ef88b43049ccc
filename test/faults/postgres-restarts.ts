/*
 * Stops and starts PostgreSQL under two replicas while clients start work and poll, and checks that nothing accepted is
 * lost or recorded twice, and that callers are told to wait meanwhile. `node test/faults/postgres-restarts.ts --help`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { findPort } from '../helpers/find-port.ts'
import { launchPostgres } from '../helpers/postgres-server.ts'
import { countBy, readAllAgain, work } from './callers.ts'
import { checkPostgres, checkRuns, closeCleanly, noteEnds } from './checks.ts'
import { type Client, type ClientCounts, createClient, newOrder, type Order } from './client.ts'
import { runFromCommandLine } from './command-line.ts'
import { createRandom } from './random.ts'
import { nameDatabase } from './replica-server.ts'
import { readRuns, spawnServer } from './server-process.ts'
import type { Run } from './server.ts'

export interface RestartCampaignOptions {
  seconds: number
  seed: number
  /** @default 12 */
  clients?: number
  /** Called after a restart, every few seconds. */
  onProgress?: (line: string) => void
}

export interface RestartCampaignReport extends ClientCounts {
  seed: number
  restarts: number
  /** Jobs by how they ended. */
  ended: Record<string, number>
  lost: number
  recordedTwice: number
  /** Attempts that ended, by the time that their work takes, while PostgreSQL was away. */
  endedWhileAway: number
  /** From PostgreSQL's start until a job that one replica accepts has been run and the other tells its end. */
  longestRecoveryMs: number
  seconds: number
  /** What should never have happened. Empty when all is well. */
  violations: string[]
}

interface Outage { from: number, to: number }

const progressEveryMs = 10_000
const drainLimitMs = 60_000

export async function runRestartCampaign ({ seconds, seed, clients = 12, onProgress }: RestartCampaignOptions): Promise<RestartCampaignReport> {
  const random = createRandom(seed)
  const folder = mkdtempSync(join(tmpdir(), 'logic-apps-restarts-'))
  const postgres = await launchPostgres()
  nameDatabase(folder, postgres.url)
  const servers = await Promise.all([1, 2].map(async () => spawnServer(folder, await findPort(), 'replica-server.ts')))
  const over = new AbortController()
  let turn = 0
  const client = createClient(() => servers[turn++ % servers.length]!.origin, over.signal, true)
  const pinned = servers.map(({ origin }) => createClient(() => origin, over.signal, true))
  const orders: Order[] = []
  const outages: Outage[] = []
  let longestRecoveryMs = 0
  let stopping = false
  const violations = (): string[] => [client, ...pinned].flatMap((each) => each.violations)

  async function restart (): Promise<void> {
    const from = Date.now()
    await postgres.stop()
    await delay(random() * 2500)
    await postgres.start()
    outages.push({ from, to: Date.now() })
    const began = performance.now()
    await Promise.all(pinned.map(async (here, index) => { orders.push(await workAcross(here, pinned[1 - index]!)) }))
    longestRecoveryMs = Math.max(longestRecoveryMs, Math.round(performance.now() - began))
  }

  try {
    await Promise.all(servers.map((server) => server.start()))
    await noteEnds(postgres.pool)
    const begin = performance.now()
    const working = Array.from({ length: clients }, (_, index) =>
      work(client, orders, createRandom(seed + 1 + index), () => stopping)
        .catch((error: unknown) => { if (!over.signal.aborted) client.violation(`a client failed: ${String(error)}`) }))
    let nextProgress = begin + progressEveryMs
    while (performance.now() - begin < seconds * 1000 && violations().length === 0) {
      await delay(1000 + random() * 2000)
      await restart()
      if (performance.now() < nextProgress) continue
      nextProgress = performance.now() + progressEveryMs
      onProgress?.(`${outages.length} restarts, ${orders.length} accepted, ${orders.filter(({ end }) => end === undefined).length} open, recovery ${longestRecoveryMs} ms, ${violations().length} violations`)
    }

    stopping = true
    await Promise.race([Promise.all(working), delay(drainLimitMs, undefined, { ref: false })])
    const lost = orders.filter(({ end }) => end === undefined)
    for (const { path, task } of lost) client.violation(`${path} (${task.kind}, ${task.value}) did not end within ${drainLimitMs} ms after the last restart`)
    let recordedTwice = 0
    const runs = readRuns(folder)
    if (violations().length === 0) {
      await readAllAgain(client, orders)
      for (const server of servers) await closeCleanly(server, client.violation)
      checkRuns(client, orders, runs, [])
      checkNoneRanAgain(client, orders, runs)
      recordedTwice = await checkPostgres(client, postgres.pool, orders)
    }
    return {
      seed,
      restarts: outages.length,
      ...addCounts([client, ...pinned]),
      ended: countBy(orders, ({ end, cancel }) => end === undefined ? 'not' : cancel === 'canceled' ? 'canceled' : end.status === 200 ? 'succeeded' : 'failed'),
      lost: lost.length,
      recordedTwice,
      endedWhileAway: countEndedWhileAway(orders, runs, outages),
      longestRecoveryMs,
      seconds: Math.round((performance.now() - begin) / 1000),
      violations: violations()
    }
  } finally {
    over.abort()
    await Promise.all(servers.map((server) => {
      server.kill('SIGKILL')
      return server.exited
    }))
    await postgres.remove()
    if (violations().length === 0) rmSync(folder, { recursive: true, force: true })
    else onProgress?.(`the side file is kept in ${folder}`)
  }
}

/** A job that one replica accepts, and the other is asked for. */
async function workAcross (here: Client, there: Client): Promise<Order> {
  const order = newOrder({ value: 'recovered', ms: 0, kind: 'succeeds' })
  await here.submit(order)
  while (!await there.poll(order)) await delay(20)
  return order
}

/** No replica dies, so no work is taken from any: a result that could not be recorded is kept until it can. */
function checkNoneRanAgain (client: Client, orders: Order[], runs: Run[]): void {
  const runsOf = countBy(runs, ({ id }) => id)
  for (const { id, task: { kind } } of orders) {
    const most = kind === 'again' ? 2 : 1
    if (runsOf[id!]! > most) client.violation(`job ${id} (${kind}) ran ${runsOf[id!]} times`)
  }
}

function countEndedWhileAway (orders: Order[], runs: Run[], outages: Outage[]): number {
  const msOf = new Map(orders.map(({ id, task }) => [id, task.ms]))
  return runs.filter(({ id, at }) => {
    const end = at + (msOf.get(id) ?? 0)
    return outages.some(({ from, to }) => at < from && end > from && end < to)
  }).length
}

function addCounts (clients: Client[]): ClientCounts {
  const sum = { ...clients[0]!.counts }
  for (const { counts } of clients.slice(1)) for (const name of Object.keys(sum) as (keyof ClientCounts)[]) sum[name] += counts[name]
  return sum
}

const help = `Stops and starts PostgreSQL under two replicas while clients start work and poll.

  node test/faults/postgres-restarts.ts [--seconds N] [--seed N] [--clients N]

  --seconds N  how long (600)
  --seed N     of the random numbers: repeats the moments and the work of another run, as far as machines allow
  --clients N  how many callers there are (12)

Exit code: 0 when all that was promised held, 1 when not, 2 for wrong arguments.`

if (process.argv[1] === import.meta.filename) await runFromCommandLine({ help, defaults: { seconds: 600, clients: 12 }, run: runRestartCampaign })
