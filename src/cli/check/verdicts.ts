import type { Exchange } from '../../testing/engine/caller.ts'
import type { ReceivedCallback } from '../../testing/engine/callback-server.ts'
import { ruleOf, rules, type OperationKind, type RuleId } from './rules.ts'
import { createMask, type Mask } from './secrets.ts'

/** A request of ours, or a callback of the API's. */
export type Evidence = Exchange | ReceivedCallback

export interface Verdict {
  operation: string
  rule: RuleId
  outcome: 'fine' | 'error' | 'warning' | 'not checked'
  /** What is wrong, or why it was not checked. */
  detail: string
  sent: string[]
  got: string[]
}

/** Collects what is found about one operation. Reports are passed around: nothing secret gets in. */
export interface Judge {
  /** Says that something must be so. The first fault of a rule stays. @returns whether it is so. */
  that (rule: RuleId, isSo: boolean, detail: string, ...evidence: (Evidence | undefined)[]): boolean
  skip (rule: RuleId, why: string): void
  verdicts (): Verdict[]
}

export function createJudge (operation: string, kind: OperationKind, mask: Mask = createMask()): Judge {
  const found = new Map<RuleId, Verdict>()
  const set = (rule: RuleId, verdict: Omit<Verdict, 'operation' | 'rule'>): void => { found.set(rule, { operation, rule, ...verdict }) }

  return {
    that (rule, isSo, detail, ...evidence) {
      const before = found.get(rule)?.outcome
      if (before === 'error' || before === 'warning') return isSo
      if (isSo) set(rule, { outcome: 'fine', detail: '', sent: [], got: [] })
      else {
        const known = evidence.filter((one) => one !== undefined)
        set(rule, { outcome: ruleOf(rule).severity ?? 'error', detail: mask(detail), sent: known.map((one) => sentOf(one, mask)), got: known.map((one) => gotOf(one, mask)) })
      }
      return isSo
    },
    skip (rule, why) {
      if (!found.has(rule)) set(rule, { outcome: 'not checked', detail: mask(why), sent: [], got: [] })
    },
    verdicts () {
      const all = (Object.keys(rules) as RuleId[]).filter((rule) => ruleOf(rule).kinds.includes(kind))
      return all.map((rule) => found.get(rule) ?? { operation, rule, outcome: 'not checked', detail: 'the check did not get that far', sent: [], got: [] })
    }
  }
}

const maxBodyLength = 500

function sentOf (evidence: Evidence, mask: Mask): string {
  if ('target' in evidence) return mask(`(callback) ${evidence.method} ${evidence.target}\n${headersOf(evidence.headers)}\n\n${shortened(mask(evidence.body.toString()))}`)
  const { method, url, headers, body } = evidence.request
  return mask(`${method} ${url}\n${headersOf(headers)}${body === undefined ? '' : `\n\n${shortened(mask(body))}`}`)
}

function gotOf (evidence: Evidence, mask: Mask): string {
  if ('target' in evidence) return evidence.statusCode === undefined ? '(connection broken by the check)' : `(answered by the check) ${evidence.statusCode}`
  const { response, error } = evidence
  if (response === undefined) return mask(`no answer: ${error!.code}: ${error!.message}`)
  return mask(`${response.statusCode}\n${headersOf(response.headers)}${response.body === '' ? '' : `\n\n${shortened(mask(response.body))}`}`)
}

/** Headers that tell nothing about a fault. */
const boring = /^(x-ms-(?!client-tracking-id|action-tracking-id|workflow-operation-name)|accept-|user-agent|connection|keep-alive|date|content-length|host)/

function headersOf (headers: Record<string, unknown>): string {
  return Object.entries(headers).filter(([name]) => !boring.test(name)).map(([name, value]) => `${name}: ${String(value)}`).join('\n')
}

function shortened (text: string): string {
  return text.length > maxBodyLength ? `${text.slice(0, maxBodyLength)}…` : text
}
