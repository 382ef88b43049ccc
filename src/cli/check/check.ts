import { engineParts, type LogicAppsEngine } from '../../testing/engine/engine.ts'
import type { Bench, Timing } from './bench.ts'
import type { OperationConfig } from './operations.ts'
import { probeAsyncAction } from './probe-async-action.ts'
import { probeDocument } from './probe-document.ts'
import { probePollingTrigger } from './probe-polling-trigger.ts'
import { probeWebhookAction } from './probe-webhook-action.ts'
import { probeWebhookTrigger } from './probe-webhook-trigger.ts'
import { createMask } from './secrets.ts'
import { createJudge, type Verdict } from './verdicts.ts'

export interface CheckOptions {
  /** Plays the calls and takes the callbacks. */
  engine: LogicAppsEngine
  operations: Record<string, OperationConfig>
  /** URL of the Swagger document, to be checked too. */
  document?: string | undefined
  timing?: Partial<Timing>
  /** What is being done, for a progress line. */
  onProgress?: (operation: string, what: string) => void
}

export const defaultTiming: Timing = { patienceSeconds: 60, quietSeconds: 10 }

const probes: Record<OperationConfig['kind'], (bench: Bench) => Promise<void>> = {
  'async-action': probeAsyncAction,
  'webhook-action': probeWebhookAction,
  'webhook-trigger': probeWebhookTrigger,
  'polling-trigger': probePollingTrigger
}

/** Plays the engine against an API, and says of each rule whether it is kept. */
export async function checkApi ({ engine, operations, document, timing = {}, onProgress = () => {} }: CheckOptions): Promise<Verdict[]> {
  const parts = engineParts.get(engine)!
  let count = 0

  async function probe ([name, operation]: [string, OperationConfig]): Promise<Verdict[]> {
    const judge = createJudge(name, operation.kind, createMask(operation))
    const say = (what: string): void => { onProgress(name, what) }
    await probes[operation.kind]({ name, operation, engine: parts, judge, timing: { ...defaultTiming, ...timing }, say, next: () => ++count })
    return judge.verdicts()
  }

  // Events of one trigger's check are news to another: these go one after the other.
  async function probeInTurn (entries: [string, OperationConfig][]): Promise<Verdict[]> {
    const verdicts: Verdict[] = []
    for (const entry of entries) verdicts.push(...await probe(entry))
    return verdicts
  }

  const entries = Object.entries(operations)
  const isTrigger = ([, { kind }]: [string, OperationConfig]): boolean => kind === 'webhook-trigger' || kind === 'polling-trigger'
  const work = Promise.all([
    document === undefined ? [] : probeDocument(document, parts, (what) => { onProgress('document', what) }),
    ...entries.filter((entry) => !isTrigger(entry)).map(probe),
    probeInTurn(entries.filter(isTrigger))
  ])
  return (await engine.until(work)).flat()
}
