import { createGuid } from '../engine/identity.ts'
import type { ActionResult, ActionStatus, Outputs } from '../engine/ending.ts'
import type { EngineParts } from '../engine/parts.ts'
import { startAction, type RunningAction } from '../engine/run-action.ts'
import { connectorParts, withoutConnection } from './api-connection.ts'
import { branchOf, type Actions, type WorkflowDefinition, type WorkflowPart } from './definition.ts'
import { ExpressionError } from './expression.ts'
import { evaluate, evaluateCondition, type Scope } from './template.ts'

export type RunStatus = 'Running' | 'Succeeded' | 'Failed' | 'Cancelled' | 'TimedOut'

export interface WorkflowRun {
  readonly id: string
  readonly status: RunStatus
  /** Of a run that a `Terminate` action ended, or that failed. */
  readonly error: { code: string, message: string } | undefined
  /** What came of each action so far, those within conditions included. */
  readonly actions: Readonly<Record<string, ActionResult>>
  /** Resolves when it is over. */
  readonly done: Promise<WorkflowRun>
  /** Cancels what is under way: polls stop, webhooks unsubscribe. */
  cancel (): void
}

export interface RunStart {
  id: string
  clientTrackingId: string
  /** What `triggerOutputs()` is. */
  outputs: Outputs & { body?: unknown }
}

/** A `Terminate` action ends all. */
class Terminated extends Error {
  readonly status: RunStatus
  readonly reason: { code: string, message: string } | undefined

  constructor (status: RunStatus, reason: { code: string, message: string } | undefined) {
    super('terminated')
    this.status = status
    this.reason = reason
  }
}

export function startRun (engine: EngineParts, { actions, parameters }: WorkflowDefinition, start: RunStart): WorkflowRun {
  const { world, identity, ledger } = engine
  const results: Record<string, ActionResult> = {}
  const running = new Set<RunningAction>()
  let status: RunStatus = 'Running'
  let error: WorkflowRun['error']
  let isEnded = false

  const resultOf = (name: unknown): ActionResult => {
    const result = Object.hasOwn(results, String(name)) ? results[String(name)] : undefined
    if (result === undefined) throw new ExpressionError(`the action "${String(name)}" has not run`)
    return result
  }
  const trigger = (): object => ({ code: 'OK', outputs: start.outputs })
  const scope: Scope = {
    trigger,
    triggers: trigger,
    triggerBody: () => start.outputs.body ?? null,
    triggerOutputs: () => start.outputs,
    body: (name) => resultOf(name).outputs?.body ?? null,
    outputs: (name) => resultOf(name).outputs ?? null,
    actions: (name) => {
      const { history: _, ...shown } = resultOf(name)
      return shown
    },
    parameters (name) {
      if (!Object.hasOwn(parameters, String(name))) throw new ExpressionError(`the parameter "${String(name)}" is not defined`)
      return parameters[String(name)] ?? null
    },
    workflow: () => ({ run: { name: start.id }, name: identity.workflowName, id: identity.workflowId }),
    utcNow: () => new Date(world.clock.now()).toISOString(),
    guid: () => createGuid(world.random)
  }

  /** All actions of one level, each when those it runs after are over. */
  async function playActions (level: Actions): Promise<boolean> {
    const ends = new Map<string, Promise<ActionResult>>()
    const play = (name: string): Promise<ActionResult> => {
      let end = ends.get(name)
      if (end === undefined) ends.set(name, end = playAfter(name, level[name]!, play))
      return end
    }
    // All of them are waited for, or one that fails would leave others behind.
    const settled = await Promise.allSettled(Object.keys(level).map(play))
    for (const one of settled) if (one.status === 'rejected') throw one.reason
    return Object.keys(level).every((name) => !isUnhandled(name, level))
  }

  async function playAfter (name: string, action: WorkflowPart, play: (name: string) => Promise<ActionResult>): Promise<ActionResult> {
    const before = await Promise.all(Object.entries(action.runAfter ?? {}).map(async ([one, wanted]) => wanted.includes((await play(one)).status)))
    const result = isEnded || before.includes(false)
      ? { name, status: 'Skipped', code: 'ActionSkipped', outputs: undefined, error: undefined, history: [] } as ActionResult
      : await playAction(name, action)
    results[name] = result
    return result
  }

  async function playAction (name: string, action: WorkflowPart): Promise<ActionResult> {
    try {
      switch (action.type) {
        case 'If': return await playCondition(name, action)
        case 'Terminate': return terminate(action)
        default: return await playCall(name, action)
      }
    } catch (thrown) {
      // The cloud shows it as the action's own failure.
      if (thrown instanceof ExpressionError) return failedAction(name, 'InvalidTemplate', thrown.message)
      throw thrown
    }
  }

  async function playCall (name: string, action: WorkflowPart): Promise<ActionResult> {
    const call = startAction(connectorParts(engine, action), withoutConnection(name, action), { name, scope, runId: start.id, clientTrackingId: start.clientTrackingId })
    running.add(call)
    try {
      return await call.done
    } finally {
      running.delete(call)
    }
  }

  async function playCondition (name: string, action: WorkflowPart): Promise<ActionResult> {
    const isMet = evaluateCondition(action.expression, scope)
    await skipAll(branchOf(action, isMet ? 'else' : 'actions'))
    const isFine = await playActions(branchOf(action, isMet ? 'actions' : 'else'))
    return isFine
      ? { name, status: 'Succeeded', code: 'OK', outputs: undefined, error: undefined, history: [] }
      : failedAction(name, 'ActionFailed', 'An action failed. No dependent actions succeeded.')
  }

  async function skipAll (level: Actions): Promise<void> {
    for (const [name, action] of Object.entries(level)) {
      results[name] = { name, status: 'Skipped', code: 'ActionBranchingConditionNotSatisfied', outputs: undefined, error: undefined, history: [] }
      if (action.type === 'If') for (const branch of ['actions', 'else'] as const) await skipAll(branchOf(action, branch))
    }
  }

  function terminate ({ inputs = {} }: WorkflowPart): never {
    const { runStatus, runError } = evaluate(inputs, scope) as { runStatus?: RunStatus, runError?: { code: string, message: string } }
    if (runStatus !== 'Failed' && runStatus !== 'Succeeded' && runStatus !== 'Cancelled') throw new ExpressionError(`runStatus must be Failed, Succeeded or Cancelled; it is ${JSON.stringify(runStatus)}`)
    isEnded = true
    for (const call of running) call.cancel()
    throw new Terminated(runStatus, runError)
  }

  /** Failed, and nothing ran because of that. */
  function isUnhandled (name: string, level: Actions): boolean {
    const { status: ended } = results[name]!
    if (ended !== 'Failed' && ended !== 'TimedOut' && ended !== 'Cancelled') return false
    return !Object.entries(level).some(([other, { runAfter = {} }]) => runAfter[name]?.includes(ended) === true && results[other]!.status !== 'Skipped')
  }

  async function play (): Promise<WorkflowRun> {
    const close = ledger.open(() => `a run is still going on: ${[...running].map(({ name }) => name).join(', ')}`)
    try {
      const isFine = await playActions(actions)
      const failed = Object.values(results).find((result) => ['Failed', 'TimedOut'].includes(result.status))
      end(isEnded ? 'Cancelled' : isFine ? 'Succeeded' : 'Failed', isFine ? undefined : failed?.error)
    } catch (thrown) {
      if (!(thrown instanceof Terminated)) throw thrown
      end(thrown.status, thrown.reason)
    } finally {
      close()
    }
    return run
  }

  function end (as: RunStatus, reason: WorkflowRun['error']): void {
    status = as
    error = reason
  }

  const run: WorkflowRun = {
    id: start.id,
    get status () { return status },
    get error () { return error },
    actions: results,
    done: Promise.resolve().then(play),
    cancel () {
      isEnded = true
      for (const call of running) call.cancel()
    }
  }
  return run
}

function failedAction (name: string, code: string, message: string, status: ActionStatus = 'Failed'): ActionResult {
  return { name, status, code, outputs: undefined, error: { code, message }, history: [] }
}
