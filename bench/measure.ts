import autocannon, { type Client, type Request } from 'autocannon'
import { Pool } from 'undici'
import { engineHeaders, newOrder, newRunId, type Order } from './subjects/order.ts'
import type { Subject } from './subjects/subject.ts'

/** What of two things is told: the median of the ratios of the rounds, and the lowest and highest of them. */
export interface Comparison { ours: number, theirs: number, ratio: number, low: number, high: number }

export const median = (values: number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** After so many, V8 has compiled what a server does: it is twice as fast then as in the first of them. */
const warmUpRounds = 4
/** Where each round has processes of its own: for the disk and the files that they read. */
export const newProcessWarmUps = 1

/**
 * A, B, A, B: whatever else the machine does meets all of them.
 *
 * @param warmUps How many rounds go before, and do not count. None before a single one, which measures nothing.
 */
export async function interleave<Name extends string> (rounds: number, measures: Record<Name, () => Promise<number>>, onRound: (text: string) => void, warmUps = warmUpRounds): Promise<Record<Name, number[]>> {
  const names = Object.keys(measures) as Name[]
  const values = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>
  for (let round = rounds === 1 ? 1 : 1 - warmUps; round <= rounds; round++) {
    for (const name of names) {
      const value = await measures[name]()
      if (round > 0) values[name].push(value)
      onRound(`${round < 1 ? 'warm-up' : `round ${round} of ${rounds}`}: ${name} ${Math.round(value)}`)
    }
  }
  return values
}

export function compare (ours: number[], theirs: number[]): Comparison {
  const ratios = ours.map((value, index) => value / theirs[index]!)
  return { ours: median(ours), theirs: median(theirs), ratio: median(ratios), low: Math.min(...ratios), high: Math.max(...ratios) }
}

const connections = 50

type Load = Awaited<ReturnType<typeof autocannon>>

/** @throws where an answer has another status than these. */
async function load (origin: string, statuses: number[], options: Partial<autocannon.Options>): Promise<Load> {
  // It looks whether the time is up at each sample, which by default is each second.
  const result = await autocannon({ url: origin, connections, sampleInt: 100, ...options })
  const others = Object.keys(result.statusCodeStats ?? {}).filter((code) => !statuses.includes(Number(code)))
  if (others.length > 0 || result.errors > 0 || result.requests.total === 0) throw new Error(`${origin}: answers with ${others.join(', ') || 'no status'}, ${result.errors} errors`)
  return result
}

/** Its own average is of whole seconds. */
const rateOf = ({ requests, duration }: Load): number => requests.total / duration

const json = { 'content-type': 'application/json' }

/** Starts of orders. @param asEngine With the engine's headers, other ones each time. */
function post (origin: string, limit: { duration: number } | { amount: number, pipelining: number }, asEngine = false): Promise<Load> {
  const request: Request = { method: 'POST', path: '/orders', headers: json, body: JSON.stringify(newOrder()) }
  if (asEngine) {
    request.setupRequest = (given) => ({ ...given, headers: { ...json, ...engineHeaders(newRunId()) } })
  }
  return load(origin, [202], { requests: [request], ...limit })
}

/** @returns starts a second */
export const accept = async (origin: string, seconds: number, asEngine = false): Promise<number> => rateOf(await post(origin, { duration: seconds }, asEngine))

const pipelining = 8

/** So many at least, where it is no matter how long that takes: of requests that do not wait for each other's answers, twice as many get through. */
export async function acceptMany (origin: string, count: number): Promise<void> {
  // Each connection ends with the answer to its last request but some.
  await post(origin, { amount: count + connections * pipelining, pipelining }, true)
}

/** Starts as in `accept`, until the results of all of them are recorded. @returns jobs a second */
export async function work (subject: Subject, seconds: number): Promise<number> {
  const before = await subject.call<number>('ended')
  const began = performance.now()
  const { requests } = await post(subject.origin, { duration: seconds }, true)
  await subject.call('untilEnded', before + requests.total)
  return requests.total / (performance.now() - began) * 1000
}

/** Starts orders of which every other one ends, and waits for that. Through sockets, as everything that is measured later. @returns their paths */
export async function startOrders (subject: Subject, count: number): Promise<string[]> {
  const before = await subject.call<number>('ended')
  const pool = new Pool(subject.origin, { connections })
  try {
    const start = async (kind: Order['kind']): Promise<string> => {
      const { statusCode, headers, body } = await pool.request({ method: 'POST', path: '/orders', headers: { ...json, ...engineHeaders(newRunId()) }, body: JSON.stringify(newOrder(kind)) })
      if (statusCode !== 202) throw new Error(`${statusCode} ${await body.text()}`)
      await body.dump()
      return new URL(String(headers.location)).pathname
    }
    const paths = await Promise.all(Array.from({ length: count }, (_, index) => start(index % 2 === 0 ? 'ends' : 'waits')))
    await subject.call('untilEnded', before + Math.ceil(count / 2))
    return paths
  } finally {
    await pool.close()
  }
}

/** Polls of all these paths, each connection in an order of its own. @returns answers a second */
export async function poll (origin: string, paths: string[], seconds: number): Promise<number> {
  let next = 0
  const share = Math.ceil(paths.length / connections)
  return rateOf(await load(origin, [200, 202], {
    duration: seconds,
    setupClient (client: Client) {
      const from = next++ * share % paths.length
      client.setRequests(paths.slice(from, from + share).map((path) => ({ method: 'GET', path })))
    }
  }))
}
