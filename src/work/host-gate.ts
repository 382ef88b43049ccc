import type { Clock } from './clock.ts'

/** Keeps one bad or busy receiver from costing the others: a limit and a circuit breaker for each host. */
export interface HostGate {
  /** Hosts that nothing should be sent to now. */
  closed (): string[]
  /**
   * `true` when it is this call's turn: `leave` must follow. `false` when the host is out of order, turned out to be so
   * while this call waited, or is being tried by another call: nothing may be sent. A promise of it where it has to wait.
   */
  enter (host: string): boolean | Promise<boolean>
  /** @param reachable `undefined` when nothing was sent after all. */
  leave (host: string, reachable: boolean | undefined): void
  /** How long until this host is tried again, in milliseconds; 0 for one that is in order or being tried. */
  opensInMs (host: string): number
  /** How long until a broken host is tried again, the nearest, in milliseconds. */
  nextOpenMs (): number | undefined
}

interface Host {
  running: number
  waiting: ((entered: boolean) => void)[]
  /** Failures in a row. */
  failures: number
  /** Both on the monotonic clock. */
  brokenUntil: number
  usedAt: number
}

const maxRunning = 32
const maxFailures = 5
const breakMs = 30_000
/** One that failed and that nothing is sent to any more is not remembered for ever. */
const forgetMs = 600_000

export function createHostGate (clock: Clock): HostGate {
  /** The least recently used stands first. */
  const hosts = new Map<string, Host>()

  const breakLeftMs = ({ brokenUntil }: Host): number => Math.max(0, brokenUntil - clock.monotonic())
  const isBroken = (host: Host): boolean => breakLeftMs(host) > 0
  const isSuspect = ({ failures }: Host): boolean => failures >= maxFailures
  /** After the break a single call finds out how it is. */
  const isFull = (host: Host): boolean => host.running >= (isSuspect(host) ? 1 : maxRunning)

  function use (name: string): Host {
    const now = clock.monotonic()
    const host = hosts.get(name) ?? { running: 0, waiting: [], failures: 0, brokenUntil: 0, usedAt: now }
    host.usedAt = now
    hosts.delete(name)
    hosts.set(name, host)
    for (const [oldName, old] of hosts) {
      if (now - old.usedAt < forgetMs) break
      if (old.running === 0) hosts.delete(oldName)
    }
    return host
  }

  return {
    closed: () => [...hosts].filter(([, host]) => isBroken(host) || isFull(host)).map(([name]) => name),

    enter (name) {
      const host = use(name)
      // Nor does anybody wait here for what comes of the one call: many such hosts would use up the room of the others.
      if (isBroken(host) || (isSuspect(host) && isFull(host))) return false
      if (isFull(host)) return new Promise((resolve) => { host.waiting.push(resolve) })
      host.running++
      return true
    },

    leave (name, reachable) {
      const host = use(name)
      host.running--
      if (reachable === true) {
        host.failures = 0
        host.brokenUntil = 0
      } else if (reachable === false && ++host.failures >= maxFailures) {
        host.brokenUntil = clock.monotonic() + breakMs
        for (const answer of host.waiting.splice(0)) answer(false)
      }
      while (host.waiting.length > 0 && !isFull(host)) {
        host.running++
        host.waiting.shift()!(true)
      }
      // A healthy host that nothing is sent to is nothing to remember.
      if (host.running === 0 && host.failures === 0) hosts.delete(name)
    },

    opensInMs (name) {
      const host = hosts.get(name)
      return host === undefined ? 0 : breakLeftMs(host)
    },

    nextOpenMs () {
      const broken = [...hosts.values()].filter(isBroken).map(breakLeftMs)
      return broken.length === 0 ? undefined : Math.min(...broken)
    }
  }
}
