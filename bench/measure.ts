import autocannon, { type Client, type Request } from 'autocannon'
import { engineHeaders, newOrder, newRunId } from './subjects/order.ts'

/** What of two things is told: the median of the ratios of the rounds, and the lowest and highest of them. */
export interface Comparison { ours: number, theirs: number, ratio: number, low: number, high: number }

export const median = (values: number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** A, B, A, B: whatever else the machine does meets all of them. The first of several rounds warms up, and does not count. */
export async function interleave<Name extends string> (rounds: number, measures: Record<Name, () => Promise<number>>, onRound: (text: string) => void): Promise<Record<Name, number[]>> {
  const names = Object.keys(measures) as Name[]
  const values = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>
  for (let round = rounds === 1 ? 1 : 0; round <= rounds; round++) {
    for (const name of names) {
      const value = await measures[name]()
      if (round > 0) values[name].push(value)
      onRound(`${round === 0 ? 'warm-up' : `round ${round} of ${rounds}`}: ${name} ${Math.round(value)}`)
    }
  }
  return values
}

export function compare (ours: number[], theirs: number[]): Comparison {
  const ratios = ours.map((value, index) => value / theirs[index]!)
  return { ours: median(ours), theirs: median(theirs), ratio: median(ratios), low: Math.min(...ratios), high: Math.max(...ratios) }
}

const connections = 50

/** @returns answers a second. @throws where one has another status than these. */
async function load (origin: string, statuses: number[], seconds: number, options: Partial<autocannon.Options>): Promise<number> {
  // It looks whether the time is up at each sample, which by default is each second.
  const result = await autocannon({ url: origin, connections, duration: seconds, sampleInt: Math.min(1, seconds) * 1000, ...options })
  const others = Object.keys(result.statusCodeStats ?? {}).filter((code) => !statuses.includes(Number(code)))
  if (others.length > 0 || result.errors > 0 || result.requests.total === 0) throw new Error(`${origin}: answers with ${others.join(', ') || 'no status'}, ${result.errors} errors`)
  // Its own average is of whole seconds.
  return result.requests.total / result.duration
}

const json = { 'content-type': 'application/json' }

/** Starts of orders. @param asEngine With the engine's headers, other ones each time. */
export function accept (origin: string, seconds: number, asEngine = false): Promise<number> {
  const request: Request = { method: 'POST', path: '/orders', headers: json, body: JSON.stringify(newOrder()) }
  if (asEngine) {
    request.setupRequest = (given) => ({ ...given, headers: { ...json, ...engineHeaders(newRunId()) } })
  }
  return load(origin, [202], seconds, { requests: [request] })
}

/** Polls of all these paths, each connection in an order of its own. */
export function poll (origin: string, paths: string[], seconds: number): Promise<number> {
  let next = 0
  const share = Math.ceil(paths.length / connections)
  return load(origin, [200, 202], seconds, {
    setupClient (client: Client) {
      const from = next++ * share % paths.length
      client.setRequests(paths.slice(from, from + share).map((path) => ({ method: 'GET', path })))
    }
  })
}
