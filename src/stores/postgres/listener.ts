import type { Clock } from '../../work/clock.ts'
import type { Logger } from '../../work/log.ts'
import type { Connection } from './connection.ts'
import type { PostgresClient } from './dependencies.ts'
import { explain } from './errors.ts'

type Notification = { channel: string, payload?: string | undefined }

/** Hears of what other replicas write. The core polls as well: a message that is lost delays work, and loses none. */
export interface Listener {
  start (): Promise<void>
  stop (): Promise<void>
}

export interface ListenerParts {
  connection: Pick<Connection, 'take'>
  clock: Clock
  log: Logger
  channel: string
  /** Our own name: what we wrote ourselves is no news. */
  worker: string
  onNews: () => void
  timeoutMs: number
}

/** A connection whose other end is gone without a word is found out so. */
const probeMs = 15_000
const reconnectMs = 1_000
/** News of one moment are told once: each costs a few looks at the database. */
const gatherMs = 25

export function createListener ({ connection, clock, log, channel, worker, onNews, timeoutMs }: ListenerParts): Listener {
  let stopped = false
  let held: { taken: PostgresClient, free: (error?: Error) => void } | undefined
  let cancelTimer = (): void => {}
  let cancelGathering: (() => void) | undefined
  let again = false

  function tell (): void {
    if (cancelGathering !== undefined) {
      again = true
      return
    }
    onNews()
    cancelGathering = clock.after(gatherMs, () => {
      cancelGathering = undefined
      if (!again) return
      again = false
      tell()
    })
  }

  async function connect (): Promise<void> {
    const taken = await connection.take()
    const onError = (error: Error): void => { lose(taken, error) }
    const onNotification = ({ channel: heard, payload }: Notification): void => { if (heard === channel && payload !== worker) tell() }
    taken.on('error', onError)
    taken.on('notification', onNotification)
    const free = (error?: Error): void => {
      taken.removeListener('error', onError)
      taken.removeListener('notification', onNotification)
      taken.release(error)
    }
    try {
      await taken.query({ text: `LISTEN "${channel}"`, query_timeout: timeoutMs })
    } catch (error) {
      free(error as Error)
      throw explain(error)
    }
    held = { taken, free }
    if (stopped) return await giveBack()
    probeLater(taken)
  }

  function probeLater (taken: PostgresClient): void {
    cancelTimer = clock.after(probeMs, () => {
      taken.query({ text: 'SELECT 1', query_timeout: timeoutMs }).then(
        () => { if (held?.taken === taken && !stopped) probeLater(taken) },
        (error: unknown) => { lose(taken, error as Error) })
    })
  }

  function lose (taken: PostgresClient, error: Error): void {
    if (held?.taken !== taken) return
    held.free(error)
    held = undefined
    cancelTimer()
    if (stopped) return
    log.warn({ err: error }, `lost the connection that tells of other replicas' work, trying again every ${reconnectMs} ms; meanwhile work is polled for`)
    reconnectLater()
  }

  /** Silent, since it may be given to somebody else of the host's. */
  async function giveBack (): Promise<void> {
    if (held === undefined) return
    const { taken, free } = held
    held = undefined
    try {
      await taken.query({ text: `UNLISTEN "${channel}"`, query_timeout: timeoutMs })
      free()
    } catch (error) {
      free(error as Error)
    }
  }

  function reconnectLater (): void {
    cancelTimer = clock.after(reconnectMs, () => {
      connect().then(() => {
        if (stopped) return
        log.info({}, "told of other replicas' work again")
        // Something may have been missed.
        tell()
      }, (error: unknown) => {
        log.debug({ err: error }, 'PostgreSQL is still away')
        if (!stopped) reconnectLater()
      })
    })
  }

  return {
    start: connect,
    async stop () {
      stopped = true
      cancelTimer()
      cancelGathering?.()
      await giveBack()
    }
  }
}
