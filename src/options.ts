import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import { InvalidOptionsError } from './errors.ts'
import { monitorHooksFault, type MonitorHooks, type Role } from './operations/generated-route.ts'
import { jobDefaultsSchema, optionFaults } from './operations/job-options.ts'
import { assertFailureStatusCode } from './protocol/failure-status.ts'
import { isLoopback, parseBaseUrl } from './protocol/location.ts'
import type { Clock } from './work/clock.ts'
import type { Store } from './work/store.ts'

/** Options that are plain values. The reference page is made from the descriptions. */
export const optionsSchema = Type.Object({
  ...jobDefaultsSchema.properties,
  maxQueued: Type.Integer({ minimum: 1, default: 100_000, description: 'How many jobs may wait to run. Further starts are answered 503 with Retry-After.' }),
  concurrency: Type.Integer({ minimum: 1, default: 50, description: 'How many jobs this process runs at once, of all operations. An operation can have a limit of its own.' }),
  drainSeconds: Type.Number({ minimum: 0, default: 10, description: 'How long app.close() lets running jobs go on before it hands them back to the queue, in seconds.' }),
  runners: Type.Boolean({ default: true, description: 'Whether this process runs jobs. false: it only accepts them and answers polls.' })
}, { additionalProperties: false })

export type PlainOptions = Static<typeof optionsSchema>

/** Options of the plugin. */
export interface FastifyLogicAppsOptions extends Partial<PlainOptions> {
  /** Scheme, host, port and path prefix under which callers reach this API; as a function, of the request and of what the URL is for. @default what the request says, with forwarded headers where Fastify trusts the peer */
  baseUrl?: string | ((request: FastifyRequest, role: Role) => string)
  /** Signs the URLs handed out: at least 32 bytes. A list rotates: the first signs, all are accepted. @default a key file that the embedded store keeps */
  secret?: string | Uint8Array | (string | Uint8Array)[]
  /** @default `sqliteStore({ file: './data/logic-apps.db' })` */
  store?: Store
  /** Whom a job and an idempotency key belong to: a tenant, a client id. @default one owner for all */
  owner?: (request: FastifyRequest) => string | Promise<string>
  /** Hooks added to the routes that polls, cancels and other follow-up calls go to. */
  monitorHooks?: MonitorHooks
  /** For tests. @default the system clock */
  clock?: Clock
}

export interface CheckedOptions extends PlainOptions {
  baseUrl: FastifyLogicAppsOptions['baseUrl']
  secrets: (string | Uint8Array)[] | undefined
  store: FastifyLogicAppsOptions['store']
  owner: FastifyLogicAppsOptions['owner']
  monitorHooks: FastifyLogicAppsOptions['monitorHooks']
  clock: FastifyLogicAppsOptions['clock']
}

const minSecretBytes = 32

/**
 * Checks all options and fills in defaults; the caller's object is left alone.
 *
 * @throws {InvalidOptionsError} naming every fault.
 */
export function checkOptions (options: FastifyLogicAppsOptions): CheckedOptions {
  const { baseUrl, secret, store, owner, monitorHooks, clock, ...rest } = options
  const plain = Value.Default(optionsSchema, Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)))
  const faults = optionFaults(optionsSchema.properties, plain as object)
  const check = (fine: boolean, fault: string): void => { if (!fine) faults.push(fault) }
  const attempt = (work: () => void): void => {
    try {
      work()
    } catch (error) {
      faults.push((error as Error).message)
    }
  }

  const secrets = secret === undefined ? undefined : Array.isArray(secret) ? secret : [secret]
  if (secrets !== undefined) {
    check(secrets.length > 0 && secrets.every((one) => (typeof one === 'string' || one instanceof Uint8Array) && Buffer.byteLength(one) >= minSecretBytes),
      `secret must be ${minSecretBytes} bytes or more of random text, or a list of such`)
  }
  check(owner === undefined || typeof owner === 'function', 'owner must be a function of the request')
  check(store === undefined || typeof (store as Partial<Store> | null)?.claim === 'function', 'store must be a store, such as sqliteStore({ file })')
  check(clock === undefined || typeof (clock as Partial<Clock> | null)?.after === 'function', 'clock must be a clock: { now, monotonic, after }')
  const hooksFault = monitorHooks === undefined ? undefined : monitorHooksFault(monitorHooks)
  if (hooksFault !== undefined) faults.push(hooksFault)
  check(baseUrl === undefined || typeof baseUrl === 'string' || typeof baseUrl === 'function', 'baseUrl must be a string, or a function of the request')

  let checkedBaseUrl = baseUrl
  if (typeof baseUrl === 'string') {
    attempt(() => {
      checkedBaseUrl = parseBaseUrl(baseUrl, 'baseUrl')
      check(process.env.NODE_ENV !== 'production' || !isLoopback(checkedBaseUrl),
        `baseUrl must not be a loopback address in production: callers could not reach ${checkedBaseUrl}`)
    })
  }
  if (Value.Check(jobDefaultsSchema.properties.failureStatusCode, rest.failureStatusCode)) attempt(() => { assertFailureStatusCode(rest.failureStatusCode!, 'failureStatusCode') })
  if (faults.length > 0) throw new InvalidOptionsError(`fastify-logic-apps: ${faults.join('; ')}`)
  return Object.freeze({ ...plain as PlainOptions, baseUrl: checkedBaseUrl, secrets, store, owner, monitorHooks, clock })
}
