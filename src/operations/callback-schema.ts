import { InvalidOptionsError } from '../errors.ts'

/**
 * A callback's body must be a JSON object (rule 18), and its `error` property is how a failed job is told from one that
 * succeeded, since a callback cannot fail an action (engine 2.20).
 *
 * @throws {InvalidOptionsError} naming `what`.
 */
export function assertCallbackSchema (schema: unknown, what: string): void {
  if (schema === undefined) return
  const { type, properties, ...rest } = schema as { type?: unknown, properties?: Record<string, unknown> }
  // What a reference or a combination comes to is seen at each value only.
  const isOpen = type === undefined && ['$ref', 'allOf', 'anyOf', 'oneOf'].some((keyword) => Object.hasOwn(rest, keyword))
  if (type !== 'object' && !isOpen) throw new InvalidOptionsError(`${what} must be objects (type "object"): a callback's body is one`)
  if (properties !== undefined && Object.hasOwn(properties, 'error')) {
    throw new InvalidOptionsError(`${what} must have no property "error": a callback with one says that the job failed`)
  }
}
