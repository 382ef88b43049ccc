import { createRecent } from './recent.ts'

/** The query parameter that a polling trigger's state travels in (engine 3.3). */
export const stateParameter = 'triggerState'

/** Some proxies and gateways cut or refuse longer ones; the engine's own limit is not documented. */
export const maxUrlLength = 1999

/** While there is nothing new, a trigger is polled at the same URL again and again. */
const recent = createRecent<Readonly<TriggerTarget>>(5_000, 500)

/** A request's target, taken apart at the state. */
export interface TriggerTarget {
  /** As it was written, but in ASCII: a header holds no more, and Node.js takes a request whose target has other bytes in it. */
  path: string
  /** The other parameters, likewise. */
  query: string
  /** The same, so that equal ones read alike: decoded, in order, each once (a caller may add its own again). */
  queryForm: string
  /** As often as it was given, decoded. An empty one counts as none: a template with nothing to put in. */
  states: readonly string[]
}

export const readTriggerTarget = (target: string): Readonly<TriggerTarget> => recent.get(target) ?? recent.set(target, takeApart(target))

/** A target can be a whole URL (RFC 9112, 3.2.2), and holds a fragment where a client is careless. */
function takeApart (target: string): TriggerTarget {
  const [whole = ''] = target.replace(/^https?:\/\/[^/?#]*/i, '').split('#', 1)
  const begin = whole.indexOf('?')
  const pieces = begin === -1 ? [] : whole.slice(begin + 1).split('&').filter((piece) => piece !== '')
  const isState = (piece: string): boolean => isPlain(piece) ? piece.startsWith(`${stateParameter}=`) : [...new URLSearchParams(piece).keys()][0] === stateParameter
  const others = pieces.filter((piece) => !isState(piece))
  return {
    path: inAscii(begin === -1 ? whole : whole.slice(0, begin)),
    query: inAscii(others.join('&')),
    queryForm: others.length === 0 ? '' : [...new Set([...new URLSearchParams(others.join('&'))].map((pair) => JSON.stringify(pair)))].sort().join(),
    states: pieces.filter(isState).map((piece) => isPlain(piece) ? piece.slice(stateParameter.length + 1) : new URLSearchParams(piece).get(stateParameter)!).filter((state) => state !== '')
  }
}

const inAscii = (text: string): string => text.replace(/[^\x21-\x7e]+/g, encodeURIComponent)

/** Whether a parameter reads as it is written, as most do: to take it apart as any other costs a tenth of a poll. */
const isPlain = (piece: string): boolean => /^[\w.~-]+=[\w.~-]*$/.test(piece)

/** Where the next poll goes: the same URL with a new state (engine 3.4). */
export function triggerUrl (baseUrl: string, { path, query }: TriggerTarget, state: string): string {
  return `${baseUrl}${path === '' ? '/' : path}?${query === '' ? '' : `${query}&`}${stateParameter}=${state}`
}
