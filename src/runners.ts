import { createCallbackSender } from './callbacks/sender.ts'
import { toMs } from './operations/job-options.ts'
import type { Registry } from './operations/registry.ts'
import type { CheckedOptions } from './options.ts'
import type { Sealer } from './protocol/seal.ts'
import type { IdCodec } from './protocol/token.ts'
import type { Clock } from './work/clock.ts'
import { createDeliveryRunner, type DeliveryRunner } from './work/delivery-runner.ts'
import { createFanOutRunner, type FanOutRunner } from './work/fan-out.ts'
import { createJobRunner, type JobRunner } from './work/job-runner.ts'
import type { Logger } from './work/log.ts'
import type { Store } from './work/store.ts'

export interface RunnersParts {
  options: CheckedOptions
  store: Store
  clock: Clock
  log: Logger
  registry: Registry
  sealer: Sealer
  ids: IdCodec
  subscriptionIds: IdCodec
  deliveryIds: IdCodec
  /** A job ended, by this process. */
  onJobEnd: (number: number) => void
}

/** Who works on what the store holds: jobs are run, events fanned out, callbacks delivered. */
export interface Runners {
  jobs: JobRunner
  fanOut: FanOutRunner
  deliveries: DeliveryRunner
  /** When all operations are known. */
  start (): Promise<void>
  /** Another process wrote. */
  storeChanged (): void
  stop (drainMs: number): Promise<void>
}

export function createRunners ({ options, store, clock, log, registry, sealer, ids, subscriptionIds, deliveryIds, onJobEnd }: RunnersParts): Runners {
  const { callbacks } = options
  const callbackDelayMs = toMs(callbacks.delaySeconds)
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
    callbackDelayMs,
    onNews (news) {
      const name = ({ retired: 'onRetired', suspended: 'onSuspended', dead: 'onDead' } as const)[news.outcome]
      // An async hook is the host's own to wait for, but its failure must not end the process.
      Promise.resolve(news).then(callbacks[name]).catch((error: unknown) => { log.error({ err: error }, `callbacks.${name} failed`) })
    }
  })
  const fanOut = createFanOutRunner({ store, clock, log, subscribers: registry.subscribers, callbackDelayMs, deliveries })
  const jobs = createJobRunner({
    store,
    clock,
    log,
    ids,
    operations: registry.runnable,
    concurrency: options.concurrency,
    onEnd (number) {
      onJobEnd(number)
      deliveries.wake()
    },
    onRecover: deliveries.wake
  })
  return {
    jobs,
    fanOut,
    deliveries,

    async start () {
      if (registry.callingBack.size > 0) await sender.prepare()
      for (const runner of [jobs, fanOut, deliveries]) runner.start()
    },

    storeChanged () {
      jobs.storeChanged()
      fanOut.wake()
      deliveries.wake()
    },

    async stop (drainMs) {
      await Promise.all([jobs.stop(drainMs), fanOut.stop(), deliveries.stop(drainMs)])
    }
  }
}
