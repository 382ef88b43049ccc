import { createCaller, type Answer, type Exchange, type PreparedCall } from './caller.ts'
import { hasOption, recurrenceMs, UnsupportedDefinitionError, type HttpTrigger, type TriggerDefinition } from './definitions.ts'
import { toMs } from './duration.ts'
import { EndOfWait } from './ending.ts'
import { createGuid, createRunId, createVersion } from './identity.ts'
import { resolveLocation, retryAfterMs, statusName } from './message.ts'
import type { EngineParts } from './parts.ts'
import { assertTrigger, createFiring, type TriggerEvent, type TriggerHandle, type TriggerOptions } from './trigger.ts'
import { asError, headerOf, type WireResponse } from './wire.ts'

/** An Http trigger: polls at its recurrence, and remembers the `Location` it was given (engine 3). */
export function createPollingTrigger (engine: EngineParts, given: HttpTrigger, options: TriggerOptions): TriggerHandle {
  const { world, unknowns, ledger, identity } = engine
  const { name = 'Trigger', scope = {} } = options
  let definition = checked(given)
  const firing = createFiring(engine, () => definition, options)
  const exchanges: Exchange[] = []
  /** All that the engine remembers of an API's state (engine 3.6). */
  let location: string | undefined
  let polling: { controller: AbortController, close: () => void, done: Promise<void> } | undefined
  let nextPollAt: number | undefined

  function checked (one: TriggerDefinition): HttpTrigger {
    assertTrigger(name, one)
    if (one.type !== 'Http') throw new UnsupportedDefinitionError(`${name}: a polling trigger cannot be saved as "${one.type}"`)
    recurrenceMs(one.recurrence, name)
    return one
  }

  function prepare (signal: AbortSignal): { caller: ReturnType<typeof createCaller>, call: PreparedCall } {
    const runId = createRunId(world.random)
    const caller = createCaller({
      engine,
      tracking: { operationName: name, runId: undefined, clientTrackingId: runId, actionTrackingId: createGuid(world.random) },
      history: exchanges,
      signal,
      suppressHeaders: hasOption(definition, 'SuppressWorkflowHeaders')
    })
    const call = caller.prepare(definition.inputs, scope, name)
    return { caller, call: location === undefined ? call : { ...call, url: location } }
  }

  /** One poll with its retries; gives the wait before the next one (engine 3.2). */
  async function poll (signal: AbortSignal): Promise<number> {
    const recurrence = recurrenceMs(definition.recurrence, name)
    if (!firing.hasRoom()) {
      record({ status: 'Skipped', code: 'WaitingRunsLimit', runs: 0, message: 'too many runs wait (engine 3.15)' })
      return recurrence
    }
    const { caller, call } = prepare(signal)
    return follow(await caller.sendUntilAnswered(call, 'poll'), call.url, recurrence)
  }

  function record (event: Omit<TriggerEvent, 'at'>): void {
    firing.history.push({ at: world.clock.now(), ...event })
  }

  function follow ({ response, error }: Answer, from: string, recurrence: number): number {
    if (response === undefined) {
      record({ status: 'Failed', code: error.code, runs: 0, message: error.message })
      return recurrence
    }
    const { statusCode } = response
    if (statusCode >= 300) {
      record({ status: 'Failed', code: statusName(statusCode), runs: 0 })
      return recurrence
    }
    if (!remember(response, from)) return recurrence
    const asked = retryAfterMs(response.headers, world.clock.now(), unknowns.retryAfterDate)
    if (statusCode === 200 || (unknowns.triggerFiresOn === '2xx' && statusCode !== 202)) {
      firing.fire(response)
      // Only after a 200 may it be sooner than the recurrence (engine 3.12).
      return asked ?? recurrence
    }
    record({ status: 'Skipped', code: statusName(statusCode), runs: 0 })
    return Math.max(recurrence, asked ?? 0)
  }

  /** Without a `Location` the next poll goes to the original URL (engine 3.1). */
  function remember ({ headers }: WireResponse, from: string): boolean {
    const given = headerOf(headers, 'location')
    if (given === undefined) {
      location = undefined
      return true
    }
    const next = resolveLocation(given, from, unknowns.relativeLocation)
    if (next === undefined) {
      record({ status: 'Failed', code: 'InvalidLocation', runs: 0, message: `Location must be an absolute URL (engine 1.3); it is ${JSON.stringify(given)}` })
      return false
    }
    location = next
    return true
  }

  async function loop (signal: AbortSignal, onFirst: () => void): Promise<void> {
    for (;;) {
      nextPollAt = undefined
      const wait = await poll(signal)
      nextPollAt = world.clock.now() + wait
      onFirst()
      await world.wait(wait, signal)
    }
  }

  async function enable (): Promise<void> {
    if (polling !== undefined) return
    const controller = new AbortController()
    let done!: Promise<void>
    const first = new Promise<void>((resolve, reject) => {
      done = loop(controller.signal, resolve).catch((error: unknown) => {
        if (error instanceof EndOfWait) return resolve()
        ledger.complain(`${name}: ${asError(error).message}`)
        reject(asError(error))
      })
    })
    polling = { controller, close: ledger.open(() => `${name} is still polled`), done }
    await world.until(first, `the first poll of ${name}`)
  }

  async function disable (): Promise<void> {
    const ended = polling
    polling = undefined
    nextPollAt = undefined
    ended?.controller.abort(new EndOfWait('Cancelled'))
    ended?.close()
    await ended?.done
  }

  return {
    name,
    get isEnabled () { return polling !== undefined },
    runs: firing.runs,
    history: firing.history,
    exchanges,
    callbackUrl: undefined,
    get nextPoll () {
      return nextPollAt === undefined ? undefined : { url: location ?? prepare(new AbortController().signal).call.url, at: nextPollAt }
    },
    enable,
    disable,
    async save (changed) {
      const wasEnabled = polling !== undefined
      const next = changed === undefined ? definition : checked(changed)
      await disable()
      definition = next
      identity.version = createVersion(world.random)
      if (unknowns.stateAfterSave === 'forgotten') location = undefined
      if (wasEnabled) await enable()
    },
    async restart () {
      if (polling === undefined) return
      await disable()
      await enable()
    },
    async remove () {
      await disable()
      location = undefined
    },
    advance: (duration) => world.advance(toMs(duration, 'duration'))
  }
}
