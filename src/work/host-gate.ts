import type { Clock } from './clock.ts'

/** Keeps one bad or busy receiver from costing the others: a limit and a circuit breaker for each host. */
export interface HostGate {
  /** Hosts that nothing should be sent to now. */
  closed (): string[]
  /** Resolves when it is this call's turn. Each must be followed by `leave`. */
  enter (host: string): Promise<void>
  leave (host: string, reachable: boolean): void
  /** How long until a broken host is tried again, the nearest, in milliseconds. */
  nextOpenMs (): number | undefined
}

interface Host {
  running: number
  waiting: (() => void)[]
  /** Failures in a row. */
  failures: number
  /** On the monotonic clock: broken until then. */
  brokenUntil: number
}

const maxRunning = 32
const maxFailures = 5
const breakMs = 30_000

export function createHostGate (clock: Clock): HostGate {
  const hosts = new Map<string, Host>()
  const isBroken = ({ brokenUntil }: Host): boolean => brokenUntil > clock.monotonic()

  return {
    closed: () => [...hosts].filter(([, host]) => isBroken(host) || host.running >= maxRunning).map(([name]) => name),

    async enter (name) {
      let host = hosts.get(name)
      if (host === undefined) hosts.set(name, host = { running: 0, waiting: [], failures: 0, brokenUntil: 0 })
      const { waiting } = host
      if (host.running >= maxRunning) await new Promise<void>((resolve) => { waiting.push(resolve) })
      else host.running++
    },

    leave (name, reachable) {
      const host = hosts.get(name)!
      host.failures = reachable ? 0 : host.failures + 1
      if (host.failures >= maxFailures) host.brokenUntil = clock.monotonic() + breakMs
      const next = host.waiting.shift()
      // The place is handed on.
      if (next !== undefined) return next()
      host.running--
      // A healthy host that nothing is sent to is nothing to remember.
      if (host.running === 0 && host.failures === 0) hosts.delete(name)
    },

    nextOpenMs () {
      const broken = [...hosts.values()].filter(isBroken).map(({ brokenUntil }) => brokenUntil - clock.monotonic())
      return broken.length === 0 ? undefined : Math.min(...broken)
    }
  }
}
