import { Type } from 'typebox'

/** What every start carries: 500 bytes of JSON. */
export const orderSchema = Type.Object({
  kind: Type.Enum(['ends', 'waits']),
  customer: Type.String(),
  note: Type.String(),
  sentAt: Type.Number()
})

export interface Order { kind: 'ends' | 'waits', customer: string, note: string, sentAt: number }

export function newOrder (kind: Order['kind'] = 'ends', sentAt = 0): Order {
  const order = { kind, customer: 'Contoso Bakery', note: '', sentAt }
  return { ...order, note: 'x'.repeat(500 - JSON.stringify(order).length) }
}

let runs = 0

/** The id of a run, another one each time. The engine's begin with digits that count down with the clock (engine 5.3). */
export function newRunId (): string {
  const microseconds = Math.round((performance.timeOrigin + performance.now()) * 1000)
  return `0858${4_000_000_000_000_000 - microseconds}${process.pid}${runs++}CU42`
}

/** What the engine sends with each action, new for each run. */
export function engineHeaders (run: string): Record<string, string> {
  return {
    'x-ms-workflow-id': '5f2c8a7e9d1b4c63a0e7f9b2d4c6e8a1',
    'x-ms-workflow-name': 'bake-cakes',
    'x-ms-workflow-run-id': run,
    'x-ms-client-tracking-id': run,
    'x-ms-action-tracking-id': `${run}-action`,
    'x-ms-workflow-operation-name': 'Place_order'
  }
}
