import type { DocumentView } from './view.ts'

export type Severity = 'error' | 'warning'

/** `at` says where in the document, `message` what is wrong there. */
export type Report = (at: string, message: string, operationId?: string) => void

export interface LintRule {
  id: string
  /** `error`: a flow would break, or an input or output would be lost. `warning`: all else, such as what certification asks for. */
  severity: Severity
  /** The fact it follows, such as `openapi 0.4`, or a rule of Microsoft's Swagger validator. */
  source: string
  /** What it asks for, in a sentence. */
  asks: string
  mend: string
  /** What the JSON text of a document has in it wherever the rule finds anything: without it, nothing is looked through. */
  mentions?: string
  check: (view: DocumentView, report: Report) => void
}
