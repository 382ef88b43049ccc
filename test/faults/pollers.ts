/*
 * Many publish at once, to two instances of the app on one file, and pollers ask now the one and now the other: each must
 * see every event once, in the order of the log. `node test/faults/pollers.ts` is the full size; pollers.test.ts runs a part of it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import Fastify, { type FastifyInstance } from 'fastify'
import { fastifyLogicApps } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createPoller, type Poller } from '../helpers/polling.ts'

export interface PollersReport {
  publishers: number
  pollers: number
  seconds: number
  published: number
  polls: number
  /** Events that some poller did not see, saw twice, or saw out of order. */
  missed: number
  repeated: number
  disordered: number
}

interface Numbered { publisher: number, n: number }

export async function runPollers ({ publishers, pollers, seconds }: { publishers: number, pollers: number, seconds: number }): Promise<PollersReport> {
  const folder = mkdtempSync(join(tmpdir(), 'pollers-'))
  const apps: FastifyInstance[] = []
  try {
    for (let instance = 0; instance < 2; instance++) apps.push(await open(join(folder, 'log.db')))
    const until = performance.now() + seconds * 1000
    const all = Array.from({ length: pollers }, (_, index) => apps.map((app) => createPoller(app, index % 2 === 0 ? '/batch' : '/single')))
    const turns = all.map((instances) => takeTurns(instances))
    for (const { poll } of turns) await poll()
    let published = 0
    let isOver = false
    const publishing = Promise.all(Array.from({ length: publishers }, async (_, publisher) => {
      const topic = apps[publisher % apps.length]!.logicApps.topic('events')
      for (let n = 1; performance.now() < until; n++) {
        await topic.publish({ publisher, n })
        published++
        await delay(Math.random() * 20 * Math.max(publishers / 50, 1))
      }
    })).then(() => { isOver = true })
    const polling = turns.map(async ({ poll }) => {
      // The last poll begins when all is published, so that nothing comes after it.
      for (let last = false; !last;) {
        last = isOver
        while (await poll());
        await delay(Math.random() * 20)
      }
    })
    await Promise.all([publishing, ...polling])
    const seen = turns.map(({ items }) => items)
    const [order] = seen
    return {
      publishers,
      pollers,
      seconds,
      published,
      polls: turns.reduce((sum, { polls }) => sum + polls(), 0),
      missed: seen.reduce((sum, items) => sum + published - new Set(items.map(nameOf)).size, 0),
      repeated: seen.reduce((sum, items) => sum + items.length - new Set(items.map(nameOf)).size, 0),
      // The same order for all, and each publisher's own order in it.
      disordered: seen.filter((items) => items.map(nameOf).join() !== order!.map(nameOf).join()).length + disorderOf(order!)
    }
  } finally {
    for (const app of apps) await app.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function open (file: string): Promise<FastifyInstance> {
  const app: FastifyInstance = Fastify()
  await app.register(fastifyLogicApps, { store: sqliteStore({ file }), baseUrl: 'https://api.example', secret: 'a secret of more than thirty-two bytes' })
  const topic = app.logicApps.topic('events')
  app.pollingTrigger('/batch', { schema: { operationId: 'Batch' }, topic })
  // One by one would take longer than the publishers do: small batches, which end in the middle of a commit.
  app.pollingTrigger('/single', { schema: { operationId: 'Single' }, topic, maxItems: 17 })
  return app
}

/** One reader that asks each instance in turn, each time where the answer before said. */
function takeTurns (instances: Poller[]): { poll: () => Promise<boolean>, items: Numbered[], polls: () => number } {
  const items: Numbered[] = []
  let turn = 0
  return {
    items,
    polls: () => turn,
    async poll () {
      const poller = instances[turn++ % instances.length]!
      const others = instances.filter((other) => other !== poller)
      const before = poller.items.length
      const { statusCode } = await poller.poll()
      if (statusCode !== 200 && statusCode !== 202) throw new Error(`a poll was answered ${statusCode}`)
      items.push(...poller.items.slice(before) as Numbered[])
      for (const other of others) other.goTo(poller.url)
      return statusCode === 200
    }
  }
}

const nameOf = ({ publisher, n }: Numbered): string => `${publisher}/${n}`

function disorderOf (items: Numbered[]): number {
  const last = new Map<number, number>()
  return items.filter(({ publisher, n }) => {
    const isNext = (last.get(publisher) ?? 0) + 1 === n
    last.set(publisher, n)
    return !isNext
  }).length
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({ options: { publishers: { type: 'string', default: '1000' }, pollers: { type: 'string', default: '20' }, seconds: { type: 'string', default: '60' } } })
  const report = await runPollers({ publishers: Number(values.publishers), pollers: Number(values.pollers), seconds: Number(values.seconds) })
  console.log(report)
  if (report.missed + report.repeated + report.disordered > 0 || report.published === 0) process.exitCode = 1
}
