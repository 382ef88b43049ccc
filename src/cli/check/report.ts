import { ruleOf } from './rules.ts'
import { createMask } from './secrets.ts'
import type { Verdict } from './verdicts.ts'

export interface Summary { fine: number, errors: number, warnings: number, notChecked: number }

export function summaryOf (verdicts: Verdict[]): Summary {
  const count = (outcome: Verdict['outcome']): number => verdicts.filter((verdict) => verdict.outcome === outcome).length
  return { fine: count('fine'), errors: count('error'), warnings: count('warning'), notChecked: count('not checked') }
}

const marks = { fine: 'ok  ', error: 'FAULT', warning: 'WARN', 'not checked': '-   ' } as const

/** For people: rule by rule, and all that is known of each fault. */
export function textReport (target: string, verdicts: Verdict[]): string {
  const operations = [...new Set(verdicts.map(({ operation }) => operation))]
  const { fine, errors, warnings, notChecked } = summaryOf(verdicts)
  const parts = operations.map((operation) => `${operation}\n${verdicts.filter((verdict) => verdict.operation === operation).map(lineOf).join('')}`)
  return `${createMask()(target)}\n\n${parts.join('\n')}\n${fine} fine, ${errors} faults, ${warnings} warnings, ${notChecked} not checked.\n`
}

function lineOf ({ rule, outcome, detail, sent, got }: Verdict): string {
  const { title, why, source } = ruleOf(rule)
  const line = `  ${marks[outcome].padEnd(6)}${title}${outcome === 'not checked' ? ` (${detail})` : ''}\n`
  if (outcome === 'fine' || outcome === 'not checked') return line
  const exchanges = sent.map((text, index) => `${indent('sent', text)}${indent('got', got[index] ?? '')}`).join('')
  return `${line}${indent('what', detail)}${exchanges}${indent('why', why)}${indent('source', `${source} [${rule}]`)}`
}

function indent (label: string, text: string): string {
  const [first = '', ...rest] = text.split('\n')
  return [`          ${label.padEnd(8)}${first}`, ...rest.map((line) => `                  ${line}`)].map((line) => line.trimEnd()).join('\n') + '\n'
}

export function jsonReport (target: string, verdicts: Verdict[]): string {
  const results = verdicts.map((verdict) => {
    const { title, why, source } = ruleOf(verdict.rule)
    return { ...verdict, title, why, source }
  })
  return `${JSON.stringify({ target: createMask()(target), summary: summaryOf(verdicts), results }, null, 2)}\n`
}

/** For build servers: an operation is a suite, a rule a case. Warnings pass, with a word about them. */
export function junitReport (verdicts: Verdict[]): string {
  const operations = [...new Set(verdicts.map(({ operation }) => operation))]
  const suites = operations.map((operation) => {
    const own = verdicts.filter((verdict) => verdict.operation === operation)
    const { errors, notChecked } = summaryOf(own)
    return `  <testsuite name="${escaped(operation)}" tests="${own.length}" failures="${errors}" skipped="${notChecked}">\n${own.map(caseOf).join('')}  </testsuite>\n`
  })
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="fastify-logic-apps check">\n${suites.join('')}</testsuites>\n`
}

function caseOf (verdict: Verdict): string {
  const { operation, rule, outcome, detail } = verdict
  const head = `    <testcase classname="${escaped(operation)}" name="${escaped(ruleOf(rule).title)}"`
  if (outcome === 'fine') return `${head}/>\n`
  const inner = outcome === 'error'
    ? `<failure message="${escaped(detail)}">${escaped(lineOf(verdict))}</failure>`
    : outcome === 'warning' ? `<system-out>${escaped(lineOf(verdict))}</system-out>` : `<skipped message="${escaped(detail)}"/>`
  return `${head}>${inner}</testcase>\n`
}

function escaped (text: string): string {
  // XML 1.0 has no way to write most control characters.
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '\ufffd').replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
