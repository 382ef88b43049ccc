import type { Exchange } from './caller.ts'
import { assertPlayed, UnsupportedDefinitionError, type TriggerDefinition } from './definitions.ts'
import { createRunId } from './identity.ts'
import { decodeBody, statusName } from './message.ts'
import type { EngineParts } from './parts.ts'
import { evaluate, evaluateCondition, type Scope } from '../workflow/template.ts'
import type { Outputs } from './ending.ts'
import type { Duration } from './duration.ts'

/** A run that a trigger started. */
export interface TriggerRun {
  id: string
  /** Epoch milliseconds. */
  at: number
  /** What `triggerBody()` is in it. */
  body: unknown
  outputs: Outputs
  /** Shared by all runs of one array (engine 3.14), and set by the API where it sends the header (engine 3.23). */
  clientTrackingId: string
}

/** One poll, or one callback, as the trigger history shows it. */
export interface TriggerEvent {
  at: number
  /** `Skipped` for a poll that brought nothing (engine 3.9). */
  status: 'Succeeded' | 'Skipped' | 'Failed'
  code: string
  /** How many runs it started. */
  runs: number
  message?: string
}

export interface TriggerHandle {
  readonly name: string
  readonly isEnabled: boolean
  readonly runs: readonly TriggerRun[]
  readonly history: readonly TriggerEvent[]
  /** Every request that was sent. */
  readonly exchanges: readonly Exchange[]
  /** Of a webhook trigger that is or was enabled. */
  readonly callbackUrl: string | undefined
  /** Of a polling trigger: where its next poll goes, and when. */
  readonly nextPoll: { url: string, at: number } | undefined
  /** Subscribes, or polls for the first time. @throws {Error} when the subscribe call fails: the cloud would not save the workflow. */
  enable (): Promise<void>
  disable (): Promise<void>
  /** As when the workflow is saved, perhaps with another definition: a new version, and for a webhook a new callback URL (engine 2.9). */
  save (definition?: TriggerDefinition): Promise<void>
  /** As when its host starts again: a webhook registers once more, with the URL it had. */
  restart (): Promise<void>
  /** As when the workflow is deleted. */
  remove (): Promise<void>
  advance (duration: Duration): Promise<void>
}

export interface TriggerOptions {
  /** In headers and in callback URLs. @default 'Trigger' */
  name?: string
  scope?: Scope
  /** What a run does; it is active until that is over (engine 3.15). */
  onRun?: (run: TriggerRun) => Promise<void>
}

/** What both kinds of trigger do with something that came. */
export interface Firing {
  runs: TriggerRun[]
  history: TriggerEvent[]
  /** Whether there is room for more runs (engine 3.15). */
  hasRoom (): boolean
  /** Starts runs, or says why there are none. */
  fire (message: { statusCode?: number, headers: Outputs['headers'], body: Buffer }): TriggerEvent
}

const limits = { splitOn: 100_000, splitOnWithConcurrency: 100 } as const

/** @throws {UnsupportedDefinitionError} for what is not played here. */
export function createFiring (engine: EngineParts, definition: () => TriggerDefinition, { name = 'Trigger', scope = {}, onRun }: TriggerOptions): Firing {
  const { world } = engine
  const runs: TriggerRun[] = []
  const history: TriggerEvent[] = []
  let active = 0

  const concurrency = (): { runs?: number, maximumWaitingRuns?: number } | undefined => definition().runtimeConfiguration?.concurrency
  const record = (event: Omit<TriggerEvent, 'at'>): TriggerEvent => {
    const entry = { at: world.clock.now(), ...event }
    history.push(entry)
    return entry
  }

  function start (outputs: Outputs, body: unknown, clientTrackingId: string): void {
    const run = { id: createRunId(world.random), at: world.clock.now(), body, outputs, clientTrackingId }
    runs.push(run)
    if (onRun === undefined) return
    active++
    onRun(run).catch((error: unknown) => { engine.ledger.complain(`${name}: a run failed: ${(error as Error).message}`) }).finally(() => { active-- })
  }

  /** One body for each run (engine 3.14). */
  function bodiesOf (outputs: Outputs): unknown[] {
    const { splitOn } = definition()
    if (splitOn === undefined) return [outputs.body]
    const items = evaluate(splitOn, { ...scope, triggerBody: () => outputs.body ?? null, triggerOutputs: () => outputs })
    if (!Array.isArray(items)) throw new Error(`splitOn "${splitOn}" gives no array but ${JSON.stringify(items)}`)
    const limit = concurrency() === undefined ? limits.splitOn : limits.splitOnWithConcurrency
    if (items.length > limit) throw new Error(`splitOn gives ${items.length} items; the limit is ${limit} (engine 3.14)`)
    return items
  }

  return {
    runs,
    history,

    hasRoom () {
      const { runs: degree, maximumWaitingRuns = 10 + (degree ?? 0) } = concurrency() ?? {}
      return degree === undefined || active < degree + maximumWaitingRuns
    },

    fire ({ statusCode, headers, body }) {
      const code = statusCode === undefined ? 'OK' : statusName(statusCode)
      const parsed = decodeBody({ headers, body })
      const outputs: Outputs = { ...(statusCode === undefined ? {} : { statusCode }), headers, ...(parsed.body === undefined ? {} : { body: parsed.body }) }
      if (parsed.isBroken) return record({ status: 'Failed', code: 'BadRequest', runs: 0, message: 'the content type says JSON, and the body is none (engine 1.27)' })
      try {
        const conditionScope = { ...scope, triggers: () => ({ code, outputs }), trigger: () => ({ code, outputs }), triggerOutputs: () => outputs, triggerBody: () => outputs.body ?? null }
        const { conditions = [] } = definition()
        if (!conditions.every(({ expression }) => evaluateCondition(expression, conditionScope))) return record({ status: 'Skipped', code, runs: 0, message: 'a trigger condition was not met' })
        const bodies = bodiesOf(outputs)
        const id = headers['x-ms-client-tracking-id']
        const clientTrackingId = typeof id === 'string' ? id : createRunId(world.random)
        for (const one of bodies) start(outputs, one, clientTrackingId)
        return record({ status: 'Succeeded', code, runs: bodies.length })
      } catch (error) {
        // The cloud shows it in the trigger history, and so do we.
        return record({ status: 'Failed', code: 'InvalidTemplate', runs: 0, message: (error as Error).message })
      }
    }
  }
}

export function assertTrigger (name: string, definition: TriggerDefinition): void {
  if (definition.type !== 'Http' && definition.type !== 'HttpWebhook') {
    throw new UnsupportedDefinitionError(`${name}: triggers of type "${String((definition as { type: unknown }).type)}" are not played here; there are Http and HttpWebhook`)
  }
  // Two of the headers are promised to webhooks (engine 5.6).
  assertPlayed(name, definition, definition.type === 'Http' ? ['SuppressWorkflowHeaders'] : [], ['concurrency'])
}
