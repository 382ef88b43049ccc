/*
 * What nobody outside knows of the cloud's engine (engine 15), each as an option. An API that is right holds under every
 * value: test with the others too.
 */

interface Unknown<Value> {
  default: Value
  values: readonly Value[]
  fact: string
  what: string
}

const unknown = <const Value>(definition: Unknown<Value>): Unknown<Value> => definition

export const unknownsTable = {
  relativeLocation: unknown<'refuse' | 'resolve'>({
    default: 'refuse', values: ['refuse', 'resolve'], fact: '1.3, 15.1', what: 'Whether a relative `Location` fails the action, or is resolved against the URL that was called.'
  }),
  retryAfterDate: unknown<'ignore' | 'accept'>({
    default: 'ignore', values: ['ignore', 'accept'], fact: '1.6, 15.1', what: 'Whether a `Retry-After` with a date counts, or the default interval is used.'
  }),
  defaultRetryAfterSeconds: unknown<0 | 1 | 20>({
    default: 1, values: [1, 20, 0], fact: '1.5, 15.1', what: 'The wait before a poll where a 202 has no `Retry-After`, in seconds.'
  }),
  retryAfterClamp: unknown<'none' | 'arm'>({
    default: 'none', values: ['none', 'arm'], fact: '1.7, 15.1', what: 'Whether `Retry-After` is kept within the 10 seconds to 10 minutes of ARM\'s clients.'
  }),
  acceptedWithoutLocation: unknown<'finish' | 'wait'>({
    default: 'finish', values: ['finish', 'wait'], fact: '1.10', what: 'Whether a 202 without `Location` ends the action with that answer, or lets it wait until its time is over.'
  }),
  afterPollFailure: unknown<'repeat' | 'restart'>({
    default: 'repeat', values: ['repeat', 'restart'], fact: '1.13, 15.2', what: 'Whether a poll that is answered 408, 429 or 5xx is repeated, or the original request is.'
  }),
  authenticationOnOtherHost: unknown<'send' | 'omit'>({
    default: 'send', values: ['send', 'omit'], fact: '1.23, 15.3', what: 'Whether the authentication goes along to a `Location` on another host.'
  }),
  pollRedirects: unknown<'end' | 'follow'>({
    default: 'end', values: ['end', 'follow'], fact: '1.14, 15.3', what: 'Whether a 3xx answer to a poll ends the action, or is followed.'
  }),
  callbackAnswer: unknown<200 | 202>({
    default: 200, values: [200, 202], fact: '2.19, 15.4', what: 'What the first callback to an action is answered.'
  }),
  lateCallbackAnswer: unknown<404 | 400 | 200>({
    default: 404, values: [404, 400, 200], fact: '2.19, 15.4', what: 'What a further callback to an action is answered, and one to a run that ended.'
  }),
  subscribeAccepted: unknown<'subscribed' | 'poll'>({
    default: 'subscribed', values: ['subscribed', 'poll'], fact: '2.6, 15.5', what: 'Whether a 202 with `Location` to a subscribe call counts as a yes, or is polled first.'
  }),
  trackingIdOnRetry: unknown<'same' | 'new'>({
    default: 'same', values: ['same', 'new'], fact: '5.4, 15.6', what: 'Whether `x-ms-action-tracking-id` is the same when a request is sent again.'
  }),
  clientTrackingIdAtUnsubscribe: unknown<'same' | 'new'>({
    default: 'same', values: ['same', 'new'], fact: '2.5, 15.6', what: 'Whether a trigger unsubscribes under the `x-ms-client-tracking-id` of its subscribe call.'
  }),
  traceparent: unknown<'omit' | 'send'>({
    default: 'omit', values: ['omit', 'send'], fact: '5.8, 15.6', what: 'Whether a `traceparent` header is sent.'
  }),
  callbackUrlInUnsubscribe: unknown<'works' | 'fails'>({
    default: 'works', values: ['works', 'fails'], fact: '2.5', what: 'Whether `listCallbackUrl()` can be used in `unsubscribe`; where it fails, the call is not sent.'
  }),
  callbackUrlPort: unknown<'omit' | 'send'>({
    default: 'omit', values: ['omit', 'send'], fact: '2.8', what: 'Whether callback URLs spell out `:443`.'
  }),
  triggerFiresOn: unknown<'200' | '2xx'>({
    default: '200', values: ['200', '2xx'], fact: '3.8', what: 'Which answers to a poll start a run: 200 alone, or all below 300 but 202.'
  }),
  triggerUnsubscribesAfterCallback: unknown<'no' | 'yes'>({
    default: 'no', values: ['no', 'yes'], fact: '2.4', what: 'Whether a webhook trigger unsubscribes and subscribes again after each callback.'
  }),
  stateAfterSave: unknown<'forgotten' | 'kept'>({
    default: 'forgotten', values: ['forgotten', 'kept'], fact: '3.6', what: 'Whether a polling trigger that was saved begins without the `Location` it had.'
  }),
  defaultRetryWaits: unknown<'measured' | 'random'>({
    default: 'measured', values: ['measured', 'random'], fact: '6.1, 6.4', what: 'Whether the default policy waits 7.5, 15, 30 and 45 seconds, as was measured, or at random below these.'
  }),
  retryAfterOnErrors: unknown<'429' | 'all'>({
    default: 'all', values: ['all', '429'], fact: '6.6', what: 'On which answers `Retry-After` sets the wait before a retry.'
  })
} as const

export type Unknowns = { -readonly [Name in keyof typeof unknownsTable]: (typeof unknownsTable)[Name]['values'][number] }

/** @throws {TypeError} for a name or a value that is none. */
export function unknownsOf (given: Partial<Unknowns>): Unknowns {
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(unknownsTable, name)) throw new TypeError(`unknowns.${name} is not known; there are ${Object.keys(unknownsTable).join(', ')}`)
    const { values } = unknownsTable[name as keyof Unknowns] as Unknown<unknown>
    if (!values.includes(value)) throw new TypeError(`unknowns.${name} must be one of ${values.map((one) => JSON.stringify(one)).join(', ')}; got ${JSON.stringify(value)}`)
  }
  const defaults = Object.fromEntries(Object.entries(unknownsTable).map(([name, { default: value }]) => [name, value]))
  return { ...defaults, ...given } as Unknowns
}
