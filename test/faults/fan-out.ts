/*
 * One event for very many subscribers, many events for some, and a few living receivers among very many dead ones.
 * `node test/faults/fan-out.ts` is the full size; fan-out.test.ts runs a tenth of it.
 */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { findPort } from '../helpers/find-port.ts'
import type { Measured } from './fan-out-server.ts'
import { spawnServer, type ServerProcess } from './server-process.ts'

export interface FanOutReport extends Measured {
  subscribers: number
  events: number
  /** The longest that a publish took to be answered, all of them sent at once. */
  publishMs: number
  /** Callbacks that were owed in the database when the last publish was answered. */
  owedThen: number
  received: number
  /** From the first publish to the last callback. */
  seconds: number
}

export interface DeadReceiversReport {
  dead: number
  alive: number
  /** From the publish until all living receivers had their callback. */
  aliveMs: number
  /** Callbacks to dead receivers that were not given up then. */
  deadPending: number
  /** The same for a second event, when it is known who is dead. */
  secondAliveMs: number
}

const limitMs = 120_000
const hosts = 20

/** `events` events, published at once, for `subscribers` subscribers on a few hosts. */
export function runFanOut (subscribers: number, events: number): Promise<FanOutReport> {
  return withServer(async ({ server, folder, subscribe, publish }) => {
    const receiver = await listen('takes')
    await subscribe(Array.from({ length: subscribers }, (_, index) => `http://127.1.0.${index % hosts + 1}:${receiver.port}/${index}`))
    await server.ask('measure')
    const begin = performance.now()
    const took = await Promise.all(Array.from({ length: events }, (_, index) => publish(`event ${index}`)))
    const owedThen = count(folder, 'SELECT count(*) AS count FROM deliveries')
    await until(() => receiver.received.size === subscribers * events)
    const seconds = Math.round((performance.now() - begin) / 100) / 10
    const measured = await server.ask<Measured>('report')
    await receiver.close()
    return { subscribers, events, publishMs: Math.round(Math.max(...took)), owedThen, received: receiver.received.size, seconds, ...measured }
  })
}

/** Half of the dead refuse the connection, the others take it and never answer; the living subscribe last, so that all dead come first. */
export function runDeadReceivers (dead: number, alive: number): Promise<DeadReceiversReport> {
  return withServer(async ({ folder, subscribe, publish }) => {
    const [living, silent, closedPort] = [await listen('takes'), await listen('never answers'), await findPort()]
    // Each on a host of its own: all of 127.0.0.0/8 is this machine.
    const hostOf = (index: number): string => `${index >> 8}.${index & 255}`
    await subscribe(Array.from({ length: dead }, (_, index) => `http://127.2.${hostOf(index)}:${index % 2 === 0 ? silent.port : closedPort}/`))
    await subscribe(Array.from({ length: alive }, (_, index) => `http://127.3.${hostOf(index)}:${living.port}/${index}`))
    const times: number[] = []
    let deadPending = 0
    for (const round of [1, 2]) {
      const begin = performance.now()
      await publish(`event ${round}`)
      await until(() => living.received.size === alive * round)
      times.push(Math.round(performance.now() - begin))
      if (round === 1) deadPending = count(folder, "SELECT count(*) AS count FROM deliveries WHERE status = 'pending' AND host NOT LIKE '127.3.%'")
    }
    await Promise.all([living.close(), silent.close()])
    return { dead, alive, aliveMs: times[0]!, deadPending, secondAliveMs: times[1]! }
  })
}

interface Running {
  server: ServerProcess
  folder: string
  subscribe (urls: string[]): Promise<void>
  /** Resolves to how long it took, in milliseconds. */
  publish (value: string): Promise<number>
}

async function withServer<T> (work: (running: Running) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'logic-apps-fan-out-'))
  const server = spawnServer(folder, await findPort(), 'fan-out-server.ts')
  async function post (path: string, body: object): Promise<void> {
    const response = await fetch(server.origin + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
    if (response.status !== 201) throw new Error(`POST ${path} was answered ${response.status}: ${await response.text()}`)
    await response.arrayBuffer()
  }
  try {
    await server.start()
    return await work({
      server,
      folder,
      async subscribe (urls) {
        const rest = [...urls].reverse()
        await Promise.all(Array.from({ length: 20 }, async () => {
          for (let url = rest.pop(); url !== undefined; url = rest.pop()) await post('/hooks', { callbackUrl: url })
        }))
      },
      async publish (value) {
        const begin = performance.now()
        await post('/events', { value })
        return performance.now() - begin
      }
    })
  } finally {
    server.kill('SIGKILL')
    await server.exited
    rmSync(folder, { recursive: true, force: true })
  }
}

async function listen (kind: 'takes' | 'never answers'): Promise<{ port: number, received: Set<string>, close: () => Promise<void> }> {
  const received = new Set<string>()
  const server: Server = createServer((request, response) => {
    received.add(String(request.headers['webhook-id']))
    request.resume()
    if (kind === 'takes') response.end()
  })
  server.listen(0, '0.0.0.0')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    received,
    async close () {
      server.closeAllConnections()
      await once(server.close(), 'close')
    }
  }
}

function count (folder: string, sql: string): number {
  const database = new DatabaseSync(join(folder, 'work.db'), { readOnly: true, timeout: 5000 })
  const row = database.prepare(sql).get()!
  database.close()
  return row.count as number
}

async function until (isSo: () => boolean): Promise<void> {
  for (const end = performance.now() + limitMs; !isSo();) {
    if (performance.now() > end) throw new Error(`not so after ${limitMs} ms`)
    await delay(5)
  }
}

/** `--subscribers N`: 10,000 unless told otherwise. Exit code: 0 when all that was promised held, 1 when not. */
async function main (): Promise<void> {
  const { values } = parseArgs({ options: { subscribers: { type: 'string', default: '10000' } } })
  const fanOut = await runFanOut(Number(values.subscribers), 2)
  console.log(fanOut)
  const burst = await runFanOut(400, 50)
  console.log(burst)
  const dead = await runDeadReceivers(1000, 10)
  console.log(dead)
  const faults = [
    ...[fanOut, burst].filter(({ p99Ms }) => p99Ms >= 50).map(({ subscribers, p99Ms }) => `the event loop's p99 delay was ${p99Ms} ms with ${subscribers} subscribers`),
    ...[fanOut].filter(({ owedThen, subscribers, events }) => owedThen >= subscribers * events).map(() => 'a publish waited for the end of the fan-out'),
    ...[dead].filter(({ deadPending, dead }) => deadPending < dead).map(() => 'the living had to wait until the dead were given up')
  ]
  for (const fault of faults) console.error(fault)
  if (faults.length > 0) process.exitCode = 1
}

if (process.argv[1] === import.meta.filename) await main()
