/** What the core and the stores ask of a logger: pino's, and so Fastify's, is one. */
export interface Logger {
  debug (bindings: object, message: string): void
  info (bindings: object, message: string): void
  warn (bindings: object, message: string): void
  error (bindings: object, message: string): void
  child (bindings: Record<string, unknown>): Logger
}
