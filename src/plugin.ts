import type { FastifyContextConfig, FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { createCallbackSender } from './callbacks/sender.ts'
import { createConnector } from './connector/connector.ts'
import { defaultStore } from './default-store.ts'
import { describing, unopenedStore } from './describing.ts'
import { AlreadyRegisteredError, InvalidOptionsError } from './errors.ts'
import { allowAnnotations } from './operations/allow-annotations.ts'
import { addAsyncAction } from './operations/async-action.ts'
import { createBaseUrl } from './operations/base-url.ts'
import { addConnectorRoute, collectConnectorRoutes } from './operations/connector-routes.ts'
import type { OperationParts } from './operations/job-operation.ts'
import { toMs } from './operations/job-options.ts'
import { describePlainActions } from './operations/plain-action.ts'
import { createRegistry } from './operations/registry.ts'
import { carriesState } from './operations/trigger-request.ts'
import { addPollingTrigger } from './operations/polling-trigger.ts'
import { addWebhookAction } from './operations/webhook-action.ts'
import { addWebhookTrigger } from './operations/webhook-trigger.ts'
import { checkOptions, type FastifyLogicAppsOptions } from './options.ts'
import { createSealer } from './protocol/seal.ts'
import { createIdCodec, createTokenSigner, tokenLength, type RecordKind } from './protocol/token.ts'
import { createTriggerStates } from './protocol/trigger-state.ts'
import { createBoundedCalls } from './work/bounded-calls.ts'
import { systemClock } from './work/clock.ts'
import { createDeliveryRunner } from './work/delivery-runner.ts'
import { createFanOutRunner } from './work/fan-out.ts'
import { createJobRunner, leaseMs } from './work/job-runner.ts'
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

  // The store is open before the first route is declared: a bad database stops the app here, with its reason.
  const tell = describing()
  const store = tell === undefined ? options.store ?? defaultStore(log) : unopenedStore()
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
  const operations = registry.runnable
  const jobs = createJobService({
    store,
    clock,
    log,
    ids,
    operations,
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
  const runners = options.runners && tell === undefined ? createRunners() : undefined

  function createRunners () {
    const sender = createCallbackSender(callbacks.guard, callbacks.signingSecrets, callbacks.dispatcher)
    const deliveries = createDeliveryRunner({
      store,
      clock,
      log,
      sealer,
      policy: callbacks,
      deliveryIds,
      subscriptionIds,
      sender,
      operations: () => [...registry.callingBack],
      schedule: callbacks.scheduleSeconds,
      timeoutMs: toMs(callbacks.timeoutSeconds),
      callbackDelayMs: toMs(callbacks.delaySeconds),
      onNews (news) {
        const name = ({ retired: 'onRetired', suspended: 'onSuspended', dead: 'onDead' } as const)[news.outcome]
        // An async hook is the host's own to wait for, but its failure must not end the process.
        Promise.resolve(news).then(callbacks[name]).catch((error: unknown) => { log.error({ err: error }, `callbacks.${name} failed`) })
      }
    })
    const fanOut = createFanOutRunner({
      store, clock, log, subscribers: registry.subscribers, callbackDelayMs: toMs(callbacks.delaySeconds), onOwed: deliveries.wake
    })
    const jobRunner = createJobRunner({
      store,
      clock,
      log,
      ids,
      operations,
      concurrency: options.concurrency,
      onEnd (number) {
        jobs.onEnd(number)
        deliveries.wake()
      }
    })
    return {
      jobs: jobRunner,
      fanOut,
      deliveries,
      prepare: async () => { if (registry.callingBack.size > 0) await sender.prepare() },
      storeChanged () {
        jobRunner.storeChanged()
        fanOut.wake()
        deliveries.wake()
      }
    }
  }

  // What is told of it all: the document that designers read.
  const connector = createConnector({ options: options.connector, baseUrl: typeof options.baseUrl === 'string' ? options.baseUrl : undefined, log })
  tell?.(connector.description)

  // What the host sees.
  const parts: OperationParts = {
    defaults: options,
    owner: options.owner,
    monitorHooks: options.monitorHooks,
    baseUrl: createBaseUrl(options.baseUrl),
    callbackPolicy: callbacks,
    callbackDelayMs: toMs(callbacks.delaySeconds),
    clock,
    ids,
    subscriptionIds,
    tokens,
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
    isCapability (request: FastifyRequest) {
      const { routeOptions, params } = request
      // The host's 404 has no config, and the host's routes may have anything there, null too.
      const marked = (routeOptions.config as FastifyContextConfig | undefined)?.logicApps ?? undefined
      const { token } = params as { token?: string }
      if (typeof marked === 'object' && marked.role === 'poll') return carriesState(request, marked.operationId, triggerStates)
      return typeof marked === 'object' && token !== undefined && tokens.verify(token) !== undefined
    }
  } as FastifyInstance['logicApps'])
  const decorate = (name: 'asyncAction' | 'webhookAction' | 'webhookTrigger' | 'pollingTrigger', add: (instance: FastifyInstance, path: string, options: never, handler: never) => void): void => {
    app.decorate(name, function (this: FastifyInstance, path: string, operation: object, handler?: unknown) {
      add(this, path, operation as never, handler as never)
      return this
    } as never)
  }
  decorate('asyncAction', (instance, path, operation, handler) => { addAsyncAction(instance, path, operation, handler, parts) })
  decorate('webhookAction', (instance, path, operation, handler) => { addWebhookAction(instance, path, operation, handler, parts) })
  decorate('webhookTrigger', (instance, path, operation) => { addWebhookTrigger(instance, path, operation, parts) })
  decorate('pollingTrigger', (instance, path, operation) => { addPollingTrigger(instance, path, operation, parts) })
  app.addHook('onRoute', describePlainActions(registry))
  if (options.connector !== false) {
    app.addHook('onRoute', collectConnectorRoutes(connector))
    if (options.connector.path !== false) addConnectorRoute(app, options.connector.path, connector, parts.baseUrl)
  }

  // Work begins when every operation is known, and ends before the host's own onClose hooks take its databases away.
  app.addHook('onReady', async () => {
    registry.complete()
    await connector.prepare()
    await runners?.prepare()
    for (const runner of [runners?.jobs, runners?.fanOut, runners?.deliveries]) runner?.start()
  })
  app.addHook('preClose', async () => {
    jobs.stop()
    const drainMs = toMs(options.drainSeconds)
    await Promise.all([runners?.jobs.stop(drainMs), runners?.fanOut.stop(), runners?.deliveries.stop(drainMs), polls.stop(drainMs)])
  })
}

/** @throws {InvalidOptionsError} when Fastify would refuse the URLs we hand out. */
function assertTokensFit ({ initialConfig }: FastifyInstance): void {
  const { maxParamLength = tokenLength } = { ...initialConfig, ...initialConfig.routerOptions }
  if (maxParamLength < tokenLength) throw new InvalidOptionsError(`fastify-logic-apps: Fastify's maxParamLength is ${maxParamLength}, the URLs handed out need ${tokenLength}`)
}

export const fastifyLogicApps = fp(logicApps, { name: 'fastify-logic-apps', fastify: '5.x' })
