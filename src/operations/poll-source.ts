import { isDeepStrictEqual } from 'node:util'
import { PollFailedError } from '../errors.ts'
import type { BoundedCalls } from '../work/bounded-calls.ts'
import { errorOf } from '../work/log-thrown.ts'
import type { SchemaCodec } from './schema-codec.ts'
import type { Reading, TriggerItem } from './trigger-answer.ts'
import type { TriggerPoll, TriggerSource } from './trigger-source.ts'
import type { PollResult } from './types.ts'

/** The host's own functions, whatever they really are. */
export interface HostPolling {
  operationId: string
  start: (context: object) => unknown
  poll: (context: object) => unknown
  upgradeState: ((old: unknown) => unknown) | undefined
  timeoutMs: number
  /** Known when the app is ready. */
  codecs: () => { state: SchemaCodec, item: SchemaCodec }
}

/** A cursor over the host's data. Nothing that its functions give is taken on trust: a wrong state would be handed out, and come back for ever. */
export function createPollSource ({ operationId, start, poll, upgradeState, timeoutMs, codecs }: HostPolling, calls: BoundedCalls): TriggerSource {
  const refuse = (reason: string, options?: { cause: Error }): never => { throw new PollFailedError(operationId, reason, options) }

  async function call (name: string, { query, params, log, leftOf, caller }: TriggerPoll, work: (context: object) => unknown): Promise<unknown> {
    try {
      // One time for all calls of a request: the engine waits for their sum.
      return await calls.run(leftOf(timeoutMs), caller(), (signal) => work({ query, params, log, signal }))
    } catch (thrown) {
      return refuse(`${name}() failed`, { cause: errorOf(thrown) })
    }
  }

  /** Through JSON first: what is checked is what will be read. */
  function checked (value: unknown, codec: SchemaCodec, what: string): unknown {
    let text: string | undefined
    try {
      text = JSON.stringify(value)
    } catch (error) {
      return refuse(`${what} is no JSON value`, { cause: error as Error })
    }
    if (text === undefined || text === 'null') return refuse(`${what} is missing`)
    const result = codec.validate(JSON.parse(text))
    return 'fault' in result ? refuse(`${what} does not fit its schema: ${result.fault}`) : result.value
  }

  function itemOf (value: unknown, index: number): TriggerItem {
    const plain = checked(value, codecs().item, `item ${index} of poll()`)
    const text: unknown = codecs().item.serialize(plain)
    if (typeof text !== 'string') return refuse(`item ${index} of poll() was not made a text by the serializer of the scope`)
    return { text, value: () => plain }
  }

  /** What `poll` gave, where it is as it must be. */
  function readingOf (result: unknown, state: unknown, limit: number): Reading {
    if (typeof result !== 'object' || result === null || !Array.isArray((result as PollResult<unknown, unknown>).items)) return refuse('poll() must give { items: [], state, more }')
    const { items, state: next, more = false } = result as PollResult<unknown, unknown>
    if (typeof more !== 'boolean') return refuse('`more` of poll() must be true or false')
    if (items.length > limit) return refuse(`poll() gave ${items.length} items where limit is ${limit}: give the first of them, and say more: true`)
    const newState = checked(next, codecs().state, 'the state of poll()')
    // The engine would be given them again and again, each time at once.
    if (items.length > 0 && isDeepStrictEqual(newState, state)) return refuse('poll() gave items and the state that it was given: give one that is behind the items')
    return { items: Array.from(items, itemOf), state: newState, more }
  }

  return {
    start: async (request) => checked(await call('start', request, start), codecs().state, 'the state of start()'),

    async accept (state, request) {
      const result = codecs().state.validate(structuredClone(state))
      if (!('fault' in result)) return { state: result.value }
      if (upgradeState === undefined) return { fault: `it does not fit the schema of this version: ${result.fault}. Declare upgradeState to take states of earlier ones` }
      const upgraded = await call('upgradeState', request, () => upgradeState(state))
      return { state: checked(upgraded, codecs().state, 'the state of upgradeState()') }
    },

    async read (state, request): Promise<Reading> {
      // A copy: a host that changes it in place must not change what it is compared with.
      const given = structuredClone(state)
      const result = await call('poll', request, (context) => poll({ ...context, state: given, limit: request.limit }))
      try {
        return readingOf(result, state, request.limit)
      } catch (thrown) {
        // A getter, or a Proxy.
        return thrown instanceof PollFailedError ? Promise.reject(thrown) : refuse('what poll() gave cannot be read', { cause: errorOf(thrown) })
      }
    }
  }
}
