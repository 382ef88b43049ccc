/*
 * Kills servers while clients subscribe, publish and start work that calls back, and checks that every callback that is
 * owed arrives, and that none is repeated but what was in flight. `node test/faults/callbacks.ts --help`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { findPort } from '../helpers/find-port.ts'
import { checkFolder, closeCleanly } from './checks.ts'
import { runFromCommandLine } from './command-line.ts'
import { createSubscribers, type Subscribers } from './subscribers.ts'
import { createRandom } from './random.ts'
import { createReceiver, type Receipt } from './receiver.ts'
import { spawnServer, type ServerProcess } from './server-process.ts'

export interface CallbackCampaignOptions {
  kills: number
  seed: number
  /** Called after a kill, every few seconds. */
  onProgress?: (line: string) => void
}

/** When a server is killed. */
const moments = [
  /** While it starts. */
  'start',
  /** At any time. */
  'random',
  /** About when a job ends that owes a callback. */
  'job end',
  /** A callback has arrived and is not answered. */
  'post',
  /** A callback was answered this very moment. */
  'answer',
  /** An event was accepted just now, and is being fanned out. */
  'fan-out'
] as const
type Moment = typeof moments[number]

export interface CallbackCampaignReport {
  seed: number
  kills: Record<Moment, number>
  /** Events that were accepted. */
  published: number
  /** Publishes whose answer a kill took: they may be kept or not, but for all subscribers alike. */
  publishedUnanswered: number
  subscribed: number
  unsubscribed: number
  /** Webhook actions that were accepted. */
  actions: number
  /** Callbacks owed, each counted once, and those of them that were taken. */
  owed: number
  received: number
  /** Sent again after they were refused or broken off. */
  retried: number
  /** Sent again although they had been taken: a kill came before that was recorded. */
  repeated: number
  /** The longest from an answer to the kill because of which it was not recorded. */
  longestUnrecordedMs: number
  lost: number
  /** Arrived after their unsubscribe was answered: they were in flight. */
  lateAfterUnsubscribe: number
  seconds: number
  violations: string[]
}

const sleepers = 1200
const firstSubscribers = 20
const progressEveryMs = 5000
const maxLifeMs = 1200
const momentLimitMs = 3000
const drainLimitMs = 60_000
const inFlightLimitMs = 1000
/** A busy receiver learns of a callback only so long after it was sent, which may be after the death of its sender. */
const noticedLateMs = 500
const maxViolations = 30

export async function runCallbackCampaign ({ kills, seed, onProgress }: CallbackCampaignOptions): Promise<CallbackCampaignReport> {
  const begin = performance.now()
  const random = createRandom(seed)
  const folder = mkdtempSync(join(tmpdir(), 'logic-apps-callbacks-'))
  const port = await findPort()
  const over = new AbortController()
  const receiver = await createReceiver(4, createRandom(seed + 1))
  const violations: string[] = []
  const violation = (text: string): void => { if (violations.length < maxViolations) violations.push(text) }
  const subscribers = createSubscribers({ origin: `http://127.0.0.1:${port}`, receiver, random: createRandom(seed + 2), signal: over.signal, violation })
  const servers = new Set<ServerProcess>()
  const killsBy = Object.fromEntries(moments.map((moment) => [moment, 0])) as Record<Moment, number>
  const killedAt: number[] = []

  function spawn (): ServerProcess {
    const server = spawnServer(folder, port, 'callback-server.ts')
    servers.add(server)
    server.exited.then(() => { servers.delete(server) })
    return server
  }

  /** Resolves when the moment has come, or passes it over when it does not come. */
  async function moment (name: Moment, startMs: number): Promise<void> {
    if (name === 'start') return delay(random() * startMs)
    await delay(random() * maxLifeMs)
    if (name === 'random') return
    const jitterMs = random() * ({ 'job end': 20, post: 0, answer: random() < 0.5 ? 0 : 2, 'fan-out': 20 })[name]
    const happened = new Promise<number>((resolve) => {
      receiver.onNews = (receipt) => {
        subscribers.received(receipt)
        if (receipt.answer === (name === 'post' ? 'none' : name === 'answer' ? 'taken' : undefined)) resolve(0)
      }
      subscribers.onAccepted = (what, ms) => { if (what === (name === 'job end' ? 'action' : name === 'fan-out' ? 'event' : undefined)) resolve(ms) }
    })
    const ms = await Promise.race([happened, delay(momentLimitMs, 0, { ref: false })])
    // Not a turn of the event loop later: an answer is recorded within a millisecond.
    if (ms + jitterMs > 0) await delay(ms + jitterMs)
  }

  async function killOne (server: ServerProcess, startMs: number): Promise<number> {
    const name = moments[Math.floor(random() * moments.length)]!
    await server.loaded
    const toldAt = performance.now()
    const started = server.start().catch(() => {})
    let tookMs = startMs
    if (name !== 'start') {
      await started
      tookMs = performance.now() - toldAt
    }
    await moment(name, startMs)
    server.kill('SIGKILL')
    killedAt.push(performance.now())
    killsBy[name]++
    receiver.onNews = subscribers.received
    subscribers.onAccepted = () => {}
    const { signal, code, stderr } = await server.exited
    if (signal !== 'SIGKILL') violation(`a server ended by itself with ${code}: ${stderr}`)
    return tookMs
  }

  try {
    receiver.onNews = subscribers.received
    let standby = spawn()
    await standby.start()
    await subscribers.subscribeFirst(firstSubscribers, sleepers)
    standby.kill('SIGKILL')
    await standby.exited
    standby = spawn()
    const working = subscribers.work()
    let startMs = 200
    let nextProgress = performance.now() + progressEveryMs
    for (let kill = 0; kill < kills && violations.length === 0; kill++) {
      const server = standby
      standby = spawn()
      startMs = await killOne(server, startMs)
      if (performance.now() > nextProgress) {
        nextProgress = performance.now() + progressEveryMs
        const { counts, owed } = subscribers
        onProgress?.(`${killedAt.length} kills, ${counts.published} published, ${receiver.receipts.length} received, ${owed.size} open, ${violations.length} violations`)
      }
    }

    subscribers.stop()
    receiver.behave()
    await standby.start()
    await Promise.race([working, delay(drainLimitMs, undefined, { ref: false })])
    await drained(subscribers, folder)
    for (const name of subscribers.owed) violation(`${name} was owed and did not arrive within ${drainLimitMs} ms after the last kill`)
    const lost = subscribers.owed.size
    await closeCleanly(standby, violation)
    subscribers.check()
    const repeats = checkRepeats(receiver.receipts, killedAt, violation)
    checkDatabase(folder, violation)
    await checkFolder(folder, spawn, violation)
    return {
      seed,
      kills: killsBy,
      ...subscribers.counts,
      ...repeats,
      lost,
      lateAfterUnsubscribe: subscribers.lateCount(inFlightLimitMs),
      seconds: Math.round((performance.now() - begin) / 1000),
      violations
    }
  } finally {
    over.abort()
    await Promise.all([...servers].map((server) => {
      server.kill('SIGKILL')
      return server.exited
    }))
    await receiver.close()
    if (violations.length === 0) rmSync(folder, { recursive: true, force: true })
    else onProgress?.(`the data is kept in ${folder}`)
  }
}

/** Until nothing is owed, by what the clients know and by what the database says, or the time is up. */
async function drained ({ owed }: Subscribers, folder: string): Promise<void> {
  const end = performance.now() + drainLimitMs
  while (performance.now() < end && (owed.size > 0 || openIn(folder) > 0)) await delay(50)
}

function openIn (folder: string): number {
  const database = new DatabaseSync(join(folder, 'work.db'), { readOnly: true, timeout: 1000 })
  const { open } = database.prepare(`SELECT (SELECT count(*) FROM fan_outs) + (SELECT count(*) FROM deliveries WHERE status = 'pending')
    + (SELECT count(*) FROM jobs WHERE ended_at IS NULL) AS open`).get()!
  database.close()
  return open as number
}

/** All receipts of one callback have one webhook-id; one that was taken comes again only where a kill came in between. */
function checkRepeats (receipts: Receipt[], killedAt: number[], violation: (text: string) => void): Pick<CallbackCampaignReport, 'retried' | 'repeated' | 'longestUnrecordedMs'> {
  const callbacks = new Map<string, Receipt[]>()
  for (const receipt of receipts) {
    const name = `${receipt.target} ${receipt.value}`
    callbacks.set(name, [...callbacks.get(name) ?? [], receipt])
  }
  const nameOf = new Map<string, string>()
  let [retried, repeated, longestUnrecordedMs] = [0, 0, 0]
  for (const [name, ofOne] of callbacks) {
    for (const { webhookId } of ofOne) {
      if (webhookId !== ofOne[0]!.webhookId) violation(`${name} came with two webhook-ids`)
      if ((nameOf.get(webhookId) ?? name) !== name) violation(`${name} has the webhook-id of ${nameOf.get(webhookId)!}`)
      nameOf.set(webhookId, name)
    }
    for (const [index, { at }] of ofOne.slice(1).entries()) {
      const before = ofOne[index]!
      if (before.answer !== 'taken') {
        retried++
        continue
      }
      repeated++
      const kill = killedAt.find((time) => time >= before.at - noticedLateMs && time <= at)
      if (kill === undefined) violation(`${name} was taken and came again, with no kill in between`)
      else longestUnrecordedMs = Math.max(longestUnrecordedMs, Math.round(kill - before.answeredAt))
    }
  }
  if (longestUnrecordedMs > inFlightLimitMs) violation(`an answer was not recorded in ${longestUnrecordedMs} ms`)
  return { retried, repeated, longestUnrecordedMs }
}

function checkDatabase (folder: string, violation: (text: string) => void): void {
  const database = new DatabaseSync(join(folder, 'work.db'), { readOnly: true })
  const integrity = database.prepare('PRAGMA integrity_check').get()!.integrity_check
  if (integrity !== 'ok') violation(`integrity_check: ${String(integrity)}`)
  const left = database.prepare(`SELECT (SELECT count(*) FROM fan_outs) AS fanOuts,
    count(*) FILTER (WHERE status = 'pending') AS pending, count(*) FILTER (WHERE status = 'dead') AS dead FROM deliveries`).get()!
  if (Object.values(left).some((count) => count !== 0)) violation(`the database holds ${JSON.stringify(left)}`)
  database.close()
}

const help = `Kills servers while clients subscribe, publish and start work that calls back.

  node test/faults/callbacks.ts [--kills N] [--seed N]

  --kills N    how many servers are killed (300)
  --seed N     of the random numbers: repeats the moments and the work of another run, as far as machines allow

Exit code: 0 when all that was promised held, 1 when not, 2 for wrong arguments.`

if (process.argv[1] === import.meta.filename) await runFromCommandLine({ help, defaults: { kills: 300 }, run: runCallbackCampaign })
