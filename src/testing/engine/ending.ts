import type { Answer, Exchange } from './caller.ts'
import { decodeBody, statusName } from './message.ts'
import type { WireResponse } from './wire.ts'

export type ActionStatus = 'Succeeded' | 'Failed' | 'TimedOut' | 'Cancelled' | 'Skipped'

export interface Outputs {
  statusCode?: number
  headers: WireResponse['headers']
  /** Parsed as engine 1.27 says; left out where there was none. */
  body?: unknown
}

/** How an action ended, as its run history shows it. */
export interface ActionResult {
  name: string
  status: ActionStatus
  /** `OK`, `NotFound`, `ActionTimedOut` …; the number for a status without a name (engine 1.11). */
  code: string
  /** `undefined` where no answer came. */
  outputs: Outputs | undefined
  error: { code: string, message: string } | undefined
  /** Every request that was sent for it, in order. */
  history: Exchange[]
}

export type Ending = Omit<ActionResult, 'name' | 'history'>

/** The wait was ended from outside. */
export class EndOfWait extends Error {
  override readonly name = 'EndOfWait'
  readonly status: 'TimedOut' | 'Cancelled'

  constructor (status: 'TimedOut' | 'Cancelled') {
    super(status === 'TimedOut' ? 'the action\'s time is over' : 'the action was cancelled')
    this.status = status
  }
}

export function failed (code: string, message: string, outputs?: Outputs): Ending {
  return { status: 'Failed', code, outputs, error: { code, message } }
}

export function endedFromOutside ({ status }: EndOfWait): Ending {
  const code = status === 'TimedOut' ? 'ActionTimedOut' : 'ActionCancelled'
  return { status, code, outputs: undefined, error: { code, message: status === 'TimedOut' ? 'limit.timeout is over (engine 1.17).' : 'The run was cancelled.' } }
}

/** Below 400 is success, whatever the body says (engine 1.11, 1.12). */
export function endingOf ({ response, error }: Answer): Ending {
  if (response === undefined) return { status: 'Failed', code: error.code, outputs: undefined, error }
  const { statusCode, headers } = response
  const { body, isBroken } = decodeBody(response)
  const outputs: Outputs = { statusCode, headers, ...(body === undefined ? {} : { body }) }
  if (isBroken) return failed('BadRequest', 'The content type says JSON, and the body is none (engine 1.27).', outputs)
  const code = statusName(statusCode)
  return statusCode < 400 ? { status: 'Succeeded', code, outputs, error: undefined } : failed(code, `The API answered ${statusCode}.`, outputs)
}
