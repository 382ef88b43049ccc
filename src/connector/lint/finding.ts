import type { Severity } from './rule.ts'

/** Something in a document that would break a flow (`error`), or had better be otherwise (`warning`). */
export interface LintFinding {
  /** A rule of the reference, or `conversion`: what Swagger 2.0 cannot say. */
  rule: string
  severity: Severity
  /** The operation it is about, if it is about one. */
  operationId: string | undefined
  /** Where, such as `paths./cakes.post.body.flavour`. */
  path: string
  message: string
  /** What to do. */
  mend: string
  /** The fact behind it, such as `openapi 0.4`. */
  source: string
}

export function errorsFirst (findings: LintFinding[]): LintFinding[] {
  return [...findings.filter(({ severity }) => severity === 'error'), ...findings.filter(({ severity }) => severity === 'warning')]
}

/** One line of text for people. */
export function describeFinding ({ rule, operationId, path, message, mend }: LintFinding): string {
  return `${[operationId, path].filter((part) => part !== undefined && part !== '').join(' ')}: ${message}: ${mend} (${rule})`
}
