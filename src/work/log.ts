interface LogMethod {
  (bindings: object, message?: string): void
  (message: string): void
}

/** What the core and the stores ask of a logger: pino's, and so Fastify's, is one. */
export interface Logger {
  debug: LogMethod
  info: LogMethod
  warn: LogMethod
  error: LogMethod
  child (bindings: Record<string, unknown>): Logger
}
