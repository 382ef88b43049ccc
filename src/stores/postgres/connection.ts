import { hash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { StoreUnavailableError } from '../../errors.ts'
import { explain, isLost, sqlState } from './errors.ts'
import { encodeParameter } from './parameters.ts'
import { createTeller } from './teller.ts'
import type { PgModule, PostgresClient, PostgresPool, PostgresQuery, PostgresResult } from './dependencies.ts'

export type Row = Record<string, unknown>

/** One statement, in which `@.` stands for the schema. */
type Statement = (text: string, ...values: unknown[]) => Promise<Row[]>

export interface Statements {
  sql: Statement
  /** The same for one whose text never varies, and which is asked often: the server parses and plans it once for each connection. */
  prepared: Statement
}

export interface Transaction extends Statements {
  /** How many rows a statement changed. */
  change (text: string, ...values: unknown[]): Promise<number>
  /** Other replicas are told, with the commit or shortly after it. */
  tell (): void
  /**
   * So many more statements, and COMMIT goes out with the last of them, in its round trip: none of them may need the
   * answer of another. One that the server refuses turns the COMMIT into a ROLLBACK. What is only then found wrong with
   * an answer is so of what is committed.
   */
  commitWith (statements: number): void
  /** Several statements without values. */
  script (text: string): Promise<void>
}

/** Each statement is a transaction of its own. */
export interface Connection extends Statements {
  /** All of `work` is on disk when this resolves, or none of it when it rejects. `work` may run several times. */
  write<T> (work: (transaction: Transaction) => Promise<T>): Promise<T>
  /** The same, for work that may take its time: a migration. */
  patiently<T> (work: (transaction: Transaction) => Promise<T>): Promise<T>
  /** A connection to keep, for LISTEN. */
  take (): Promise<PostgresClient>
  close (): Promise<void>
}

export interface ConnectionParts {
  pg: PgModule
  pool: PostgresPool
  /** Whether the pool is ours to end. */
  owned: boolean
  schema: string
  /** The statement that tells other replicas. */
  notify: string
  timeoutMs: number
  /** Whether statements may be prepared. */
  prepare: boolean
  onIdleLoss: (error: Error) => void
  /** Other replicas could not be told of what was committed. */
  onUntold: (error: unknown) => void
}

/** Of a transaction that was the victim of a deadlock, or lost against another at the same row. */
const retryStates = ['40001', '40P01']
/** Of a prepared statement whose table has changed, or that a pooler or a `DISCARD ALL` took away: nothing was executed, and on another connection it works. */
const staleStates = ['0A000', '26000', '42P05']
const isStale = (error: unknown): boolean => staleStates.includes(sqlState(error) ?? '')
const maxTries = 5
/** For migrations. */
export const migrationTimeoutMs = 900_000
/** So that the server's own error comes first. */
const graceMs = 1_000

export function createConnection ({ pg, pool, owned, schema, notify, timeoutMs, prepare, onIdleLoss, onUntold }: ConnectionParts): Connection {
  let closing = false
  let closed = false
  // Without a listener, a connection that breaks while it is idle, or in the same packet that says it is open, ends the process.
  const onConnect = (client: PostgresClient): void => { client.on('error', () => {}) }
  pool.on('error', onIdleLoss)
  pool.on('connect', onConnect)
  /** When each connection answered last, and when one was asked that never did: those that have been silent since may be dead too. */
  const answered = new WeakMap<PostgresClient, number>()
  let suspectBefore = -Infinity
  const texts = new Map<string, string>()
  const names = new Map<string, string>()
  // Limits of the server's own, for all that we do: a replica that is frozen in the middle of a transaction, or one
  // that waits for a lock, must not hold up the others for ever. SET LOCAL, so that a pooler and a pool of the host's do.
  // Every statement in a transaction has an index, and goes along it. A plan that was made for a table that had hardly
  // begun would go through all of it, until the server looks at it again; one that knows no LIMIT would sort all that waits.
  const begin = 'BEGIN ISOLATION LEVEL READ COMMITTED'
  const limited = `${begin}; SET LOCAL statement_timeout = ${timeoutMs}; SET LOCAL idle_in_transaction_session_timeout = ${timeoutMs}; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off`
  // Every bigint of ours is a safe integer.
  const types: NonNullable<PostgresQuery['types']> = { getTypeParser: (oid, format) => oid === 20 ? Number : pg.types.getTypeParser(oid, format) }

  function textOf (text: string): string {
    let known = texts.get(text)
    if (known === undefined) texts.set(text, known = text.replaceAll('@.', `${schema}.`))
    return known
  }

  const ours = (text: string, values: unknown[]): PostgresQuery => ({ text: textOf(text), values: values.map(encodeParameter), types })

  /** By its text: others may prepare theirs on the same connection. */
  function named (query: PostgresQuery): PostgresQuery {
    if (!prepare) return query
    let name = names.get(query.text)
    if (name === undefined) names.set(query.text, name = `logic_apps_${hash('sha1', query.text).slice(0, 20)}`)
    return { ...query, name }
  }

  /** `pg` reports a socket whose other end never answers only if it is asked to. */
  async function runFor (client: PostgresClient, query: PostgresQuery, limitMs = timeoutMs + graceMs): Promise<PostgresResult> {
    const asked = performance.now()
    try {
      const result = await client.query({ ...query, query_timeout: limitMs })
      answered.set(client, performance.now())
      return result
    } catch (error) {
      if (sqlState(error) === undefined) suspectBefore = Math.max(suspectBefore, asked)
      throw explain(error)
    }
  }

  async function use<T> (work: (client: PostgresClient) => Promise<T>): Promise<T> {
    if (closed) throw new StoreUnavailableError('the store on PostgreSQL is closed')
    const client = await take()
    // A connection that breaks while we hold it says so by an event, too; the statement under way rejects.
    const onError = (): void => {}
    client.on('error', onError)
    let broken: Error | undefined
    try {
      return await work(client)
    } catch (error) {
      if (isLost(error) || isStale(error)) broken = error as Error
      throw error
    } finally {
      client.removeListener('error', onError)
      client.release(broken)
    }
  }

  /** A pool of the host's may have no limit of its own, and then waits for ever. */
  async function connect (): Promise<PostgresClient> {
    const asked = pool.connect()
    let timer: NodeJS.Timeout | undefined
    const limit = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`no connection within ${timeoutMs} ms: timeout exceeded`))
        // Nobody waits for it any more.
        asked.then((client) => { client.release() }, () => {})
      }, timeoutMs)
    })
    return await Promise.race([asked, limit]).finally(() => { clearTimeout(timer) })
  }

  async function take (): Promise<PostgresClient> {
    for (;;) {
      let client: PostgresClient
      try {
        client = await connect()
      } catch (error) {
        throw explain(error)
      }
      // One call learns that the network was cut, not one for each connection that is left of before.
      if ((answered.get(client) ?? suspectBefore) >= suspectBefore) return client
      client.release(true)
    }
  }

  async function attempt<T> (work: (transaction: Transaction) => Promise<T>, patient: boolean): Promise<T> {
    return await use(async (client) => {
      let over = false
      let underWay = 0
      /** Of statements asked for at once the first says why; those behind it fail because it did. */
      let failure: { error: unknown } | undefined
      const ask = async (query: PostgresQuery): Promise<PostgresResult> => {
        // One has failed: those that were still to come must not run behind the ROLLBACK.
        if (over) throw new Error('this transaction was rolled back')
        underWay++
        try {
          // Those before it have their time first.
          return await runFor(client, query, patient ? migrationTimeoutMs : timeoutMs * underWay + graceMs)
        } catch (error) {
          failure ??= { error }
          throw error
        } finally {
          underWay--
        }
      }
      const run = client.pipeline === true ? ask : inTurn(ask)
      // Not waited for: if it fails, so does all that follows.
      run({ text: patient ? begin : limited }).catch(() => {})
      let isNews = false
      let isTold = false
      let left = Infinity
      let committed: Promise<boolean> | undefined
      function withNews (commit: string): string {
        if (!isNews) return commit
        isTold = teller.goesAlong()
        return isTold ? `${notify}; ${commit}` : commit
      }
      function commit (): Promise<boolean> {
        committed ??= run({ text: withNews('COMMIT') }).then(() => true, (error: unknown) => {
          failure ??= { error }
          return false
        })
        return committed
      }
      async function step (query: PostgresQuery): Promise<PostgresResult> {
        if (committed !== undefined) throw new Error('a statement behind the COMMIT')
        const answer = run(query)
        if (--left === 0) commit()
        return await answer
      }
      try {
        const result = await work({
          sql: async (text, ...values) => (await step(ours(text, values))).rows,
          prepared: async (text, ...values) => (await step(named(ours(text, values)))).rows,
          change: async (text, ...values) => (await step(ours(text, values))).rowCount ?? 0,
          script: async (text) => { await step({ text: textOf(text) }) },
          tell: () => { isNews = true },
          commitWith: (statements) => { left = statements }
        })
        await commit()
        // Also of a statement whose failure `work` made nothing of: the server has made nothing of it all.
        if (failure !== undefined) throw failure.error
        if (isNews && !isTold) teller.later()
        return result
      } catch (thrown) {
        over = true
        const { error } = failure ?? { error: thrown }
        // A COMMIT that was answered has ended the transaction, one way or the other. One that was not reached, or was
        // given up because of the NOTIFY before it, has not.
        const isEnded = await committed === true
        // On a lost connection the server rolls back by itself.
        if (!isEnded && !isLost(error)) await runFor(client, { text: 'ROLLBACK' })
        throw error
      }
    })
  }

  const teller = createTeller(async () => {
    await use((client) => runFor(client, { text: notify })).catch(onUntold)
  })

  async function retry<T> (work: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await work()
      } catch (error) {
        if (!(retryStates.includes(sqlState(error) ?? '') || isStale(error)) || tries === maxTries) throw error
      }
      // Others work in real time, so this is no matter for the Clock.
      await delay(Math.random() * 20 * tries)
    }
  }

  return {
    sql: async (text, ...values) => await use(async (client) => (await runFor(client, ours(text, values))).rows),
    prepared: async (text, ...values) => await retry(() => use(async (client) => (await runFor(client, named(ours(text, values)))).rows)),
    write: (work) => retry(() => attempt(work, false)),
    patiently: (work) => retry(() => attempt(work, true)),
    take,

    async close () {
      if (closing) return
      closing = true
      await teller.stop()
      closed = true
      if (owned) return await pool.end()
      pool.removeListener('error', onIdleLoss)
      pool.removeListener('connect', onConnect)
    }
  }
}

/** Statements that are asked for at once, for a client that sends none before the one before is answered. After one that fails, so do all. */
function inTurn (ask: (query: PostgresQuery) => Promise<PostgresResult>): (query: PostgresQuery) => Promise<PostgresResult> {
  let last: Promise<unknown> = Promise.resolve()
  return (query) => {
    const answer = last.then(() => ask(query))
    last = answer
    return answer
  }
}
