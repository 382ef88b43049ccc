import type { Comparison } from './measure.ts'

/** A line of the table. */
export interface Line {
  row: string
  measured: string
  ours: string
  beside: string
  theirs: string
  ratio?: Pick<Comparison, 'ratio' | 'low' | 'high'>
  target: string
  met: boolean
}

/** What a row measures with. */
export interface Bench {
  /** How long a measurement takes. */
  seconds: number
  rounds: number
  quick: boolean
  /** A size of the full table, or what is left of it in a quick run. */
  sized (full: number, quick: number): number
  progress (text: string): void
  /** A new path on the disk that is measured. */
  path (name: string): string
  /** A PostgreSQL server that syncs as it does by default, with a schema of its own for whoever asks. */
  postgres (): Promise<{ url: string, newSchema (): string, analyze (): Promise<void> }>
  /** `undefined` where no redis-server is installed. */
  redis (): Promise<{ port: number } | undefined>
}

export interface Row {
  /** How `--only` names it. */
  name: string
  about: string
  /** Nothing of it is a matter of time: it is measured beside others of the kind. */
  isUntimed?: true
  run (bench: Bench): Promise<Line[]>
}

const rounded = (value: number): string => value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3)

/** A line that says how much better ours is than something else. */
export function lineOf (row: string, measured: string, beside: string, unit: string, comparison: Comparison, atLeast: number): Line {
  const { ours, theirs, ratio, low, high } = comparison
  return { row, measured, ours: `${rounded(ours)} ${unit}`, beside, theirs: `${rounded(theirs)} ${unit}`, ratio: { ratio, low, high }, target: `>= ${atLeast.toFixed(2)}`, met: ratio >= atLeast }
}
