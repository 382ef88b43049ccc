import { createCaller, type Exchange } from './caller.ts'
import { hasOption, UnsupportedDefinitionError, type ActionDefinition } from './definitions.ts'
import { durationMs } from './duration.ts'
import { EndOfWait, endedFromOutside, type ActionResult } from './ending.ts'
import { playHttpAction } from './http-action.ts'
import { createGuid, createRunId } from './identity.ts'
import type { EngineParts } from './parts.ts'
import { playWebhookAction } from './webhook-action.ts'
import type { Scope } from '../workflow/template.ts'

export interface ActionOptions {
  /** Of the action: in headers and in callback URLs. @default 'Action' */
  name?: string
  /** Functions that its expressions may call beside the pure ones, such as `triggerBody`. */
  scope?: Scope
  /** Of the run it belongs to. @default a new one */
  runId?: string
  clientTrackingId?: string
}

/** An action under way. */
export interface RunningAction {
  name: string
  runId: string
  /** Every request so far. */
  history: readonly Exchange[]
  /** Resolves when it is over; never rejects for what the API did. */
  done: Promise<ActionResult>
  /** As when its run is cancelled: polls stop, a webhook unsubscribes (engine 1.18, 2.3). */
  cancel (): void
}

/** @throws {UnsupportedDefinitionError} for an action that is not played here. */
export function startAction (engine: EngineParts, definition: ActionDefinition, options: ActionOptions = {}): RunningAction {
  const { world, ledger, profile } = engine
  const { name = 'Action', scope = {}, runId = createRunId(world.random) } = options
  // Before anything is sent: what is wrong with a definition is the test's mistake, and is told at once.
  const limitMs = definition.limit?.timeout === undefined ? Infinity : durationMs(definition.limit.timeout, `${name}: limit.timeout`)
  if (definition.type !== 'Http' && definition.type !== 'HttpWebhook') {
    throw new UnsupportedDefinitionError(`${name}: actions of type "${String((definition as { type: unknown }).type)}" are not played here; there are Http and HttpWebhook`)
  }
  const history: Exchange[] = []
  const controller = new AbortController()
  const callerParts = {
    engine,
    tracking: { operationName: name, runId, clientTrackingId: options.clientTrackingId ?? runId, actionTrackingId: createGuid(world.random) },
    history,
    suppressHeaders: hasOption(definition, 'SuppressWorkflowHeaders')
  }
  const call = {
    name,
    engine,
    runId,
    scope: { ...scope, workflow: () => ({ run: { name: runId }, name: engine.identity.workflowName, id: engine.identity.workflowId }) },
    signal: controller.signal,
    caller: createCaller({ ...callerParts, signal: controller.signal }),
    // What has to be said when all is over must still get through.
    lastCaller: createCaller({ ...callerParts, signal: new AbortController().signal })
  }

  const close = ledger.open(() => `${name} is still running: ${lastOf(history)}`)
  const runMs = Math.min(limitMs, profile.runSeconds * 1000)
  const cancelLimit = world.after(runMs, () => { controller.abort(new EndOfWait('TimedOut')) })

  async function play (): Promise<ActionResult> {
    try {
      const ending = definition.type === 'Http' ? await playHttpAction(definition, call) : await playWebhookAction(definition, call)
      return { name, ...ending, history }
    } catch (error) {
      if (!(error instanceof EndOfWait)) throw error
      return { name, ...endedFromOutside(error), history }
    } finally {
      cancelLimit()
      close()
    }
  }

  return { name, runId, history, done: play(), cancel: () => { controller.abort(new EndOfWait('Cancelled')) } }
}

function lastOf (history: Exchange[]): string {
  const last = history.at(-1)
  if (last === undefined) return 'nothing was sent yet'
  return `its last request, ${last.request.method} ${last.request.url.split('?')[0]}, was answered ${last.response?.statusCode ?? last.error?.code}`
}
