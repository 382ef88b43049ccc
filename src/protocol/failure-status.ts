/**
 * Statuses a failed job may not answer, though they are 4xx: the engine or our own routes give them another meaning.
 * 408 and 429 are retried (engine 6.2); 401 and 403 are the host's auth; 404, 405 and 410 speak of the URL.
 */
const reserved = new Set([401, 403, 404, 405, 408, 410, 429])

/**
 * A failed job must end in a 4xx that the engine does not retry: 2xx would count as success, 5xx would repeat the
 * poll or the whole action, 3xx is never followed (engine 1.11, 1.12, 1.14, 6.2, rule 4).
 *
 * @throws {TypeError} naming `what`.
 */
export function assertFailureStatusCode (statusCode: number, what: string): void {
  if (!Number.isInteger(statusCode) || statusCode < 400 || statusCode > 499 || reserved.has(statusCode)) {
    throw new TypeError(`${what} must be a 4xx status other than ${[...reserved].join(', ')}, such as 422 or 409; got ${String(statusCode)}`)
  }
}
