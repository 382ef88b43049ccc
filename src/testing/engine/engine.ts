import type { Clock } from '../../work/clock.ts'
import { createManualClock } from '../manual-clock.ts'
import { CallbackDispatcher } from './callback-dispatcher.ts'
import { listenForCallbacks, type CallbackListener } from './callback-listener.ts'
import { createCallbackServer, type CallbackServer, type ReceivedCallback } from './callback-server.ts'
import type { Exchange } from './caller.ts'
import type { ActionDefinition, Authentication, TriggerDefinition } from './definitions.ts'
import { toMs, type Duration } from './duration.ts'
import type { ActionResult } from './ending.ts'
import { createHttpTransport } from './http-transport.ts'
import { createIdentity } from './identity.ts'
import { createInjectTransport, type InjectableApp } from './inject-transport.ts'
import { createLedger, type EngineParts } from './parts.ts'
import { createPollingTrigger } from './polling-trigger.ts'
import { profileOf, type Profile, type ProfileName } from './profiles.ts'
import { quirksOf, type Quirks } from './quirks.ts'
import { assertQuiet, type QuietOptions } from './quiet.ts'
import { startAction, type ActionOptions, type RunningAction } from './run-action.ts'
import { assertTrigger, type TriggerHandle, type TriggerOptions } from './trigger.ts'
import { unknownsOf, type Unknowns } from './unknowns.ts'
import { createWebhookTrigger } from './webhook-trigger.ts'
import { splitUrl, type Transport } from './wire.ts'
import { createWorld } from './world.ts'
import { createWorkflow, type WorkflowHandle } from '../workflow/workflow.ts'

/** What an app is built with, so that it shares the engine's time and its callbacks reach the engine. */
export interface AppParts {
  clock: Clock
  /** For the plugin's option `callbacks`. */
  callbacks: { dispatcher: CallbackDispatcher }
}

export interface EngineOptions {
  /** The API, called by `inject` on a virtual clock; as a function, it is built with the engine's clock and callbacks. */
  app?: InjectableApp | ((parts: AppParts) => InjectableApp | PromiseLike<InjectableApp>)
  /** Where the API is: called over HTTP without `app`; with it, the address it is known under. @default with `app`, `http://localhost` */
  baseUrl?: string
  /** Further addresses that lead to `app`. */
  hosts?: string[]
  /** @default 'consumption' */
  profile?: ProfileName | Profile
  /** Answers to what nobody knows of the cloud's engine. */
  unknowns?: Partial<Unknowns>
  /** What the engine does now and then. */
  quirks?: Partial<Quirks>
  /** @default with `app` a new manual clock, else the system's */
  clock?: Clock
  /** The same number makes the same ids, signatures and random waits. @default 1 */
  seed?: number
  /** Opens a port for callbacks. @default without `app` on 127.0.0.1, with it none */
  listen?: boolean | { host?: string, port?: number, /** What callers see, such as a tunnel. */ origin?: string }
  /** Tokens for `ManagedServiceIdentity` and `ActiveDirectoryOAuth`. @default a text that names the audience */
  tokenFor?: (authentication: Authentication) => string
  /** How much virtual time `run` waits for an action to end. @default 'P1D' */
  patience?: Duration
  /** Of the workflow. @default 'cakes' */
  workflowName?: string
  /** Is told of each request when it is over, and of each callback before it is answered: for a log. */
  onTraffic?: (one: Exchange | ReceivedCallback) => void
}

/** The engine's side of the wire, on your desk. */
export interface LogicAppsEngine {
  readonly profile: Profile
  readonly clock: Clock
  readonly callbacks: Pick<CallbackServer, 'received' | 'script' | 'when' | 'scripted'> & { readonly origin: string | undefined, readonly dispatcher: CallbackDispatcher }
  /** Plays an action to its end. On a virtual clock time passes as it must. */
  run (definition: ActionDefinition, options?: ActionOptions): Promise<ActionResult>
  /** Begins an action; time is yours to move. */
  start (definition: ActionDefinition, options?: ActionOptions): RunningAction
  /** A trigger, not enabled yet. */
  trigger (definition: TriggerDefinition, options?: TriggerOptions): TriggerHandle
  /** A workflow as the code view has it: what `export` writes. @throws {UnsupportedDefinitionError} naming what in it is not played here. */
  workflow (json: unknown): WorkflowHandle
  /** Lets time pass, virtual or real. */
  advance (duration: Duration): Promise<void>
  /** Lets virtual time pass until `work` is over. */
  until<Value> (work: Promise<Value>): Promise<Value>
  /** Puts another app in the place of the one before, as a deployment does. */
  replaceApp (app: InjectableApp): void
  /** @throws {AssertionError} when something is still owed, polled or subscribed, or came that nobody waited for. */
  expectQuiet (options?: QuietOptions & { /** Time that must pass quietly before. */ after?: Duration }): Promise<void>
  /** Closes its port and ends what is under way as a crash does: nothing is unsubscribed, nothing is sent or waited for any more. */
  close (): Promise<void>
}

/** For what is built on the engine, such as workflows. */
export const engineParts = new WeakMap<LogicAppsEngine, EngineParts>()

/**
 * The Logic Apps engine as an API sees it: actions, triggers and callbacks, in the profile of one cloud.
 *
 * @example
 * const engine = await createLogicAppsEngine({ app: ({ clock, callbacks }) => buildApp({ clock, callbacks }) })
 * const { status, outputs } = await engine.run({ type: 'Http', inputs: { method: 'POST', uri: '/cakes', body: { flavour: 'lemon' } } })
 */
export async function createLogicAppsEngine (options: EngineOptions): Promise<LogicAppsEngine> {
  const { app, hosts = [], seed = 1, patience = 'P1D', workflowName = 'cakes', tokenFor = defaultToken, onTraffic = () => {} } = options
  if (app === undefined && options.baseUrl === undefined) throw new TypeError('createLogicAppsEngine needs app or baseUrl: what it is to call')
  const baseUrl = (options.baseUrl ?? 'http://localhost').replace(/\/+$/, '')
  for (const url of [baseUrl, ...hosts]) if (splitUrl(url) === undefined) throw new TypeError(`${JSON.stringify(url)} must be an absolute http or https URL`)
  const clock = options.clock ?? (app === undefined ? undefined : createManualClock())
  let transport: Transport
  const world = createWorld({ transport: () => transport, clock, seed })
  const identity = createIdentity(world.random, workflowName)
  const callbacks = createCallbackServer({ world, region: identity.region, onTraffic })
  const dispatcher = new CallbackDispatcher(callbacks)
  const listener = await openListener(callbacks, options)
  const parts: EngineParts = {
    world,
    profile: profileOf(options.profile ?? 'consumption'),
    unknowns: unknownsOf(options.unknowns ?? {}),
    quirks: quirksOf(options.quirks ?? {}),
    identity,
    callbacks,
    callbackOrigin: typeof options.listen === 'object' ? options.listen.origin ?? listener?.origin : listener?.origin,
    baseUrl,
    tokenFor,
    onTraffic,
    ledger: createLedger()
  }

  const useApp = (injectable: InjectableApp): void => { transport = createInjectTransport({ app: injectable, addresses: () => [baseUrl, ...hosts] }) }
  if (app === undefined) transport = createHttpTransport()
  else useApp(typeof app === 'function' ? await app({ clock: world.clock, callbacks: { dispatcher } }) : app)

  const start = (definition: ActionDefinition, actionOptions: ActionOptions = {}): RunningAction => startAction(parts, definition, actionOptions)
  const patienceMs = toMs(patience, 'patience')
  const engine: LogicAppsEngine = {
    profile: parts.profile,
    clock: world.clock,
    callbacks: {
      get received () { return callbacks.received },
      get scripted () { return callbacks.scripted },
      script: callbacks.script,
      when: callbacks.when,
      origin: parts.callbackOrigin,
      dispatcher
    },
    async run (definition, actionOptions) {
      const { name, done } = start(definition, actionOptions)
      return await world.until(done, name, patienceMs)
    },
    start,
    trigger (definition, triggerOptions = {}) {
      assertTrigger(triggerOptions.name ?? 'Trigger', definition)
      return definition.type === 'Http' ? createPollingTrigger(parts, definition, triggerOptions) : createWebhookTrigger(parts, definition, triggerOptions)
    },
    workflow: (json) => createWorkflow(parts, json, patienceMs),
    advance: (duration) => world.advance(toMs(duration, 'duration')),
    until: (work) => world.until(work, 'what is waited for', patienceMs),
    replaceApp: useApp,
    async expectQuiet ({ after = 0, ...quiet } = {}) {
      await world.advance(toMs(after, 'after'))
      assertQuiet(parts, quiet)
    },
    async close () {
      world.close()
      await listener?.close()
      await transport.close()
    }
  }
  engineParts.set(engine, parts)
  return engine
}

async function openListener (callbacks: CallbackServer, { app, listen = app === undefined }: EngineOptions): Promise<CallbackListener | undefined> {
  if (listen === false) return undefined
  const { host, port } = listen === true ? {} : listen
  return await listenForCallbacks(callbacks, { ...(host === undefined ? {} : { host }), ...(port === undefined ? {} : { port }) })
}

function defaultToken ({ audience, identity, clientId }: Authentication): string {
  return `engine.${Buffer.from(JSON.stringify({ aud: audience, identity, clientId })).toString('base64url')}.token`
}
