/** What the cloud's engine is known to do, but not each time: an API must stand all of it. */
export interface Quirks {
  /**
   * How the first request of an action or a subscribe call goes: once; again with the same ids after its answer (engine
   * 6.7); twice at once; or again after an answer that was lost on the way (engine 6.8). What counts is the last answer.
   */
  firstRequest: 'once' | 'again' | 'at-once' | 'answer-lost'
  /** Whether polls keep to `Retry-After`, come after half of it, or after twice as long. */
  polls: 'on-time' | 'early' | 'late'
  /** When a webhook action unsubscribes: after success too, only when it gives up, never, or twice each time (engine 2.3). */
  unsubscribe: 'always' | 'when-given-up' | 'never' | 'twice'
  /** Which of the two comes first when a webhook trigger is saved. */
  save: 'subscribe-first' | 'unsubscribe-first'
}

export const quirkValues: { [Name in keyof Quirks]: readonly Quirks[Name][] } = {
  firstRequest: ['once', 'again', 'at-once', 'answer-lost'],
  polls: ['on-time', 'early', 'late'],
  unsubscribe: ['always', 'when-given-up', 'never', 'twice'],
  save: ['subscribe-first', 'unsubscribe-first']
}

/** The first of each list is the default (engine 13). */
export function quirksOf (given: Partial<Quirks>): Quirks {
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(quirkValues, name)) throw new TypeError(`quirks.${name} is not known; there are ${Object.keys(quirkValues).join(', ')}`)
    const values: readonly string[] = quirkValues[name as keyof Quirks]
    if (!values.includes(value)) throw new TypeError(`quirks.${name} must be one of ${values.map((one) => `"${one}"`).join(', ')}; got ${JSON.stringify(value)}`)
  }
  const defaults = Object.fromEntries(Object.entries(quirkValues).map(([name, values]) => [name, values[0]]))
  return { ...defaults, ...given } as Quirks
}
