import { join } from 'node:path'
import fc from 'fast-check'
import tap, { test, type Test } from 'tap'
import { fastifyLogicApps } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createManualClock } from '../../src/testing/index.ts'
import { createServer, pathOf, type TestApp } from '../helpers/app.ts'
import { addOrders, itemsOf } from '../helpers/polling.ts'
import { check } from '../helpers/property.ts'
import { createTempDir } from '../helpers/temp-dir.ts'
import { publish } from '../helpers/webhooks.ts'

// Each run opens a file, and a restart opens it again.
tap.setTimeout(240_000)

/** What can happen to a trigger. Pollers are numbered; each polls one of the three triggers. */
const pollers = 4
const command = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('publish' as const), count: fc.integer({ min: 1, max: 7 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('publish elsewhere' as const) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('poll' as const), poller: fc.nat(pollers - 1) }) },
  // The engine asks again where it has no answer; its own answer arrives, or not.
  { weight: 2, arbitrary: fc.record({ do: fc.constant('lose answer' as const), poller: fc.nat(pollers - 1) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('repeat' as const), poller: fc.nat(pollers - 1) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('poll while publishing' as const), poller: fc.nat(pollers - 1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) }
)
type Command = typeof command extends fc.Arbitrary<infer Value> ? Value : never

interface ModelPoller {
  url: string
  before: string
  /** Events that an answer which arrived started a run for. */
  runs: number[]
  /** Published since its first contact, and wanted. */
  owed: number[]
  wants: (n: number) => boolean
}

async function open (file: string): Promise<Pick<TestApp, 'app'>> {
  const { app } = createServer()
  await app.register(fastifyLogicApps, { store: sqliteStore({ file }), clock: createManualClock(), baseUrl: 'https://api.example', secret: 'a secret of more than thirty-two bytes' })
  addOrders(app, { maxItems: 3 }, '/batch')
  addOrders(app, { schema: { operationId: 'Single' }, mode: 'single' }, '/single')
  addOrders(app, { schema: { operationId: 'Filtered' }, maxItems: 2, scanLimit: 3, matches: ({ n }: { n: number }) => n % 5 === 0 }, '/filtered')
  return { app }
}

async function runCommands (file: string, commands: Command[]): Promise<ModelPoller[]> {
  let { app } = await open(file)
  let published = 0
  const of = (path: string, wants = (_n: number): boolean => true): ModelPoller => ({ url: path, before: path, runs: [], owed: [], wants })
  const all = [of('/batch'), of('/single'), of('/filtered', (n) => n % 5 === 0), of('/batch')]
  async function publishNext (): Promise<void> {
    const n = ++published
    await publish(app, { n })
    for (const poller of all) if (poller.url.includes('triggerState') && poller.wants(n)) poller.owed.push(n)
  }
  const ask = async (url: string): Promise<{ next: string, items: number[], more: boolean }> => {
    const answer = await app.inject(url)
    const retryAfter = answer.headers['retry-after']
    if (answer.statusCode === 202 ? retryAfter !== '15' : answer.statusCode !== 200 || ![undefined, '0'].includes(retryAfter)) throw new Error(`${answer.statusCode} with ${retryAfter}`)
    const items = answer.statusCode === 200 ? itemsOf(answer).map((item) => (item as { n: number }).n) : []
    if (answer.statusCode === 200 && items.length === 0) throw new Error('an empty 200')
    return { next: pathOf(answer.headers.location), items, more: retryAfter === '0' }
  }
  async function poll (poller: ModelPoller): Promise<boolean> {
    const { next, items } = await ask(poller.url)
    const moved = next !== poller.url
    if (moved) poller.before = poller.url
    poller.url = next
    poller.runs.push(...items)
    return moved
  }
  try {
    for (const one of commands) {
      const poller = 'poller' in one ? all[one.poller]! : undefined
      if (one.do === 'publish') for (let count = 0; count < one.count; count++) await publishNext()
      if (one.do === 'publish elsewhere') await app.logicApps.topic('pies').publish({ n: 0 })
      if (one.do === 'poll') await poll(poller!)
      if (one.do === 'lose answer') await ask(poller!.url)
      if (one.do === 'repeat') {
        const [first, second] = [await ask(poller!.before), await ask(poller!.before)]
        if (first.items.some((n, index) => second.items[index] !== n)) throw new Error('a repeated state gave other items')
      }
      if (one.do === 'poll while publishing') {
        // Whoever is first: what it does not give now, it gives later.
        if (poller!.url.includes('triggerState')) await Promise.all([publishNext(), poll(poller!), publishNext()])
      }
      if (one.do === 'restart') {
        await app.close()
        ;({ app } = await open(file))
      }
    }
    for (const poller of all) while (await poll(poller));
    return all
  } finally {
    await app.close()
  }
}

test('whatever is published, polled, polled again, lost or restarted in between, each event is given once per trigger whose answers arrived, in order', async (t: Test) => {
  const folder = createTempDir(t)
  let run = 0
  await check(t, fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 60 }), async (commands) => {
    for (const { runs, owed } of await runCommands(join(folder, `${run++}.db`), commands)) {
      if (runs.join() !== owed.join()) throw new Error(`given ${runs.join()} where ${owed.join()} were owed`)
    }
  }), { numRuns: Number(process.env.RUNS ?? 40) })
})

test('where answers are lost after they started a run, each event is given at least once, and the first time in order', async (t: Test) => {
  const folder = createTempDir(t)
  let run = 0
  await check(t, fc.asyncProperty(fc.array(fc.record({ count: fc.nat(5), isLost: fc.boolean() }), { minLength: 3, maxLength: 25 }), async (turns) => {
    const { app } = await open(join(folder, `lost-${run++}.db`))
    try {
      for (const path of ['/batch', '/single']) {
        let url = pathOf((await app.inject(path)).headers.location)
        const runs: number[] = []
        let published = 0
        const poll = async (isLost: boolean): Promise<boolean> => {
          const answer = await app.inject(url)
          if (answer.statusCode === 200) runs.push(...itemsOf(answer).map((item) => (item as { n: number }).n))
          if (!isLost) url = pathOf(answer.headers.location)
          return answer.statusCode === 200
        }
        for (const { count, isLost } of turns) {
          for (let index = 0; index < count; index++) await publish(app, { n: ++published })
          await poll(isLost)
        }
        while (await poll(false));
        const firsts = [...new Set(runs)]
        if (firsts.join() !== Array.from({ length: published }, (_, index) => index + 1).join()) throw new Error(`given ${runs.join()} of ${published}`)
      }
    } finally {
      await app.close()
    }
  }), { numRuns: Number(process.env.RUNS ?? 40) })
})
