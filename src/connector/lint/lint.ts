import { errorsFirst, type LintFinding } from './finding.ts'
import { lintRules } from './rules.ts'
import { viewDocument, type DocumentView } from './view.ts'

/**
 * What is wrong with a Swagger document, as Logic Apps and Power Automate read it: errors first. Takes any JSON, from
 * whatever wrote it.
 *
 * @example const faults = lintDocument(JSON.parse(text)).filter(({ severity }) => severity === 'error')
 */
export function lintDocument (document: unknown): LintFinding[] {
  return lintView(viewDocument(document))
}

export function lintView (view: DocumentView): LintFinding[] {
  const applying = lintRules.filter(({ mentions }) => mentions === undefined || view.text().includes(mentions))
  const findings = applying.flatMap(({ id: rule, severity, source, mend, check }) => {
    const found: LintFinding[] = []
    check(view, (path, message, operationId) => { found.push({ rule, severity, operationId: operationId === '' ? undefined : operationId, path, message, mend, source }) })
    return found
  })
  return errorsFirst(findings)
}
