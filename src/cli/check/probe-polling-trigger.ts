import type { Exchange } from '../../testing/engine/caller.ts'
import { resolveLocation } from '../../testing/engine/message.ts'
import { headerOf, splitUrl } from '../../testing/engine/wire.ts'
import { evaluate } from '../../testing/workflow/template.ts'
import { inputsOf, isJudged, makeEvent, openSession, prepare, send, statusOf, told, type Bench } from './bench.ts'
import { hasWholeRetryAfter } from './probe-async-action.ts'

const maxUrlLength = 2000
const pollSeconds = 1

/** A polling trigger: its state is in the Location that the engine remembers (engine 3). */
export async function probePollingTrigger (bench: Bench): Promise<void> {
  const { judge, say } = bench
  say('an event before the first poll')
  const old = await makeEvent(bench)
  const poller = createPoller(bench)
  const first = await poller.poll()
  if (isJudged(first)) return
  const status = statusOf(first)
  if (!judge.that('request-accepted', status !== undefined && (status < 400 || status === 404), told(first), first)) return
  await probeHeaders(bench)
  if (!judgeFirst(bench, first, old)) return
  // The state is there now, and nothing has happened since.
  const second = await poller.poll()
  if (!judgeNothing(bench, second, old)) return
  await probeEvent(bench, poller)
}

interface Poller {
  poll (): Promise<Exchange>
  /** The request of the last poll once more, without looking at what it says of the next one. */
  repeat (): Promise<Exchange>
}

function createPoller (bench: Bench): Poller {
  const session = openSession(bench)
  const original = prepare(bench, session, inputsOf(bench.operation, { method: bench.operation.method ?? 'GET' }))
  let call = original
  let next = original
  return {
    async poll () {
      call = next
      const exchange = await send(bench, session, call, 'poll')
      judgeHeaders(bench, exchange)
      const { response } = exchange
      // Without a Location the next poll goes to the original URL (engine 3.1).
      const location = response === undefined || response.statusCode >= 300 ? undefined : headerOf(response.headers, 'location')
      const url = location === undefined ? undefined : resolveLocation(location, call.url, 'resolve')
      if (response !== undefined && response.statusCode < 300) next = url === undefined ? original : { ...original, url }
      return exchange
    },
    repeat: () => send(bench, session, call, 'poll')
  }
}

function judgeHeaders ({ judge }: Bench, exchange: Exchange): void {
  const { response } = exchange
  if (response === undefined || response.statusCode > 202) return
  const location = headerOf(response.headers, 'location')
  if (location !== undefined) {
    judge.that('location-absolute', splitUrl(location) !== undefined, `Location is ${JSON.stringify(location)}`, exchange)
    judge.that('location-short', location.length < maxUrlLength, `Location has ${location.length} characters`, exchange)
  }
  const retryAfter = headerOf(response.headers, 'retry-after')
  judge.that('trigger-retry-after', retryAfter === undefined || hasWholeRetryAfter(exchange), `Retry-After is ${JSON.stringify(retryAfter)}`, exchange)
  judge.that('no-zero-on-202', response.statusCode !== 202 || retryAfter?.trim() !== '0', 'a 202 with Retry-After: 0', exchange)
}

async function probeHeaders (bench: Bench): Promise<void> {
  const session = openSession(bench, { suppressHeaders: true })
  const exchange = await send(bench, session, prepare(bench, session, inputsOf(bench.operation, { method: bench.operation.method ?? 'GET' })), 'poll')
  bench.judge.that('headers-optional', (statusOf(exchange) ?? 500) < 400 || statusOf(exchange) === 404, told(exchange), exchange)
}

/** @returns whether to go on. */
function judgeFirst (bench: Bench, exchange: Exchange, old: string): boolean {
  const isHistory = exchange.response!.body.includes(old) || (statusOf(exchange) === 200 && !isEmpty(bench, exchange))
  if (!bench.judge.that('first-poll-202', !isHistory, `the first poll was ${told(exchange)} with what happened before`, exchange)) return false
  return judgeEmpty(bench, exchange)
}

function judgeNothing (bench: Bench, exchange: Exchange, old: string): boolean {
  if (!bench.judge.that('first-poll-202', exchange.response?.body.includes(old) !== true, `the second poll was ${told(exchange)} with what happened before`, exchange)) return false
  return judgeEmpty(bench, exchange)
}

function judgeEmpty ({ judge }: Bench, exchange: Exchange): boolean {
  return judge.that('nothing-new-202', statusOf(exchange) === 202, `a poll with nothing new was ${told(exchange)}`, exchange)
}

/** No body, or a batch without items. */
function isEmpty ({ operation: { items } }: Bench, { response }: Exchange): boolean {
  const body = response!.body.trim()
  if (['', '{}', '[]', 'null', '""'].includes(body)) return true
  const batch = items === undefined ? undefined : itemsOf(body, items)
  return Array.isArray(batch) && batch.length === 0
}

function itemsOf (body: string, items: string): unknown {
  let parsed: unknown
  try {
    parsed = JSON.parse(body)
  } catch {
    // What is no JSON has a rule of its own.
    return undefined
  }
  return items === '' ? parsed : evaluate(`@triggerBody()?['${items}']`, { triggerBody: () => parsed })
}

async function probeEvent (bench: Bench, poller: Poller): Promise<void> {
  const { judge, timing, operation: { items }, say } = bench
  say('an event')
  // Not within the second of the state that it comes after: how fine a state is has a rule of its own.
  await bench.engine.world.wait(1100)
  const id = await makeEvent(bench)
  const found = await pollFor(bench, poller, [id])
  const [exchange] = found.get(id)!
  if (!judge.that('event-found', exchange !== undefined, `no poll within ${timing.patienceSeconds} seconds brought it`, found.last)) return
  if (items === undefined) judge.skip('items-array', 'the config names no items')
  else judge.that('items-array', Array.isArray(itemsOf(exchange!.response!.body, items)), `the property "${items}" of the body is no array`, exchange)
  const again = await poller.repeat()
  judge.that('poll-repeatable', again.response?.body.includes(id) === true, `the same URL again was ${told(again)} without the event`, exchange, again)
  const after = await poller.poll()
  if (!judge.that('event-once', after.response?.body.includes(id) !== true, 'the next poll brought the same event again', exchange, after)) return
  await probeTies(bench, poller)
}

/** Events of one instant: none is lost, none comes twice (engine 3.18). */
async function probeTies (bench: Bench, poller: Poller): Promise<void> {
  const { judge, timing, say } = bench
  say('two events at once, and a third right after')
  const ids = await Promise.all([makeEvent(bench), makeEvent(bench)])
  const found = await pollFor(bench, poller, ids)
  const third = await makeEvent(bench)
  ids.push(third)
  found.set(third, [])
  await pollFor(bench, poller, ids, found)
  const lost = ids.filter((id) => found.get(id)!.length === 0)
  judge.that('no-event-lost', lost.length === 0, `${lost.length} of three events did not come within ${timing.patienceSeconds} seconds`, found.last)
  // Two more polls would bring what the state did not leave behind.
  for (let polls = 0; polls < 2; polls++) note(found, ids, await poller.poll())
  const repeated = ids.find((id) => found.get(id)!.length > 1)
  judge.that('event-once', repeated === undefined, 'an event came twice', ...(repeated === undefined ? [] : found.get(repeated)!))
}

type Found = Map<string, Exchange[]> & { last?: Exchange }

/** Polls until all of them have come, or patience is over. */
async function pollFor ({ engine: { world }, timing }: Bench, poller: Poller, ids: string[], found: Found = new Map(ids.map((id) => [id, []]))): Promise<Found> {
  const deadline = world.clock.monotonic() + timing.patienceSeconds * 1000
  for (;;) {
    note(found, ids, await poller.poll())
    if (ids.every((id) => found.get(id)!.length > 0) || world.clock.monotonic() >= deadline) return found
    await world.wait(pollSeconds * 1000)
  }
}

function note (found: Found, ids: string[], exchange: Exchange): void {
  found.last = exchange
  for (const id of ids) if (statusOf(exchange) === 200 && exchange.response!.body.includes(id)) found.get(id)!.push(exchange)
}
