import { setTimeout as delay } from 'node:timers/promises'
import { type Client, newOrder, type Order } from './client.ts'
import type { Task } from './server.ts'

/** One caller: orders, polls until the end, now and then repeats, cancels, sends many at once, or asks for old ends. */
export async function work (client: Client, orders: Order[], random: () => number, isOver: () => boolean): Promise<void> {
  const mine: Order[] = []
  while (!isOver()) {
    const batch = Array.from({ length: random() < 0.1 ? 20 : 1 }, () =>
      newOrder(randomTask(random), random() < 0.5 ? 'idempotency-key' : 'x-ms-action-tracking-id'))
    await Promise.all(batch.map(async (order) => {
      await client.submit(order)
      if (order.path === undefined) return
      mine.push(order)
      orders.push(order)
      if (random() < 0.3) await client.submit(order, true)
      if (random() < 0.1) {
        await delay(random() * 200)
        await client.cancel(order)
      }
      while (!await client.poll(order)) await delay(20 + random() * 80)
    }))
    const old = mine[Math.floor(random() * mine.length)]
    if (old !== undefined) {
      await client.poll(old)
      if (random() < 0.3) await client.submit(old, true)
    }
  }
}

function randomTask (random: () => number): Task {
  const kind = random() < 0.7 ? 'succeeds' : random() < 0.5 ? 'fails' : 'again'
  return { value: Math.floor(random() * 1e9).toString(36), ms: random() * 300, kind }
}

/** All that ended is still told in the same way, by every route. */
export async function readAllAgain (client: Client, orders: Order[]): Promise<void> {
  const rest = [...orders.entries()]
  await Promise.all(Array.from({ length: 20 }, async () => {
    for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
      const [index, order] = next
      await client.poll(order)
      await client.checkOperation(order)
      if (index % 5 === 0) await client.submit(order, true)
    }
  }))
}

export function countBy<T> (items: T[], name: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const item of items) counts[name(item)] = (counts[name(item)] ?? 0) + 1
  return counts
}
