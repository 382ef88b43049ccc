import { UnsupportedDefinitionError } from '../engine/definitions.ts'
import { ExpressionError } from './expression.ts'
import { pureFunctions } from './functions.ts'
import { functionsIn } from './template.ts'

/** One action or trigger, as the JSON has it. */
export interface WorkflowPart {
  type: string
  inputs?: Record<string, unknown>
  runAfter?: Record<string, string[]>
  [other: string]: unknown
}

export type Actions = Record<string, WorkflowPart>

export interface WorkflowDefinition {
  triggers: Record<string, WorkflowPart>
  actions: Actions
  parameters: Record<string, unknown>
}

/** What runs here. Anything else is refused before anything is sent. */
export const actionTypes = ['Http', 'HttpWebhook', 'ApiConnection', 'ApiConnectionWebhook', 'If', 'Terminate'] as const
export const triggerTypes = ['Http', 'HttpWebhook', 'ApiConnection', 'ApiConnectionWebhook', 'Request', 'Recurrence'] as const

/** Functions that a run answers, beside the pure ones. */
export const runFunctions = [
  'trigger', 'triggers', 'triggerBody', 'triggerOutputs', 'body', 'outputs', 'actions', 'parameters', 'workflow', 'listCallbackUrl', 'utcNow', 'guid'
] as const

const statuses = ['Succeeded', 'Failed', 'TimedOut', 'Skipped', 'Cancelled']

/**
 * A workflow as the code view has it, or its `definition`, or a part of that with `triggers` or `actions` alone.
 *
 * @throws {UnsupportedDefinitionError} naming what is not played here, and where it stands.
 */
export function readWorkflow (json: unknown): WorkflowDefinition {
  const outer = objectOf(json, 'a workflow')
  const inner = outer.definition === undefined ? outer : objectOf(outer.definition, 'definition')
  const known = ['$schema', 'contentVersion', 'triggers', 'actions', 'parameters', 'outputs', 'metadata', 'description']
  const extra = Object.keys(inner).find((name) => !known.includes(name))
  if (extra !== undefined) throw new UnsupportedDefinitionError(`a workflow has no "${extra}"; there are ${known.join(', ')}`)
  const triggers = partsOf(inner.triggers, 'triggers')
  const actions = partsOf(inner.actions, 'actions')
  if (Object.keys(triggers).length + Object.keys(actions).length === 0) throw new UnsupportedDefinitionError('a workflow must have triggers or actions')
  if (Object.keys(triggers).length > 1) throw new UnsupportedDefinitionError(`one trigger is played here, not ${Object.keys(triggers).join(' and ')}`)
  for (const [name, trigger] of Object.entries(triggers)) checkPart(`triggers.${name}`, trigger, triggerTypes)
  checkActions(actions, 'actions')
  const declared = Object.fromEntries(Object.entries(objectOf(inner.parameters ?? {}, 'parameters')).map(([name, value]) => [name, (value as { defaultValue?: unknown }).defaultValue]))
  const given = inner === outer ? {} : Object.fromEntries(Object.entries(objectOf(outer.parameters ?? {}, 'parameters')).map(([name, value]) => [name, (value as { value?: unknown }).value]))
  return { triggers, actions, parameters: { ...declared, ...given } }
}

function checkActions (actions: Actions, at: string): void {
  for (const [name, action] of Object.entries(actions)) {
    const where = `${at}.${name}`
    checkPart(where, action, actionTypes)
    for (const [before, wanted] of Object.entries(action.runAfter ?? {})) {
      if (!Object.hasOwn(actions, before)) throw new UnsupportedDefinitionError(`${where}: runAfter names "${before}", which is no action beside it`)
      const wrong = wanted.find((status) => !statuses.includes(status))
      if (wrong !== undefined) throw new UnsupportedDefinitionError(`${where}: runAfter has "${wrong}"; there are ${statuses.join(', ')}`)
    }
    if (action.type !== 'If') continue
    if (action.expression === undefined) throw new UnsupportedDefinitionError(`${where}: expression is missing`)
    checkActions(branchOf(action, 'actions'), `${where}.actions`)
    checkActions(branchOf(action, 'else'), `${where}.else`)
  }
  assertNoCycle(actions, at)
}

export function branchOf (action: WorkflowPart, branch: 'actions' | 'else'): Actions {
  const actions = branch === 'actions' ? action.actions : (action.else as { actions?: unknown } | undefined)?.actions
  return partsOf(actions, branch)
}

function checkPart (where: string, { type, actions: _, else: __, ...part }: WorkflowPart, types: readonly string[]): void {
  if (!types.includes(type)) throw new UnsupportedDefinitionError(`${where}: the type "${type}" is not played here; there are ${types.join(', ')}`)
  let names: Set<string>
  try {
    names = functionsIn(part)
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    throw new UnsupportedDefinitionError(`${where}: ${error.message}`, { cause: error })
  }
  const unknown = [...names].find((name) => !Object.hasOwn(pureFunctions, name) && !(runFunctions as readonly string[]).includes(name))
  if (unknown !== undefined) throw new UnsupportedDefinitionError(`${where}: the function ${unknown}() is not played here; there are ${[...runFunctions, ...Object.keys(pureFunctions)].toSorted().join(', ')}`)
}

function assertNoCycle (actions: Actions, at: string): void {
  const done = new Set<string>()
  const visit = (name: string, above: string[]): void => {
    if (above.includes(name)) throw new UnsupportedDefinitionError(`${at}: ${[...above, name].join(' runs after ')}`)
    if (done.has(name)) return
    for (const before of Object.keys(actions[name]!.runAfter ?? {})) visit(before, [...above, name])
    done.add(name)
  }
  for (const name of Object.keys(actions)) visit(name, [])
}

function partsOf (value: unknown, what: string): Record<string, WorkflowPart> {
  const parts = objectOf(value ?? {}, what)
  for (const [name, part] of Object.entries(parts)) {
    if (typeof objectOf(part, `${what}.${name}`).type !== 'string') throw new UnsupportedDefinitionError(`${what}.${name}: type is missing`)
  }
  return parts as Record<string, WorkflowPart>
}

function objectOf (value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new UnsupportedDefinitionError(`${what} must be an object`)
  return value as Record<string, unknown>
}
