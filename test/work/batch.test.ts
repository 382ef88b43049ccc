import { test } from 'tap'
import fc from 'fast-check'
import { StoreUnavailableError } from '../../src/errors.ts'
import { createBatcher } from '../../src/work/batch.ts'
import { createLatch } from '../helpers/latch.ts'
import { check } from '../helpers/property.ts'
import { watchRejections } from '../helpers/rejections.ts'
import { turn } from '../helpers/turn.ts'

function createRecorder (maxItems?: number) {
  const batches: number[][] = []
  const ask = createBatcher(async (items: number[]) => { batches.push(items); return items.map((item) => item * 10) }, { ...(maxItems === undefined ? {} : { maxItems }) })
  return { batches, ask }
}

test('what is asked in one turn goes together, and each gets its own answer', async (t) => {
  const { batches, ask } = createRecorder()
  t.same(await Promise.all([1, 2, 3].map(ask)), [10, 20, 30])
  t.same(batches, [[1, 2, 3]])
})

test('what is asked in later microtasks of the turn still goes together', async (t) => {
  const { batches, ask } = createRecorder()
  const answers = [ask(1)]
  await Promise.resolve()
  await Promise.resolve()
  answers.push(ask(2))
  process.nextTick(() => answers.push(ask(3)))
  await turn()
  t.same(await Promise.all(answers), [10, 20, 30])
  t.same(batches, [[1, 2, 3]])
})

test('what is asked in another turn goes by itself', async (t) => {
  const { batches, ask } = createRecorder()
  const first = ask(1)
  await turn()
  const second = ask(2)
  t.same(await Promise.all([first, second]), [10, 20])
  t.same(batches, [[1], [2]])
})

test('of two turns what is asked in the one and in the next goes together, and nothing more is waited for', async (t) => {
  const batches: number[][] = []
  const ask = createBatcher(async (items: number[]) => {
    batches.push(items)
    return items
  }, { turns: () => 2 })
  const answers = [ask(1)]
  await turn()
  answers.push(ask(2))
  await turn()
  answers.push(ask(3))
  t.same(await Promise.all(answers), [1, 2, 3])
  t.same(batches, [[1, 2], [3]])
})

test('however seldom another comes, those that wait for enough go after a hundred turns', async (t) => {
  let batches = 0
  const ask = createBatcher(async (items: number[]) => {
    batches++
    return items
  }, { enough: () => 1000 })
  const asked: Promise<number>[] = []
  for (let turns = 0; turns < 150; turns++) {
    if (turns % 10 === 0) asked.push(ask(turns))
    await turn()
  }
  t.equal(batches, 1)
  await Promise.all(asked)
})

test('a batch that is under way holds up none that follow', async (t) => {
  const gate = createLatch<number[]>()
  let calls = 0
  const ask = createBatcher(async (items: number[]) => ++calls === 1 ? await gate.promise : items)
  const first = ask(1)
  await turn()
  t.equal(await ask(2), 2)
  gate.open([1])
  t.equal(await first, 1)
})

test('while two batches are under way, what is asked waits and goes together', async (t) => {
  const gates = [createLatch<number[]>(), createLatch<number[]>()]
  const batches: number[][] = []
  const ask = createBatcher(async (items: number[]) => {
    batches.push(items)
    return await gates[batches.length - 1]?.promise ?? items
  })
  const answers: Promise<number>[] = []
  for (const item of [1, 2, 3, 4, 5]) {
    answers.push(ask(item))
    await turn()
  }
  t.same(batches, [[1], [2]], 'the third and those after it wait')
  gates[1]!.open([2])
  t.same(await Promise.all(answers.slice(1)), [2, 3, 4, 5])
  t.same(batches, [[1], [2], [3, 4, 5]])
  gates[0]!.open([1])
  t.equal(await answers[0], 1)
})

test('a batch that fails makes room for the next', async (t) => {
  const gate = createLatch<number[]>()
  let calls = 0
  const ask = createBatcher(async (items: number[]) => ++calls === 1 ? await gate.promise : items, { maxRuns: 1 })
  const first = ask(1)
  await turn()
  const second = ask(2)
  await turn()
  t.equal(calls, 1)
  gate.fail(new Error('no'))
  await t.rejects(first, { message: 'no' })
  t.equal(await second, 2)
})

test('nothing asked, nothing run', async (t) => {
  const { batches } = createRecorder()
  await turn()
  await turn()
  t.same(batches, [])
})

test('more than the most that go together are split, in order', async (t) => {
  const { batches, ask } = createRecorder(3)
  const items = [1, 2, 3, 4, 5, 6, 7, 8]
  t.same(await Promise.all(items.map(ask)), items.map((item) => item * 10))
  t.same(batches, [[1, 2, 3], [4, 5, 6], [7, 8]])
})

test('what joins while a split batch is worked off is not forgotten', async (t) => {
  const { batches, ask } = createRecorder(2)
  const answers = [1, 2, 3].map(ask)
  await turn()
  answers.push(ask(4), ask(5))
  t.same(await Promise.all(answers), [10, 20, 30, 40, 50])
  t.same(batches.flat(), [1, 2, 3, 4, 5])
  t.ok(batches.every(({ length }) => length <= 2))
})

test('where the store is away for all that waited, nothing is asked of it for nobody', async (t) => {
  const batches: number[][] = []
  const ask = createBatcher(async (items: number[]) => {
    batches.push(items)
    throw new StoreUnavailableError('away')
  }, { maxItems: 2 })
  for (const outcome of await Promise.allSettled([1, 2, 3].map(ask))) t.equal(outcome.status, 'rejected')
  await turn()
  await turn()
  t.same(batches, [[1, 2]])
})

test('an error is told to all of its batch, and to no other', async (t) => {
  const ask = createBatcher(async (items: number[]) => {
    if (items.includes(13)) throw new Error('unlucky')
    return items
  }, { maxItems: 2 })
  const outcomes = await Promise.allSettled([1, 2, 13, 4, 5].map(ask))
  t.same(outcomes.map(({ status }) => status), ['fulfilled', 'fulfilled', 'rejected', 'rejected', 'fulfilled'])
  t.equal((outcomes[2] as PromiseRejectedResult).reason, (outcomes[3] as PromiseRejectedResult).reason)
  t.equal(await ask(6), 6, 'and the next one works')
})

test('who does not wait for an answer misses no more than that', async (t) => {
  const rejections = watchRejections(t)
  const ask = createBatcher(async () => { throw new Error('no') })
  ask(1).catch(() => {})
  await t.rejects(ask(2), { message: 'no' })
  t.same(rejections, [])
})

test('whatever is asked whenever, each gets its own answer, once, in order', async (t) => {
  await check(t, fc.asyncProperty(fc.array(fc.array(fc.integer(), { maxLength: 12 }), { maxLength: 8 }), fc.integer({ min: 1, max: 5 }), async (turns, maxItems) => {
    const { batches, ask } = createRecorder(maxItems)
    const answers: Promise<number>[] = []
    for (const items of turns) {
      answers.push(...items.map(ask))
      await turn()
    }
    const asked = turns.flat()
    const given = await Promise.all(answers)
    return given.every((answer, index) => answer === asked[index]! * 10) && batches.every(({ length }) => length >= 1 && length <= maxItems) &&
      JSON.stringify(batches.flat()) === JSON.stringify(asked)
  }))
})

test('where each batch ends with a timeout, nobody waits for more than two', async (t) => {
  const gates: ReturnType<typeof createLatch<number[]>>[] = []
  const ask = createBatcher(async () => {
    const gate = createLatch<number[]>()
    gates.push(gate)
    return await gate.promise
  }, { maxItems: 2, maxRuns: 1 })
  const outcomes: string[] = []
  const tell = (item: number): void => {
    ask(item).then(() => { outcomes.push(`${item} done`) }, (error: unknown) => { outcomes.push(`${item} ${(error as Error).message}`) })
  }
  for (const item of [1, 2, 3]) tell(item)
  await turn()
  tell(4)
  gates[0]!.fail(new StoreUnavailableError('away'))
  await turn()
  await turn()
  t.same(outcomes, ['1 away', '2 away', '3 away'], 'the third had waited since before; the fourth came later')
  tell(5)
  gates[1]!.open([40])
  await turn()
  await turn()
  gates[2]!.fail(new Error('a mistake of its own'))
  await turn()
  t.same(outcomes.slice(3), ['4 done', '5 a mistake of its own'])
})

test('fewer than are worth a call of their own wait for more as long as more come, and no longer', async (t) => {
  const batches: number[][] = []
  const ask = createBatcher(async (items: number[]) => {
    batches.push(items)
    return items
  }, { enough: () => 4 })
  const answers: Promise<number>[] = []
  for (const item of [1, 2, 3, 4, 5]) {
    answers.push(ask(item))
    await turn()
  }
  await Promise.all(answers)
  t.same(batches, [[1, 2, 3, 4], [5]])
})

test('one is enough where no more can come: it waits for no turn more', async (t) => {
  const { calls, ask } = (() => {
    const calls: number[] = []
    return { calls, ask: createBatcher(async (items: number[]) => { calls.push(...items); return items }, { enough: () => 0.5 }) }
  })()
  const answer = ask(1)
  await turn()
  t.same(calls, [1])
  t.equal(await answer, 1)
})
