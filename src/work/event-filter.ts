/**
 * What a filter of the host's says of an event. A promise is always true, and nobody would hear of its failure: neither
 * may pass for an answer.
 *
 * @throws {TypeError} for a promise.
 */
export function verdictOf (answer: unknown): boolean {
  if (!(answer instanceof Promise)) return Boolean(answer)
  answer.catch(() => {}) // Its outcome is of no use, whatever it is.
  throw new TypeError('matches must answer at once: it gave a promise')
}
