/*
 * Kills servers at random moments while clients start work and poll, and checks that nothing accepted is lost, done
 * wrong, or told differently later. `node test/faults/campaign.ts --help`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { findPort } from '../helpers/find-port.ts'
import { countBy, readAllAgain, work } from './callers.ts'
import { checkDatabase, checkFolder, checkRuns, closeCleanly, longestRecovery } from './checks.ts'
import { type ClientCounts, createClient, type Order } from './client.ts'
import { runFromCommandLine } from './command-line.ts'
import { createRandom } from './random.ts'
import { readRuns, spawnServer, type ServerProcess } from './server-process.ts'

export interface CampaignOptions {
  kills: number
  seed: number
  /** @default 12 */
  clients?: number
  /** Called after a kill, every few seconds. */
  onProgress?: (line: string) => void
}

export interface CampaignReport extends ClientCounts {
  seed: number
  kills: number
  /** Of the kills: before the server listened. */
  killsAtStart: number
  /** Jobs by how they ended. */
  ended: Record<string, number>
  /** How many jobs ran once, twice, …: they run at least once. */
  runsPerJob: Record<number, number>
  /** From the start of a server to the next run of a job that a kill had interrupted. */
  longestRecoveryMs: number
  seconds: number
  /** What should never have happened. Empty when all is well. */
  violations: string[]
}

const progressEveryMs = 5000
const drainLimitMs = 60_000
/** The first kills all hit the making of the database. */
const firstKillsAtStart = 4

export async function runCampaign ({ kills, seed, clients = 12, onProgress }: CampaignOptions): Promise<CampaignReport> {
  const begin = performance.now()
  const random = createRandom(seed)
  const folder = mkdtempSync(join(tmpdir(), 'logic-apps-kills-'))
  const port = await findPort()
  const over = new AbortController()
  const client = createClient(() => `http://127.0.0.1:${port}`, over.signal)
  const orders: Order[] = []
  /** When servers were told to open the store. */
  const startedAt: number[] = []
  const servers = new Set<ServerProcess>()
  let killed = 0
  let killsAtStart = 0
  let stopping = false

  function spawn (): ServerProcess {
    const server = spawnServer(folder, port)
    servers.add(server)
    server.exited.then(() => { servers.delete(server) })
    return server
  }

  /** One life of a server: a third of them end before or just after it listens. */
  async function killOne (server: ServerProcess, startMs: number): Promise<number> {
    await server.loaded
    const toldAt = performance.now()
    startedAt.push(Date.now())
    const started = server.start()
    let tookMs = startMs
    if (killed < firstKillsAtStart || random() < 1 / 3) {
      let listens = false
      started.then(() => { listens = true }, () => {})
      await delay(random() * startMs * 1.2)
      if (!listens) killsAtStart++
    } else {
      // A server that cannot start has ended, which is seen below.
      await started.catch(() => {})
      tookMs = performance.now() - toldAt
      await delay(random() * 600)
    }
    server.kill('SIGKILL')
    killed++
    const { signal, code, stderr } = await server.exited
    if (signal !== 'SIGKILL') client.violation(`a server ended by itself with ${code}: ${stderr}`)
    return tookMs
  }

  /** The last server lives: all that is open ends, and all that ended is still told in the same way. */
  async function finish (server: ServerProcess, working: Promise<void>[]): Promise<void> {
    await server.loaded
    startedAt.push(Date.now())
    await server.start()
    await Promise.race([Promise.all(working), delay(drainLimitMs, undefined, { ref: false })])
    const lost = orders.filter(({ end }) => end === undefined)
    for (const { path, task } of lost) client.violation(`${path} (${task.kind}, ${task.value}) did not end within ${drainLimitMs} ms after the last kill`)
    if (lost.length > 0) return
    await readAllAgain(client, orders)
    await closeCleanly(server, client.violation)
    checkRuns(client, orders, readRuns(folder), startedAt)
    checkDatabase(client, folder, orders)
    await checkFolder(folder, spawn, client.violation)
  }

  try {
    const working = Array.from({ length: clients }, (_, index) =>
      work(client, orders, createRandom(seed + 1 + index), () => stopping)
        .catch((error: unknown) => { if (!over.signal.aborted) client.violation(`a client failed: ${String(error)}`) }))
    let startMs = 100
    let nextProgress = performance.now() + progressEveryMs
    let standby = spawn()
    for (let kill = 0; kill < kills; kill++) {
      const server = standby
      standby = spawn()
      startMs = await killOne(server, startMs)
      if (performance.now() > nextProgress) {
        nextProgress = performance.now() + progressEveryMs
        const open = orders.filter(({ end }) => end === undefined).length
        onProgress?.(`${killed} kills, ${client.counts.accepted} accepted, ${open} open, ${client.violations.length} violations`)
      }
      if (client.violations.length > 0) break
    }

    stopping = true
    if (client.violations.length === 0) await finish(standby, working).catch((error: Error) => { client.violation(error.message) })
    const runs = readRuns(folder)
    const runsOf = countBy(runs, ({ id }) => id)
    return {
      seed,
      kills: killed,
      killsAtStart,
      ...client.counts,
      ended: countBy(orders, ({ end, cancel }) => end === undefined ? 'not' : cancel === 'canceled' ? 'canceled' : end.status === 200 ? 'succeeded' : 'failed'),
      runsPerJob: countBy(Object.values(runsOf), String),
      longestRecoveryMs: longestRecovery(runs, startedAt),
      seconds: Math.round((performance.now() - begin) / 1000),
      violations: client.violations
    }
  } finally {
    over.abort()
    const ending = [...servers].map((server) => {
      server.kill('SIGKILL')
      return server.exited
    })
    await Promise.all(ending)
    if (client.violations.length === 0) rmSync(folder, { recursive: true, force: true })
    else onProgress?.(`the data is kept in ${folder}`)
  }
}

const help = `Kills servers at random moments while clients start work and poll.

  node test/faults/campaign.ts [--kills N] [--seed N] [--clients N]

  --kills N    how many servers are killed (500)
  --seed N     of the random numbers: repeats the moments and the work of another run, as far as machines allow
  --clients N  how many callers there are (12)

Exit code: 0 when all that was promised held, 1 when not, 2 for wrong arguments.`

if (process.argv[1] === import.meta.filename) await runFromCommandLine({ help, defaults: { kills: 500, clients: 12 }, run: runCampaign })
