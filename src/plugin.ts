import type { FastifyContextConfig, FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { AlreadyRegisteredError, InvalidOptionsError } from './errors.ts'
import { addAsyncAction } from './operations/async-action.ts'
import { createBaseUrl } from './operations/base-url.ts'
import type { OperationParts } from './operations/job-operation.ts'
import { toMs } from './operations/job-options.ts'
import { describePlainActions } from './operations/plain-action.ts'
import { createRegistry } from './operations/registry.ts'
import { checkOptions, type FastifyLogicAppsOptions } from './options.ts'
import { createIdCodec, createTokenSigner, tokenLength } from './protocol/token.ts'
import { defaultStore } from './default-store.ts'
import { systemClock } from './work/clock.ts'
import { createJobRunner, leaseMs, type JobRunner } from './work/job-runner.ts'
import { createJobService } from './work/jobs.ts'

/*
 * The whole machine: options -> store -> core -> decorators -> hooks. A request comes in through operations/, becomes a
 * record through work/ and the store, and is worked on by the job runner; polls read the record.
 */
async function logicApps (app: FastifyInstance, given: FastifyLogicAppsOptions): Promise<void> {
  if (app.hasDecorator('logicApps')) throw new AlreadyRegisteredError()
  const options = checkOptions(given)
  assertTokensFit(app)
  const clock = options.clock ?? systemClock
  const log = app.log.child({ plugin: 'fastify-logic-apps' })

  // The store is open before the first route is declared: a bad database stops the app here, with its reason.
  const store = options.store ?? defaultStore(log)
  let runner: JobRunner | undefined
  const identity = await store.open({ clock, log, leaseMs, wake: () => runner?.storeChanged() })
  app.addHook('onClose', async () => { await store.close() })
  const secrets = options.secrets ?? await identity.localSecret?.().then((secret) => [secret])
  if (secrets === undefined) throw new InvalidOptionsError('fastify-logic-apps: secret is missing: this store keeps none, and all replicas must have the same')
  const ids = createIdCodec(identity.idKey)
  const tokens = createTokenSigner(secrets)

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
    runner: () => runner
  })
  if (options.runners) runner = createJobRunner({ store, clock, log, ids, operations, concurrency: options.concurrency, onEnd: jobs.onEnd })

  // What the host sees.
  const parts: OperationParts = {
    defaults: options,
    owner: options.owner,
    monitorHooks: options.monitorHooks,
    baseUrl: createBaseUrl(options.baseUrl),
    clock,
    ids,
    tokens,
    jobs,
    registry
  }
  app.decorate('logicApps', {
    // What the host may do, and no more.
    jobs: { get: jobs.get, list: jobs.list, cancel: jobs.cancel, complete: jobs.complete, fail: jobs.fail },
    isCapability ({ routeOptions, params }: FastifyRequest) {
      // The host's 404 has no config.
      const marked = (routeOptions.config as FastifyContextConfig | undefined)?.logicApps
      return typeof marked === 'object' && marked.role !== 'start' && tokens.verify((params as { token: string }).token) !== undefined
    }
  })
  app.decorate('asyncAction', function (this: FastifyInstance, path: string, operation: object, handler: (job: never) => unknown) {
    addAsyncAction(this, path, operation as Parameters<typeof addAsyncAction>[2], handler as Parameters<typeof addAsyncAction>[3], parts)
    return this
  } as FastifyInstance['asyncAction'])
  app.addHook('onRoute', describePlainActions(registry))

  // Work begins when every operation is known, and ends before the host's own onClose hooks take its databases away.
  app.addHook('onReady', async () => {
    registry.complete()
    runner?.start()
  })
  app.addHook('preClose', async () => {
    jobs.stop()
    await runner?.stop(toMs(options.drainSeconds))
  })
}

/** @throws {InvalidOptionsError} when Fastify would refuse the URLs we hand out. */
function assertTokensFit ({ initialConfig }: FastifyInstance): void {
  const { maxParamLength = tokenLength } = { ...initialConfig, ...initialConfig.routerOptions }
  if (maxParamLength < tokenLength) throw new InvalidOptionsError(`fastify-logic-apps: Fastify's maxParamLength is ${maxParamLength}, the URLs handed out need ${tokenLength}`)
}

export const fastifyLogicApps = fp(logicApps, { name: 'fastify-logic-apps', fastify: '5.x' })
