import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { createConnector } from './connector/connector.ts'
import { describing, unopenedStore } from './describing.ts'
import { AlreadyRegisteredError, InvalidOptionsError } from './errors.ts'
import { allowAnnotations } from './operations/allow-annotations.ts'
import { createBaseUrls } from './operations/base-url.ts'
import { createCapabilityCheck } from './operations/capability.ts'
import { addConnectorRoute, collectConnectorRoutes } from './operations/connector-routes.ts'
import { decorateOperations } from './operations/decorators.ts'
import type { OperationParts } from './operations/job-operation.ts'
import { toMs } from './operations/job-options.ts'
import { describePlainActions } from './operations/plain-action.ts'
import { createRegistry } from './operations/registry.ts'
import { checkOptions, type FastifyLogicAppsOptions } from './options.ts'
import { createSealer } from './protocol/seal.ts'
import { createIdCodec, createTokenReader, createTokenSigner, tokenLength, type RecordKind } from './protocol/token.ts'
import { createTriggerStates } from './protocol/trigger-state.ts'
import { createRunners, type Runners } from './runners.ts'
import { createBoundedCalls } from './work/bounded-calls.ts'
import { systemClock } from './work/clock.ts'
import { leaseMs } from './work/job-runner.ts'
import { createJobService } from './work/jobs.ts'
import { createSubscriptionService } from './work/subscriptions.ts'
import { createTopicLog } from './work/topic-log.ts'
import { createTopics } from './work/topics.ts'

/*
 * The whole machine: options -> store -> core -> decorators -> hooks. A request comes in through operations/, becomes a
 * record through work/ and the store, and is worked on by the runners: jobs by the job runner, events by the fan-out,
 * callbacks by the delivery runner. Polls read the record.
 */
async function logicApps (app: FastifyInstance, given: FastifyLogicAppsOptions): Promise<void> {
  if (app.hasDecorator('logicApps')) throw new AlreadyRegisteredError()
  const options = checkOptions(given)
  assertTokensFit(app)
  const { callbacks } = options
  const clock = options.clock ?? systemClock
  const log = app.log.child({ plugin: 'fastify-logic-apps' })
  allowAnnotations(app, log)

  // Before the store, which may tell of other processes' work while it is being opened.
  let runners: Runners | undefined
  // The store is open before the first route is declared: a bad database stops the app here, with its reason.
  const tell = describing()
  const store = tell === undefined ? options.store ?? (await import('./default-store.ts')).defaultStore(log) : unopenedStore()
  const identity = await store.open({ clock, log, leaseMs, deliveryRetentionMs: toMs(callbacks.retentionSeconds), wake: () => runners?.storeChanged() })
  app.addHook('onClose', async () => { await store.close() })
  const secrets = options.secrets ?? await identity.localSecret?.().then((secret) => [secret])
  if (secrets === undefined) throw new InvalidOptionsError('fastify-logic-apps: secret is missing: this store keeps none, and all replicas must have the same')
  const idsOf = (kind: RecordKind): ReturnType<typeof createIdCodec> => createIdCodec(identity.idKey, kind)
  const [ids, subscriptionIds, eventIds, deliveryIds] = [idsOf('job'), idsOf('subscription'), idsOf('event'), idsOf('delivery')]
  const tokens = createTokenSigner(secrets)
  const sealer = createSealer(secrets, 'callback URLs')
  const triggerStates = createTriggerStates(secrets)

  // The core: what is accepted, and who works on it.
  const registry = createRegistry()
  const jobs = createJobService({
    store,
    clock,
    log,
    ids,
    operations: registry.runnable,
    maxQueued: options.maxQueued,
    defaults: { retentionMs: toMs(options.retentionSeconds), failureStatusCode: options.failureStatusCode },
    runner: () => runners?.jobs,
    onOwed: () => runners?.deliveries.wake()
  })
  const topics = createTopics({
    store, clock, eventIds, retentionMs: toMs(options.logRetentionSeconds), maxEvents: options.logMaxEvents, onPublished: () => runners?.fanOut.wake()
  })
  const polls = createBoundedCalls(clock)
  const subscriptions = createSubscriptionService({
    store,
    clock,
    subscriptionIds,
    deliveryIds,
    endOfJob: jobs.canceled,
    onJobEnded: (job) => { jobs.onEndedOutside(job, 'canceled') },
    callbackDelayMs: toMs(callbacks.delaySeconds),
    onOwed: () => runners?.deliveries.wake()
  })
  if (options.runners && tell === undefined) {
    runners = createRunners({ options, store, clock, log, registry, sealer, ids, subscriptionIds, deliveryIds, onJobEnd: jobs.onEnd })
  }

  // What is told of it all: the document that designers read.
  const connector = createConnector({ options: options.connector, baseUrl: typeof options.baseUrl === 'string' ? options.baseUrl : undefined, log })
  tell?.(connector.description)

  // What the host sees.
  const parts: OperationParts = {
    defaults: options,
    owner: options.owner,
    monitorHooks: options.monitorHooks,
    baseUrls: createBaseUrls(options.baseUrl),
    callbackPolicy: callbacks,
    callbackDelayMs: toMs(callbacks.delaySeconds),
    clock,
    ids,
    subscriptionIds,
    tokens,
    jobOfToken: createTokenReader(tokens, ids),
    sealer,
    jobs,
    subscriptions,
    registry,
    triggerStates,
    topicLog: createTopicLog({ store, clock }),
    polls,
    describe: connector.describe
  }
  app.decorate('logicApps', {
    // What the host may do, and no more.
    jobs: { get: jobs.get, list: jobs.list, cancel: jobs.cancel, complete: jobs.complete, fail: jobs.fail },
    subscriptions: { list: subscriptions.list, remove: subscriptions.remove, resume: subscriptions.resume },
    deliveries: subscriptions.deliveries,
    connector: { swagger: connector.swagger, findings: connector.findings },
    topic: (name, topicOptions = {}) => topics.topic(name, topicOptions),
    isCapability: createCapabilityCheck(tokens, triggerStates)
  } as FastifyInstance['logicApps'])
  decorateOperations(app, parts)
  app.addHook('onRoute', describePlainActions(registry))
  if (options.connector !== false) {
    app.addHook('onRoute', collectConnectorRoutes(connector))
    if (options.connector.path !== false) addConnectorRoute(app, options.connector.path, connector, parts.baseUrls)
  }

  // Work begins when every operation is known, and ends before the host's own onClose hooks take its databases away.
  app.addHook('onReady', async () => {
    registry.complete()
    await connector.prepare()
    await runners?.start()
  })
  app.addHook('preClose', async () => {
    jobs.stop()
    const drainMs = toMs(options.drainSeconds)
    await Promise.all([runners?.stop(drainMs), polls.stop(drainMs)])
  })
}

/** @throws {InvalidOptionsError} when Fastify would refuse the URLs we hand out. */
function assertTokensFit ({ initialConfig }: FastifyInstance): void {
  const { maxParamLength = tokenLength } = { ...initialConfig, ...initialConfig.routerOptions }
  if (maxParamLength < tokenLength) throw new InvalidOptionsError(`fastify-logic-apps: Fastify's maxParamLength is ${maxParamLength}, the URLs handed out need ${tokenLength}`)
}

export const fastifyLogicApps = fp(logicApps, { name: 'fastify-logic-apps', fastify: '5.x' })
