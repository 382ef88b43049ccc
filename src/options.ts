import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import type { Dispatcher } from 'undici'
import { createAddressGuard, type AddressGuard } from './callbacks/address-guard.ts'
import { createSharedLookup } from './callbacks/shared-lookup.ts'
import { checkConnectorOptions, type CheckedConnectorOptions, type ConnectorOptions } from './connector/connector-options.ts'
import { InvalidOptionsError } from './errors.ts'
import { monitorHooksFault, type MonitorHooks, type Role } from './operations/generated-route.ts'
import { jobDefaultsSchema, optionFaults } from './operations/job-options.ts'
import { defaultAllowedHosts } from './protocol/callback-url.ts'
import { assertFailureStatusCode } from './protocol/failure-status.ts'
import { isLoopback, parseBaseUrl } from './protocol/location.ts'
import { defaultSchedule } from './work/callback-schedule.ts'
import type { Clock } from './work/clock.ts'
import type { DeliveryNews } from './work/delivery-runner.ts'
import type { Store } from './work/store.ts'

/** Options that are plain values. The reference page is made from the descriptions. */
export const optionsSchema = Type.Object({
  ...jobDefaultsSchema.properties,
  logRetentionSeconds: Type.Number({ minimum: 60, default: 604_800, description: 'How long events stay in a topic\'s log, in seconds (7 days).' }),
  logMaxEvents: Type.Integer({ minimum: 1, default: 1_000_000, description: 'How many events a topic\'s log holds: the oldest leave it before their time. Each topic has a log of its own.' }),
  maxQueued: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, default: 100_000, description: 'How many jobs may wait to run. Further starts are answered 503 with Retry-After.' }),
  concurrency: Type.Integer({ minimum: 1, default: 50, description: 'How many jobs this process runs at once, of all operations. An operation can have a limit of its own.' }),
  drainSeconds: Type.Number({ minimum: 0, default: 10, description: 'How long app.close() lets running jobs go on before it hands them back to the queue, in seconds.' }),
  runners: Type.Boolean({ default: true, description: 'Whether this process runs jobs and sends callbacks. false: it only accepts them and answers polls.' })
}, { additionalProperties: false })

export type PlainOptions = Static<typeof optionsSchema>

/** A host name or address without scheme, port and path: with one it would match nothing, in silence. */
const hostPattern = '^(\\*|(\\*\\.)?[\\w.-]+|\\[[\\da-fA-F:.]+\\])$'

/** The plain values of the option `callbacks`. */
export const callbackOptionsSchema = Type.Object({
  allowedHosts: Type.Array(Type.String({ pattern: hostPattern }), { default: [...defaultAllowedHosts], description: 'Hosts that callbacks may go to: names, `*.` before a name for everything below it, `*` for any public host.' }),
  networks: Type.Array(Type.String(), { default: [], description: 'Private address ranges that callbacks may go to, such as `10.20.0.0/16` for private endpoints. Loopback, link-local, multicast, broadcast and metadata addresses need an entry of their own.' }),
  allowHttp: Type.Boolean({ default: false, description: 'Whether callback URLs may be http. For local trials and tests.' }),
  delaySeconds: Type.Number({ minimum: 0, default: 1, description: 'How long after a subscribe call nothing is sent to it, in seconds, so that its caller has read our answer.' }),
  timeoutSeconds: Type.Number({ exclusiveMinimum: 0, maximum: 120, default: 15, description: 'How long one attempt may take, in seconds.' }),
  scheduleSeconds: Type.Array(Type.Number({ minimum: 0 }), { minItems: 1, default: [...defaultSchedule], description: 'The wait before each attempt, in seconds, ±20 % but for the first. After the last the callback is a dead letter.' }),
  retentionSeconds: Type.Number({ minimum: 60, default: 604_800, description: 'How long delivered callbacks and dead letters are kept, in seconds (7 days).' })
}, { additionalProperties: false })

export type CallbackPlainOptions = Static<typeof callbackOptionsSchema>

/** How callbacks are sent. */
export interface CallbackOptions extends Partial<CallbackPlainOptions> {
  /** Signs callbacks by Standard Webhooks, for receivers that check it; a list while it is rotated. @default none */
  signingSecret?: string | string[]
  /**
   * An undici dispatcher that sends callbacks instead of a socket of our own: the simulated engine's in tests, a
   * `ProxyAgent` where an outgoing proxy is a must. `networks` then says nothing: where it connects to is its own affair.
   */
  dispatcher?: Dispatcher
  /** A receiver is gone for good: its subscription is forgotten. */
  onRetired?: (news: DeliveryNews) => void
  /** A receiver refuses us: nothing more is sent to it until it subscribes again or is resumed. */
  onSuspended?: (news: DeliveryNews) => void
  /** A callback was given up. */
  onDead?: (news: DeliveryNews) => void
}

/** Options of the plugin. */
export interface FastifyLogicAppsOptions extends Partial<PlainOptions> {
  /** Scheme, host, port and path prefix under which callers reach this API; as a function, of the request and of what the URL is for. @default what the request says, with forwarded headers where Fastify trusts the peer */
  baseUrl?: string | ((request: FastifyRequest, role: Role) => string)
  /** Signs the URLs handed out: at least 32 bytes. A list rotates: the first signs, all are accepted. @default a key file that the embedded store keeps */
  secret?: string | Uint8Array | (string | Uint8Array)[]
  /** @default `sqliteStore({ file: './data/logic-apps.db' })` */
  store?: Store
  /** Whom a job, a subscription and an idempotency key belong to: a tenant, a client id. @default one owner for all */
  owner?: (request: FastifyRequest) => string | Promise<string>
  /** How callbacks are sent, and where they may go. */
  callbacks?: CallbackOptions
  /** The Swagger 2.0 document that the designers read. `false`: there is none. */
  connector?: ConnectorOptions | false
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
  connector: CheckedConnectorOptions | false
  callbacks: CallbackPlainOptions & Pick<CallbackOptions, 'dispatcher' | 'onRetired' | 'onSuspended' | 'onDead'> & { signingSecrets: string[], guard: AddressGuard }
  clock: FastifyLogicAppsOptions['clock']
}

const minSecretBytes = 32

/**
 * Checks all options and fills in defaults; the caller's object is left alone.
 *
 * @throws {InvalidOptionsError} naming every fault.
 */
export function checkOptions (options: FastifyLogicAppsOptions): CheckedOptions {
  const { baseUrl, secret, store, owner, monitorHooks, callbacks = {}, connector, clock, ...rest } = options
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
  const checkedCallbacks = checkCallbacks(callbacks, check)
  const checkedConnector = checkConnectorOptions(connector, (fault) => { faults.push(fault) })
  if (faults.length > 0) throw new InvalidOptionsError(`fastify-logic-apps: ${faults.join('; ')}`)
  return Object.freeze({ ...plain as PlainOptions, baseUrl: checkedBaseUrl, secrets, store, owner, monitorHooks, callbacks: checkedCallbacks!, connector: checkedConnector, clock })
}

/** How long a callback waits for its turn to look up a name: not so long that nothing of its time is left. */
const maxTurnMs = 5_000

/** `undefined` where there are faults. */
function checkCallbacks (callbacks: CallbackOptions, check: (fine: boolean, fault: string) => void): CheckedOptions['callbacks'] | undefined {
  if (typeof callbacks !== 'object' || callbacks === null) {
    check(false, 'callbacks must be an object')
    return undefined
  }
  const { signingSecret = [], dispatcher, onRetired, onSuspended, onDead, ...rest } = callbacks
  const plain = Value.Default(callbackOptionsSchema, Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined))) as CallbackPlainOptions
  const faults = optionFaults(callbackOptionsSchema.properties, plain)
  for (const fault of faults) check(false, `callbacks.${fault}`)
  for (const [name, hook] of Object.entries({ onRetired, onSuspended, onDead })) {
    check(hook === undefined || typeof hook === 'function', `callbacks.${name} must be a function`)
  }
  check(dispatcher === undefined || typeof (dispatcher as Partial<Dispatcher> | null)?.dispatch === 'function', 'callbacks.dispatcher must be an undici dispatcher')
  const signingSecrets = Array.isArray(signingSecret) ? signingSecret : [signingSecret]
  check(signingSecrets.every((secret) => typeof secret === 'string' && secret.length >= 24), 'callbacks.signingSecret must be a text of 24 characters or more, or a list of such')
  if (!Value.Check(callbackOptionsSchema.properties.networks, plain.networks)) return undefined
  try {
    const hooks = { ...(dispatcher && { dispatcher }), ...(onRetired && { onRetired }), ...(onSuspended && { onSuspended }), ...(onDead && { onDead }) }
    return { ...plain, ...hooks, signingSecrets, guard: createAddressGuard(plain.networks, createSharedLookup(Math.min(maxTurnMs, plain.timeoutSeconds * 1000 / 3))) }
  } catch (error) {
    check(false, `callbacks.networks must be address ranges such as "10.20.0.0/16": ${(error as Error).message}`)
    return undefined
  }
}
