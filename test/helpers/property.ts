import fc, { type IAsyncProperty, type IProperty, type Parameters } from 'fast-check'
import type { Test } from 'tap'

/** Checks a property and prints the seed, to be put into SEED when it fails. */
export async function check (t: Test, property: IProperty<any> | IAsyncProperty<any>, parameters: Parameters<any> = {}): Promise<void> {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
  t.comment(`SEED=${seed}`)
  await fc.assert(property, { seed, ...parameters })
  t.pass(`holds for ${parameters.numRuns ?? 100} runs`)
}
