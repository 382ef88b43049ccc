import { recurrenceMs, type Recurrence, type TriggerDefinition } from '../engine/definitions.ts'
import { EndOfWait } from '../engine/ending.ts'
import { createRunId } from '../engine/identity.ts'
import type { EngineParts } from '../engine/parts.ts'
import { createPollingTrigger } from '../engine/polling-trigger.ts'
import type { TriggerHandle, TriggerOptions } from '../engine/trigger.ts'
import { createWebhookTrigger } from '../engine/webhook-trigger.ts'
import { connectorParts, withoutConnection } from './api-connection.ts'
import { readWorkflow, type WorkflowPart } from './definition.ts'
import { startRun, type WorkflowRun } from './run.ts'

/** A workflow that is deployed, and switched off as yet. */
export interface WorkflowHandle {
  /** Of an Http, HttpWebhook or ApiConnection trigger. */
  readonly trigger: TriggerHandle | undefined
  readonly runs: readonly WorkflowRun[]
  enable (): Promise<void>
  disable (): Promise<void>
  /** As when it is saved as it is: a new version. */
  save (): Promise<void>
  /** Starts a run by hand, with this as what the trigger brought, and waits until it is over. */
  run (body?: unknown): Promise<WorkflowRun>
  /** Starts a run by hand; time is yours to move. */
  start (body?: unknown): WorkflowRun
}

/** @throws {UnsupportedDefinitionError} naming what in it is not played here. */
export function createWorkflow (engine: EngineParts, json: unknown, patienceMs: number): WorkflowHandle {
  const definition = readWorkflow(json)
  const [named] = Object.entries(definition.triggers)
  const { world } = engine
  const runs: WorkflowRun[] = []

  function begin (id: string, clientTrackingId: string, outputs: { headers: object, body?: unknown }): WorkflowRun {
    const run = startRun(engine, definition, { id, clientTrackingId, outputs: outputs as never })
    runs.push(run)
    return run
  }

  function startByHand (body?: unknown): WorkflowRun {
    const id = createRunId(world.random)
    return begin(id, id, { headers: {}, ...(body === undefined ? {} : { body }) })
  }

  const trigger = named === undefined
    ? undefined
    : createTrigger(engine, named, {
      scope: { parameters: (name) => definition.parameters[String(name)] ?? null },
      async onRun ({ id, clientTrackingId, outputs, body }) { await begin(id, clientTrackingId, { ...outputs, body }).done }
    })
  const timer = named?.[1].type === 'Recurrence' ? createTimer(engine, named, () => startByHand()) : undefined

  return {
    trigger,
    runs,
    async enable () {
      await trigger?.enable()
      timer?.start()
    },
    async disable () {
      await trigger?.disable()
      await timer?.stop()
    },
    async save () { await trigger?.save() },
    run: (body) => world.until(startByHand(body).done, 'the run', patienceMs),
    start: startByHand
  }
}

function createTrigger (engine: EngineParts, [name, part]: [string, WorkflowPart], options: TriggerOptions): TriggerHandle | undefined {
  if (part.type === 'Request' || part.type === 'Recurrence') return undefined
  const definition: TriggerDefinition = withoutConnection(name, part)
  const parts = connectorParts(engine, part)
  return definition.type === 'Http' ? createPollingTrigger(parts, definition, { name, ...options }) : createWebhookTrigger(parts, definition, { name, ...options })
}

/** A Recurrence trigger: a run at once, and at each interval. */
function createTimer ({ world, ledger }: EngineParts, [name, { recurrence }]: [string, WorkflowPart], fire: () => WorkflowRun): { start (): void, stop (): Promise<void> } {
  const everyMs = recurrenceMs(recurrence as Recurrence | undefined, name)
  let going: { controller: AbortController, close: () => void, done: Promise<void> } | undefined

  async function loop (signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        fire().done.catch((error: unknown) => { ledger.complain(`${name}: a run failed: ${(error as Error).message}`) })
        await world.wait(everyMs, signal)
      }
    } catch (error) {
      if (!(error instanceof EndOfWait)) throw error
    }
  }

  return {
    start () {
      if (going !== undefined) return
      const controller = new AbortController()
      going = { controller, close: ledger.open(() => `${name} still recurs`), done: loop(controller.signal) }
    },
    async stop () {
      going?.controller.abort(new EndOfWait('Cancelled'))
      going?.close()
      await going?.done
      going = undefined
    }
  }
}
