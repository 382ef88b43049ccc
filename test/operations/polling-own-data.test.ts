import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'tap'
import { Type } from 'typebox'
import { createApp, pathOf, type TestApp } from '../helpers/app.ts'
import { createLatch } from '../helpers/latch.ts'
import { addNumbers, briefOf, createPoller } from '../helpers/polling.ts'

const fixed = { error: { code: 'PollFailed', message: 'The poll failed, and the state stays as it was. Poll again.' } }
const errorsOf = ({ logs }: Pick<TestApp, 'logs'>): { msg: string, err: { stack: string } }[] => logs.filter(({ level }) => level === 50) as never

test('the first poll asks start for a state, and is a 202; what is there already is not new', async (t) => {
  const { app } = await createApp(t)
  const numbers = [1, 2]
  addNumbers(app, numbers)
  const poller = createPoller(app, '/numbers')
  t.same(briefOf(await poller.poll()), [202, '15'])
  const { url } = poller
  t.same(briefOf(await poller.poll()), [202, '15'])
  t.equal(poller.url, url)
  numbers.push(3, 4)
  t.same(briefOf(await poller.poll()), [200, undefined, [{ n: 3 }, { n: 4 }]])
  t.same(briefOf(await poller.poll()), [202, '15'])
  t.same(briefOf(await app.inject(url)), [200, undefined, [{ n: 3 }, { n: 4 }]], 'again for the same state')
})

test('limit and more: 100 at once, or maxItems, or one', async (t) => {
  const { app } = await createApp(t)
  const numbers = Array.from({ length: 130 }, (_, index) => index + 1)
  const limits: number[] = []
  const from = { start ({ limit }: { limit?: number }) { limits.push(limit ?? -1); return 0 } }
  addNumbers(app, numbers, from)
  addNumbers(app, numbers, { ...from, schema: { operationId: 'Few' }, maxItems: 70 }, '/few')
  addNumbers(app, numbers, { ...from, schema: { operationId: 'One' }, mode: 'single' }, '/one')
  const sizes: Record<string, number[]> = {}
  for (const path of ['/numbers', '/few', '/one']) {
    const poller = createPoller(app, path)
    await poller.poll()
    let before = 0
    for (let answer = await poller.poll(); answer.statusCode === 200; answer = await poller.poll()) {
      t.equal(answer.headers['retry-after'], poller.items.length < 130 ? '0' : undefined)
      ;(sizes[path] ??= []).push(poller.items.length - before)
      before = poller.items.length
    }
    t.same(poller.items, numbers.map((n) => ({ n })))
  }
  t.same(sizes, { '/numbers': [100, 30], '/few': [70, 60], '/one': Array(130).fill(1) })
  t.same(limits, [-1, -1, -1], 'start has no limit')
})

test('start and poll are given query, params and log, and poll the state as the schema has it', async (t) => {
  const { app, logs } = await createApp(t)
  const given: unknown[] = []
  const note = (name: string, { signal, log, ...rest }: { signal: AbortSignal, log: { info: (message: string) => void } }): void => {
    log.info(`in ${name}`)
    given.push([name, signal.aborted, rest])
  }
  app.pollingTrigger('/shops/:shop', {
    schema: { operationId: 'Shop', params: Type.Object({ shop: Type.Integer() }), querystring: Type.Object({ least: Type.Integer({ default: 5 }) }) },
    state: Type.Object({ since: Type.Integer(), page: Type.Integer({ default: 1 }) }),
    item: Type.Object({ id: Type.String() }),
    start (context) { note('start', context as never); return { since: 9 } as never },
    poll (context) { note('poll', context as never); return { items: [], state: { since: 9, page: 2 } } }
  })
  const first = await app.inject('/shops/7')
  await app.inject(pathOf(first.headers.location))
  const common = { query: { least: 5 }, params: { shop: 7 } }
  t.same(given, [['start', false, common], ['poll', false, { ...common, state: { since: 9, page: 1 }, limit: 100 }]])
  t.match(logs.filter(({ msg }) => msg.startsWith('in ')), [{ reqId: 'req-1' }, { reqId: 'req-2' }])
})

test('no items is a 202, with the state that poll gave, and never 0 to wait, whatever more says (engine 3.5)', async (t) => {
  const { app } = await createApp(t)
  addNumbers(app, [], { poll: ({ state }: { state: number }) => ({ items: [], state: state + 1, more: true }) })
  const poller = createPoller(app, '/numbers')
  await poller.poll()
  const urls = new Set([poller.url])
  for (let polls = 0; polls < 3; polls++) {
    t.same(briefOf(await poller.poll()), [202, '15'])
    urls.add(poller.url)
  }
  t.equal(urls.size, 4)
})

test('an item is written by its schema, and so is a state read', async (t) => {
  const { app } = await createApp(t)
  addNumbers(app, [], {
    mode: 'single',
    item: Type.Object({ at: Type.String({ format: 'date-time' }), n: Type.Integer({ default: 3 }) }, { additionalProperties: false }),
    poll: () => ({ items: [{ at: new Date(0), secret: 1 }], state: 7 })
  })
  const poller = createPoller(app, '/numbers')
  await poller.poll()
  t.equal((await poller.poll()).body, '{"at":"1970-01-01T00:00:00.000Z","n":3}')
})

const items = [{ n: 1 }]
const revoked = Proxy.revocable({}, {})
revoked.revoke()
const circular: Record<string, unknown> = {}
circular.self = circular

/** What `poll` can do wrong, and what the log says of it. */
const garbage: [string, (context: { limit: number, state: number }) => unknown, RegExp][] = [
  ['throws', () => { throw new Error('database is down') }, /poll\(\) failed.*caused by: Error: database is down/s],
  ['throws no error', () => { throw 'odd' }, /poll\(\) failed.*the handler threw 'odd'/s], // eslint-disable-line no-throw-literal
  ['throws a frozen error', () => { throw Object.freeze(new Error('frozen')) }, /poll\(\) failed/],
  ['rejects', async () => { throw Object.assign(new Error('refused'), { statusCode: 404 }) }, /poll\(\) failed.*refused/s],
  ['gives nothing', () => undefined, /poll\(\) must give \{ items: \[\], state, more \}/],
  ['gives null', () => null, /must give/],
  ['gives an array', () => items, /must give/],
  ['gives no items', () => ({ state: 1 }), /must give/],
  ['gives items that are none', () => ({ items: 'abc', state: 1 }), /must give/],
  ['gives no state', () => ({ items }), /the state of poll\(\) is missing/],
  ['gives null for a state', () => ({ items, state: null }), /the state of poll\(\) is missing/],
  ['gives a state that does not fit', () => ({ items, state: 'x' }), /the state of poll\(\) does not fit its schema: \/ must be integer/],
  ['gives a state that is no JSON', () => ({ items, state: 1n }), /the state of poll\(\) is no JSON value/],
  ['gives an item that does not fit', () => ({ items: [...items, { n: 'x' }], state: 1 }), /item 1 of poll\(\) does not fit its schema: \/n must be integer/],
  ['gives an item without a property', () => ({ items: [{}], state: 1 }), /item 0 of poll\(\) does not fit its schema: \/ must have required property 'n'/],
  ['gives null for an item', () => ({ items: [null], state: 1 }), /item 0 of poll\(\) is missing/],
  ['gives a hole for an item', () => ({ items: Array(2), state: 1 }), /item 0 of poll\(\) is missing/],
  ['gives a circle for an item', () => ({ items: [circular], state: 1 }), /item 0 of poll\(\) is no JSON value/],
  ['gives more that is no boolean', () => ({ items, state: 1, more: 'yes' }), /`more` of poll\(\) must be true or false/],
  ['gives more items than the limit', ({ limit }) => ({ items: Array(limit + 1).fill({ n: 1 }), state: 1 }), /poll\(\) gave 101 items where limit is 100: give the first of them, and say more: true/],
  ['gives items and the state that it was given', ({ state }) => ({ items, state }), /poll\(\) gave items and the state that it was given: give one that is behind the items/],
  ['gives what cannot be read', () => ({ get items () { throw new Error('odd getter') }, state: 1 }), /what poll\(\) gave cannot be read.*odd getter/s],
  ['gives a revoked proxy', () => ({ items: revoked.proxy, state: 1 }), /what poll\(\) gave cannot be read/]
]

for (const [name, poll, reason] of garbage) {
  test(`a poll function that ${name}: 500 for the engine to retry, logged, the state is not advanced (engine 3.2)`, async (t) => {
    const parts = await createApp(t)
    const { app } = parts
    let isMended = false
    addNumbers(app, [1, 2], { start: () => 0, poll: (context: { limit: number, state: number }) => isMended ? { items, state: 1 } : poll(context) })
    const poller = createPoller(app, '/numbers')
    await poller.poll()
    const { url } = poller
    const failed = await poller.poll()
    t.equal(failed.statusCode, 500)
    t.same(failed.json(), fixed, 'what went wrong is not the caller\'s business')
    t.equal(failed.headers.location, undefined)
    t.equal(failed.headers['retry-after'], undefined)
    const [line, ...others] = errorsOf(parts)
    t.same(others, [])
    t.match(line!.msg, /^the poll of PollNumbers failed, and the state stays as it was: /)
    t.match(line!.err.stack, reason)
    isMended = true
    t.equal(poller.url, url)
    t.same(briefOf(await poller.poll()), [200, undefined, items])
  })
}

test('a start function that throws or gives garbage is a 500 too', async (t) => {
  const parts = await createApp(t)
  const answers: [() => unknown, RegExp][] = [
    [() => { throw new Error('odd start') }, /start\(\) failed.*odd start/s],
    [() => undefined, /the state of start\(\) is missing/],
    [() => 'x', /the state of start\(\) does not fit its schema/]
  ]
  addNumbers(parts.app, [], { start: () => answers[0]![0]() })
  for (; answers.length > 0; answers.shift()) {
    const failed = await parts.app.inject('/numbers')
    t.equal(failed.statusCode, 500)
    t.same(failed.json(), fixed)
    t.match(errorsOf(parts).at(-1)!.err.stack, answers[0]![1])
  }
})

test('a poll function that hangs past its time-out: 500, its signal aborts, and what it gives later is not heard of', async (t) => {
  const parts = await createApp(t)
  const { app, clock } = parts
  const begun = createLatch()
  const late = createLatch<unknown>()
  let signal: AbortSignal | undefined
  addNumbers(app, [1], {
    start: () => 0,
    timeoutSeconds: 30,
    poll (context: { signal: AbortSignal }) {
      signal = context.signal
      begun.open()
      return late.promise
    }
  })
  const first = await app.inject('/numbers')
  const answer = app.inject(pathOf(first.headers.location))
  await begun.promise
  await clock.advance(29_999)
  t.equal(signal!.aborted, false)
  await clock.advance(1)
  t.equal((await answer).statusCode, 500)
  t.same((await answer).json(), fixed)
  t.equal(signal!.aborted, true)
  t.match(errorsOf(parts)[0]!.err.stack, /poll\(\) failed.*it took longer than 30 s/s)
  late.fail(new Error('too late'))
  await clock.advance(1)
})

test('a time-out is 100 s unless set otherwise, which the engine waits for', async (t) => {
  const { app, clock } = await createApp(t)
  const begun = createLatch()
  addNumbers(app, [], { start () { begun.open(); return new Promise(() => {}) } })
  let isAnswered = false
  const answer = app.inject('/numbers').then((response) => { isAnswered = true; return response })
  await begun.promise
  await clock.advance(99_999)
  t.equal(isAnswered, false)
  await clock.advance(1)
  t.equal((await answer).statusCode, 500)
})

test('a caller who leaves aborts the signal', async (t) => {
  const { app } = await createApp(t)
  const begun = createLatch()
  const left = createLatch<unknown>()
  addNumbers(app, [], {
    start: ({ signal }: { signal: AbortSignal }) => new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        left.open(signal.reason)
        reject(new Error('aborted'))
      })
      begun.open()
    })
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const asked = request({ port: (app.server.address() as AddressInfo).port, host: '127.0.0.1', path: '/numbers' })
  asked.on('error', () => {}).end()
  await begun.promise
  asked.destroy()
  t.match(await left.promise, { message: 'the caller left before it was answered' })
})

test('a shutdown waits for polls as long as for jobs, then aborts them', async (t) => {
  const { app, clock } = await createApp(t, { drainSeconds: 5 })
  const signals: AbortSignal[] = []
  const latches = [createLatch<number>(), createLatch<number>()]
  const begun = latches.map(() => createLatch())
  addNumbers(app, [], {
    start ({ signal }: { signal: AbortSignal }) {
      const index = signals.push(signal) - 1
      begun[index]!.open()
      return latches[index]!.promise
    }
  })
  const answers = [app.inject('/numbers'), app.inject('/numbers')]
  for (const { promise } of begun) await promise
  const closed = app.close()
  await clock.advance(4999)
  t.same(signals.map(({ aborted }) => aborted), [false, false])
  latches[0]!.open(7)
  t.equal((await answers[0])!.statusCode, 202)
  await clock.advance(1)
  t.equal((await answers[1])!.statusCode, 500)
  t.match(signals.map(({ reason }) => (reason as Error | undefined)?.name), [undefined, 'ShutdownReason'])
  await closed
})

test('a state that no longer fits the schema goes to upgradeState', async (t) => {
  const secret = 'a secret of more than thirty-two bytes'
  const old = await createApp(t, { secret })
  addNumbers(old.app, [1, 2, 3], { start: () => 1 })
  const url = pathOf((await old.app.inject('/numbers')).headers.location)
  const state = Type.Object({ last: Type.Integer() })
  const poll = ({ state }: { state: { last: number } }): unknown => ({ items: [{ n: state.last + 1 }], state: { last: state.last + 1 } })
  const upgraded: unknown[] = []
  const open = async (upgradeState?: (old: unknown) => unknown): Promise<TestApp> => {
    const parts = await createApp(t, { secret })
    addNumbers(parts.app, [], { state, poll, start: () => ({ last: 0 }), upgradeState })
    return parts
  }

  const { app } = await open(async (last) => {
    upgraded.push(last)
    return { last }
  })
  const answer = await app.inject(url)
  t.same(briefOf(answer), [200, undefined, [{ n: 2 }]])
  t.same(briefOf(await app.inject(pathOf(answer.headers.location))), [200, undefined, [{ n: 3 }]])
  t.same(upgraded, [1], 'only an old one')

  const without = await open()
  const refused = await without.app.inject(url)
  t.equal(refused.statusCode, 400)
  t.match(refused.json(), { error: { code: 'InvalidTriggerState' } })
  t.match(without.logs.find(({ level, warnings }) => level === 40 && warnings === undefined), { fault: /^it does not fit the schema of this version: \/ must be object\. Declare upgradeState to take states of earlier ones$/ })

  for (const [upgradeState, reason] of [[() => { throw new Error('odd upgrade') }, /upgradeState\(\) failed.*odd upgrade/s], [() => ({ last: 'x' }), /the state of upgradeState\(\) does not fit/], [() => undefined, /the state of upgradeState\(\) is missing/]] as const) {
    const broken = await open(upgradeState)
    t.equal((await broken.app.inject(url)).statusCode, 500, 'to be retried when it is mended')
    t.match(errorsOf(broken)[0]!.err.stack, reason)
  }
})

test('a trigger that moved from the host\'s data to a topic refuses the states of before, and the other way round', async (t) => {
  const secret = 'a secret of more than thirty-two bytes'
  const [before, after] = [await createApp(t, { secret }), await createApp(t, { secret })]
  addNumbers(before.app, [])
  after.app.pollingTrigger('/numbers', { schema: { operationId: 'PollNumbers' }, topic: after.app.logicApps.topic('numbers') })
  for (const [from, to] of [[before, after], [after, before]] as const) {
    const url = pathOf((await from.app.inject('/numbers')).headers.location)
    t.equal((await to.app.inject(url)).statusCode, 400)
  }
})

for (const [name, options] of [['a time-out', { timeoutSeconds: 30 }], ['a shutdown', { drainSeconds: 30 }]] as const) {
  test(`${name} is for upgradeState and poll together`, async (t) => {
    const secret = 'a secret of more than thirty-two bytes'
    const old = await createApp(t, { secret })
    addNumbers(old.app, [], { start: () => 1 })
    const url = pathOf((await old.app.inject('/numbers')).headers.location)
    const { app, clock, ...parts } = await createApp(t, { secret, ...('drainSeconds' in options ? options : {}) })
    const begun = [createLatch(), createLatch()]
    const upgraded = createLatch<unknown>()
    let signal: AbortSignal | undefined
    addNumbers(app, [], {
      state: Type.Object({ last: Type.Integer() }),
      start: () => ({ last: 0 }),
      ...('timeoutSeconds' in options ? options : {}),
      upgradeState () {
        begun[0]!.open()
        return upgraded.promise
      },
      poll (context: { signal: AbortSignal }) {
        signal = context.signal
        begun[1]!.open()
        return new Promise(() => {})
      }
    })
    const answer = app.inject(url)
    await begun[0]!.promise
    const closed = 'drainSeconds' in options ? app.close() : undefined
    await clock.advance(20_000)
    upgraded.open({ last: 1 })
    await begun[1]!.promise
    await clock.advance(9_999)
    t.equal(signal!.aborted, false)
    await clock.advance(1)
    t.equal((await answer).statusCode, 500)
    t.equal(signal!.aborted, true)
    t.match(errorsOf(parts)[0]!.err.stack, /poll\(\) failed/)
    await closed
  })
}
